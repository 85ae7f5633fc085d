"""Deleting a session for good, in steps that can each be repeated.

1. At once, the slot after the newest record gets a dead stub, so no append can win it; the head
   becomes a tombstone; and the casefile that it was filed in counts one session less.
2. Every record is overwritten by a dead stub; the stubs expire a day later.
3. What the records pointed at in the bucket is deleted, and so is the archive of the session.
4. When no function can still be at work that began before the first step, 2 and 3 are done once
   more, by the clock: so what was interrupted comes to its end though nobody asks for it again, and
   what such a function put in the bucket, and was stopped before it took it back, goes, too.

Overwriting costs what deleting would, and leaves no slot free that an instance with an old memory
could win: whoever meets a stub or the tombstone learns that there is no such session. The
tombstone stays, so a late retry of the creation revives nothing. It holds the time of the deletion
and a digest by which only the owner can repeat it, and nothing of what the session was. Until the
fourth step it is in a list named by a digest of the owner, for an erasure to find what may be left,
unless that erasure deleted it.

A casefile is marked first, so nothing more is filed in it, and nobody comes through it any more;
then its sessions are taken out or deleted, until its count is none; then its grants go, and its
head becomes a tombstone. Interrupted, it goes on by the clock, too. Its title stays for a time
beside it, for the answer to a repetition.

    pk CASEFILE#<casefile_id>   sk TITLE
"""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from pydantic_models.base.times import now, to_milliseconds

from . import (
    access,
    archives,
    casefile_heads,
    casefiles,
    contents,
    dynamodb,
    grants,
    lists,
    records,
    sessions,
)
from .attempts import attempts, check_time
from .dynamodb import ConditionFailed, Item, TransactionFailed
from .errors import LegalHold, NotFound

STUB_SECONDS = 24 * 60 * 60
"""How long a dead stub holds its slot: far longer than any instance remembers a session."""

LONGEST_RUN = timedelta(minutes=15)
"""No function runs longer (AWS Lambda quotas)."""

TITLE_SECONDS = 15 * 24 * 60 * 60
"""How long a repeated deletion is told the title of the casefile: as long as a request may be."""

TITLE, DELETING = "title", "deleting"
"""Of the lists of somebody's casefiles that are deleted but for the title, or half deleted."""

DELETED = "deleted"
"""Of the list of sessions that somebody deleted, of which something may be left."""


def delete(
    session_id: str, user_id: str, filed_in: str | None = None, *, is_noted: bool = False
) -> int:
    """Delete a session in any state; returns the time, in milliseconds since 1970.

    If a casefile is named, it is deleted only while it is filed there. Sent again, it goes on where
    it was interrupted. With `is_noted`, an erasure has noted that it does this, and needs no list
    to find what it left. Raises NotFound, and Unavailable when there is more to delete than there
    is time.
    """
    deleted_at = _bury(session_id, user_id, filed_in, is_noted=is_noted)
    _clear(session_id)
    return deleted_at


def finish(session_id: str) -> bool:
    """Remove what was left of a deleted session, for good. Raises Unavailable, as `delete` does."""
    _clear(session_id)
    sessions.mark_settled(session_id, "deleted", "owner_list", "creation")
    return True


def finish_of(user_id: str) -> None:
    """Remove what may be left of sessions that a user deleted in the last half hour or so.

    Those that an erasure deleted are left to it. Raises Unavailable.
    """
    for entry in lists.everything(lists.Lists("owner", [_deleted_by(user_id)])):
        check_time()
        _clear(dynamodb.identifier(entry))


def _deleted_by(user_id: str) -> str:
    """The list of sessions that a user deleted. The user may be erased before they leave it."""
    return lists.name(DELETED, sha256(user_id.encode()).hexdigest())


def _owner(identifier: str, user_id: str) -> bytes:
    """What a tombstone tells of whose the session or casefile was."""
    return sha256(f"{identifier}\n{user_id}".encode()).digest()


def _clear(session_id: str) -> None:
    for page in records.slots(session_id):
        living = [number for number, kind in page if kind != records.DEAD]
        dynamodb.put_many([_stub(session_id, number) for number in living])
    contents.delete_all(session_id)
    archives.delete(session_id)


def _bury(session_id: str, user_id: str, filed_in: str | None, *, is_noted: bool) -> int:
    """Put an end to the log and turn the head into a tombstone, once."""
    owner = _owner(session_id, user_id)
    for _ in attempts(f"Session {session_id}"):
        head, newest = records.top(session_id)
        if head is not None and "deleted_at" in head:
            if head["owner"] != owner:
                raise access.missing_session(session_id)
            return int(head["deleted_at"])
        found = sessions.authorize(session_id, sessions.from_item(head), user_id)
        if filed_in not in (None, found.casefile_id):
            raise sessions.not_filed(session_id, filed_in)
        deleted_at = to_milliseconds(now())
        tombstone = {
            **sessions.key(session_id),
            "owner": owner,
            "deleted_at": deleted_at,
            "news": True,
            **lists.at_stage("deleted", deleted_at, session_id),
        }
        if not is_noted:
            tombstone["owner_list"] = _deleted_by(user_id)
            tombstone["creation"] = lists.sort_key(deleted_at, session_id)
        stub = _stub(session_id, records.number_of(newest) + 1)
        with contextlib.suppress(TransactionFailed):  # Something was appended, or filed, just now.
            _end(head or {}, user_id, tombstone, stub)
            return deleted_at
    raise AssertionError("attempts() ends by raising")


def _end(head: Item, user_id: str, tombstone: Item, stub: Item) -> None:
    """Put the stub and the tombstone, and count the session out of its casefile; all or nothing."""
    casefile_id = head.get("casefile_id")
    unchanged = "casefile_id = :casefile" if casefile_id else "attribute_not_exists(casefile_id)"
    ending = dynamodb.putting(
        tombstone,
        condition=f"user_id = :user AND {unchanged}",
        values={":user": user_id, ":casefile": casefile_id},
    )
    writes = [ending, dynamodb.creating(stub)]
    if casefile_id is None:
        dynamodb.transact(writes)
    else:
        casefiles.release_session(casefile_id, lambda _: writes)


class DeletedCasefile(NamedTuple):
    """What is left of a casefile; `at` is in milliseconds since 1970."""

    title: str
    at: int


def delete_casefile(casefile_id: str, user_id: str, *, with_sessions: bool) -> DeletedCasefile:
    """Delete a casefile and, if asked for, its owner's sessions in it; take the others out.

    Sent again, it goes on where it was interrupted, and as it was asked for first. Raises NotFound,
    Forbidden, and Unavailable when there is more to delete than there is time.
    """
    owner = _owner(casefile_id, user_id)
    head = _marked(casefile_id, user_id, owner, with_sessions=with_sessions)
    with_sessions = head.get("with_sessions", with_sessions)
    if "session_in_hand" in head and sessions.find(head["session_in_hand"]) is None:
        _clear(head["session_in_hand"])  # Else its deletion had not begun, and it may be elsewhere.
    if "deleted_at" not in head:
        for _ in attempts(f"Casefile {casefile_id}"):
            for session_id in casefiles.session_ids(casefile_id):
                _let_go(session_id, casefile_id, user_id, with_sessions=with_sessions)
            head = casefile_heads.find(casefile_id) or {}
            if not head.get("session_count"):  # Else the index doesn't show all of them yet.
                break
    if "deleted_at" not in head:
        grants.forget_all(head)
        at = head["deleting_at"]
        title = _title_key(casefile_id) | {
            "title": head["title"],
            "ttl": at // 1000 + TITLE_SECONDS,
            "owner_list": lists.name(TITLE, user_id),
            "creation": lists.sort_key(at, casefile_id),
        }
        tombstone = {
            **dynamodb.key_of(head),
            "owner": owner,
            "deleting_at": at,
            "deleted_at": at,
            "news": True,
        }
        _end_casefile(tombstone, title)
        return DeletedCasefile(head["title"], at)
    kept = find_title(casefile_id) or {}
    return DeletedCasefile(kept.get("title", ""), head["deleted_at"])


def _end_casefile(tombstone: Item, title: Item) -> None:
    """Put the tombstone of a casefile and its title, unless somebody ended it meanwhile.

    Then its title may have been forgotten since, and must not come back.
    """
    ending = dynamodb.putting(tombstone, condition="attribute_not_exists(deleted_at)")
    for _ in attempts(f"Casefile {dynamodb.identifier(tombstone)}"):
        try:
            return dynamodb.transact([ending, dynamodb.putting(title)])
        except TransactionFailed as failed:
            if any(found is not None for found in failed.found):
                return None
    raise AssertionError("attempts() ends by raising")


def finish_casefile(casefile_id: str) -> bool:
    """Go on with deleting a casefile, as it was asked for first.

    Raises NotFound if that is not under way, and Unavailable, as `delete_casefile` does.
    """
    head = casefile_heads.find(casefile_id) or {}
    if "with_sessions" not in head:
        raise access.missing_casefile(casefile_id)
    delete_casefile(casefile_id, head["user_id"], with_sessions=head["with_sessions"])
    return True


def find_title(casefile_id: str) -> Item | None:
    """What a deleted casefile was called, as long as that is kept."""
    return dynamodb.get(_title_key(casefile_id))


def forget_title(casefile_id: str) -> None:
    """Forget what a deleted casefile was called."""
    dynamodb.delete_many([_title_key(casefile_id)])


def _title_key(casefile_id: str) -> Item:
    return {"pk": casefile_heads.partition(casefile_id), "sk": "TITLE"}


def _marked(casefile_id: str, user_id: str, owner: bytes, *, with_sessions: bool) -> Item:
    """The head of a casefile that is being deleted by its owner, or its tombstone."""
    for _ in attempts(f"Casefile {casefile_id}"):
        head = casefile_heads.find(casefile_id)
        if head is not None and not casefile_heads.is_alive(head):
            if user_id != head.get("user_id") and owner != head.get("owner"):
                raise access.missing_casefile(casefile_id)
            return head
        try:
            if casefiles.authorize(casefile_id, user_id).hold is not None:
                raise LegalHold(casefile_id)
        except NotFound:
            if head is None or head["user_id"] != user_id:
                raise
            continue  # It was marked, or handed over, just now: look again.
        at = to_milliseconds(now())
        setting, values = dynamodb.setting(
            {
                "deleting_at": at,
                "with_sessions": with_sessions,
                "owner_list": lists.name(DELETING, user_id),
                **lists.at_stage("deleting", at, casefile_id),
            }
        )
        with contextlib.suppress(ConditionFailed):  # It was handed over just now: look again.
            return dynamodb.update(
                casefile_heads.key(casefile_id),
                f"{setting} REMOVE news",
                condition="user_id = :user AND attribute_not_exists(deleting_at)"
                " AND attribute_not_exists(held_at)",
                values=values | {":user": user_id},
            )
    raise AssertionError("attempts() ends by raising")


def _let_go(session_id: str, casefile_id: str, user_id: str, *, with_sessions: bool) -> None:
    """Delete a session or take it out of its casefile, if it still is there."""
    head = sessions.find(session_id)
    if head is None or head.casefile_id != casefile_id:
        return
    if with_sessions and head.user_id == user_id:
        # Once it begins, the index shows the session no more: whoever goes on must know of it.
        dynamodb.update(
            casefile_heads.key(casefile_id),
            "SET session_in_hand = :session",
            condition="attribute_exists(deleting_at)",
            values={":session": session_id},
        )
        with contextlib.suppress(NotFound):  # It was let go just now.
            delete(session_id, user_id, casefile_id)
        return
    with contextlib.suppress(TransactionFailed):  # It was let go just now.
        sessions.leave(head)


def _stub(session_id: str, number: int) -> Item:
    expires = int(time.time()) + STUB_SECONDS
    return records.slot_key(session_id, number) | {"kind": records.DEAD, "ttl": expires}
