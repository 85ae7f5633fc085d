"""An export is a session as JSON Lines: one line for its head, then one for each record.

Content travels as the very text that was sealed, so whoever holds an export can check it without
us: a record that was changed, dropped, added or moved breaks its own seal or the next one. Alone,
an export shows that it agrees with itself; the seal that closing told, kept elsewhere, shows that
it is the session's, and whole.
Content too large for an export's answer is named by its digest, which the seal covers, and a link.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from .base.json_values import to_json
from .canonical.record import Record, Totals, first_seal, seal_of

FORMAT = "casefile export 1"


_FIELDS = set(Record._fields) - {"highest", "pending"}  # Which are for writers.
_LINKED_FIELDS = _FIELDS | {"content_sha256", "content_url"}


class Verified(NamedTuple):
    """What an export that holds tells: its session, how many records, and the newest seal.

    `linked` are the SHA-256 of contents that are not in the export, by their records' numbers.
    """

    session_id: str
    records: int
    is_closed: bool
    seal: str
    linked: dict[int, str]


class BrokenExport(ValueError):
    """An export that doesn't hold. `number` is the first record that doesn't; 0 is the head."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"record {number}: {reason}" if number else f"head: {reason}")
        self.number = number


def head_line(session_id: str, user_id: str, created_at: int) -> str:
    """The first line; `created_at` is in milliseconds since 1970."""
    head = {"session_id": session_id, "user_id": user_id, "created_at": created_at}
    return _line({"format": FORMAT, **head})


def record_line(record: Record, link: tuple[str, str] | None = None) -> str:
    """The line of a record; with `link`, the digest of its content and where that is to be had."""
    fields = {name: value for name, value in record._asdict().items() if name in _FIELDS} | {
        "request_id": str(record.request_id),
        "totals": record.totals._asdict(),
        "seal": record.seal.hex(),
    }
    if link is not None:
        fields |= {"content": None, "content_sha256": link[0], "content_url": link[1]}
    return _line(fields)


def _line(fields: dict[str, Any]) -> str:
    """JSON on one line, whatever a reader takes for the end of a line."""
    line = to_json(fields)
    for end in ("\x85", "\u2028", "\u2029"):
        line = line.replace(end, f"\\u{ord(end):04x}")
    return line


def _read(line: str) -> dict[str, Any]:
    """An object of a line, each of its keys once."""
    read: dict[str, Any] = json.loads(line, object_pairs_hook=_once)
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key is there twice")
    return read


def verify(lines: Iterable[str], seal: str | None = None) -> Verified:
    """Check an export against itself and, if given, against the seal that closing told.

    Raises BrokenExport, which names the first record that doesn't hold.
    """
    filled = (line for line in lines if line.strip())
    session_id, before = _read_head(next(filled, ""))
    number, kind = 0, ""
    linked: dict[int, str] = {}
    for record, content_sha256 in _read_records(filled):
        number += 1
        if kind == "closed":
            raise BrokenExport(number, "it follows the closing, which is the last record")
        if record.number != number:
            raise BrokenExport(number, f"it is missing; {record.number} stands in its place")
        if content_sha256 is not None:
            linked[number] = content_sha256
        digest = content_sha256 or sha256(record.content.encode()).hexdigest()
        if seal_of(record, digest, before) != record.seal:
            raise BrokenExport(number, "its seal does not fit its content and the seal before it")
        before, kind = record.seal, record.kind
    if seal is not None and seal.lower() != before.hex():
        raise BrokenExport(number, f"the export ends with seal {before.hex()}, not with {seal}")
    return Verified(session_id, number, kind == "closed", before.hex(), linked)


def _read_head(line: str) -> tuple[str, bytes]:
    try:
        head = _read(line)
        if head["format"] != FORMAT:
            raise BrokenExport(0, f"this is no {FORMAT}")
        session_id = str(head["session_id"])
        return session_id, first_seal(session_id, head["user_id"], head["created_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise error if isinstance(error, BrokenExport) else BrokenExport(0, "unreadable") from None


def _read_records(lines: Iterator[str]) -> Iterator[tuple[Record, str | None]]:
    """The records, each with the digest of its content if that isn't in its line."""
    for number, line in enumerate(lines, 1):
        try:
            record, digest = read_record_line(line)
            record.content.encode()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokenExport(number, f"unreadable ({type(error).__name__})") from None
        yield record, digest.hex() if digest is not None else None


def read_record_line(line: str) -> tuple[Record, bytes | None]:
    """The record of a line, and the digest of its content if that isn't in the line."""
    fields = _read(line)
    is_linked = fields["content"] is None
    if set(fields) != (_LINKED_FIELDS if is_linked else _FIELDS):
        raise ValueError("a record has other fields")
    record = Record(
        number=fields["number"],
        kind=fields["kind"],
        request_id=UUID(fields["request_id"]),
        at=fields["at"],
        content=fields["content"] or "",
        totals=Totals(**fields["totals"]),
        completes=tuple(fields["completes"]),
        seal=bytes.fromhex(fields["seal"]),
    )
    return record, bytes.fromhex(fields["content_sha256"]) if is_linked else None
