"""Records as they are stored: one item each, at the slot of its number.

An item is written once, on condition that its slot is free, and never changed. Its content is JSON
text, deflated where that saves a write unit.

    pk SESSION#<session_id>   sk HEAD            the session's head, see sessions.py
                              sk 000000000001    record 1, and so on; HEAD sorts after them all
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from pydantic_models.canonical.record import Record, Totals

from . import access, dynamodb, sessions
from .dynamodb import Item, from_attributes, to_attributes
from .errors import TooLarge
from .sessions import HEAD, SessionHead, partition

MAX_CONTENT_CHARACTERS = 1_000_000
"""Of a record's JSON, before compression: an answer that repeats it must still be carried."""

_LEAN = ("pk", "sk", "kind", "request", "at", "totals", "completes", "seal")


DEAD = "dead"
"""The kind of a stub that is left of a record when its session is deleted."""


def slot_key(session_id: str, number: int) -> Item:
    """The key of a record."""
    return {"pk": partition(session_id), "sk": _slot(number)}


def top(session_id: str) -> tuple[Item | None, Item | None]:
    """The items of the head and of the newest record as they are now, dead or alive."""
    with dynamodb.translated_errors():
        found = dynamodb.client().query(
            TableName=dynamodb.table(),
            KeyConditionExpression="pk = :session",
            ExpressionAttributeValues=to_attributes({":session": partition(session_id)}),
            ScanIndexForward=False,
            Limit=2,
            ConsistentRead=True,
        )
    items = {item["sk"]: item for item in map(from_attributes, found["Items"])}
    head = items.pop(HEAD, None)
    return head, next(iter(items.values()), None)


def slots(session_id: str) -> Iterator[list[tuple[int, bool]]]:
    """The numbers of all records, page by page, each with whether it is dead."""
    pages = dynamodb.query_pages(
        KeyConditionExpression="pk = :session AND sk < :head",
        ExpressionAttributeValues=to_attributes({":session": partition(session_id), ":head": HEAD}),
        ProjectionExpression="sk, kind",
        ConsistentRead=True,
    )
    for page in pages:
        yield [(int(item["sk"]), item["kind"] == DEAD) for item in page]


def create(session_id: str, record: Record) -> None:
    """Put a record in its slot. Raises ConditionFailed if there is one, and TooLarge."""
    dynamodb.create(_to_item(session_id, record))


def get(session_id: str, number: int) -> Record:
    """Record `number` of a session whose owner is known to ask. Raises NotFound."""
    item = dynamodb.get(to_attributes(slot_key(session_id, number)))
    if item is None:
        raise access.missing_session(session_id)
    return from_item(item, with_content=True)


def get_many(session_id: str, numbers: Collection[int]) -> list[Record]:
    """Some records of a session whose owner is known to ask."""
    keys = [to_attributes(slot_key(session_id, number)) for number in numbers]
    return [from_item(item, with_content=True) for item in dynamodb.get_many(keys)]


def query(
    session_id: str,
    limit: int,
    *,
    below: int | None = None,
    above: int = 0,
    strong: bool,
    with_content: bool = False,
    newest_first: bool = True,
) -> tuple[SessionHead | None, list[Record]]:
    """Up to `limit` items between two slots, in either direction; the head is above them all.

    Content is left empty unless asked for.
    """
    top = HEAD if below is None else _slot(below - 1)
    lean: dict[str, Any] = {}
    if not with_content:
        names = {f"#{place}": name for place, name in enumerate(_LEAN + sessions.ATTRIBUTES)}
        lean = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    with dynamodb.translated_errors():
        found = dynamodb.client().query(
            TableName=dynamodb.table(),
            KeyConditionExpression="pk = :session AND sk BETWEEN :low AND :top",
            ExpressionAttributeValues=to_attributes(
                {":session": partition(session_id), ":low": _slot(above + 1), ":top": top}
            ),
            ScanIndexForward=not newest_first,
            Limit=limit,
            ConsistentRead=strong,
            **lean,
        )
    items = [from_attributes(item) for item in found["Items"]]
    place = 0 if newest_first else -1
    head = sessions.from_item(items.pop(place)) if items and items[place]["sk"] == HEAD else None
    return head, [from_item(item, with_content=with_content) for item in items]


def _slot(number: int) -> str:
    return f"{number:012d}"


def _to_item(session_id: str, record: Record) -> Item:
    """The record as it is stored, its content in whichever form costs fewer write units."""
    if len(record.content) > MAX_CONTENT_CHARACTERS:
        raise TooLarge(
            f"This request has {len(record.content)} characters of JSON; one record holds "
            f"at most {MAX_CONTENT_CHARACTERS}, or {dynamodb.MAX_ITEM_BYTES // 1024} KB when "
            "compressed. Send less at once."
        )
    item: Item = {
        **slot_key(session_id, record.number),
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
            item["content"] = deflated
    return item


def from_item(item: Item, *, with_content: bool) -> Record:
    """Read a stored record; one written by a later version may count more than we know.

    Raises NotFound for a dead stub: it says that the session was deleted.
    """
    if item["kind"] == DEAD:
        raise access.missing_session(item["pk"].partition("#")[2])
    content = item["content"] if with_content else ""
    if isinstance(content, bytes):
        content = zlib.decompress(content, wbits=-zlib.MAX_WBITS).decode()
    return Record(
        number=int(item["sk"]),
        kind=item["kind"],
        request_id=UUID(bytes=item["request"]),
        at=item["at"],
        content=content,
        totals=Totals(*item["totals"][: len(Totals._fields)]),
        completes=tuple(item.get("completes", ())),
        seal=item["seal"],
    )
