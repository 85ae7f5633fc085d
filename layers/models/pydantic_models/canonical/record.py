"""A record is one entry of a session's log, and a link of its chain.

Each record's seal covers its own content and the seal before it, so whoever changes, drops or
swaps one breaks every seal after it; the closing record's seal stands for the whole session.
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple
from uuid import UUID

from ..base.json_values import to_canonical_json

RecordKind = Literal["tool", "chat", "closed"]


class Totals(NamedTuple):
    """What a session holds: tool requests, those of them still pending, events, messages."""

    requests: int = 0
    pending: int = 0
    events: int = 0
    messages: int = 0

    def plus(self, more: Totals) -> Totals:
        """The totals after `more` came in."""
        return Totals(*(mine + added for mine, added in zip(self, more, strict=True)))


class Record(NamedTuple):
    """Record `number` of a session: the whole effect of one request.

    `at` is in milliseconds since 1970 and never less than that of the record before; `totals`
    count the session up to here; `content` is JSON text; `seal` has 32 bytes.
    """

    number: int
    kind: RecordKind
    request_id: UUID
    at: int
    content: str
    totals: Totals
    seal: bytes


def first_seal(session_id: str, user_id: str, created_at: int) -> bytes:
    """The seal before the first record: it ties the chain to its session and owner."""
    return hashlib.sha256(to_canonical_json([session_id, user_id, created_at]).encode()).digest()


def seal_after(
    before: bytes,
    number: int,
    kind: RecordKind,
    request_id: UUID,
    at: int,
    content: str,
    totals: Totals,
) -> bytes:
    """The seal of a record that follows the one sealed with `before`."""
    content_digest = hashlib.sha256(content.encode()).hexdigest()
    entry = to_canonical_json([number, kind, str(request_id), at, content_digest, list(totals)])
    return hashlib.sha256(before + entry.encode()).digest()
