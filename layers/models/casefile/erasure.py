"""Erasing a user: everything that is theirs goes, one thing after the other, and a receipt stays.

What is theirs is found in their own lists: sessions, casefiles, what others granted them, uploads.
One thing at a time is in hand, noted before it is touched; when it is gone it is counted, by a
write that takes it out of hand. So whoever goes on after an interruption, or at the same time, ends
what is in hand and counts it once. An erasure is over when, some time after its beginning, a look
at all the lists found nothing more.

What stays: what the user wrote in sessions of others, for those are sealed and theirs; and what a
legal hold keeps, which the receipt counts.

    pk ERASURE#<digest of the user>   sk HEAD   the receipt; it names the user only until it is over
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.operations import ErasedPayload, EraseUserRequest

from . import (
    access,
    casefile_heads,
    contents,
    deletion,
    dynamodb,
    grants,
    lists,
    records,
    sessions,
)
from .attempts import attempts, check_time, sparing
from .dynamodb import ConditionFailed, Item, to_attributes
from .errors import Forbidden, LegalHold, NotFound, Unavailable
from .rounds import Round, go_round

SETTLING_SECONDS = 5
"""How long after its beginning an erasure looks once more: indexes lag behind the table."""

ANSWER_SECONDS = 3
"""Kept back to tell how far it has come."""

RECEIPT_SECONDS = 90 * 24 * 60 * 60
"""How long a receipt is kept, from the beginning on."""


class Thing(NamedTuple):
    """Something of a user's: of which kind, its id or key, and how many records it holds."""

    kind: str
    identifier: str
    records: int = 0

    @property
    def noted(self) -> list[str]:
        """How it is noted."""
        return [self.kind, self.identifier, str(self.records)]


@dataclass
class Finished:
    """What a run did: casefiles and sessions whose deletion it ended, users whom it erased."""

    casefiles: Round
    sessions: Round
    users: Round


@dataclass(frozen=True)
class Receipt:
    """What was removed of a user, and until when; times are in milliseconds since 1970."""

    user_id: str
    started_at: int
    completed_at: int | None
    told: ErasedPayload


def erase(request: EraseUserRequest) -> Receipt:
    """Erase the user who asks, as far as the time goes; the same request again goes on.

    Raises Forbidden for another user, and Unavailable.
    """
    user_id = request.payload.user_id
    access.check_erasing(request.user_id, user_id)
    item = _begun(user_id, request.request_id.bytes)
    if "completed_at" not in item:
        # When the time is up, the clock's next run goes on.
        with contextlib.suppress(Unavailable), sparing(ANSWER_SECONDS):
            _go_on(user_id)
        item = dynamodb.get(to_attributes(_key(user_id))) or item
    return _receipt(user_id, item)


def finish_deletions() -> Finished:
    """Do the rest of deletions, when nothing can come after it; go on with erasures under way."""
    settled = to_milliseconds(now() - deletion.LONGEST_RUN)
    return Finished(
        go_round("deleting", settled, deletion.finish_casefile),
        go_round("deleted", settled, deletion.finish),
        go_round("erasing", to_milliseconds(now()) + 1, go_on),
    )


def go_on(digest: str) -> bool:
    """Go on with an erasure under way; whether it is over. Raises Unavailable."""
    item = dynamodb.get(to_attributes({"pk": f"ERASURE#{digest}", "sk": "HEAD"})) or {}
    if "user_id" not in item:
        raise NotFound("This erasure is over.")
    return _go_on(item["user_id"])


def _key(user_id: str) -> Item:
    return {"pk": f"ERASURE#{sha256(user_id.encode()).hexdigest()}", "sk": "HEAD"}


def _begun(user_id: str, request_id: bytes) -> Item:
    """The erasure that a request began, or that is under way; else a new one."""
    key = _key(user_id)
    for _ in attempts("Your erasure"):
        found = dynamodb.get(to_attributes(key))
        if found and (found["request_id"] == request_id or "completed_at" not in found):
            return found
        at = to_milliseconds(now())
        item: Item = {
            **key,
            "request_id": request_id,
            "user_id": user_id,
            "started_at": at,
            "ttl": at // 1000 + RECEIPT_SECONDS,
            **lists.at_stage("erasing", at, dynamodb.identifier(key)),
        }
        with contextlib.suppress(ConditionFailed):  # Another one began just now: look again.
            dynamodb.put(
                {
                    "TableName": dynamodb.table(),
                    "Item": to_attributes(item),
                    "ConditionExpression": "attribute_not_exists(pk)"
                    " OR attribute_exists(completed_at)",
                }
            )
            return item
    raise AssertionError("attempts() ends by raising")


def _go_on(user_id: str) -> bool:
    """Remove all that can be found; whether that was all. Raises Unavailable."""
    item = dynamodb.get(to_attributes(_key(user_id))) or {}
    while "completed_at" not in item:
        started_at = to_milliseconds(now())
        held = _Held()
        is_clear = not sum(_removed(user_id, thing, held) for thing in _things(user_id, item))
        settled_at = item["started_at"] + SETTLING_SECONDS * 1000
        if is_clear and started_at >= settled_at:
            _end(user_id, held)
            return True
        if is_clear:
            check_time(SETTLING_SECONDS)
            time.sleep((settled_at - started_at) / 1000)
        item = dynamodb.get(to_attributes(_key(user_id))) or {}
    return True


@dataclass
class _Held:
    """What a legal hold keeps."""

    sessions: int = 0
    casefiles: int = 0


def _things(user_id: str, item: Item) -> Iterator[Thing]:
    """What is in hand, then all that is the user's, as the indexes show it."""
    if "in_hand" in item:
        kind, identifier, count = item["in_hand"]
        yield Thing(kind, identifier, int(count))
    of_sessions = lists.of_sessions("owner", user_id, ("tool", "chat"), active_only=False)
    for entry in lists.everything(of_sessions):
        session_id = dynamodb.identifier(entry)
        head, newest = records.top(session_id)
        if sessions.from_item(head or {}) is not None:  # Else it went just now.
            yield Thing("sessions", session_id, int(newest["sk"]) if newest else 0)
    for kind in (casefile_heads.KIND, deletion.DELETING):
        for casefile_id, item in _listed(kind, user_id, casefile_heads.HEAD):
            if "deleted_at" not in item:
                yield Thing("casefiles", casefile_id)
    for kind in (grants.KIND, grants.REVOKED):
        for casefile_id, _ in _listed(kind, user_id, grants.slot(user_id)):
            yield Thing("grants" if kind == grants.KIND else kind, casefile_id)
    for casefile_id, _ in _listed(deletion.TITLE, user_id, deletion.TITLE_SLOT):
        yield Thing(deletion.TITLE, casefile_id)
    for key in contents.uploads(user_id):
        yield Thing("uploads", key)


def _listed(kind: str, user_id: str, slot: str) -> Iterator[tuple[str, Item]]:
    """The casefiles that a list of a user names, each with one of its items, if that is there."""
    for entry in lists.everything(lists.Lists("owner", [lists.name(kind, user_id)])):
        casefile_id = entry["creation"].partition("#")[2]
        item = dynamodb.get(
            to_attributes({"pk": casefile_heads.partition(casefile_id), "sk": slot})
        )
        if item is not None:
            yield casefile_id, item


def _removed(user_id: str, thing: Thing, held: _Held) -> bool:
    """Remove one thing and count it, unless it is held; whether anything was to be done."""
    check_time()
    ways: dict[str, Callable[[str], object]] = {
        "sessions": lambda session_id: deletion.delete(session_id, user_id),
        "casefiles": lambda each: deletion.delete_casefile(each, user_id, with_sessions=False),
        "grants": lambda casefile_id: grants.forget(casefile_id, user_id),
        grants.REVOKED: lambda casefile_id: grants.forget(casefile_id, user_id),
        deletion.TITLE: deletion.forget_title,
        "uploads": contents.delete_upload,
    }
    if not _take(user_id, thing):
        return True
    try:
        with contextlib.suppress(NotFound):  # It went just now.
            ways[thing.kind](thing.identifier)
    except Forbidden:  # It was handed over while in hand. What its owner was left is found next.
        _put_down(user_id, thing, {})
        return True
    except LegalHold:
        _put_down(user_id, thing, {})
        held.sessions += thing.kind == "sessions"
        held.casefiles += thing.kind == "casefiles"
        return False
    counted = {thing.kind: 1, **({"records": thing.records} if thing.records else {})}
    _put_down(user_id, thing, counted)
    return True


def _take(user_id: str, thing: Thing) -> bool:
    """Take something in hand; not if something else is, or if the erasure is over."""
    try:
        dynamodb.update(
            to_attributes(_key(user_id)),
            "SET in_hand = :thing",
            condition="attribute_exists(user_id)"
            " AND (attribute_not_exists(in_hand) OR in_hand = :thing)",
            values={":thing": thing.noted},
        )
    except ConditionFailed:
        return False
    return True


def _put_down(user_id: str, thing: Thing, counted: dict[str, int]) -> None:
    """Take something out of hand and count it; once, whoever is at it."""
    told = {name: by for name, by in counted.items() if name in ErasedPayload.model_fields}
    adding = ", ".join(f"{name} :{name}" for name in told)
    with contextlib.suppress(ConditionFailed):  # Somebody else did.
        dynamodb.update(
            to_attributes(_key(user_id)),
            f"REMOVE in_hand ADD {adding}" if told else "REMOVE in_hand",
            condition="in_hand = :thing",
            values={":thing": thing.noted, **{f":{name}": by for name, by in told.items()}},
        )


def _end(user_id: str, held: _Held) -> None:
    at = to_milliseconds(now())
    setting, values = dynamodb.setting(
        {
            "completed_at": at,
            "held_sessions": held.sessions,
            "held_casefiles": held.casefiles,
        }
    )
    with contextlib.suppress(ConditionFailed):  # Somebody else ended it.
        dynamodb.update(
            to_attributes(_key(user_id)),
            f"{setting} REMOVE user_id, stage_list, since",
            condition="attribute_exists(user_id) AND attribute_not_exists(in_hand)",
            values=values,
        )


def _receipt(user_id: str, item: Item) -> Receipt:
    counts = {
        name: item[name]
        for name in ErasedPayload.model_fields
        if name not in ("user_id", "started_at", "completed_at") and name in item
    }
    completed_at = item.get("completed_at")
    told = ErasedPayload(
        user_id=user_id,
        started_at=text_of(item["started_at"]),
        completed_at=None if completed_at is None else text_of(completed_at),
        **counts,
    )
    return Receipt(user_id, item["started_at"], completed_at, told)
