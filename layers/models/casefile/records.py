"""Records as they are stored: one item each, at the slot of its number.

An item is written once, on condition that its slot is free, and never changed. Its content is JSON
text, compressed unless it is short; what is too large for that lies in the bucket, and the item
names it by its SHA-256. Of a session that lies in the archive, records may be in the
table no more, but for the closing and rewindings: whoever asks for them gets them from there.

    pk SESSION#<session_id>   sk HEAD            the session's head, see sessions.py
                              sk 000000000001    record 1, and so on; HEAD sorts after them all
"""

from __future__ import annotations

import bz2
import functools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_models.canonical.record import Pending, Record, Totals

from . import access, archives, contents, dynamodb, sessions
from .dynamodb import Item
from .errors import TooLarge
from .sessions import HEAD, SessionHead, partition

MAX_CONTENT_BYTES = 6 * 1024 * 1024
"""Of a record's JSON: what a function can be sent at once (AWS Lambda quotas)."""

MAX_TEXT_BYTES = 256 * 1024
MAX_STORED_BYTES = 32 * 1024
"""Content with more text, or more bytes when compressed, lies in the bucket.

An S3 PUT costs as much as eight write units, a GET as much as three read units; the table's room,
which is backed up, costs twenty times the bucket's. And 32 records of 32 KB are what one query
reads.
"""

DEFLATED_BYTES = 400
"""From so much text on, it is deflated: a page of messages is a fifth smaller, and cheaper to read.

What is shorter stays legible in the table, and would gain little.
"""

SORTED_BYTES = 4 * 1024
"""From so much text on, bzip2 is tried, too: a sixth less than deflating, for twice its time."""

MAX_LOADED_BYTES = 8 * 1024 * 1024
"""Of content read at once: a query ends with the record that brings it to this."""

DEAD = "dead"
"""The kind of a stub that is left of a record when its session is deleted."""

_SMALL_WINDOW = 12
"""The window in bits, 4 KB. With memory level 6, as many symbols are one block of deflate."""

_LEAN = ("pk", "sk", "kind", "request", "at", "totals", "completes", "seal", "highest", "pending")

_NUMBER_BYTES = 5
_PENDING_BYTES = _NUMBER_BYTES + 16
"""Of a pending request as records list it: its number, which has up to 12 digits, and its id."""


def _slot(number: int) -> str:
    return f"{number:012}"


def slot_key(session_id: str, number: int) -> Item:
    """The key of a record."""
    return {"pk": partition(session_id), "sk": _slot(number)}


def is_record(item: Item) -> bool:
    """Whether an item is a record, and no dead stub of one."""
    return bool(item["sk"].isdigit() and item["kind"] != DEAD)


def number_of(item: Item | None) -> int:
    """The number of a stored record; 0 for none."""
    return int(item["sk"]) if item else 0


def top(session_id: str) -> tuple[Item | None, Item | None]:
    """The items of the head and of the newest record as they are now, dead or alive."""
    values = {":session": partition(session_id)}
    found, _ = next(
        dynamodb.query(
            "pk = :session", values, ScanIndexForward=False, Limit=2, ConsistentRead=True
        )
    )
    items = {item["sk"]: item for item in found}
    head = items.pop(HEAD, None)
    return head, next(iter(items.values()), None)


def slots(session_id: str) -> Iterator[list[tuple[int, str]]]:
    """The numbers of all records, page by page, each with its kind, which may be dead."""
    for page in _items(session_id, ProjectionExpression="sk, kind"):
        yield [(number_of(item), item["kind"]) for item in page]


def _items(session_id: str, **more: Any) -> Iterator[list[Item]]:
    """The items of all records that the table has, in their order, page by page."""
    values = {":session": partition(session_id), ":head": HEAD}
    pages = dynamodb.query("pk = :session AND sk < :head", values, ConsistentRead=True, **more)
    return (page for page, _ in pages)


def pack(session_id: str, content: str) -> Item:
    """The attributes that hold a record's content, or name it. Raises TooLarge.

    What `is_packed_away` must be put in the bucket before a record may name it.
    """
    text = content.encode()
    if len(text) > MAX_CONTENT_BYTES:
        raise TooLarge(
            f"This comes to {len(text) // 1024} KB as JSON, and one request holds up to "
            f"{MAX_CONTENT_BYTES // 1024} KB. Upload what is large (POST /uploads), and refer to "
            "it in attachments."
        )
    if len(text) <= MAX_TEXT_BYTES:
        beside = bytes_beside(session_id)
        name, stored = min(_forms(text), key=lambda form: len(form[1]))
        if beside + len(stored) <= MAX_STORED_BYTES:
            return {name: content if stored is text else stored}
    return {"digest": sha256(text).digest(), "size": len(text)}


def _forms(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways to store a text that may be the shortest, the simplest first, and their names."""
    yield "content", text
    if len(text) >= DEFLATED_BYTES:
        # A window as small as the text is made ready in half the time, and finds the same.
        small = len(text) <= 1 << _SMALL_WINDOW
        window, memory = (_SMALL_WINDOW, 6) if small else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
        deflating = zlib.compressobj(wbits=-window, memLevel=memory)
        yield "content", deflating.compress(text) + deflating.flush()
    if len(text) >= SORTED_BYTES:
        yield "bzip2", bz2.compress(text)


@functools.lru_cache(maxsize=32)
def bytes_beside(session_id: str) -> int:
    """The bytes of a record's item without its content, about: with a million of everything."""
    million = 999_999
    return dynamodb.item_bytes(
        {
            **slot_key(session_id, million),
            "kind": "request",
            "request": bytes(16),
            "at": 1_999_999_999_999,
            "totals": [million] * len(Totals._fields),
            "completes": [million],
            "seal": bytes(32),
            "content": "",
        }
    )


def is_large(record: Record) -> bool:
    """Whether a record's content is so large that an answer may name it instead of telling it."""
    return len(record.content.encode()) > MAX_TEXT_BYTES


def is_packed_away(packed: Item) -> bool:
    """Whether an item, or its packed content, names content that lies in the bucket."""
    return "digest" in packed


def create(session_id: str, record: Record, packed: Item, *, is_news: bool) -> None:
    """Put a record in its slot, with its content packed and what is stored beside it.

    The bus is told of it if it `is_news`. Raises ConditionFailed and TooLarge.
    """
    dynamodb.create(
        {
            **slot_key(session_id, record.number),
            "kind": record.kind,
            "request": record.request_id.bytes,
            "at": record.at,
            "totals": list(record.totals),
            "completes": list(record.completes) or None,
            "seal": record.seal,
            "highest": _highest_beside(record),
            "pending": _pending_beside(record),
            "news": is_news or None,
            **packed,
        }
    )


def _highest_beside(record: Record) -> bytes | None:
    """What tells the highest UUIDv7, unless that is the record's own: ids mostly ascend."""
    if record.highest is None or record.highest == record.request_id:
        return None
    return record.highest.bytes


def _pending_beside(record: Record) -> bytes | None:
    """What lists the pending requests, if there are any to list."""
    if not record.pending:
        return None
    listed = (
        each.number.to_bytes(_NUMBER_BYTES) + each.request_id.bytes for each in record.pending
    )
    return b"".join(listed)


def _read_pending(stored: bytes) -> Iterator[Pending]:
    for begin in range(0, len(stored), _PENDING_BYTES):
        end = begin + _NUMBER_BYTES
        request_id = UUID(bytes=stored[end : begin + _PENDING_BYTES])
        yield Pending(int.from_bytes(stored[begin:end]), request_id)


def get(session_id: str, number: int, *, with_content: bool = True) -> Record:
    """Record `number` of a session that who asks is known to see. Raises NotFound."""
    item = dynamodb.get(slot_key(session_id, number))
    if item is None:
        record = next(_archived(session_id, [number]))
        if record is None:
            raise access.missing_session(session_id)
        return record
    return whole(session_id, item) if with_content else from_item(item)


def marks(session_id: str, number: int) -> bytes:
    """What a rewinding says beside its content, see standing.py. Raises NotFound."""
    item = dynamodb.get(slot_key(session_id, number))
    if item is None or item["kind"] == DEAD:
        raise access.missing_session(session_id)
    found: bytes = item["marks"]
    return found


def get_many(session_id: str, numbers: Iterable[int]) -> Iterator[Record]:
    """Some records of a session that who asks is known to see, in this order, loaded in turn.

    Those that it has; raises NotFound if it was deleted.
    """
    keys = [slot_key(session_id, number) for number in numbers]
    found = {item["sk"]: item for item in dynamodb.get_many(keys)}
    missing = [int(key["sk"]) for key in keys if key["sk"] not in found]
    archived = _archived(session_id, missing)
    for key in keys:
        if (item := found.get(key["sk"])) is not None:
            yield whole(session_id, item)
        elif (record := next(archived)) is not None:
            yield record


def _archived(session_id: str, numbers: Sequence[int]) -> Iterator[Record | None]:
    """Records that the table hasn't, as the archive has them; None for one that it hasn't.

    Raises NotFound if the session was deleted.
    """
    if numbers and _head_now(session_id).archived_at is not None:
        yield from archives.get_many(session_id, numbers)
    else:
        yield from [None] * len(numbers)


def _head_now(session_id: str) -> SessionHead:
    """The head of a session of which the table hasn't what was asked for.

    Raises NotFound if it was deleted: then what is missing was there, and is in no archive.
    """
    head = sessions.from_item(top(session_id)[0])
    if head is None:
        raise access.missing_session(session_id)
    return head


def stored(session_id: str) -> Iterator[tuple[Record, bytes | None]]:
    """All records in their order, with their contents or, of what lies in the bucket, digests."""
    for item in chain.from_iterable(_items(session_id)):
        record = from_item(item)
        if is_packed_away(item):
            yield record, item["digest"]
        else:
            yield record._replace(content=_unpacked(item)), None


def request_ids(session_id: str, numbers: Sequence[int]) -> list[UUID]:
    """The request ids of some records of a session, in this order, if it was not deleted since."""
    keys = [slot_key(session_id, number) for number in numbers]
    found = {number_of(item): item for item in dynamodb.get_many(keys) if item["kind"] != DEAD}
    return [UUID(bytes=found[number]["request"]) for number in numbers if number in found]


class Run(NamedTuple):
    """Records that follow on each other, and the head, which lies above them all.

    Newest first, it comes if the range begins with it; oldest first, if they have come to it.
    """

    head: SessionHead | None
    records: list[Record]


class _Range(NamedTuple):
    """Slots from one to another, or to the head; how many of them are asked for, and how."""

    low: int
    high: int | None
    limit: int
    newest_first: bool
    with_content: bool

    @property
    def first(self) -> int | None:
        """The number that comes first; None for the newest, whichever that is."""
        return self.high if self.newest_first else self.low


def query(
    session_id: str,
    limit: int,
    *,
    below: int | None = None,
    above: int = 0,
    strong: bool,
    with_content: bool = False,
    newest_first: bool = True,
) -> Run:
    """Up to `limit` items between two slots, in either direction; the head is above them all.

    Content is left empty unless asked for; with it, fewer come if they are large. Unless `strong`,
    the newest may be missing for a moment; never one below them. Raises NotFound if the session
    was deleted just now, and what is asked for is gone.
    """
    high = None if below is None else below - 1
    asked = _Range(above + 1, high, limit, newest_first, with_content)
    head, items = _in_table(session_id, asked, strong=strong)
    run = _run(items, asked)
    has_hole = len(run) < len(items) or (asked.first is not None and not run and head is None)
    if has_hole and not strong:  # It may be one of what is read, and not of what is there.
        head, items = _in_table(session_id, asked, strong=True)
        run = _run(items, asked)
    if asked.first is not None and not run and (items or head is None):  # It isn't in the table.
        archived = _in_archive(session_id, asked, head)
        if archived is not None:
            return archived
    elif len(run) < len(items):  # It is going to the archive just now.
        head, items = head if newest_first else None, run
    if not with_content:
        return Run(head, [from_item(item) for item in items])
    kept = _as_many_as_fit(items)
    is_all = newest_first or len(kept) == len(items)
    return Run(head if is_all else None, _with_contents(session_id, kept))


def _in_table(
    session_id: str, asked: _Range, *, strong: bool
) -> tuple[SessionHead | None, list[Item]]:
    """What the table has of a range: the head, if it was seen, and the items of records."""
    lean: dict[str, Any] = {}
    if not asked.with_content:
        names = {f"#{place}": name for place, name in enumerate(_LEAN + sessions.ATTRIBUTES)}
        lean = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    highest = HEAD if asked.high is None else _slot(asked.high)
    items, _ = next(
        dynamodb.query(
            "pk = :session AND sk BETWEEN :low AND :top",
            {":session": partition(session_id), ":low": _slot(asked.low), ":top": highest},
            ScanIndexForward=not asked.newest_first,
            Limit=asked.limit,
            ConsistentRead=strong,
            **lean,
        )
    )
    place = 0 if asked.newest_first else -1
    if items and items[place]["sk"] == HEAD:
        return sessions.from_item(items.pop(place)), items
    return None, items


def _in_archive(session_id: str, asked: _Range, head: SessionHead | None) -> Run | None:
    """What the archive has of a range, None if the session is not in it. Raises NotFound."""
    head = head or _head_now(session_id)
    if head.archived_at is None:
        return None
    page, count = archives.page(
        session_id,
        asked.low,
        asked.high,
        asked.limit,
        newest_first=asked.newest_first,
        with_content=asked.with_content,
    )
    is_end = not page or page[-1].number == count
    return Run(head if is_end and not asked.newest_first and asked.high is None else None, page)


def _run(items: list[Item], asked: _Range) -> list[Item]:
    """The items that follow on each other from the first slot asked for, or else from their own."""
    step = -1 if asked.newest_first else 1
    begin = number_of(items[0]) if items and asked.first is None else asked.first or 0
    return [item for place, item in enumerate(items) if number_of(item) == begin + step * place]


def _as_many_as_fit(items: list[Item]) -> list[Item]:
    size = 0
    for place, item in enumerate(items):
        size += item.get("size", 0)
        if size > MAX_LOADED_BYTES and place:
            return items[:place]
    return items


def whole(session_id: str, item: Item) -> Record:
    """A stored record with its content. Raises NotFound for a dead stub."""
    (record,) = _with_contents(session_id, [item])
    return record


def _with_contents(session_id: str, items: Sequence[Item]) -> list[Record]:
    found = [from_item(item) for item in items]
    away = [item["digest"].hex() for item in items if is_packed_away(item)]
    loaded = iter(contents.get_many(session_id, away))
    return [
        record._replace(content=next(loaded) if is_packed_away(item) else _unpacked(item))
        for item, record in zip(items, found, strict=True)
    ]


def _unpacked(item: Item) -> str:
    if "bzip2" in item:
        return bz2.decompress(item["bzip2"]).decode()
    content: str | bytes = item["content"]
    if isinstance(content, bytes):
        return zlib.decompress(content, wbits=-zlib.MAX_WBITS).decode()
    return content


def from_item(item: Item) -> Record:
    """Read a stored record, its content left empty; later versions may count more than we know.

    Raises NotFound for a dead stub: it says that the session was deleted.
    """
    if item["kind"] == DEAD:
        raise access.missing_session(dynamodb.identifier(item))
    request_id = UUID(bytes=item["request"])
    own = request_id if request_id.version == 7 else None
    return Record(
        number=number_of(item),
        kind=item["kind"],
        request_id=request_id,
        at=item["at"],
        content="",
        totals=Totals.read(item["totals"]),
        completes=tuple(item.get("completes", ())),
        seal=item["seal"],
        highest=UUID(bytes=item["highest"]) if "highest" in item else own,
        pending=tuple(_read_pending(item["pending"])) if "pending" in item else (),
    )
