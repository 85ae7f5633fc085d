"""The session log: every record once, in one order, without a gap.

The idea: record n of a session is the item at slot n, written by a put that fails if the slot is
taken. There is no counter, no lock and no second item, so there is nothing that could disagree
with the log.

What follows:
- Two writers can't win the same slot. Whoever loses is handed the record that is there, learns
  what it missed and tries the next slot; so the numbers are 1, 2, 3 … and the order is the same
  for every reader.
- A request is recorded at most once. Before it writes, a writer has seen every record that its
  request could be in, without a hole from there to the slot that it wins: an original is never
  older than its request, so looking back to the request's own time (less what clocks may differ)
  is enough, and whatever came in meanwhile sits in the slot that the put would need.
- Closing is a record like any other: it can't share a slot with an append, and nothing is put
  after it, because no writer puts above a closing record that it has seen.
- Each record carries the totals up to it, so the newest one tells them all.

The guarantee: what was acknowledged is in the log, once, at the number that was told; what was
not acknowledged is there once or not at all, and sending it again tells which.

    pk SESSION#<session_id>   sk HEAD            see sessions.py
                              sk 000000000001    record 1, and so on; HEAD sorts after them all
"""

from __future__ import annotations

import json
import time
import zlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from pydantic_models.base.json_values import to_canonical_json
from pydantic_models.base.times import now, text_of, to_milliseconds, to_text
from pydantic_models.canonical.record import Record, RecordKind, Totals, first_seal, sealed

from . import access, dynamodb, sessions
from .attempts import attempts
from .creation import CLOCK_ALLOWANCE, check_not_in_future
from .dynamodb import ConditionFailed, Item, from_attributes, to_attributes
from .errors import (
    AlreadyCompleted,
    BadRequest,
    CasefileError,
    NotFound,
    PendingRequests,
    RequestIdReused,
    SessionClosed,
    TooLarge,
    Unavailable,
)
from .sessions import HEAD, SessionHead, partition

MAX_AGE = timedelta(days=15)
"""How old a request may be: longer than SQS keeps a message (14 days)."""

FIRST_PAGE = 8
"""Rows of the first look at a session: its head and the newest records."""

PAGE = 100

MEMORY_SECONDS = 15 * 60
MEMORY_SESSIONS = 64
MEMORY_RECORDS = 256
"""Records of a session remembered beyond those that the clock allowance asks for."""

MAX_READ_CHARACTERS = 6_000_000
"""Of content read back at once: what a function may answer (AWS Lambda quotas)."""


class Entry(NamedTuple):
    """What is to be recorded; `made_at` is the time of the request, `adds` what it counts for.

    `completes` is the request id of the pending request that a result is for. `forces` lets a
    closing fail the requests that are pending.
    """

    kind: RecordKind
    request_id: UUID
    made_at: datetime
    content: str
    adds: Totals
    completes: UUID | None = None
    forces: bool = False


class Closing(NamedTuple):
    """The closing record, and the whole seconds from the session's creation to it."""

    record: Record
    duration_seconds: int


@dataclass(frozen=True)
class Log:
    """A session as read: its head, its newest record and, if asked for, all in order."""

    head: SessionHead
    tail: Record | None
    records: list[Record]

    @property
    def totals(self) -> Totals:
        """What the session holds."""
        return self.tail.totals if self.tail else Totals()

    @property
    def updated_at(self) -> int:
        """When something last happened to the session, in milliseconds since 1970."""
        return max(self.head.updated_at, self.tail.at if self.tail else 0)

    @property
    def closed_at(self) -> int | None:
        """When it was closed, in milliseconds since 1970."""
        return self.tail.at if self.tail and self.tail.kind == "closed" else None

    @property
    def by_number(self) -> dict[int, Record]:
        """The records by their numbers."""
        return {record.number: record for record in self.records}


@dataclass
class Memory:
    """What is known of a session: its head and a run of consecutive records up to a tail.

    It is a hint. It may lag behind the log, but it has no hole.
    """

    head: SessionHead
    records: deque[Record] = field(default_factory=deque)
    numbers: dict[UUID, int] = field(default_factory=dict)
    completed_by: dict[int, int] = field(default_factory=dict)
    read_at: float = field(default_factory=time.time)

    @property
    def low(self) -> int:
        """The number from which on everything up to the tail is known; 1 if all is."""
        return self.records[0].number if self.records else 1

    @property
    def tail(self) -> Record | None:
        """The newest record known."""
        return self.records[-1] if self.records else None

    @property
    def high(self) -> int:
        """The number of the newest record known, 0 if there is none."""
        return self.records[-1].number if self.records else 0

    @property
    def pending(self) -> list[int]:
        """The numbers of the requests known to be pending."""
        return [
            record.number
            for record in self.records
            if record.kind == "request" and record.number not in self.completed_by
        ]

    def at(self, number: int) -> Record:
        """A record that is known."""
        return self.records[number - self.low]

    def add_above(self, newer: list[Record]) -> None:
        """Learn records that follow the tail, in descending order."""
        self.records.extend(reversed(newer))
        self._index(newer)

    def add_below(self, older: list[Record]) -> None:
        """Learn records that precede the lowest one known, in descending order."""
        self.records.extendleft(older)
        self._index(older)

    def _index(self, records: list[Record]) -> None:
        for record in records:
            self.numbers[record.request_id] = record.number
            self.completed_by.update(dict.fromkeys(record.completes, record.number))

    def trim(self) -> None:
        """Forget the oldest records once no request of our time could be among them."""
        recent = to_milliseconds(now() - 2 * CLOCK_ALLOWANCE)
        while len(self.records) > MEMORY_RECORDS and self.records[0].at < recent:
            oldest = self.records.popleft()
            self.numbers.pop(oldest.request_id, None)
            self.completed_by.pop(oldest.number, None)


class Memories(OrderedDict[str, Memory]):
    """What one execution environment remembers, the least recently used session first."""

    def recall(self, session_id: str) -> Memory | None:
        """The memory of a session unless it has grown old."""
        memory = self.get(session_id)
        if memory is None or time.time() - memory.read_at > MEMORY_SECONDS:
            return None
        self.move_to_end(session_id)
        return memory

    def keep(self, session_id: str, memory: Memory) -> None:
        """Remember a session."""
        memory.trim()
        self[session_id] = memory
        self.move_to_end(session_id)
        while len(self) > MEMORY_SESSIONS:
            self.popitem(last=False)


_memories = Memories()


def append(
    session_id: str, user_id: str, entry: Entry, *, memories: Memories = _memories
) -> Record:
    """Record `entry` in a session, once, and return the record.

    A repeated request, or a second closing, is answered with the record that is there. Raises
    NotFound, RequestIdReused, SessionClosed, BadRequest (dated too early or too late), TooLarge
    and Unavailable.
    """
    _check_age(entry)
    since = to_milliseconds(entry.made_at - CLOCK_ALLOWANCE)
    memory = memories.recall(session_id) or _look(session_id)
    access.require_session(session_id, memory.head.user_id, user_id)
    is_fresh = False  # Only what a strong read has shown may stand in the way of a put.
    for _ in attempts(f"Session {session_id}"):
        while _must_look_further(memory, entry, since):
            memory.add_below(_page_below(session_id, memory.low))
        obstacle = _obstacle(memory, entry)
        if obstacle is None:
            made = _following(memory, entry)
            try:
                dynamodb.create(_to_item(session_id, made))
            except ConditionFailed:
                pass  # The slot is taken, perhaps by this very request: look who has it.
            else:
                memory.add_above([made._replace(content="")])
                memories.keep(session_id, memory)
                return made
        elif is_fresh:
            memories.keep(session_id, memory)
            return _settled(session_id, obstacle, entry)
        memory = _catch_up(session_id, memory, since)
        is_fresh = True
    raise AssertionError("attempts() ends by raising")


def close(session_id: str, user_id: str, entry: Entry) -> Closing:
    """Close a session, and return its closing: the first one, whoever asks how often.

    Raises what `append` raises.
    """
    closing = append(session_id, user_id, entry)
    head = sessions.mark_closed(session_id, closing)
    return Closing(closing, (closing.at - head.created_at) // 1000)


def read(session_id: str, user_id: str, *, with_content: bool) -> Log:
    """A session as it is now, with its records if asked for. Reads are strongly consistent.

    Raises NotFound, and TooLarge for more than one answer can carry.
    """
    limit = PAGE if with_content else 2  # The head and the tail.
    head, records = _page(session_id, limit, strong=True, with_content=with_content)
    if head is None:
        raise access.missing_session(session_id)
    access.require_session(session_id, head.user_id, user_id)
    size = 0
    page = records
    while with_content and page:
        size += sum(len(record.content) for record in page)
        if size > MAX_READ_CHARACTERS:
            raise TooLarge(
                f"Session {session_id} holds more than one answer can carry "
                f"({MAX_READ_CHARACTERS // 1_000_000} MB)."
            )
        if page[-1].number == 1:
            break
        _, page = _page(
            session_id, PAGE, below=page[-1].number, strong=True, with_content=with_content
        )
        records += page
    return Log(head, records[0] if records else None, records[::-1] if with_content else [])


def record(session_id: str, number: int) -> Record:
    """Record `number` of a session whose owner is known to ask. Raises NotFound."""
    item = dynamodb.get(to_attributes({"pk": partition(session_id), "sk": _slot(number)}))
    if item is None:
        raise access.missing_session(session_id)
    return _from_item(item, with_content=True)


def _check_age(entry: Entry) -> None:
    if entry.made_at < now() - MAX_AGE:
        raise BadRequest(
            f"The request is dated {to_text(entry.made_at)}. One older than {MAX_AGE.days} days "
            "is not recorded; send a new request, with an id and a timestamp of its own."
        )


def _must_look_further(memory: Memory, entry: Entry, since: int) -> bool:
    """Whether the request, or what it completes, may be below what is known."""
    if memory.low == 1:
        return False
    if memory.records[0].at >= since:
        return True
    if entry.completes is not None:
        return entry.completes not in memory.numbers
    return entry.forces and len(memory.pending) < memory.records[-1].totals.pending


def _obstacle(memory: Memory, entry: Entry) -> Record | CasefileError | None:
    """What stands in the way of recording.

    It is this request, recorded; what it would complete, missing or completed; the closing; what
    a closing would leave pending; or the request's date.
    """
    if entry.request_id in memory.numbers:
        return memory.at(memory.numbers[entry.request_id])
    if entry.completes is not None:
        number = memory.numbers.get(entry.completes)
        if number is None or memory.at(number).kind not in ("tool", "request"):
            return NotFound(f"There is no tool request {entry.completes} in this session.")
        if number in memory.completed_by:
            return memory.at(memory.completed_by[number])
        if memory.at(number).kind == "tool":
            return AlreadyCompleted(
                f"Tool request {entry.completes} was recorded with its outcome. It has no other."
            )
    if memory.tail and memory.tail.kind == "closed":
        return memory.tail
    if entry.kind == "closed" and memory.tail and memory.tail.totals.pending and not entry.forces:
        return PendingRequests(
            f"{memory.tail.totals.pending} tool requests have no result yet. Complete them, or "
            "close with force, which marks them failed."
        )
    try:
        check_not_in_future(entry.made_at)
    except BadRequest as error:
        return error
    return None


def _settled(session_id: str, obstacle: Record | CasefileError, entry: Entry) -> Record:
    """The answer to a request that needs no record of its own, or the reason to refuse it."""
    if isinstance(obstacle, CasefileError):
        raise obstacle
    if obstacle.request_id == entry.request_id or obstacle.kind == "result":
        recorded = record(session_id, obstacle.number)
        if recorded.kind == entry.kind and _same_json(recorded.content, entry.content):
            return recorded
        if recorded.request_id == entry.request_id:
            raise RequestIdReused(entry.request_id)
        raise AlreadyCompleted(f"Tool request {entry.completes} has another result already.")
    if entry.kind != "closed":
        raise SessionClosed(
            f"Session {session_id} was closed at {text_of(obstacle.at)}. "
            "A closed session takes no more records; open a new one."
        )
    return obstacle


def _same_json(one: str, other: str) -> bool:
    return one == other or to_canonical_json(json.loads(one)) == to_canonical_json(
        json.loads(other)
    )


def _following(memory: Memory, entry: Entry) -> Record:
    """The record that `entry` becomes in the slot after the tail."""
    tail, head = memory.tail, memory.head
    completes: tuple[int, ...] = ()
    adds = entry.adds
    if entry.completes is not None:
        completes = (memory.numbers[entry.completes],)
    elif entry.kind == "closed":
        completes = tuple(memory.pending)
        adds = Totals(pending=-len(completes), events=len(completes))  # Each fails: an event.
    return sealed(
        Record(
            number=memory.high + 1,
            kind=entry.kind,
            request_id=entry.request_id,
            at=max(to_milliseconds(now()), tail.at if tail else head.created_at),
            content=entry.content,
            totals=(tail.totals if tail else Totals()).plus(adds),
            completes=completes,
        ),
        tail.seal if tail else first_seal(head.session_id, head.user_id, head.created_at),
    )


def _look(session_id: str) -> Memory:
    """A first look at a session. A session that isn't seen is looked for strongly, once."""
    for strong in (False, True):
        head, page = _page(session_id, FIRST_PAGE, strong=strong)
        if head and _is_run(page):
            return _remembered(head, page)
    raise access.missing_session(session_id)


def _remembered(head: SessionHead, records: list[Record]) -> Memory:
    memory = Memory(head)
    memory.add_above(records)
    return memory


def _page_below(session_id: str, low: int) -> list[Record]:
    """The next records below `low`, descending and consecutive."""
    for strong in (False, True):
        _, page = _page(session_id, PAGE, below=low, strong=strong)
        if page and page[0].number == low - 1 and _is_run(page):
            return page
    raise Unavailable(f"Session {session_id} can't be read without a gap now. Try again.")


def _catch_up(session_id: str, memory: Memory, since: int) -> Memory:
    """What is known after strong reads from the top down to what was known, or to `since`.

    If the reads stop before they meet what was known, that is dropped, so that no hole is left.
    """
    newer: list[Record] = []
    below: int | None = None
    while True:
        head, page = _page(session_id, PAGE, below=below, above=memory.high, strong=True)
        if below is None and head is None:
            raise access.missing_session(session_id)
        memory.head = head or memory.head
        newer += page
        if not page or page[-1].number == memory.high + 1:
            memory.add_above(newer)
            memory.read_at = time.time()
            return memory
        if page[-1].at < since:
            return _remembered(memory.head, newer)
        below = page[-1].number


def _is_run(page: list[Record]) -> bool:
    return all(upper.number == lower.number + 1 for upper, lower in pairwise(page))


def _page(
    session_id: str,
    limit: int,
    *,
    below: int | None = None,
    above: int = 0,
    strong: bool,
    with_content: bool = False,
) -> tuple[SessionHead | None, list[Record]]:
    """Up to `limit` items between two slots, descending; from the top, the head comes first."""
    top = _slot(below - 1) if below else HEAD
    with dynamodb.translated_errors():
        found = dynamodb.client().query(
            TableName=dynamodb.table(),
            KeyConditionExpression="pk = :session AND sk BETWEEN :low AND :top",
            ExpressionAttributeValues=to_attributes(
                {":session": partition(session_id), ":low": _slot(above + 1), ":top": top}
            ),
            ScanIndexForward=False,
            Limit=limit,
            ConsistentRead=strong,
        )
    items = [from_attributes(item) for item in found["Items"]]
    head = sessions.from_item(items.pop(0)) if items and items[0]["sk"] == HEAD else None
    return head, [_from_item(item, with_content=with_content) for item in items]


def _slot(number: int) -> str:
    return f"{number:012d}"


def _to_item(session_id: str, record: Record) -> Item:
    """The record as it is stored, its content in whichever form costs fewer write units."""
    item: Item = {
        "pk": partition(session_id),
        "sk": _slot(record.number),
        "kind": record.kind,
        "request": record.request_id.bytes,
        "at": record.at,
        "totals": list(record.totals),
        "completes": list(record.completes) or None,
        "seal": record.seal,
        "content": record.content,
    }
    size = dynamodb.item_bytes(item)
    if size > dynamodb.WRITE_UNIT_BYTES:
        deflated = zlib.compress(record.content.encode(), level=6, wbits=-zlib.MAX_WBITS)
        small = dynamodb.item_bytes(item | {"content": deflated})
        if dynamodb.write_units(small) < dynamodb.write_units(size):
            item["content"], size = deflated, small
    if size > dynamodb.MAX_ITEM_BYTES:
        raise TooLarge(
            f"This request comes to {size // 1024} KB as it would be stored; "
            f"one record holds at most {dynamodb.MAX_ITEM_BYTES // 1024} KB. Send less at once."
        )
    return item


def _from_item(item: Item, *, with_content: bool) -> Record:
    content = item["content"] if with_content else ""
    if isinstance(content, bytes):
        content = zlib.decompress(content, wbits=-zlib.MAX_WBITS).decode()
    return Record(
        number=int(item["sk"]),
        kind=item["kind"],
        request_id=UUID(bytes=item["request"]),
        at=item["at"],
        content=content,
        totals=Totals(*item["totals"]),
        completes=tuple(item.get("completes", ())),
        seal=item["seal"],
    )
