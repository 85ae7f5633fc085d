"""Sessions: the head of each, which tells whose it is, its title and its casefile.

A head is written when its session is created, filed or closed, and never by an append: what has
been recorded is told by the log's own tail. So appends don't meet each other here.

    pk SESSION#<session_id>   sk HEAD
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_models.base import kind_of
from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.canonical.record import Record
from pydantic_models.operations import (
    CreateChatSessionRequest,
    CreateSessionRequest,
    RemoveSessionFromCasefileRequest,
    UpdateChatSessionRequest,
    UpdateSessionRequest,
)

from . import access, casefiles, creation, dynamodb, grants
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed, to_attributes
from .errors import AlreadyFiled, Forbidden, NotFound

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

HEAD = "HEAD"
"""The slot of the head: it sorts after every record's."""


ATTRIBUTES = (
    "deleted_at",
    "user_id",
    "title",
    "casefile_id",
    "created_at",
    "updated_at",
    "metadata",
    "tags",
)
"""What a head holds that a SessionHead shows."""


@dataclass(frozen=True)
class SessionHead:
    """A session as stored, less its records; times are in milliseconds since 1970."""

    session_id: str
    user_id: str
    title: str | None
    casefile_id: str | None
    created_at: int
    updated_at: int
    metadata: dict[str, Any]
    tags: list[str]

    @property
    def told(self) -> dict[str, Any]:
        """What the session says of itself."""
        return {
            "session_id": self.session_id,
            "title": self.title,
            "tags": self.tags,
            "metadata": self.metadata,
            "updated_at": text_of(self.updated_at),
        }


@dataclass(frozen=True)
class Filing:
    """A session's place in a casefile: the casefile's total with it, and when it came."""

    casefile_id: str
    total_sessions: int
    at: int


def partition(session_id: str) -> str:
    """The partition that holds everything of a session."""
    return f"SESSION#{session_id}"


def _key(session_id: str) -> dict[str, Any]:
    return to_attributes({"pk": partition(session_id), "sk": HEAD})


def from_item(item: Item) -> SessionHead | None:
    """Read a stored head; None for the tombstone of a deleted session."""
    return None if "deleted_at" in item else _head(item)


def _head(item: Item) -> SessionHead:
    return SessionHead(
        session_id=item["pk"].partition("#")[2],
        user_id=item["user_id"],
        title=item.get("title"),
        casefile_id=item.get("casefile_id"),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        metadata=json.loads(item["metadata"]),
        tags=item.get("tags", []),
    )


def find(session_id: str) -> SessionHead | None:
    """The head of a session as it is now, or None."""
    item = dynamodb.get(_key(session_id))
    return from_item(item) if item else None


def authorize(session_id: str, head: SessionHead | None, user_id: str) -> SessionHead:
    """Return the head if the user may do with its session what the operation needs.

    It must be the head as it is now, unless the user is its owner. Raises NotFound and Forbidden.
    """
    if head is None:
        raise access.missing_session(session_id)
    through = access.NONE
    if head.user_id != user_id and head.casefile_id is not None:
        through = grants.level(head.casefile_id, user_id)
    access.require_session(session_id, access.level_in_session(user_id, head.user_id, through))
    return head


def create(request: CreateSessionRequest | CreateChatSessionRequest) -> SessionHead:
    """Open a session, filed at once if the request names a casefile.

    Answers a retry with the head as it was created. Raises NotFound if there is no such casefile
    of the caller's, and RequestIdReused.
    """
    session_id = creation.new_id("ts" if request.operation == "create_session" else "cs", request)
    casefile_id = request.payload.casefile_id
    at = to_milliseconds(now())
    item: Item = {
        "pk": partition(session_id),
        "sk": HEAD,
        "kind": kind_of(session_id),
        "user_id": request.user_id,
        "title": request.payload.title,
        "created_at": at,
        "updated_at": at,
        "active": True,
        "metadata": to_json(request.metadata),
        **creation.origin(request),
    }
    try:
        if casefile_id is None:
            dynamodb.create(item)
        else:
            filed = {"casefile_id": casefile_id, "filed_at": at}
            casefiles.file_session(
                casefile_id,
                request.user_id,
                lambda total: {"Put": dynamodb.creation(item | filed | {"total_sessions": total})},
            )
    except ConditionFailed as taken:
        item = taken.item or item
        _check_origin(item, request)
    except (Forbidden, NotFound):
        # The casefile may have gone since the first try filed the session in it.
        existing = dynamodb.get(_key(session_id))
        if existing is None:
            raise
        item = existing
        _check_origin(item, request)
    return _head(item | {"casefile_id": casefile_id})


def _check_origin(item: Item, request: CreateSessionRequest | CreateChatSessionRequest) -> None:
    if "deleted_at" in item:
        raise NotFound("The session that this request created was deleted. It stays deleted.")
    creation.check_origin(item, request)


def file(session_id: str, casefile_id: str, user_id: str) -> Filing:
    """File a session in a casefile; filing it there again gives the first answer.

    Raises NotFound for a session or casefile that isn't there or isn't the user's, and
    AlreadyFiled.
    """
    at = to_milliseconds(now())
    try:
        total = casefiles.file_session(
            casefile_id,
            user_id,
            lambda total: {
                "Update": {
                    "TableName": dynamodb.table(),
                    "Key": _key(session_id),
                    "UpdateExpression": "SET casefile_id = :casefile, total_sessions = :total, "
                    "filed_at = :now, updated_at = :now",
                    "ConditionExpression": "user_id = :user AND attribute_not_exists(casefile_id)",
                    "ExpressionAttributeValues": to_attributes(
                        {":casefile": casefile_id, ":total": total, ":now": at, ":user": user_id}
                    ),
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
        )
        return Filing(casefile_id, total, at)
    except ConditionFailed as refused:
        found = refused.item or {}
        authorize(session_id, from_item(found) if found else None, user_id)
        if "casefile_id" not in found:  # Only its owner may file it.
            raise Forbidden(f"Session {session_id} is not yours to file.") from refused
        if found["casefile_id"] != casefile_id:
            raise AlreadyFiled(
                f"Session {session_id} is filed in casefile {found['casefile_id']} already. "
                "A session is in one casefile at a time."
            ) from refused
        return Filing(casefile_id, found["total_sessions"], found["filed_at"])


def take_out(request: RemoveSessionFromCasefileRequest) -> Filing:
    """Take a session out of a casefile; the same request again gets the first answer.

    Raises NotFound, also if it isn't filed there, and Forbidden.
    """
    session_id, casefile_id = request.payload.session_id, request.payload.casefile_id
    for _ in attempts(f"Session {session_id}"):
        item = dynamodb.get(_key(session_id)) or {}
        if item.get("taken_out_by") == request.request_id.bytes:
            total, at = item["taken_out_total"], item["taken_out_at"]
            return Filing(casefile_id, total, at)
        authorize(session_id, from_item(item) if item else None, request.user_id)
        if item.get("casefile_id") != casefile_id:
            raise NotFound(f"Session {session_id} is not filed in casefile {casefile_id}.")
        at = to_milliseconds(now())
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            told: Item = {"taken_out_by": request.request_id.bytes, "taken_out_at": at}
            return Filing(casefile_id, _leave(session_id, casefile_id, told), at)
    raise AssertionError("attempts() ends by raising")


def _leave(session_id: str, casefile_id: str, told: Item) -> int:
    def write(total: int) -> TransactWriteItemTypeDef:
        return leaving(session_id, casefile_id, told | {"taken_out_total": total})

    return casefiles.release_session(casefile_id, write)


def leaving(session_id: str, casefile_id: str, more: Item) -> TransactWriteItemTypeDef:
    """The write that takes a session out of its casefile, and sets more in its head."""
    setting, values = dynamodb.setting({"updated_at": to_milliseconds(now()), **more})
    return {
        "Update": {
            "TableName": dynamodb.table(),
            "Key": _key(session_id),
            "UpdateExpression": f"{setting} REMOVE casefile_id, total_sessions, filed_at",
            "ConditionExpression": "casefile_id = :casefile",
            "ExpressionAttributeValues": to_attributes(values | {":casefile": casefile_id}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def change(request: UpdateSessionRequest | UpdateChatSessionRequest) -> SessionHead:
    """Change what a session says of itself, and return its head as it is then.

    The same request again changes nothing. Raises NotFound and Forbidden.
    """
    session_id = request.payload.session_id
    changes: Item = request.payload.changes()
    if "metadata" in changes:
        changes["metadata"] = to_json(changes["metadata"])
    for _ in attempts(f"Session {session_id}"):
        item = dynamodb.get(_key(session_id)) or {}
        head = authorize(session_id, from_item(item) if item else None, request.user_id)
        if item.get("changed_by") == request.request_id.bytes:
            return head
        made = changes | {
            "changed_by": request.request_id.bytes,
            "updated_at": to_milliseconds(now()),
        }
        place = "casefile_id = :place" if head.casefile_id else "attribute_not_exists(casefile_id)"
        seen: Item = {":user": head.user_id}
        seen |= {":place": head.casefile_id} if head.casefile_id else {}
        with contextlib.suppress(ConditionFailed):  # It was filed or deleted just now: look again.
            setting, values = dynamodb.setting(made)
            return _head(
                dynamodb.update(
                    _key(session_id),
                    setting,
                    condition=f"user_id = :user AND {place}",
                    values=values | seen,
                )
            )
    raise AssertionError("attempts() ends by raising")


def mark_closed(session_id: str, closing: Record) -> None:
    """Show in the head that the log is closed. The log decides; this may be repeated."""
    with contextlib.suppress(ConditionFailed):  # It is shown already.
        dynamodb.update(
            _key(session_id),
            "SET active = :no, closed_at = :at, updated_at = :at, totals = :totals",
            condition="attribute_exists(user_id) AND attribute_not_exists(closed_at)",
            values={":no": False, ":at": closing.at, ":totals": list(closing.totals)},
        )
