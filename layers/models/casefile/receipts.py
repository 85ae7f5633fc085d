"""Receipts: requests that change what is there, and are known when they come again.

The idea: what a request changes beside a log (a head, a grant), it changes in one transaction with
an item of its own, named by who asks and by the request's id, which must not be there yet.

What follows:
- The change is made once, however late it is sent again and whatever was changed since. So a grant
  that comes a second time gives nothing back that was revoked in between.
- The same id from somebody else is another request; for something else, it is refused.
- What the request was answered lies in its receipt, as far as it can't be told anew; and so does
  what the log tells of the change, for the first time may have ended before it was logged.

The guarantee: a receipt stays longer than a request may be old, so none is done twice.

    pk REQUEST#<digest of the user and the request's id>   sk HEAD
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from pydantic_models.base.times import now

from . import creation, dynamodb
from .creation import AnyRequest
from .dynamodb import Item, Value, Write

KEPT = creation.MAX_AGE + timedelta(days=1)


def find(request: AnyRequest, among: str = "changes") -> Item | None:
    """What was kept when the request was done, or None if it was not.

    Raises BadRequest for one dated too early or too late, and RequestIdReused if its id was used
    for something else.
    """
    creation.check_age(request)
    item = dynamodb.get(_key(request.user_id, request.request_id.bytes, among))
    if item is not None:
        creation.check_origin(item, request)
    return item


def leaving(request: AnyRequest, **outcome: Value) -> Write:
    """The write of a request's receipt, with what its answer tells."""
    return kept(request.user_id, request.request_id.bytes, request.digest(), outcome)


def kept(
    user_id: str, request_id: bytes, digest: bytes, outcome: Item, among: str = "changes"
) -> Write:
    """The write of the receipt of a request of which only this is known.

    An id stands for one request `among` all changes, or among the filings of one session. A filing
    leaves its receipt only when the next one takes its place in the head: too late to refuse a
    change that used the same id.
    """
    expires = int((now() + KEPT).timestamp())
    item = {**_key(user_id, request_id, among), **outcome, "digest": digest, "ttl": expires}
    return dynamodb.creating(item)


def _key(user_id: str, request_id: bytes, among: str) -> Item:
    named = sha256(request_id + f"{among}\n{user_id}".encode()).hexdigest()
    return {"pk": f"REQUEST#{named}", "sk": "HEAD"}
