"""Cursors: where a list goes on, signed.

A cursor holds a place in a list and nothing that chooses the list: that follows from who asks, and
for what, each time. The signature covers both, so a cursor that was altered, or that belongs to
somebody else or to another list, is refused. The key was drawn at random when first needed, and
lies in the table.

    pk KEY#cursors   sk HEAD
"""

from __future__ import annotations

import binascii
import functools
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from . import dynamodb
from .dynamodb import ConditionFailed, Item
from .errors import BadRequest

_SIGNATURE_BYTES = 16
_KEY: Item = {"pk": "KEY#cursors", "sk": "HEAD"}


def sign(place: list[Any], of: str) -> str:
    """A cursor for a place, of JSON values, in the list that `of` describes."""
    said = json.dumps(place, separators=(",", ":"), ensure_ascii=False).encode()
    return urlsafe_b64encode(_signature(said, of) + said).rstrip(b"=").decode()


def read(cursor: str, of: str) -> list[Any]:
    """The place that a cursor was made for. Raises BadRequest unless it is of this very list."""
    try:
        signed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (ValueError, binascii.Error):
        signed = b""
    signature, said = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
    if not said or not hmac.compare_digest(signature, _signature(said, of)):
        raise BadRequest(
            "The cursor is not one of this list. Send it as it was given, with the same user, "
            "filters and order; or begin again without."
        )
    place: list[Any] = json.loads(said)
    return place


def _signature(said: bytes, of: str) -> bytes:
    return hmac.digest(_key(), of.encode() + b"\0" + said, "sha256")[:_SIGNATURE_BYTES]


@functools.cache
def _key() -> bytes:
    """The one key of this deployment, drawn by whoever needs it first."""
    item = dynamodb.get(_KEY)
    if item is None:
        item = _KEY | {"key": secrets.token_bytes(32)}
        try:
            dynamodb.create(item)
        except ConditionFailed as drawn:
            item = drawn.item or item
    key: bytes = item["key"]
    return key
