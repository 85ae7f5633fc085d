"""What users send as JSON comes back as the same JSON.

So whatever JSON cannot carry there and back is refused at the door: infinities, halves of
surrogate pairs, integers that Python does not read, and nesting so deep that some reader would give
up on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator

MAX_DEPTH = 100
"""Levels of arrays and objects inside one value."""

MAX_INTEGER = 10**4300 - 1
"""The largest that Python reads and writes as digits."""


def check_json(value: Any) -> Any:
    """Return `value` unchanged, or raise ValueError saying why it is no portable JSON."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return value
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str):
        if not value.isascii():
            _check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("holds a number that JSON can't carry (infinite or not a number)")
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError("holds an integer of more than 4,300 digits")
    elif value is not None:
        raise ValueError(f"holds a {type(value).__name__}, which is no JSON")


def _check_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None
    return text


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_CANONICAL_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
)


def to_json(value: Any) -> str:
    """Compact JSON text, keys in the order in which they came."""
    return _ENCODER.encode(value)


def to_canonical_json(value: Any) -> str:
    """Compact JSON text, keys sorted: equal for equal values, so fit for digests."""
    return _CANONICAL_ENCODER.encode(value)


Text = Annotated[str, AfterValidator(_check_text)]
"""Text of any length and any characters."""

MAX_METADATA_BYTES = 16_000
"""Of an envelope's metadata, as JSON: what is larger is no metadata, and belongs in the payload."""


def _check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    if value and len(to_json(value).encode()) > MAX_METADATA_BYTES:
        raise ValueError(f"longer than {MAX_METADATA_BYTES} bytes of JSON; put it in the payload")
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(check_json)]
"""A JSON object of anything."""

Metadata = Annotated[dict[str, Any], AfterValidator(check_json), AfterValidator(_check_metadata)]
"""A JSON object of anything, of modest size."""
