"""Casefiles: the head of each, and the count of the sessions filed in it.

The count goes from c to c + 1 only if it still is c, in the same transaction that writes the
session. So it equals the number of sessions filed, at any moment, and each filing knows its own
exact total.

    pk CASEFILE#<casefile_id>   sk HEAD, and its grants, see grants.py
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.canonical import (
    CasefileACL,
    CasefileMetadata,
    CasefileModel,
    PermissionLevel,
)
from pydantic_models.operations import CreateCasefileRequest, UpdateCasefileRequest

from . import access, creation, dynamodb, grants
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed, to_attributes
from .errors import Forbidden, NotFound

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

HEAD = "HEAD"

LISTED_SESSIONS = 10_000
"""How many session ids of each kind a casefile shows."""


@dataclass(frozen=True)
class CasefileHead:
    """A casefile as stored; times are in milliseconds since 1970."""

    casefile_id: str
    user_id: str
    created_by: str
    title: str
    description: str
    tags: list[str]
    created_at: int
    updated_at: int
    session_count: int
    metadata: dict[str, Any]
    notes: str | None
    changed_by: bytes | None


def partition(casefile_id: str) -> str:
    """The partition that holds everything of a casefile."""
    return f"CASEFILE#{casefile_id}"


def key(casefile_id: str) -> dict[str, Any]:
    """The key of a casefile's head."""
    return to_attributes({"pk": partition(casefile_id), "sk": HEAD})


def _head(casefile_id: str, item: Item) -> CasefileHead:
    return CasefileHead(
        casefile_id=casefile_id,
        user_id=item["user_id"],
        created_by=item["created_by"],
        title=item["title"],
        description=item["description"],
        tags=item["tags"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        session_count=item["session_count"],
        metadata=json.loads(item["metadata"]),
        notes=item.get("notes"),
        changed_by=item.get("changed_by"),
    )


def create(request: CreateCasefileRequest) -> CasefileHead:
    """Open a casefile of the caller's. Raises RequestIdReused."""
    casefile_id = creation.new_id("cf", request)
    at = to_milliseconds(now())
    item: Item = {
        "pk": partition(casefile_id),
        "sk": HEAD,
        "user_id": request.user_id,
        "created_by": request.user_id,
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
        if not is_alive(item):
            raise NotFound(
                "The casefile that this request created was deleted. It stays deleted."
            ) from None
        creation.check_origin(item, request)
    return _head(casefile_id, item)


def is_alive(item: Item | None) -> TypeGuard[Item]:
    """Whether an item is the head of a casefile that is not deleted, nor about to be."""
    return item is not None and "deleting_at" not in item


def find(casefile_id: str, user_id: str) -> CasefileHead:
    """The casefile as it is now. Raises NotFound and Forbidden."""
    item = dynamodb.get(key(casefile_id))
    if not is_alive(item):
        raise access.missing_casefile(casefile_id)
    if item["user_id"] != user_id:  # The owner's rights need no other read.
        item = grants.permitted(casefile_id, user_id).casefile
    return _head(casefile_id, item)


def access_list(casefile_id: str, user_id: str) -> CasefileACL:
    """Who may do what, as far as the user may see it. Raises NotFound and Forbidden."""
    permissions = grants.permitted(casefile_id, user_id)
    listed = grants.entries(casefile_id, permissions)
    if not access.includes(permissions.level(user_id), access.ADMIN):
        listed = [entry for entry in listed if entry.user_id == user_id]
    return CasefileACL(
        owner_id=permissions.owner,
        permissions=listed,
        public_access=permissions.granted(grants.EVERYBODY),
    )


def level_of(casefile_id: str, user_id: str, asking: str) -> PermissionLevel:
    """What a user may do, told to who asks. Raises NotFound and Forbidden."""
    permissions = grants.permitted(casefile_id, asking, user_id)
    if asking != user_id and not access.includes(permissions.level(asking), access.ADMIN):
        raise Forbidden("Only admins may ask what others may do.")
    return permissions.level(user_id)


def handing_over(casefile: Item, user_id: str, at: int) -> TransactWriteItemTypeDef:
    """The write that makes a user the owner, if its owner still is who it was."""
    return _if_owned(casefile, "SET user_id = :new, updated_at = :at", {":new": user_id, ":at": at})


def keeping_owner(casefile: Item) -> TransactWriteItemTypeDef:
    """The condition that the casefile's owner still is who it was."""
    return {
        "ConditionCheck": {
            "TableName": dynamodb.table(),
            "Key": to_attributes({"pk": casefile["pk"], "sk": HEAD}),
            "ConditionExpression": "user_id = :owner AND attribute_not_exists(deleting_at)",
            "ExpressionAttributeValues": to_attributes({":owner": casefile["user_id"]}),
        }
    }


def _if_owned(casefile: Item, expression: str, values: Item) -> TransactWriteItemTypeDef:
    return {
        "Update": {
            "TableName": dynamodb.table(),
            "Key": to_attributes({"pk": casefile["pk"], "sk": HEAD}),
            "UpdateExpression": expression,
            "ConditionExpression": "user_id = :owner AND attribute_not_exists(deleting_at)",
            "ExpressionAttributeValues": to_attributes(values | {":owner": casefile["user_id"]}),
        }
    }


def read(casefile_id: str, user_id: str) -> CasefileModel:
    """The casefile with the ids of its sessions. Raises NotFound."""
    head = find(casefile_id, user_id)
    return CasefileModel(
        casefile_id=casefile_id,
        metadata=CasefileMetadata(
            title=head.title,
            description=head.description,
            tags=head.tags,
            created_by=head.created_by,
            created_at=text_of(head.created_at),
            updated_at=text_of(head.updated_at),
            request_metadata=head.metadata,
        ),
        acl=access_list(casefile_id, user_id),
        session_ids=session_ids(casefile_id),
        session_count=head.session_count,
        notes=head.notes,
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
            session, _ = failed.found or (None, None)
            if session is not None:
                raise ConditionFailed(session or None) from failed
            casefile = find(casefile_id, user_id)
    raise AssertionError("attempts() ends by raising")


def release_session(casefile_id: str, write: Callable[[int], TransactWriteItemTypeDef]) -> int:
    """Do `write(total)` on a session filed here and count one session less, both or neither.

    Returns the total without it. Raises TransactionFailed if the condition of `write` did not hold.
    """
    for _ in attempts(f"Casefile {casefile_id}"):
        casefile = _head(casefile_id, dynamodb.get(key(casefile_id)) or {})
        total = casefile.session_count - 1
        try:
            dynamodb.transact([write(total), _count(casefile, -1)])
            return total
        except TransactionFailed as failed:
            if failed.found and failed.found[0] is not None:
                raise
    raise AssertionError("attempts() ends by raising")


def change(request: UpdateCasefileRequest) -> CasefileModel:
    """Change what a casefile says of itself, and return it as it is then.

    The same request again changes nothing. Raises NotFound and Forbidden.
    """
    casefile_id = request.payload.casefile_id
    changes: Item = request.payload.changes()
    for _ in attempts(f"Casefile {casefile_id}"):
        casefile = find(casefile_id, request.user_id)
        if casefile.changed_by == request.request_id.bytes:
            break
        made = changes | {
            "changed_by": request.request_id.bytes,
            "updated_at": to_milliseconds(now()),
        }
        with contextlib.suppress(ConditionFailed):  # It was handed over just now: look again.
            setting, values = dynamodb.setting(made)
            dynamodb.update(
                key(casefile_id),
                setting,
                condition="user_id = :owner AND attribute_not_exists(deleting_at)",
                values=values | {":owner": casefile.user_id},
            )
            break
    return read(casefile_id, request.user_id)


def _count(casefile: CasefileHead, more: int = 1) -> TransactWriteItemTypeDef:
    return {
        "Update": {
            "TableName": dynamodb.table(),
            "Key": key(casefile.casefile_id),
            "UpdateExpression": "SET session_count = :more, updated_at = :now",
            "ConditionExpression": "session_count = :count AND user_id = :owner"
            + (" AND attribute_not_exists(deleting_at)" if more > 0 else ""),
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


def session_ids(casefile_id: str) -> list[str]:
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
