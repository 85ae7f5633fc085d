"""Lists: heads in the order of their last activity, or of their creation.

A head names the lists that it is in: one of its owner's, by kind and state, and one of the casefile
that it is filed in. Four indexes keep them in order, with all that a list shows. So a page is one
query, however long the list; of both states, or both kinds, it is one query each, merged. What a
user may not see is in no list of theirs.

A fifth index lists all sessions, whosever they are, by what is to be done with them next, for what
looks after them: those that are open, unless they were created to stay so, those that are closed,
those that lie in the archive as well, those that were deleted and are not yet gone. A session moves
when it comes to the next, so being active moves nothing. It is in shards, for creations at any
rate. Casefiles that are being deleted, and users who are being erased, have a stage each, too.

    owner_list     <kind>#<active or closed>#<user_id>: tool, chat, casefile; grant and revoked, see
                   grants.py; title, deleting and, by a digest of the user, deleted, see deletion.py
    casefile_list  <kind>#<active or closed>#<casefile_id>
    activity       <time of the last activity, 13 digits of milliseconds>#<id>
    creation       <time of the creation>#<id>
    stage_list     <open, closed, archived, deleted; casefile: deleting; user: erasing>#<shard>
    since          <time of the creation; from the closing on, of that; of the deletion>#<id>
"""

from __future__ import annotations

import json
import math
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic_models.base import SessionKind
from pydantic_models.base.times import from_text, to_milliseconds

from . import cursors, dynamodb
from .dynamodb import Item

if TYPE_CHECKING:
    from pydantic_models.operations.lists import ListPayload

READ_AHEAD = 150
"""Entries that a page reads at least, to count them: about six read units."""

SIFTED_AT_ONCE = 250

MAX_SIFTED = 80
"""Read units that a filter takes in one answer; the read that comes to as many is the last one."""

STAGE_SHARDS = 10
"""Each takes a thousand creations a second."""

STAGE_AT_ONCE = 100
"""How much of a stage is read at once: as many as one BatchGetItem takes."""

Stage = Literal["open", "closed", "archived", "deleted", "deleting", "erasing"]
"""What a session has come to, until there is nothing more to be done about it.

A casefile is `deleting`, and a user `erasing`, until they are gone.
"""

_ABOVE_ALL, _BELOW_ALL = "~", " "
"""Places that nothing stands at: they are digits first."""


class Sift(NamedTuple):
    """A filter of a list, and how much it may read.

    `choose` leaves, of some entries in their order, those that are to be shown, each at its place
    in the list, and tells the read units that it took to know. It gets all entries of a query
    together or, with `at_once`, that many at a time, or as many as the page still lacks if that is
    more. One query reads `read_at_once` entries, or as many as the page has if that is more. With
    `at_most`, it is for so many read units in one answer, and no query reads more entries.
    """

    choose: Callable[[list[Item]], tuple[list[Item], int]]
    at_once: int | None = None
    read_at_once: int | None = None
    at_most: int | None = None


class Page(NamedTuple):
    """Entries of a list, how many it has (at least), and where it goes on."""

    items: list[Item]
    total_count: int
    total_is_exact: bool
    offset: int
    limit: int
    cursor: str | None

    @property
    def place(self) -> dict[str, Any]:
        """The fields of an answer that tell where the page stands."""
        place = self._asdict()
        del place["items"]
        return place


class Lists(NamedTuple):
    """Lists of the same owner, or of the same casefile, to be read as one."""

    whose: Literal["owner", "casefile"]
    names: Sequence[str]


_LAST_TIME = 10**13 - 1
"""The highest that 13 digits tell, in the year 2286."""


def name(kind: str, whose: str, *, active: bool = True) -> str:
    """The list of somebody's, or of a casefile's, things of one kind and state."""
    return f"{kind}#{'active' if active else 'closed'}#{whose}"


def at_stage(stage: Stage, since: int, identifier: str) -> Item:
    """What of an item lists it among all that is at a stage; `since` is in milliseconds."""
    shard = zlib.crc32(identifier.encode()) % STAGE_SHARDS
    return {"stage_list": _shard(stage, shard), "since": sort_key(since, identifier)}


def _shard(stage: Stage, number: int) -> str:
    return f"{stage}#{number}"


def of_sessions(
    whose: Literal["owner", "casefile"],
    identifier: str,
    kinds: Sequence[SessionKind],
    active_only: bool,
) -> Lists:
    """The lists of a user's or a casefile's sessions of some kinds.

    Open ones are read first: what is closed meanwhile is seen twice then, and not missed.
    """
    states = (True,) if active_only else (True, False)
    names = [name(kind, identifier, active=state) for kind in kinds for state in states]
    return Lists(whose, names)


def sort_key(at: int, identifier: str) -> str:
    """Where something stands in a list; `at` is in milliseconds since 1970."""
    return f"{at:013}#{identifier}"


def identifier(sort_key: str) -> str:
    """What stands where a sort key says."""
    return sort_key.partition("#")[2]


def bears(entry: Item, tags: list[str] | None) -> bool:
    """Whether an entry has all of these tags."""
    return set(tags or ()) <= set(entry.get("tags", ()))


def read(lists: Lists, asked: ListPayload, user_id: str, sift: Sift | None = None) -> Page:
    """A page of some lists merged, newest first, for a user.

    What is sifted may be short or empty, for it reads only so much (unless all are to be counted);
    its cursor goes on all the same. Raises BadRequest for a cursor of another list.
    """
    of = _described(user_id, asked)
    start = _Start(skip=asked.offset)
    if asked.cursor is not None:
        start = _Start(*cursors.read(asked.cursor, of))
    wanted = start.skip + asked.limit
    # A page, what is seen to come after it, and what the page before ended with.
    at_once = wanted + (1 if start.below is None else 2)
    at_most = math.inf
    if sift is None:
        at_once = max(at_once, READ_AHEAD // len(lists.names))
    else:
        at_once = max(at_once, sift.read_at_once or SIFTED_AT_ONCE)
        at_once = min(at_once, sift.at_most or at_once)
        at_most = at_most if asked.exact_total else sift.at_most or MAX_SIFTED
    runs = [_Run(lists.whose, name, asked, start.below, at_once, sift) for name in lists.names]
    merged = _merged(runs, wanted, at_most)
    taken = list(islice(merged, wanted + 1))  # With one by which it is seen that there are more.
    beyond = sum(1 for _ in merged) if asked.exact_total else 0
    found = start.passed + len(taken) + beyond + sum(len(run.waiting) for run in runs)
    edge: str | None = None
    total, is_exact = start.total, start.is_exact
    if all(run.is_read for run in runs):
        total, is_exact = found, True
    else:
        edge = max(run.next_place for run in runs)  # Down to here, all is known.
        total = total if is_exact else max(total, found)
    if len(taken) > wanted:
        edge = taken[wanted - 1][asked.order]
    cursor = None
    if edge is not None:
        done = min(len(taken), wanted)
        rest = _Start(edge, max(start.skip - done, 0), start.passed + done, total, is_exact)
        cursor = cursors.sign([*rest], of)
    return Page(taken[start.skip : wanted], total, is_exact, asked.offset, asked.limit, cursor)


class _Start(NamedTuple):
    """Where a page begins, which is what a cursor says.

    It is `skip` entries behind place `below`, or behind the top; `passed` were passed over up to
    there. The list has `total`, or at least so many.
    """

    below: str | None = None
    skip: int = 0
    passed: int = 0
    total: int = 0
    is_exact: bool = False


def _merged(runs: list[_Run], wanted: int, at_most: float) -> Iterator[Item]:
    """The entries of some lists, newest first, each once.

    They end early once it took `at_most` read units, but not before each list was read once.
    """
    seen: set[str] = set()
    while True:
        nearest = max(runs, key=lambda run: run.next_place)
        if nearest.waiting:
            entry = nearest.waiting.popleft()
            if entry["pk"] not in seen:  # Else it went from one list to another meanwhile.
                seen.add(entry["pk"])
                yield entry
        elif nearest.is_read or (nearest.is_begun and sum(run.units for run in runs) >= at_most):
            return
        else:
            nearest.read_on(wanted + 1 - len(seen))


class _Run:
    """One list, newest first: what is read of it and not yet taken."""

    def __init__(
        self,
        whose: str,
        name: str,
        asked: ListPayload,
        below: str | None,
        at_once: int,
        sift: Sift | None,
    ) -> None:
        self.waiting: deque[Item] = deque()
        self.units = 0.0
        self._ahead: list[Item] = []
        self._is_last = False
        self._order, self._below, self._sift = asked.order, below, sift
        low = _place_of(asked.since) if asked.since else _BELOW_ALL
        high = below or (_place_of(asked.until) if asked.until else _ABOVE_ALL)
        self._lowest = _ABOVE_ALL
        self._pages = _pages(whose, asked.order, name, low, high, at_once)

    @property
    def is_begun(self) -> bool:
        """Whether any of the list was read. Before that, a page has no end to go on from."""
        return self._lowest != _ABOVE_ALL

    @property
    def is_read(self) -> bool:
        """Whether the list has nothing more."""
        return self._lowest == _BELOW_ALL

    @property
    def next_place(self) -> str:
        """Nothing that is still to come of this list stands higher."""
        return self.waiting[0][self._order] if self.waiting else self._lowest

    def read_on(self, lacking: int) -> None:
        """Read the entries that come next, and sift them, or as many of them as it says."""
        if not self._ahead:
            entries, self._is_last = next(self._pages)
            self._ahead = [each for each in entries if each[self._order] != self._below]
            self.units += dynamodb.query_units(entries) if self._sift else 0
        end = len(self._ahead)
        if self._sift and self._sift.at_once:
            end = max(self._sift.at_once, lacking)
        shown, self._ahead = self._ahead[:end], self._ahead[end:]
        if self._is_last and not self._ahead:
            self._lowest = _BELOW_ALL
        elif shown:
            self._lowest = shown[-1][self._order]
        if self._sift:
            shown, units = self._sift.choose(shown)
            self.units += units
        self.waiting.extend(shown)


def everything(lists: Lists) -> Iterator[Item]:
    """All entries of some lists, as the index shows them now."""
    for each in lists.names:
        for entries, _ in _pages(lists.whose, "creation", each, _BELOW_ALL, _ABOVE_ALL):
            yield from entries


class StagePlace(NamedTuple):
    """A place in the list of a stage: a shard of it, and the time below which to go on."""

    shard: int = 0
    below: str = _ABOVE_ALL


def in_stage(
    stage: Stage, before: int, place: StagePlace
) -> Iterator[tuple[dict[str, StagePlace], StagePlace]]:
    """The ids of all that is in a stage since before a time, in milliseconds since 1970.

    They come from a place on and round to it again, in pages, each id and each page with the place
    after it.
    """
    top = f"{before:013}"
    stretches = [(place.shard, _BELOW_ALL, min(place.below, top))]
    stretches += [
        ((place.shard + step) % STAGE_SHARDS, _BELOW_ALL, top) for step in range(1, STAGE_SHARDS)
    ]
    stretches += [(place.shard, place.below, top)]
    for number, low, high in stretches:
        shard, following = _shard(stage, number), StagePlace((number + 1) % STAGE_SHARDS)
        for entries, is_last in _pages("stage", "since", shard, low, high, STAGE_AT_ONCE):
            after = following if is_last else StagePlace(number, entries[-1]["since"])
            yield (
                {
                    dynamodb.identifier(entry): StagePlace(number, entry["since"])
                    for entry in entries
                    if entry["since"] < high
                },
                after,
            )


def oldest_in_stage(stage: Stage) -> int | None:
    """Since when the first of a stage's is in it, in milliseconds since 1970; None for none."""
    firsts = []
    for number in range(STAGE_SHARDS):
        pages = _pages(
            "stage",
            "since",
            _shard(stage, number),
            _BELOW_ALL,
            _ABOVE_ALL,
            at_once=1,
            newest_first=False,
        )
        entries, _ = next(pages)
        firsts += [int(entry["since"].partition("#")[0]) for entry in entries]
    return min(firsts, default=None)


def _pages(
    whose: str,
    order: str,
    name: str,
    low: str,
    high: str,
    at_once: int | None = None,
    *,
    newest_first: bool = True,
) -> Iterator[tuple[list[Item], bool]]:
    """The entries of a list between two places, in order; and whether these are the last."""
    if low > high:
        yield [], True
        return
    yield from dynamodb.query(
        f"{whose}_list = :name AND {order} BETWEEN :low AND :high",
        {":name": name, ":low": low, ":high": high},
        IndexName=f"by_{whose}_{order}",
        ScanIndexForward=not newest_first,
        **({"Limit": at_once} if at_once else {}),
    )


def _place_of(time: str) -> str:
    """The place below which everything is earlier than a time."""
    return f"{min(max(to_milliseconds(from_text(time)), 0), _LAST_TIME):013}"


def _described(user_id: str, asked: ListPayload) -> str:
    """Which list is asked for, whatever the page."""
    page = {"limit", "offset", "cursor", "exact_total"}
    return json.dumps([user_id, type(asked).__name__, asked.model_dump(mode="json", exclude=page)])
