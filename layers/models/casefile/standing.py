"""What of a chat stands: rewinding takes messages back, and changes nothing that was recorded.

The idea: the messages are a stack. A rewinding is a record like any other, and the total of
messages in it says how many stand from there on: the first so many. Or it puts one message in the
place of another, which stays what it is.

What follows:
- What is taken back is told by the record's place in the log and its own total, and by nothing
  that changes later: whoever reads the log up to there finds the same.
- The messages that stand lie in stretches of records: one that ends where a rewinding cut, the next
  behind that rewinding, and so on; the last one is open. Each rewinding's item lists them as they
  were then, beside what replaces what (`marks`). With many, it lists the newest, and names the
  rewinding that lists those before. So recording one is one write, whatever it takes back.
- Totals find the newest rewinding without a pointer to it: events less messages grows with each,
  and with nothing else.

The guarantee: a page of messages costs a look at the top, some `log2(records)` small reads and one
for each 200 stretches, and those only if something above it was ever taken back; what was withdrawn
is passed over, not read.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic_models.base.json_values import to_json
from pydantic_models.canonical.record import Record

from . import records
from .dynamodb import Item
from .errors import NotStanding
from .sessions import SessionHead

MAX_MARKS = 200
"""Stretches and swaps that one rewinding lists: some two kilobytes."""


class Stretch(NamedTuple):
    """Records `low` to `high`, whose messages stand up to the one before index `end`."""

    low: int
    high: int
    end: int


class Swap(NamedTuple):
    """Rewinding `by` put its message in the place of message `position` of record `record`.

    `place` is the index of both.
    """

    record: int
    position: int
    place: int
    by: int


@dataclass(frozen=True)
class Rewind:
    """What a rewinding asks for: to withdraw the last, to keep the first, or a swap.

    The swap's `by` is the rewinding that put there what is to be replaced, 0 for none.
    """

    count: int | None = None
    keep: int | None = None
    swap: Swap | None = None

    def left(self, standing: int) -> int:
        """How many of the standing messages it leaves."""
        if self.count is not None:
            return max(0, standing - self.count)
        return standing if self.keep is None else min(self.keep, standing)


class Marks(NamedTuple):
    """What stood after a rewinding: stretches, and all records from `open` on.

    The first stretch begins with message `start`; those before, and what was swapped up to there,
    are in the marks of rewinding `earlier`, if that isn't 0. They tell of no record above it.
    """

    stretches: tuple[Stretch, ...] = ()
    swaps: tuple[Swap, ...] = ()
    open: int = 1
    start: int = 0
    earlier: int = 0

    @property
    def end(self) -> int:
        """The index of the first message of the open stretch."""
        return self.stretches[-1].end if self.stretches else self.start

    @property
    def cuts(self) -> list[tuple[int, int]]:
        """The rewindings that cut, ascending, each with how many messages it left."""
        lows = [*(stretch.low for stretch in self.stretches), self.open]
        ends = [self.start, *(stretch.end for stretch in self.stretches)]
        return [(low - 1, end) for low, end in zip(lows, ends, strict=True) if low > 1]

    def packed(self) -> Item:
        """The attribute that holds them."""
        return {"marks": zlib.compress(to_json(self).encode())}


def marks_of(session_id: str, number: int) -> Marks:
    """The marks in rewinding `number`, 0 being the beginning. Raises NotFound."""
    if number == 0:
        return Marks()
    stretches, swaps, *others = json.loads(zlib.decompress(records.marks(session_id, number)))
    return Marks(
        tuple(Stretch(*each) for each in stretches), tuple(Swap(*each) for each in swaps), *others
    )


def _joined(session_id: str, marks: Marks) -> Marks:
    """The marks together with those before them, less what was swapped again or cut since."""
    earlier = marks_of(session_id, marks.earlier)
    swapped = {swap[:2] for swap in marks.swaps}
    kept = (
        swap
        for swap in earlier.swaps
        if swap[:2] not in swapped
        and all(swap.place < end for number, end in marks.cuts if number > swap.by)
    )
    return marks._replace(
        stretches=earlier.stretches + marks.stretches,
        swaps=(*kept, *marks.swaps),
        start=earlier.start,
        earlier=earlier.earlier,
    )


def turns(record: Record) -> int:
    """A number that grows with each rewinding up to a record of a chat, and with nothing else."""
    return record.totals.events - record.totals.messages


def _newest_rewinding(session_id: str, tail: Record | None, known: Mapping[int, Record]) -> int:
    """The number of the newest rewinding up to a record, 0 for none; `known` saves reads."""
    if tail is None or turns(tail) == 0:
        return 0
    before = [each.number for each in known.values() if turns(each) < turns(tail)]
    since = [each.number for each in known.values() if turns(each) == turns(tail)]
    low, high = max(before, default=0) + 1, min(since, default=tail.number)
    return bisect_left(
        range(high),
        turns(tail),
        lo=low,
        key=lambda number: turns(_record(session_id, number, known)),
    )


def _record(session_id: str, number: int, known: Mapping[int, Record]) -> Record:
    return known.get(number) or records.get(session_id, number, with_content=False)


def marks_after(
    session_id: str, tail: Record | None, known: Mapping[int, Record], rewind: Rewind
) -> Marks:
    """The marks of a rewinding right after `tail`. Raises NotStanding."""
    newest = _newest_rewinding(session_id, tail, known)
    marks = seen = marks_of(session_id, newest)
    if rewind.swap is not None:
        while marks.earlier >= rewind.swap.record:
            marks = _joined(session_id, marks)
        _check_stands(marks, rewind.swap)
        if tail is not None:
            added = rewind.swap._replace(by=tail.number + 1)
            kept = (each for each in seen.swaps if each[:2] != added[:2])
            made = seen._replace(swaps=(*kept, added))
            return _rolled(made, Marks((), (added,), seen.open, seen.end, newest))
    left = rewind.left(tail.totals.messages if tail else 0)
    if tail is None or left == tail.totals.messages:
        return marks
    marks = marks._replace(
        stretches=(*marks.stretches, Stretch(marks.open, tail.number, tail.totals.messages)),
        open=tail.number + 2,  # Behind the rewinding itself.
    )
    while marks.earlier and left <= marks.start:
        marks = _joined(session_id, marks)
    whole = [stretch for stretch in marks.stretches if stretch.end <= left]
    cut = marks.stretches[len(whole)]
    if left > (whole[-1].end if whole else marks.start):
        high = bisect_left(
            range(cut.high),
            left,
            lo=cut.low,
            key=lambda number: _record(session_id, number, known).totals.messages,
        )
        whole.append(Stretch(cut.low, high, left))
    made = marks._replace(
        stretches=tuple(whole), swaps=tuple(each for each in marks.swaps if each.place < left)
    )
    own = Marks(made.stretches[-1:], (), made.open, seen.end, newest)
    is_added = made.earlier == seen.earlier and made.stretches[:-1] == seen.stretches
    return _rolled(made, own) if is_added else made


def _check_stands(marks: Marks, swap: Swap) -> None:
    stretch = next((each for each in marks.stretches if swap.record <= each.high), None)
    stands = (
        swap.record >= marks.open
        if stretch is None
        else stretch.low <= swap.record and swap.place < stretch.end
    )
    taken_by = next((each.by for each in marks.swaps if each[:2] == swap[:2]), 0)
    if not stands or taken_by != swap.by:
        raise NotStanding(
            "This message was withdrawn or replaced meanwhile. Read the messages again, and "
            "replace one that stands."
        )


def _rolled(made: Marks, own: Marks) -> Marks:
    """The marks or, if they are many, only what is new in them."""
    return own if own.earlier and len(made.stretches) + len(made.swaps) > MAX_MARKS else made


class Standing:
    """What stands of a chat after one of its records, looked up as far as it is asked for.

    The record is `tail`, or the newest one when it is first asked.
    """

    def __init__(self, session_id: str, tail: Record | None = None) -> None:
        self.head: SessionHead | None = None
        self._session_id = session_id
        self._tail = tail
        self._known: dict[int, Record] = {}
        self._marks: Marks | None = None

    def learn(self, found: Iterable[Record], *, has_newest: bool) -> None:
        """Take in what was read anyway."""
        self._known |= {record.number: record._replace(content="") for record in found}
        if has_newest and self._tail is None and self._known:
            self._tail = self._known[max(self._known)]

    @property
    def tail(self) -> Record:
        """The record up to which this is true."""
        if self._tail is None:
            self.head, (self._tail, *_) = records.query(self._session_id, 2, strong=True)
        return self._tail

    def marks(self, low: int) -> Marks:
        """The marks that tell of the records from `low` on."""
        if self._marks is None:
            newest = _newest_rewinding(self._session_id, self.tail, self._known)
            self._marks = marks_of(self._session_id, newest)
        while self._marks.earlier >= max(low, 1):
            self._marks = _joined(self._session_id, self._marks)
        return self._marks

    def is_cut_at(self, record: Record) -> bool:
        """Whether something was taken back by a record, or after it."""
        return record.kind == "rewind" or turns(record) != turns(self.tail)

    def count(self, record: Record, messages: int) -> int:
        """How many of a record's messages stand: the first so many."""
        if turns(record) == turns(self.tail):
            return messages
        marks = self.marks(record.number)
        if record.number >= marks.open:
            return messages
        for stretch in marks.stretches:
            if stretch.low <= record.number <= stretch.high:
                return min(messages, messages - (record.totals.messages - stretch.end))
        return 0

    def skip_up(self, above: int) -> int:
        """The number above which to read on; what was withdrawn in between is passed over."""
        marks = self.marks(above + 1)
        lows = [stretch.low for stretch in marks.stretches if stretch.high > above]
        return max(above, min([*lows, marks.open]) - 1)

    def skip_down(self, below: int) -> int:
        """The number below which to read on; what was withdrawn in between is passed over."""
        marks = self.marks(below - 1)
        if below > marks.open:
            return below
        highs = [stretch.high for stretch in marks.stretches if stretch.low < below]
        return min(below, max(highs, default=0) + 1)

    def left_of(self, above: int, top: int) -> int | None:
        """How many of the messages up to record `above` the records from there to `top` left."""
        cuts = self.marks(above + 1).cuts
        return next((end for number, end in cuts if above < number <= top), None)
