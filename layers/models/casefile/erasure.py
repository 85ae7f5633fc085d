"""Erasing a user: everything that is theirs goes, one thing after the other, and a receipt stays.

The idea: what is theirs is found in their own lists: sessions, casefiles, what others granted them,
uploads. Each thing is noted as in hand before it is touched; when it is gone it is counted, by a
write that takes it out of hand. An erasure is over when, some time after the last thing went, a
look at all the lists found nothing more, and nothing is left of sessions that the user had deleted.

What follows:
- Whoever goes on after an interruption ends what is in hand, and counts it once. So do two at once:
  a thing is taken in hand only in one's own turn, and each taking ends the turn of all others.
- What can't be removed just now stays in hand, and holds up nothing else.
- What the user made after the request stays: things tell when they were made. Another request
  meanwhile joins the erasure, which then removes what was made before that request, too.
- Each request is noted, so it is known for as long as there is a receipt: sent again, it is told
  the same, and erases nothing anew.

What stays: what the user wrote in sessions of others, for those are sealed and theirs; and what a
legal hold keeps, which the receipt counts.

    pk ERASURE#<digest of the user>   sk HEAD           the erasure under way, and who it is
                                      sk <request id>   of its first request: the receipt
                                      sk <request id>   of one that joined: whose receipt is its own
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.operations import ErasedPayload, EraseUserRequest

from . import (
    access,
    casefile_heads,
    contents,
    creation,
    deletion,
    dynamodb,
    grants,
    lists,
    records,
    sessions,
)
from .attempts import attempts, check_time, sharing, sparing
from .dynamodb import ConditionFailed, Item, TransactionFailed
from .errors import Forbidden, LegalHold, NotFound, Unavailable
from .parallel import AT_ONCE
from .rounds import Round, go_round

SETTLING_SECONDS = 5
"""How long after the last thing went an erasure looks once more: indexes lag behind the table."""

ANSWER_SECONDS = 3
"""Kept back to tell how far it has come."""

RECEIPT_SECONDS = 90 * 24 * 60 * 60
"""How long a receipt is kept, from the end on."""

MAX_STUCK = 20
"""Things that can't be removed just now, after so many of which a look is given up."""


_COUNTS = ErasedPayload.model_fields.keys() - {"user_id", "started_at", "completed_at"}


class Thing(NamedTuple):
    """Something of a user's: of which kind, its id or key, and how many records it holds."""

    kind: str
    identifier: str
    records: int = 0

    @property
    def noted(self) -> str:
        """How it is noted."""
        return f"{self.kind} {self.records} {self.identifier}"

    @classmethod
    def read(cls, noted: str) -> Thing:
        """Read how it is noted."""
        kind, count, identifier = noted.split(" ", 2)
        return cls(kind, identifier, int(count))


@dataclass
class Finished:
    """What a run did: casefiles and sessions whose deletion it ended, users whom it erased."""

    casefiles: Round
    sessions: Round
    users: Round


@dataclass(frozen=True)
class Receipt:
    """What was removed of a user, and until when; times are in milliseconds since 1970."""

    started_at: int
    completed_at: int | None
    payload: ErasedPayload


def erase(request: EraseUserRequest) -> Receipt:
    """Erase the user who asks, as far as the time goes; the same request again goes on.

    Raises Forbidden for another user, BadRequest for a request dated too early or too late, and
    Unavailable.
    """
    user_id = request.payload.user_id
    access.check_erasing(request.user_id, user_id)
    item = _begun(user_id, request)
    if "completed_at" not in item:
        # When the time is up, the clock's next run goes on.
        with contextlib.suppress(Unavailable), sparing(ANSWER_SECONDS):
            _go_on(user_id, item)
        item = _now(item)
    return _receipt(user_id, item)


def finish_deletions() -> Finished:
    """Do the rest of deletions, when nothing can come after it; go on with erasures under way.

    Each has its share of the time, whatever there is to do for those before it.
    """
    settled = to_milliseconds(now() - deletion.LONGEST_RUN)
    with sharing(3):
        of_casefiles = go_round("deleting", settled, deletion.finish_casefile)
    contents.client()  # Before several need it at once.
    with sharing(2):
        of_sessions = go_round("deleted", settled, deletion.finish, at_once=AT_ONCE)
    of_users = go_round("erasing", to_milliseconds(now()) + 1, _finish)
    return Finished(of_casefiles, of_sessions, of_users)


def _finish(digest: str) -> bool:
    """Go on with an erasure under way, to its end.

    Raises NotFound if it is over, and Unavailable.
    """
    head = dynamodb.get({"pk": f"ERASURE#{digest}", "sk": "HEAD"}) or {}
    if "user_id" not in head:
        raise NotFound("This erasure is over.")
    user_id = head["user_id"]
    _go_on(user_id, _now(_key(user_id, head["request_id"])))
    return True


def _head_key(user_id: str) -> Item:
    return {"pk": f"ERASURE#{sha256(user_id.encode()).hexdigest()}", "sk": "HEAD"}


def _key(user_id: str, request_id: bytes) -> Item:
    return _head_key(user_id) | {"sk": str(UUID(bytes=request_id))}


def _now(item: Item) -> Item:
    """An item of an erasure as it is now; as it was, if it is gone."""
    return dynamodb.get(dynamodb.key_of(item)) or item


def _begun(user_id: str, request: EraseUserRequest) -> Item:
    """The erasure that a request began or joined, which it does now if it is new.

    Raises BadRequest for a new one that is dated too early or too late.
    """
    request_id = request.request_id.bytes
    key = _key(user_id, request_id)
    for _ in attempts("Your erasure"):
        found = dynamodb.get(key) or {}
        if "joined" in found:
            found = dynamodb.get(_key(user_id, found["joined"])) or {}
        if found:
            return found
        creation.check_age(request)
        head = dynamodb.get(_head_key(user_id)) or {}
        at = to_milliseconds(now())
        with contextlib.suppress(TransactionFailed):  # Another one began, or ended, just now.
            if "user_id" in head:
                _join(user_id, head["request_id"], key, at)
            else:
                _begin(user_id, request_id, key, at)
    raise AssertionError("attempts() ends by raising")


def _begin(user_id: str, request_id: bytes, key: Item, at: int) -> None:
    """Note an erasure and that it is under way. Raises TransactionFailed if another one is."""
    head_key = _head_key(user_id)
    head = {
        **head_key,
        "request_id": request_id,
        "user_id": user_id,
        **lists.at_stage("erasing", at, dynamodb.identifier(head_key)),
    }
    beginning = dynamodb.putting(head, condition="attribute_not_exists(user_id)")
    receipt = {**key, "started_at": at, "takes_until": at, "changed_at": at, "turn": 0}
    dynamodb.transact([beginning, dynamodb.creating(receipt)])


def _join(user_id: str, first: bytes, key: Item, at: int) -> None:
    """Note a request as one of the erasure that another began, which takes what was made until now.

    Its times never go back, whichever clocks told them. Raises TransactionFailed if it is over.
    """
    seen = _now(_key(user_id, first))
    setting, values = dynamodb.setting(
        {
            "takes_until": max(at, seen["takes_until"]),
            "changed_at": max(at, seen["changed_at"] + 1),
        }
    )
    joining = dynamodb.updating(
        dynamodb.key_of(seen),
        setting,
        condition="takes_until <= :takes_until AND changed_at < :changed_at"
        " AND attribute_not_exists(completed_at)",
        values=values,
    )
    noted = {**key, "joined": first, "ttl": at // 1000 + RECEIPT_SECONDS}
    dynamodb.transact([joining, dynamodb.creating(noted)])


@dataclass
class _Look:
    """What came of a look at all that is the user's.

    How many things were removed, how many of each kind a legal hold keeps, and what failed for now.
    It counts as long as nobody else takes a turn.
    """

    turn: int
    removed: int = 0
    held: Counter[str] = field(default_factory=Counter)
    stuck: list[Unavailable] = field(default_factory=list)


def _go_on(user_id: str, item: Item) -> None:
    """Remove all that can be found, until there is no more. Raises Unavailable."""
    while "completed_at" not in item:
        looked_at = to_milliseconds(now())
        settled_at = item["changed_at"] + SETTLING_SECONDS * 1000
        look = _look(user_id, item)
        if look.stuck and not look.removed:
            raise look.stuck[0]
        if not look.removed and looked_at >= settled_at:
            deletion.finish_of(user_id)
            _end(user_id, item, look)
        elif not look.removed:
            # No longer, though another clock told the time of the change: then it looks again.
            check_time(SETTLING_SECONDS)
            time.sleep(min(max(0, settled_at - to_milliseconds(now())) / 1000, SETTLING_SECONDS))
        item = _now(item)


def _look(user_id: str, item: Item) -> _Look:
    """Remove what is in hand, and then all that can be found, each thing once."""
    look = _Look(item["turn"])
    in_hand = {Thing.read(noted) for noted in item.get("in_hand", ())}
    tried = set()
    for thing in chain(sorted(in_hand), _things(user_id, item["takes_until"])):
        if thing[:2] in tried:
            continue
        tried.add(thing[:2])
        check_time()
        if thing not in in_hand:
            look.turn = _take(item, thing, look.turn)
        _remove(user_id, item, thing, look)
    return look


def _things(user_id: str, made_until: int) -> Iterator[Thing]:
    """All that is the user's and was made until a time, as the indexes show it.

    What others granted has no such limit: it may be what a hand-over left.
    """
    end = lists.sort_key(made_until + 1, "")
    of_sessions = lists.of_sessions("owner", user_id, ("tool", "chat"), active_only=False)
    for entry in lists.everything(of_sessions):
        if entry["creation"] >= end:
            continue
        session_id = dynamodb.identifier(entry)
        head, newest = records.top(session_id)
        if sessions.from_item(head) is not None:  # Else it went just now.
            yield Thing("sessions", session_id, records.number_of(newest))
    for kind in (casefile_heads.KIND, deletion.DELETING):
        for casefile_id, head in _listed(kind, user_id, casefile_heads.find):
            if "deleted_at" not in head and head["creation"] < end:
                yield Thing("casefiles", casefile_id)
    for kind in (grants.KIND, grants.REVOKED):
        for casefile_id, _ in _listed(kind, user_id, lambda each: grants.find(each, user_id)):
            yield Thing("grants" if kind == grants.KIND else kind, casefile_id)
    for casefile_id, _ in _listed(deletion.TITLE, user_id, deletion.find_title):
        yield Thing(deletion.TITLE, casefile_id)
    for key in contents.uploads(user_id, made_until):
        yield Thing("uploads", key)


def _listed(
    kind: str, user_id: str, find: Callable[[str], Item | None]
) -> Iterator[tuple[str, Item]]:
    """The casefiles that a list of a user names, each with what is found of it, if anything is."""
    for entry in lists.everything(lists.Lists("owner", [lists.name(kind, user_id)])):
        casefile_id = lists.identifier(entry["creation"])
        if (item := find(casefile_id)) is not None:
            yield casefile_id, item


def _remove(user_id: str, item: Item, thing: Thing, look: _Look) -> None:
    """Remove one thing that is in hand and count it, unless it is held, or can't be removed now."""
    ways: dict[str, Callable[[str], object]] = {
        "sessions": lambda session_id: deletion.delete(session_id, user_id, is_noted=True),
        "casefiles": lambda casefile_id: _delete_casefile(casefile_id, user_id),
        "grants": lambda casefile_id: grants.forget(casefile_id, user_id),
        grants.REVOKED: lambda casefile_id: grants.forget(casefile_id, user_id),
        deletion.TITLE: deletion.forget_title,
        "uploads": contents.delete,
    }
    counted = {thing.kind: 1, "records": thing.records}
    try:
        ways[thing.kind](thing.identifier)
    except LegalHold:
        look.held[thing.kind] += 1
        _put_down(item, thing, None)
        return
    except Unavailable as error:
        check_time()
        look.stuck.append(error)
        if len(look.stuck) == MAX_STUCK:
            raise
        return
    except (Forbidden, NotFound):  # It was handed over while in hand; a grant left is found next.
        counted = {}
    _put_down(item, thing, counted)
    look.removed += 1


def _delete_casefile(casefile_id: str, user_id: str) -> None:
    """Delete a casefile and what it was called, which no index may show yet."""
    deletion.delete_casefile(casefile_id, user_id, with_sessions=False)
    deletion.forget_title(casefile_id)


def _take(item: Item, thing: Thing, turn: int) -> int:
    """Take something in hand if it is one's turn; returns the next turn, which then is one's own.

    Raises Unavailable if it is somebody else's.
    """
    try:
        dynamodb.update(
            dynamodb.key_of(item),
            "SET turn = :next ADD in_hand :things",
            condition="turn = :turn AND attribute_not_exists(completed_at)",
            values={":turn": turn, ":next": turn + 1, ":things": frozenset([thing.noted])},
        )
    except ConditionFailed as failed:
        found = failed.item or {}
        if found.get("turn") != turn + 1 or thing.noted not in found.get("in_hand", ()):
            raise Unavailable("Somebody else goes on with this erasure.") from failed
        # It was taken by this very call, made again; or by both, who then count it once.
    return turn + 1


def _put_down(item: Item, thing: Thing, counted: dict[str, int] | None) -> None:
    """Take something that is done with out of hand and count it; once, whoever is at it.

    None is for what stays, so that nothing changed.
    """
    expression = "DELETE in_hand :things"
    values: Item = {}
    if counted is not None:
        counts = {name: by for name, by in counted.items() if by and name in _COUNTS}
        expression += " SET changed_at = :at" + (" ADD " if counts else "")
        expression += ", ".join(f"{name} :{name}" for name in counts)
        values = {":at": to_milliseconds(now()), **{f":{name}": by for name, by in counts.items()}}
    with contextlib.suppress(ConditionFailed):  # Somebody else did.
        dynamodb.update(
            dynamodb.key_of(item),
            expression,
            condition="contains(in_hand, :thing)",
            values={":thing": thing.noted, ":things": frozenset([thing.noted]), **values},
        )


def _end(user_id: str, item: Item, look: _Look) -> None:
    """Complete the receipt, unless anything changed since the look; then nobody is named."""
    at = to_milliseconds(now())
    setting, values = dynamodb.setting(
        {
            "completed_at": at,
            "held_sessions": look.held["sessions"],
            "held_casefiles": look.held["casefiles"],
        }
    )
    values |= {":turn": look.turn, ":changed_at": item["changed_at"]}
    is_as_seen = "turn = :turn AND changed_at = :changed_at AND attribute_not_exists(in_hand)"
    forgetting = "REMOVE user_id, request_id, stage_list, since"
    expires = {":ttl": at // 1000 + RECEIPT_SECONDS}
    named = {"ExpressionAttributeNames": {"#ttl": "ttl"}}  # A reserved word.
    writes = [
        dynamodb.updating(
            dynamodb.key_of(item),
            f"{setting}, #ttl = :ttl",
            condition=is_as_seen,
            values=values | expires,
            **named,
        ),
        dynamodb.updating(
            _head_key(user_id),
            f"SET #ttl = :ttl {forgetting}",
            condition="attribute_exists(user_id)",
            values=expires,
            **named,
        ),
    ]
    with contextlib.suppress(TransactionFailed):  # Somebody ended it, or joined.
        dynamodb.transact(writes)


def _receipt(user_id: str, item: Item) -> Receipt:
    counts = {name: item[name] for name in _COUNTS if name in item}
    completed_at = item.get("completed_at")
    payload = ErasedPayload(
        user_id=user_id,
        started_at=text_of(item["started_at"]),
        completed_at=None if completed_at is None else text_of(completed_at),
        **counts,
    )
    return Receipt(item["started_at"], completed_at, payload)
