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
  is enough, and whatever came in meanwhile sits in the slot that the put would need. Each record
  tells the highest UUIDv7 up to it: a request whose id is a UUIDv7 above that is not among them,
  and needs no look back.
- Closing is a record like any other: it can't share a slot with an append, and nothing is put
  after it, because no writer puts above a closing record that it has seen.
- Each record carries the totals up to it, so the newest one tells them all.
- While a few requests are pending, each record lists them, made from the list of the record right
  below it; so a result, or a closing that fails them, finds them in the newest record, however far
  back they are. Whoever puts a result at n + 1 knows record n: if that lists the request, nothing
  up to there completed it, and if something does just now, it sits in the slot that the put would
  need; then the list in the new tail says so. The tail of a stale memory lists what was pending
  then, and its put can't win either. A request that no list shows was completed, never was, or is
  one of many: then it is looked for below, down to itself, or to a record that still lists it,
  above which its result must be. An id that is used again while its first record is pending means
  the newer one: from there on nothing is listed until all is known again.
- Content too large for an item is in the bucket, under its own digest, before its record is put.

The guarantee: what was acknowledged is in the log, once, at the number that was told; what was
not acknowledged is there once or not at all, and sending it again tells which.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic_models.base.json_values import to_canonical_json
from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.canonical.content import AttachmentPayload
from pydantic_models.canonical.record import (
    Pending,
    Record,
    RecordKind,
    Totals,
    first_seal,
    sealed,
)

from . import access, contents, metrics, records, sessions, standing
from .attempts import attempts
from .creation import CLOCK_ALLOWANCE, check_not_in_future, check_not_too_old
from .dynamodb import ConditionFailed, Item
from .errors import (
    AlreadyCompleted,
    BadRequest,
    CasefileError,
    NotFound,
    NotStanding,
    Overtaken,
    PendingRequests,
    RequestIdReused,
    SessionClosed,
    Unavailable,
)
from .sessions import SessionHead

FIRST_PAGE = 8
"""Rows of a first look for what may be among the newest records, and of one further down."""

PAGE = 100
LOOK_BACK_PAGE = 1000
"""Rows of one query, at most: of what came in meanwhile, or of what lies further back."""

MAX_LISTED = 12
"""Pending requests that a record lists: some 260 bytes, a quarter of a write unit."""

MEMORY_SECONDS = 15 * 60
MEMORY_SESSIONS = 32
MEMORY_RECORDS = 4000
"""Records of a session remembered beyond those that the clock allowance asks for."""


class Entry(NamedTuple):
    """What is to be recorded; `made_at` is the time of the request, `adds` what it counts for.

    `completes` is the request id of the pending request that a result is for. `forces` lets a
    closing fail the requests that are pending. `attachments` are what it refers to. `follows` is
    the number of the record that it must come right after, 0 for none; else it comes anywhere.
    `rewinds` is what a rewinding takes back. `is_news` says that the bus is to be told of it.
    """

    kind: RecordKind
    request_id: UUID
    made_at: datetime
    content: str
    adds: Totals
    completes: UUID | None = None
    forces: bool = False
    attachments: tuple[AttachmentPayload, ...] = ()
    follows: int | None = None
    rewinds: standing.Rewind | None = None
    is_news: bool = False


class Closing(NamedTuple):
    """The closing record, and the whole seconds from the session's creation to it."""

    record: Record
    duration_seconds: int


@dataclass
class Memory:
    """What is known of a session: its head and a run of consecutive records up to a tail.

    It is a hint. It may lag behind the log, but it has no hole. An id that tells no time may have
    been used again when nobody knew it any more: `numbers` has the newest record of each.
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
    def pending(self) -> tuple[Pending, ...]:
        """The requests known to be pending: all of them if the tail tells, or if all is known."""
        if self.records and self.records[-1].tells_pending:
            return self.records[-1].pending
        return tuple(
            Pending(record.number, record.request_id)
            for record in self.records
            if record.kind == "request" and record.number not in self.completed_by
        )

    def at(self, number: int) -> Record:
        """A record that is known."""
        return self.records[number - self.low]

    def number_of(self, request_id: UUID) -> int | None:
        """The number of the newest record with an id, None if it isn't known.

        One below all that is known may be listed by the lowest of them, or by the tail: as a
        request that was pending then. It is completed if it is in `completed_by`, for whatever
        follows upon that record is known.
        """
        number = self.numbers.get(request_id)
        if number is None and self.records:
            for listed, its_id in self.records[0].pending + self.records[-1].pending:
                if its_id == request_id:
                    return listed
        return number

    def kind_of(self, number: int) -> RecordKind:
        """The kind of a record that is known; one that is only listed is a request."""
        return "request" if number < self.low else self.at(number).kind

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
            known = self.numbers.get(record.request_id, 0)
            self.numbers[record.request_id] = max(known, record.number)
            self.completed_by.update(dict.fromkeys(record.completes, record.number))

    def trim(self) -> None:
        """Forget the oldest records once no request of our time could be among them."""
        if len(self.records) <= MEMORY_RECORDS:
            return
        recent = to_milliseconds(now() - 2 * CLOCK_ALLOWANCE)
        while len(self.records) > MEMORY_RECORDS and self.records[0].at < recent:
            oldest = self.records.popleft()
            if self.numbers[oldest.request_id] == oldest.number:
                del self.numbers[oldest.request_id]
            for number in oldest.completes:  # While a result is known, so is what it completed.
                self.completed_by.pop(number, None)


class Memories(OrderedDict[str, Memory]):
    """What one execution environment remembers, the least recently used session first."""

    def recall(self, session_id: str) -> Memory | None:
        """The memory of a session unless it has grown old."""
        memory = self.get(session_id)
        if memory is None or time.time() - memory.read_at > MEMORY_SECONDS:
            return None
        self.move_to_end(session_id)
        return memory

    def keep(self, session_id: str, memory: Memory) -> Memory:
        """Remember a session, and return its memory."""
        self[session_id] = memory
        self.move_to_end(session_id)
        while len(self) > MEMORY_SESSIONS:
            self.popitem(last=False)
        return memory


_memories = Memories()


def append(
    session_id: str, user_id: str, entry: Entry, *, memories: Memories = _memories
) -> Record:
    """Record `entry` in a session, once, and return the record.

    A repeated request, or a second closing, is answered with the record that is there. Raises
    NotFound, RequestIdReused, SessionClosed, AlreadyCompleted, PendingRequests, Overtaken,
    NotStanding, BadRequest (dated too early or too late), ContentMissing, TooLarge and Unavailable.
    """
    return _append(session_id, user_id, entry, memories)[1]


def close(session_id: str, user_id: str, entry: Entry) -> Closing:
    """Close a session, and return its closing: the first one, whoever asks how often.

    Raises what `append` raises.
    """
    head, closing = _append(session_id, user_id, entry, _memories)
    with contextlib.suppress(Unavailable):  # The log is closed; the next closing tells the head.
        sessions.mark_closed(head, closing)
    return Closing(closing, (closing.at - head.created_at) // 1000)


def glance(session_id: str) -> tuple[SessionHead, Record | None]:
    """A session's head and its newest record, for one small read. It may lag behind the log.

    An entry that `follows` what it shows finds out whether it did. Raises NotFound.
    """
    memory = _memories.keep(session_id, _look(session_id))
    return memory.head, memory.tail


def _append(
    session_id: str, user_id: str, entry: Entry, memories: Memories
) -> tuple[SessionHead, Record]:
    check_not_too_old(entry.made_at)
    packed = records.pack(session_id, entry.content)
    try:
        return _record(session_id, user_id, entry, packed, memories)
    except NotFound:
        if _points_elsewhere(entry, packed) and sessions.find(session_id) is None:
            _take_back(session_id, entry, packed)  # It was deleted while we put content there.
        raise


def _record(
    session_id: str, user_id: str, entry: Entry, packed: Item, memories: Memories
) -> tuple[SessionHead, Record]:
    since = to_milliseconds(entry.made_at - CLOCK_ALLOWANCE)
    memory = memories.recall(session_id) or memories.keep(session_id, _look(session_id, entry))
    _authorize(memory, user_id)
    is_placed = not _points_elsewhere(entry, packed)
    is_fresh = False  # Only what a strong read has shown may stand in the way of a put.
    for _ in attempts(f"Session {session_id}"):
        while _must_look_further(memory, entry, since):
            metrics.count("LookBacks")
            memory.add_below(_page_below(session_id, memory, since))
        obstacle, beside = _judged(session_id, memory, entry)
        if obstacle is not None and is_fresh:
            return memory.head, _settled(session_id, obstacle, entry)
        if obstacle is None and is_fresh and not is_placed:
            _place(session_id, user_id, entry, packed)
            is_placed = True
            _authorize(memory, user_id)  # That may have taken long.
        if obstacle is None and is_placed:
            recorded = _put(session_id, memory, entry, packed | beside)
            if recorded is not None:
                return memory.head, recorded
        filed = memory.head.filed
        memory = memories.keep(session_id, _catch_up(session_id, memory))
        is_fresh = True
        if memory.head.filed != filed:
            _authorize(memory, user_id)
    raise AssertionError("attempts() ends by raising")


def _authorize(memory: Memory, user_id: str) -> None:
    """See whether a user may write a session now. Raises NotFound and Forbidden."""
    if memory.head.user_id != user_id:  # What others may do can change at any time.
        memory.head = sessions.authorize_now(memory.head, user_id)


def _judged(
    session_id: str, memory: Memory, entry: Entry
) -> tuple[Record | CasefileError | None, Item]:
    """What stands in the way of recording, if anything does; and what a rewinding holds beside."""
    obstacle = _obstacle(memory, entry)
    if obstacle is not None or entry.rewinds is None:
        return obstacle, {}
    known = {record.number: record for record in memory.records}
    try:
        marks = standing.marks_after(session_id, memory.tail, known, entry.rewinds)
    except NotStanding as error:
        return error, {}
    return None, marks.packed()


def _put(session_id: str, memory: Memory, entry: Entry, packed: Item) -> Record | None:
    """Put the record in the slot after the tail and return it; None if another's is there.

    What is there may be of this very request: then it is returned. Raises RequestIdReused.
    """
    made = _following(memory, entry)
    try:
        records.create(session_id, made, packed, is_news=entry.is_news)
    except ConditionFailed as taken:
        item = taken.item or {}
        occupant = records.from_item(item)
        if occupant.request_id == entry.request_id:
            _check_kind(occupant, entry)
            return _same(records.whole(session_id, item), entry)
        metrics.count("Conflicts")
        return None
    metrics.count("Appends")
    memory.add_above([made._replace(content="")])
    memory.trim()
    return made


def _points_elsewhere(entry: Entry, packed: Item) -> bool:
    return records.is_packed_away(packed) or bool(entry.attachments)


def _place(session_id: str, user_id: str, entry: Entry, packed: Item) -> None:
    """Put in the bucket what the record will point at, so that it never points at nothing."""
    contents.take_over(session_id, user_id, entry.attachments)
    if records.is_packed_away(packed):
        contents.put(session_id, entry.content)
        metrics.count("OffloadedBytes", packed["size"])


def _take_back(session_id: str, entry: Entry, packed: Item) -> None:
    """Leave nothing in the bucket for a session that was deleted meanwhile."""
    digests = {attachment.sha256 for attachment in entry.attachments}
    if records.is_packed_away(packed):
        digests.add(packed["digest"].hex())
    contents.discard(session_id, digests)


def _must_look_further(memory: Memory, entry: Entry, since: int) -> bool:
    """Whether the request, or what it completes, may be below what is known."""
    if memory.low == 1 or entry.request_id in memory.numbers:
        return False
    lowest = memory.records[0]
    if lowest.at >= since and not _is_above(lowest, entry):
        return True
    if entry.completes is not None:
        return memory.number_of(entry.completes) is None
    return entry.forces and len(memory.pending) < memory.records[-1].totals.pending


def _is_above(record: Record | None, entry: Entry) -> bool:
    """Whether the request's id is a UUIDv7 above all up to a record, and so not among them.

    UUIDv7s begin with their time (RFC 9562, 5.7), so those of one writer ascend.
    """
    highest = record.highest if record else None
    return entry.request_id.version == 7 and (highest is None or entry.request_id > highest)


def _is_about_others(entry: Entry) -> bool:
    """Whether what it may be, or is about, is likely to be among the newest few records."""
    return entry.request_id.version != 7 or entry.rewinds is not None


def _obstacle(memory: Memory, entry: Entry) -> Record | CasefileError | None:
    """What stands in the way of recording.

    It is this request, recorded; what it would complete, missing or completed; the closing; what
    came before it that should not have; what a closing would leave pending; or the request's date.
    """
    if entry.request_id in memory.numbers:
        return memory.at(memory.numbers[entry.request_id])
    if entry.completes is not None:
        number = memory.number_of(entry.completes)
        if number is None or memory.kind_of(number) not in ("tool", "request"):
            return NotFound(f"There is no tool request {entry.completes} in this session.")
        if entry.request_id == entry.completes:
            return RequestIdReused(entry.request_id)
        if number in memory.completed_by:
            return memory.at(memory.completed_by[number])
        if memory.kind_of(number) == "tool":
            return AlreadyCompleted(
                f"Tool request {entry.completes} was recorded with its outcome. It has no other."
            )
    if memory.tail and memory.tail.kind == "closed":
        return memory.tail
    if entry.follows not in (None, memory.high):
        return Overtaken(f"Something was recorded after record {entry.follows}.")
    if entry.kind == "closed" and memory.tail and memory.tail.totals.pending and not entry.forces:
        return PendingRequests(
            f"{memory.tail.totals.pending} tool requests have no result yet. Complete them, or "
            "close with force, which marks them failed."
        )
    try:
        check_not_in_future(entry.made_at, entry.request_id)
    except BadRequest as error:
        return error
    return None


def _settled(session_id: str, obstacle: Record | CasefileError, entry: Entry) -> Record:
    """The answer to a request that needs no record of its own, or the reason to refuse it."""
    if isinstance(obstacle, CasefileError):
        raise obstacle
    if obstacle.request_id == entry.request_id:
        _check_kind(obstacle, entry)
        return _same(records.get(session_id, obstacle.number), entry)
    if obstacle.kind == "result":
        result = records.get(session_id, obstacle.number)
        if _said(result.content) != _said(entry.content):
            raise AlreadyCompleted(f"Tool request {entry.completes} has another result already.")
        return result
    if entry.kind != "closed":
        raise SessionClosed(
            f"Session {session_id} was closed at {text_of(obstacle.at)}. "
            "A closed session takes no more records; open a new one."
        )
    return obstacle


def _check_kind(recorded: Record, entry: Entry) -> None:
    if recorded.kind != entry.kind:
        raise RequestIdReused(entry.request_id)


def _same(recorded: Record, entry: Entry) -> Record:
    """The record if it is of this very request, not of another with the same id."""
    if not _same_json(recorded.content, entry.content):
        raise RequestIdReused(entry.request_id)
    metrics.count("Replays")
    return recorded


def _same_json(one: str, other: str) -> bool:
    return one == other or to_canonical_json(json.loads(one)) == to_canonical_json(
        json.loads(other)
    )


def _said(content: str) -> str:
    """What a result says, whoever sent it, whatever came with it and how long it took."""
    beside = {"user_id": None, "metadata": None, "duration_ms": None}
    return to_canonical_json(json.loads(content) | beside)


def _following(memory: Memory, entry: Entry) -> Record:
    """The record that `entry` becomes in the slot after the tail."""
    tail, head = memory.tail, memory.head
    completes: tuple[int, ...] = ()
    adds = entry.adds
    if entry.completes is not None:
        number = memory.number_of(entry.completes)
        completes = () if number is None else (number,)
    elif entry.kind == "closed":
        completes = tuple(each.number for each in memory.pending)
        adds = Totals(pending=-len(completes), events=len(completes))  # Each fails: an event.
    elif entry.rewinds is not None:
        messages = tail.totals.messages if tail else 0
        adds = adds.plus(Totals(messages=entry.rewinds.left(messages) - messages))
    before = tail.highest if tail else None
    made = Record(
        number=memory.high + 1,
        kind=entry.kind,
        request_id=entry.request_id,
        at=max(to_milliseconds(now()), tail.at if tail else head.created_at),
        content=entry.content,
        totals=(tail.totals if tail else Totals()).plus(adds),
        completes=completes,
        highest=entry.request_id if _is_above(tail, entry) else before,
    )
    if made.totals.pending:
        made = made._replace(pending=_listed(memory, made))
    return sealed(
        made, tail.seal if tail else first_seal(head.session_id, head.user_id, head.created_at)
    )


def _listed(memory: Memory, made: Record) -> tuple[Pending, ...]:
    """The requests that are pending after a record that follows the tail.

    None if they are too many or not all known, or if an id was used again since: it names the
    newest record that has it, and that is none of these. Where they were not listed, they are
    looked for in memory only by a record that changes them.
    """
    is_told = memory.tail is None or memory.tail.tells_pending
    if made.totals.pending > MAX_LISTED or not (is_told or made.kind in ("request", "result")):
        return ()
    still = [
        each
        for each in memory.pending
        if each.number not in made.completes
        and each.request_id != made.request_id
        and memory.numbers.get(each.request_id, each.number) == each.number
    ]
    if made.kind == "request":
        still.append(Pending(made.number, made.request_id))
    return tuple(still) if len(still) == made.totals.pending else ()


def _look(session_id: str, entry: Entry | None = None) -> Memory:
    """A first look at a session: its head and newest record or, for some entries, a few of them.

    A record's content is paid for, though it isn't read, and the newest is enough for an id that is
    above all others. A session that isn't seen is looked for strongly, once.
    """
    rows = FIRST_PAGE if entry is not None and _is_about_others(entry) else 2
    for strong in (False, True):
        head, page = records.query(session_id, rows, strong=strong)
        if head:
            return _remembered(head, page)
    raise access.missing_session(session_id)


def _remembered(head: SessionHead, newest: list[Record]) -> Memory:
    memory = Memory(head)
    memory.add_above(newest)
    return memory


def _page_below(session_id: str, memory: Memory, since: int) -> list[Record]:
    """The next records below those known, descending and consecutive.

    As many as there may be since a time, if they came as fast as those known: a record's content
    is paid for, though it isn't read. Beyond that, each page is as long as all before it.
    """
    low, oldest, newest = memory.low, memory.records[0].at, memory.records[-1].at
    expected = (oldest - since) * (len(memory.records) - 1) // max(1, newest - oldest)
    limit = min(max(len(memory.records), FIRST_PAGE, expected + expected // 4), LOOK_BACK_PAGE)
    _, page = records.query(session_id, limit, below=low, strong=False)
    if page and page[0].number == low - 1:
        return page
    raise Unavailable(f"Session {session_id} can't be read without a gap now. Try again.")


def _catch_up(session_id: str, memory: Memory) -> Memory:
    """What is known after a strong read of the newest records, down to what was known.

    If it doesn't come that far, what was known is dropped, so that no hole is left.
    """
    head, newer = records.query(session_id, PAGE, above=memory.high, strong=True)
    if head is None:
        raise access.missing_session(session_id)
    if newer and newer[-1].number > memory.high + 1:
        return _remembered(head, newer)
    memory.head = head
    memory.add_above(newer)
    memory.read_at = time.time()
    return memory
