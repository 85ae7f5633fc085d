"""Points in time are UTC, to the millisecond, and travel as ISO 8601 text with an offset."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


def now() -> datetime:
    """The time, cut to the millisecond."""
    at = datetime.now(timezone.utc)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def to_milliseconds(time: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (time - _EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The point in time that lies `milliseconds` after 1970 began."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_text(time: datetime) -> str:
    """ISO 8601 in UTC: `2025-10-13T14:30:00.000+00:00`."""
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds")


@lru_cache(maxsize=128)  # A record's is told with each of its messages.
def text_of(milliseconds: int) -> str:
    """The point in time that lies `milliseconds` after 1970 began, as text."""
    return to_text(from_milliseconds(milliseconds))


def from_text(text: str) -> datetime:
    """Read ISO 8601; a time without an offset is read as UTC.

    Raises ValueError for anything else, years that UTC can't hold included.
    """
    # In a URL, + means a space: an offset that was not escaped arrives with one.
    if " " in text:
        text = re.sub(r"(T.*) (\d\d:\d\d)$", r"\1+\2", text)
    try:
        # Python 3.10 does not know the letter Z.
        time = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in "Zz" else text)
        if time.tzinfo is None:
            time = time.replace(tzinfo=timezone.utc)
        return time.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError(
            "not a point in time in ISO 8601; write it like 2025-10-13T14:30:00Z"
        ) from None


def now_text() -> str:
    """The time as text."""
    return to_text(now())


def uuid7_time(identifier: UUID) -> datetime | None:
    """The time that a version 7 UUID carries in its first 48 bits (RFC 9562, 5.7), else None.

    Some of those bits name years past 9999, which no calendar here holds: its last moment, then.
    """
    if identifier.version != 7:
        return None
    try:
        return from_milliseconds(identifier.int >> 80)
    except OverflowError:
        return _LAST


MAX_LENGTH = 64
"""Of text that is read as a time: twice what any way to write one takes."""

Timestamp = Annotated[
    str,
    StringConstraints(max_length=MAX_LENGTH),
    AfterValidator(lambda text: to_text(from_text(text))),
]
"""Text in; the same moment in UTC, with offset and milliseconds, out."""
