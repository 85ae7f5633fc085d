"""A record is one entry of a session's log, and a link of its chain.

Each record's seal covers its own content and the seal before it, so whoever changes, drops or
swaps one breaks every seal after it; the closing record's seal stands for the whole session.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, NamedTuple
from uuid import UUID

from ..base.json_values import to_canonical_json

RecordKind = Literal["tool", "request", "result", "chat", "rewind", "closed"]
"""A tool execution whole, or in two steps: its request, and its result; messages; what takes them
back; the end."""


class Totals(NamedTuple):
    """What a session holds: tool requests, those of them still pending, events, messages.

    Messages are those that stand: a rewinding leaves the first so many, and withdraws the others.
    """

    requests: int = 0
    pending: int = 0
    events: int = 0
    messages: int = 0

    @classmethod
    def read(cls, stored: list[int]) -> Totals:
        """Totals as stored; later versions may count more than we know."""
        return cls(*stored[: len(cls._fields)])

    def plus(self, more: Totals) -> Totals:
        """The totals after `more` came in."""
        return Totals(*(mine + added for mine, added in zip(self, more, strict=True)))


class Pending(NamedTuple):
    """A tool request whose result is still to come: the number of its record, and its id."""

    number: int
    request_id: UUID


class Record(NamedTuple):
    """Record `number` of a session: the whole effect of one request.

    `at` is in milliseconds since 1970 and never less than that of the record before; `totals`
    count the session up to here; `content` is JSON text; `completes` are the numbers of the
    pending requests that end with this record; `seal` has 32 bytes. `highest` is the highest
    UUIDv7 of the requests up to here, and where that isn't told, as in exports, as high as can be.
    `pending` are the requests that are pending after it, ascending, or none where that isn't told.
    Neither is sealed: they follow from the records, and spare writers a look further down.
    """

    number: int
    kind: RecordKind
    request_id: UUID
    at: int
    content: str
    totals: Totals
    completes: tuple[int, ...] = ()
    seal: bytes = b""
    highest: UUID | None = UUID(int=(1 << 128) - 1)
    pending: tuple[Pending, ...] = ()

    @property
    def tells_pending(self) -> bool:
        """Whether `pending` are all that the totals count."""
        return len(self.pending) == self.totals.pending


def first_seal(session_id: str, user_id: str, created_at: int) -> bytes:
    """The seal before the first record: it ties the chain to its session and owner."""
    return sha256(to_canonical_json([session_id, user_id, created_at]).encode()).digest()


def sealed(record: Record, before: bytes) -> Record:
    """The record with its seal, which covers all of it and `before`, the seal before it."""
    digest = sha256(record.content.encode()).hexdigest()
    return record._replace(seal=seal_of(record, digest, before))


def seal_of(record: Record, content_sha256: str, before: bytes) -> bytes:
    """The seal of a record of whose content the digest is known, in hexadecimal digits."""
    covered = to_canonical_json(
        [
            record.number,
            record.kind,
            str(record.request_id),
            record.at,
            content_sha256,
            list(record.totals),
            list(record.completes),
        ]
    )
    return sha256(before + covered.encode()).digest()
