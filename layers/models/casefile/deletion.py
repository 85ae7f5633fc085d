"""Deleting a session for good, in steps that can each be repeated.

1. The slot after the newest record gets a dead stub, so no append can win it.
2. The head becomes a tombstone, and the casefile that it was filed in counts one session less.
3. Every record is overwritten by a dead stub; the stubs expire a day later.
4. What the records pointed at in the bucket is deleted.

Overwriting costs what deleting would, and leaves no slot free that an instance with an old memory
could win: whoever meets a stub or the tombstone learns that there is no such session. The
tombstone stays, so a late retry of the creation revives nothing. It holds the time of the deletion
and a digest by which only the owner can repeat it, and nothing of what the session was.
"""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

from pydantic_models.base.times import now, to_milliseconds

from . import access, casefiles, contents, dynamodb, records, sessions
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed

STUB_SECONDS = 24 * 60 * 60
"""How long a dead stub holds its slot: far longer than any instance remembers a session."""


def delete(session_id: str, user_id: str) -> int:
    """Delete a session in any state; returns the time, in milliseconds since 1970.

    Sent again, it goes on where it was interrupted. Raises NotFound, and Unavailable when there
    is more to delete than there is time.
    """
    deleted_at = _bury(session_id, user_id)
    for page in records.slots(session_id):
        dynamodb.put_many([_stub(session_id, number) for number, is_dead in page if not is_dead])
    contents.delete_all(session_id)
    return deleted_at


def _bury(session_id: str, user_id: str) -> int:
    """Put an end to the log and turn the head into a tombstone, once."""
    owner = sha256(f"{session_id}\n{user_id}".encode()).digest()
    for _ in attempts(f"Session {session_id}"):
        head, newest = records.top(session_id)
        if head is not None and "deleted_at" in head:
            if head["owner"] != owner:
                raise access.missing_session(session_id)
            return int(head["deleted_at"])
        sessions.authorize(session_id, sessions.from_item(head) if head else None, user_id)
        deleted_at = to_milliseconds(now())
        tombstone = {
            "pk": sessions.partition(session_id),
            "sk": sessions.HEAD,
            "owner": owner,
            "deleted_at": deleted_at,
        }
        try:
            if newest is None or newest["kind"] != records.DEAD:
                number = int(newest["sk"]) + 1 if newest else 1
                dynamodb.create(_stub(session_id, number))
            _replace_head(head or {}, tombstone, user_id)
        except (ConditionFailed, TransactionFailed):
            continue  # Something was appended, or the session was filed, just now.
        return deleted_at
    raise AssertionError("attempts() ends by raising")


def _replace_head(head: Item, tombstone: Item, user_id: str) -> None:
    casefile_id = head.get("casefile_id")
    unchanged = "casefile_id = :casefile" if casefile_id else "attribute_not_exists(casefile_id)"
    put: Any = {
        "TableName": dynamodb.table(),
        "Item": dynamodb.to_attributes(tombstone),
        "ConditionExpression": f"user_id = :user AND {unchanged}",
        "ExpressionAttributeValues": dynamodb.to_attributes(
            {":user": user_id, ":casefile": casefile_id}
        ),
    }
    if casefile_id is None:
        dynamodb.put(put)
    else:
        casefiles.release_session(casefile_id, lambda _: {"Put": put})


def _stub(session_id: str, number: int) -> Item:
    expires = int(time.time()) + STUB_SECONDS
    return records.slot_key(session_id, number) | {"kind": records.DEAD, "ttl": expires}
