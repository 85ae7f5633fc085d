"""Creating exactly once, without a second table.

A new id is derived from who asks and the request's id, its date from the request's own time. A
retry therefore meets the item that the first try made, even across midnight, and the digest kept
in it tells a retry from another request that borrowed the id.
"""

from __future__ import annotations

from base64 import b32encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

from pydantic_models.base.envelopes import BaseRequest
from pydantic_models.base.times import now, to_text, uuid7_time

from .dynamodb import Item
from .errors import BadRequest, RequestIdReused

AnyRequest: TypeAlias = "BaseRequest[Any]"

CLOCK_ALLOWANCE = timedelta(minutes=5)
"""How far clocks may be apart: as far as AWS allows for signed requests (SigV4)."""

MAX_AGE = timedelta(days=15)
"""How old a request may be that records or changes something: longer than SQS keeps a message."""


def new_id(prefix: str, request: AnyRequest) -> str:
    """`<prefix>_yymmdd_<16 characters>`, the same for each retry of the request."""
    check_not_in_future(request.made_at(), request.request_id)
    origin = sha256(f"{request.user_id}\n{request.request_id}".encode()).digest()
    return f"{prefix}_{request.made_at():%y%m%d}_{b32encode(origin[:10]).decode().lower()}"


def check_not_in_future(made_at: datetime, request_id: UUID) -> None:
    """Raise BadRequest for a request dated later than clocks may differ, by a UUIDv7 or else."""
    dated = max(made_at, uuid7_time(request_id) or made_at)
    if dated > now() + CLOCK_ALLOWANCE:
        raise BadRequest(
            f"The request is dated {to_text(dated)}, more than "
            f"{CLOCK_ALLOWANCE.seconds // 60} minutes in the future, by its timestamp or by its "
            "request_id, a UUIDv7. Check the sender's clock."
        )


def check_not_too_old(made_at: datetime) -> None:
    """Raise BadRequest for a request older than what was done is remembered."""
    if made_at < now() - MAX_AGE:
        raise BadRequest(
            f"The request is dated {to_text(made_at)}. One older than {MAX_AGE.days} days is not "
            "taken any more; send a new request, with an id and a timestamp of its own."
        )


def check_age(request: AnyRequest) -> None:
    """Raise BadRequest for a request that is dated too early or too late."""
    check_not_too_old(request.made_at())
    check_not_in_future(request.made_at(), request.request_id)


def origin(request: AnyRequest) -> Item:
    """What a created item keeps of the request that created it."""
    return {"request_id": request.request_id.bytes, "digest": request.digest()}


def check_origin(item: Item, request: AnyRequest) -> None:
    """Raise RequestIdReused unless the item was created by this very request."""
    if item.get("digest") != request.digest():
        raise RequestIdReused(request.request_id)
