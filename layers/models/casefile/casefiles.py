"""Casefiles: the head of each, and the count of the sessions filed in it.

The count goes from c to c + 1 only if it still is c, in the same transaction that writes the
session. So it equals the number of sessions filed, at any moment, and each filing knows its own
exact total.

    pk CASEFILE#<casefile_id>   sk HEAD
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.canonical import CasefileACL, CasefileMetadata, CasefileModel
from pydantic_models.operations import CreateCasefileRequest

from . import access, creation, dynamodb
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed, to_attributes

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

LISTED_SESSIONS = 10_000
"""How many session ids of each kind a casefile shows."""


@dataclass(frozen=True)
class CasefileHead:
    """A casefile as stored; times are in milliseconds since 1970."""

    casefile_id: str
    user_id: str
    title: str
    description: str
    tags: list[str]
    created_at: int
    updated_at: int
    session_count: int
    metadata: dict[str, Any]


def _key(casefile_id: str) -> dict[str, Any]:
    return to_attributes({"pk": f"CASEFILE#{casefile_id}", "sk": "HEAD"})


def _head(casefile_id: str, item: Item) -> CasefileHead:
    return CasefileHead(
        casefile_id=casefile_id,
        user_id=item["user_id"],
        title=item["title"],
        description=item["description"],
        tags=item["tags"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        session_count=item["session_count"],
        metadata=json.loads(item["metadata"]),
    )


def create(request: CreateCasefileRequest) -> CasefileHead:
    """Open a casefile of the caller's. Raises RequestIdReused."""
    casefile_id = creation.new_id("cf", request)
    at = to_milliseconds(now())
    item: Item = {
        "pk": f"CASEFILE#{casefile_id}",
        "sk": "HEAD",
        "user_id": request.user_id,
        "title": request.payload.title,
        "description": request.payload.description,
        "tags": request.payload.tags,
        "created_at": at,
        "updated_at": at,
        "session_count": 0,
        "metadata": to_json(request.metadata),
        **creation.origin(request),
    }
    try:
        dynamodb.create(item)
    except ConditionFailed as taken:
        item = taken.item or item
        creation.check_origin(item, request)
    return _head(casefile_id, item)


def find(casefile_id: str, user_id: str) -> CasefileHead:
    """The casefile as it is now. Raises NotFound if there is none that the user may see."""
    item = dynamodb.get(_key(casefile_id))
    return _checked(casefile_id, item, user_id)


def _checked(casefile_id: str, item: Item | None, user_id: str) -> CasefileHead:
    access.require_casefile(casefile_id, item.get("user_id") if item else None, user_id)
    return _head(casefile_id, item or {})


def read(casefile_id: str, user_id: str) -> CasefileModel:
    """The casefile with the ids of its sessions. Raises NotFound."""
    head = find(casefile_id, user_id)
    return CasefileModel(
        casefile_id=casefile_id,
        metadata=CasefileMetadata(
            title=head.title,
            description=head.description,
            tags=head.tags,
            created_by=head.user_id,
            created_at=text_of(head.created_at),
            updated_at=text_of(head.updated_at),
            request_metadata=head.metadata,
        ),
        acl=CasefileACL(owner_id=head.user_id),
        session_ids=_session_ids(casefile_id),
        session_count=head.session_count,
    )


def file_session(
    casefile_id: str, user_id: str, write: Callable[[int], TransactWriteItemTypeDef]
) -> int:
    """Do `write(total)` on a session and count that session here, both or neither.

    Returns the total, which is how many sessions are filed with this one. Raises NotFound if
    there is no such casefile that the user may write, ConditionFailed with the session's item if
    the condition of `write` did not hold, Unavailable if others were faster each time.
    """
    casefile = find(casefile_id, user_id)
    for _ in attempts(f"Casefile {casefile_id}"):
        total = casefile.session_count + 1
        try:
            dynamodb.transact([write(total), _count(casefile)])
            return total
        except TransactionFailed as failed:
            session, changed = failed.found or (None, None)
            if session is not None:
                raise ConditionFailed(session or None) from failed
            if changed is not None:
                casefile = _checked(casefile_id, changed, user_id)
            else:
                casefile = find(casefile_id, user_id)
    raise AssertionError("attempts() ends by raising")


def release_session(casefile_id: str, write: TransactWriteItemTypeDef) -> None:
    """Do `write` on a session filed here and count one session less, both or neither.

    Raises TransactionFailed if the condition of `write` did not hold.
    """
    for _ in attempts(f"Casefile {casefile_id}"):
        casefile = _head(casefile_id, dynamodb.get(_key(casefile_id)) or {})
        try:
            dynamodb.transact([write, _count(casefile, -1)])
            return
        except TransactionFailed as failed:
            if failed.found and failed.found[0] is not None:
                raise


def _count(casefile: CasefileHead, more: int = 1) -> TransactWriteItemTypeDef:
    return {
        "Update": {
            "TableName": dynamodb.table(),
            "Key": _key(casefile.casefile_id),
            "UpdateExpression": "SET session_count = :more, updated_at = :now",
            "ConditionExpression": "session_count = :count AND user_id = :owner",
            "ExpressionAttributeValues": to_attributes(
                {
                    ":count": casefile.session_count,
                    ":more": casefile.session_count + more,
                    ":now": to_milliseconds(now()),
                    ":owner": casefile.user_id,
                }
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def _session_ids(casefile_id: str) -> list[str]:
    """Ids of the sessions filed here, the newest day's first, from the index."""
    newest: list[str] = []
    for kind in ("ts", "cs"):
        pages = dynamodb.query_pages(
            IndexName=dynamodb.CASEFILE_INDEX,
            KeyConditionExpression="casefile_id = :casefile AND begins_with(pk, :kind)",
            ExpressionAttributeValues=to_attributes(
                {":casefile": casefile_id, ":kind": f"SESSION#{kind}_"}
            ),
            ScanIndexForward=False,
        )
        of_kind: list[str] = []
        for page in pages:
            of_kind += [item["pk"].partition("#")[2] for item in page]
            if len(of_kind) >= LISTED_SESSIONS:
                break
        newest += of_kind[:LISTED_SESSIONS]
    return sorted(newest, key=lambda session_id: session_id.partition("_")[2], reverse=True)
