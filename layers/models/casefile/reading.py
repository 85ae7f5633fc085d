"""Reading sessions: whole, in pages, or one request.

Records are numbered without a gap and never change, so whatever has been read stays true, and two
readers agree on every record that both have seen. So a page is read eventually consistent, at half
the price, unless it is asked for `consistent`: as if the records of the last moment were not there,
and never without one below them. All else is read strongly consistent: what was acknowledged before
is in it.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from pydantic_models import operations
from pydantic_models.base.times import text_of, to_milliseconds, uuid7_time
from pydantic_models.canonical.content import RecordLink
from pydantic_models.canonical.record import Record, RecordKind, Totals
from pydantic_models.export import head_line, record_line
from pydantic_models.operations import ExportPayload

from . import contents, records, sessions
from .creation import CLOCK_ALLOWANCE
from .errors import NotFound, TooLarge, Unavailable
from .sessions import SessionHead
from .standing import Standing

if TYPE_CHECKING:
    from pydantic_models.base import BaseRequest
    from pydantic_models.operations import (
        ChatSessionPagePayload,
        ExportChatSessionRequest,
        ExportSessionRequest,
        PagePayload,
        ToolSessionPagePayload,
    )

T = TypeVar("T")

PAGE = 25
LEAN_PAGE = 100
"""Records fetched at once, contents and all, or without."""

MAX_PAGE_CHARACTERS = 2_000_000
MAX_LINKED_PAGE_CHARACTERS = 250_000
"""Of content in a page, also if large contents are told by links; a first record may have more."""

LOOK_SECONDS = 0.5
"""Between two looks for a record that is waited for; a look is half a read unit."""

MAX_PAGE_RECORDS = 1000
"""Records of a page, which may be many more than it counts: most may begin no request."""

MAX_READ_CHARACTERS = 6_000_000
"""Of content read back at once: what a function may answer (AWS Lambda quotas)."""


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
    def about(self) -> dict[str, Any]:
        """The fields of an answer that tell of the session itself."""
        head, tail = self.head, self.tail
        closing = tail if tail and tail.kind == "closed" else None
        return {
            "session_id": head.session_id,
            "user_id": head.user_id,
            "casefile_id": head.casefile_id,
            "title": head.title,
            "metadata": head.metadata,
            "tags": head.tags,
            "created_at": text_of(head.created_at),
            "updated_at": text_of(max(head.updated_at, tail.at if tail else 0)),
            "active": closing is None,
            "closed_at": text_of(closing.at) if closing else None,
            "seal": closing.seal.hex() if closing else None,
            "archived_at": None if head.archived_at is None else text_of(head.archived_at),
        }


@dataclass(frozen=True)
class Page:
    """Some records of a session in ascending order, and where to go on from them.

    `passed` is the number of the last record that was passed over because its messages were taken
    back, 0 for none; `standing` tells what stands of a chat, if that was asked for. `closed_with`
    is the number of the session's closing record, if the head showed one.
    """

    session_id: str
    records: list[Record]
    has_more: bool
    asked: PagePayload
    passed: int = 0
    standing: Standing | None = None
    closed_with: int | None = None

    @property
    def top(self) -> int:
        """The number of its newest record."""
        return max(self.records[-1].number if self.records else 0, self.passed)

    @property
    def taken_back(self) -> Standing | None:
        """What stands, if something was taken back of this page's messages or by its records."""
        if self.standing is None:
            return None
        cut = self.passed or any(self.standing.is_cut_at(record) for record in self.records)
        return self.standing if cut else None

    @property
    def place(self) -> dict[str, Any]:
        """The fields of an answer that tell where the page stands."""
        oldest_first = self.asked.order == "oldest"
        return {
            "session_id": self.session_id,
            "has_more": self.has_more,
            "next_after": (self.top or self.asked.after) if oldest_first else None,
            "next_before": None if oldest_first or not self.has_more else self.records[0].number,
            "ended": oldest_first and self._is_end,
        }

    @property
    def _is_end(self) -> bool:
        if self.records:
            return self.records[-1].kind == "closed"
        return self.closed_with is not None and self.closed_with <= self.asked.after

    def arrange(self, things: Iterable[T]) -> list[T]:
        """Bring what the records tell, in ascending order, into the order asked for."""
        return list(things) if self.asked.order == "oldest" else list(things)[::-1]


def read(session_id: str, user_id: str, *, with_content: bool) -> Log:
    """A session as it is now, with its records if asked for. Reads are strongly consistent.

    Raises NotFound, and TooLarge for more than one answer can carry.
    """
    limit = PAGE if with_content else 2  # The head and the tail.
    head, found = records.query(session_id, limit, strong=True, with_content=with_content)
    head = sessions.authorize(session_id, head, user_id)
    size = 0
    page = found
    while with_content and page:
        size += sum(len(record.content) for record in page)
        if size > MAX_READ_CHARACTERS:
            raise TooLarge(
                f"Session {session_id} holds more than one answer can carry "
                f"({MAX_READ_CHARACTERS // 1_000_000} MB). Read it in pages."
            )
        if page[-1].number == 1:
            break
        _, page = records.query(
            session_id, PAGE, below=page[-1].number, strong=True, with_content=with_content
        )
        found += page
    return Log(head, found[0] if found else None, found[::-1] if with_content else [])


def page(
    request: BaseRequest[ToolSessionPagePayload] | BaseRequest[ChatSessionPagePayload],
    count: Callable[[Record], int],
    *,
    standing_only: bool = False,
) -> Page:
    """A page of records, as many as it takes until `count` over them reaches the limit asked for.

    With `standing_only`, of the messages that they hold those count that were not withdrawn. If
    there is no record yet, waits as many seconds for one as are asked for. Raises NotFound.
    """
    asked, user_id = request.payload, request.user_id
    session_id = asked.session_id

    def read_now(*, strong: bool) -> Page:
        standing = Standing(session_id) if standing_only else None
        return _page(session_id, user_id, asked, count, standing, strong=strong)

    found = read_now(strong=asked.consistent)
    if not found.records and asked.wait and _comes(session_id, asked.after, asked.wait):
        return read_now(strong=True)
    return found


def withdrawn(
    session_id: str,
    user_id: str,
    rewinding: Record,
    limit: int,
    count: Callable[[Record], int],
) -> tuple[int, Page]:
    """How many messages a rewinding withdrew, and the newest records that held them.

    Raises NotFound.
    """
    before = None
    if rewinding.number > 1:
        before = records.get(session_id, rewinding.number - 1, with_content=False)
    number = (before.totals.messages if before else 0) - rewinding.totals.messages
    asked = operations.PagePayload(
        order="newest", before=rewinding.number, limit=max(1, min(limit, number))
    )
    if before is None or not number or not limit:
        return number, Page(session_id, [], has_more=False, asked=asked)
    standing = Standing(session_id, before)
    return number, _page(session_id, user_id, asked, count, standing, strong=True)


def _comes(session_id: str, after: int, seconds: float) -> bool:
    """Wait for a record after another; whether it came. None comes once a session is closed."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(Unavailable):  # There is no time left to wait.
        while True:
            _, newest = records.query(session_id, 2, strong=False)
            if newest and newest[0].number > after:
                return True
            if newest and newest[0].kind == "closed":
                return False
            if time.monotonic() + LOOK_SECONDS > deadline:
                return False
            time.sleep(LOOK_SECONDS)
    return False


def _page(
    session_id: str,
    user_id: str,
    asked: PagePayload,
    count: Callable[[Record], int],
    standing: Standing | None,
    *,
    strong: bool,
) -> Page:
    newest_first = asked.order == "newest"
    head: SessionHead | None = None
    chosen: list[Record] = []
    passed = 0
    above, below = asked.after, asked.before
    room, size = asked.limit, 0
    has_more = below is None or below > above + 1
    while has_more and room > 0 and size < _page_size() and len(chosen) < MAX_PAGE_RECORDS:
        # One more than fits tells whether there is more; another may be the head or the closing.
        found_head, found = records.query(
            session_id,
            (PAGE if chosen else min(room, PAGE)) + 2,
            below=below,
            above=above,
            strong=strong,
            with_content=True,
            newest_first=newest_first,
        )
        head = head or found_head
        has_more = False
        if standing and found:
            has_newest = below is None and (newest_first or found_head is not None)
            standing.learn(found, has_newest=has_newest)
            if not newest_first:  # What comes meanwhile is for the next page.
                below = min(standing.tail.number + 1, below or standing.tail.number + 1)
        for record in found:
            if room <= 0 or (chosen and size + len(record.content) > _page_size()):
                has_more, room = True, 0
                break
            chosen.append(record)
            counted = count(record)
            room -= standing.count(record, counted) if standing else counted
            size += len(record.content)
        if found and not has_more:
            last = found[-1].number
            above, below = (above, last) if newest_first else (last, below)
            # Records have no gap: the range ends where its last number was seen, or the head.
            has_more = last > 1 if newest_first else found_head is None
            if standing and room > 0 and standing.is_cut_at(found[-1]):
                if newest_first:
                    below = standing.skip_down(last)
                else:
                    above = passed = standing.skip_up(last)
            has_more = has_more and (below is None or below > above + 1)
    head = head or (standing.head if standing else None)
    if head is None or (head.user_id != user_id and not strong):  # Others' rights can change.
        head = sessions.find(session_id)
    closed_with = sessions.authorize(session_id, head, user_id).closed_with
    chosen = chosen[::-1] if newest_first else chosen
    return Page(session_id, chosen, has_more, asked, passed, standing, closed_with)


def find(session_id: str, user_id: str, request_id: UUID, kinds: Collection[RecordKind]) -> Record:
    """The record of a request, of one of these kinds.

    A request id that carries its time (UUIDv7) is looked for from that time on, which a few
    reads find; any other from the newest record back. Raises NotFound.
    """
    head, newest = records.query(session_id, 2, strong=True)
    sessions.authorize(session_id, head, user_id)
    end = newest[0].number + 1 if newest else 1
    sent_at = uuid7_time(request_id)
    if sent_at is None:
        walk = _walk(session_id, below=end, newest_first=True)
    else:
        since = to_milliseconds(sent_at - CLOCK_ALLOWANCE)
        # The first record that may be it: their times never decrease.
        first = bisect_left(
            range(end),
            since,
            lo=1,
            key=lambda number: records.get(session_id, number, with_content=False).at,
        )
        walk = _walk(session_id, above=first - 1, newest_first=False)
    for found in walk:
        if found.request_id == request_id and found.kind in kinds:
            return records.get(session_id, found.number)
    raise NotFound(f"There is no request {request_id} in session {session_id}.")


def record(session_id: str, user_id: str, number: int) -> Record | None:
    """Record `number` of a session, or None if it has none. Raises NotFound for the session."""
    sessions.authorize(session_id, sessions.find(session_id), user_id)
    return next(records.get_many(session_id, [number]), None)


def outcome(session_id: str, begun: Record) -> list[Record]:
    """The record that completes a request, if there is one by now."""
    ends = _endings(session_id, {begun.number}, above=begun.number)
    return [records.get(session_id, number) for number in ends.values()]


def with_outcomes(page: Page, pending: Collection[int]) -> tuple[Page, list[Record]]:
    """A page of requests, and the records above it that complete those of them that are `pending`.

    With large outcomes, the page ends before the first request whose outcome is too much.
    """
    is_newest_first = page.asked.order == "newest"
    ends = _endings(page.session_id, set(pending), above=page.top)
    in_order = sorted(ends, reverse=is_newest_first)
    size = sum(len(record.content) for record in page.records)
    found: dict[int, Record] = {}
    for record in records.get_many(page.session_id, dict.fromkeys(ends[n] for n in in_order)):
        size += len(record.content)
        if found and size > _page_size():
            cut = next(number for number in in_order if ends[number] not in found)
            kept = [
                r for r in page.records if (r.number > cut if is_newest_first else r.number < cut)
            ]
            # What completes a request that is kept may be in what is cut off.
            return replace(page, records=kept, has_more=True), [
                *found.values(),
                *(r for r in page.records if r.completes),
            ]
        found[record.number] = record
    return page, list(found.values())


def _endings(session_id: str, pending: set[int], above: int) -> dict[int, int]:
    """The numbers of requests, each to that of the record above a slot that completes it."""
    found: dict[int, int] = {}
    if pending:
        for later in _walk(session_id, above=above, newest_first=False):
            found.update(dict.fromkeys(pending.intersection(later.completes), later.number))
            if len(found) == len(pending):
                break
    return found


def _page_size() -> int:
    return MAX_LINKED_PAGE_CHARACTERS if contents.are_linked() else MAX_PAGE_CHARACTERS


def export(request: ExportSessionRequest | ExportChatSessionRequest) -> ExportPayload:
    """The session as JSON Lines from a record on, as far as one answer carries. Raises NotFound."""
    session_id, after = request.payload.session_id, request.payload.after
    head = sessions.authorize(session_id, sessions.find(session_id), request.user_id)
    lines = [] if after else [head_line(session_id, head.user_id, head.created_at)]
    size, last = 0, after
    for record in _walk(session_id, above=after, newest_first=False, with_content=True):
        if size and size + len(record.content) > _page_size():
            break
        link = record_link(session_id, record)
        lines.append(record_line(record, None if link is None else (link.sha256, link.url)))
        size, last = size + len(lines[-1]), record.number
    else:
        last = 0
    return ExportPayload(
        session_id=session_id, lines="\n".join([*lines, ""]), next_after=last or None
    )


def record_link(session_id: str, record: Record) -> RecordLink | None:
    """The link that stands for a record's content where that is too large to tell."""
    if not (contents.are_linked() and records.is_large(record)):
        return None
    content = record.content.encode()
    link = contents.link(session_id, sha256(content).hexdigest(), len(content))
    return RecordLink(record=record.number, **link.model_dump())


def _walk(
    session_id: str,
    *,
    above: int = 0,
    below: int | None = None,
    newest_first: bool,
    with_content: bool = False,
) -> Iterator[Record]:
    """All records between two slots, page after page, their content left empty or not."""
    while below is None or below > above + 1:
        head, found = records.query(
            session_id,
            PAGE if with_content else LEAN_PAGE,
            above=above,
            below=below,
            strong=True,
            with_content=with_content,
            newest_first=newest_first,
        )
        yield from found
        if head or not found:
            return
        above, below = (above, found[-1].number) if newest_first else (found[-1].number, below)
