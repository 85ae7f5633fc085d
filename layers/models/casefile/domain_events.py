"""What a change of the table tells the world: one write, the domain events that follow from it.

Events are derived from the item as it was and as it is, and from records that it names, which never
change. So a change that the stream tells again is told again with the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic_models.base import kind_of
from pydantic_models.base.times import text_of
from pydantic_models.domain_events import (
    CasefileCreated,
    CasefileDeleted,
    CasefileShared,
    CasefileUnshared,
    ChatRewound,
    DomainEvent,
    MessageRecorded,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionLinked,
    SessionUnlinked,
    ToolFailed,
)

from . import casefile_heads, dynamodb, grants, records, sessions
from .dynamodb import Item
from .errors import NotFound

MAX_UNFINISHED = 1000
"""Requests of one closing that are told to have failed: what is read and sent in seconds."""


def of_change(old: Item | None, new: Item) -> Iterator[DomainEvent]:
    """The events of one write that is news, from the item before, if there was one, and after."""
    if not new.get("news"):
        return
    identifier = dynamodb.identifier(new)
    if records.is_record(new):
        yield from _of_record(identifier, new)
    elif sessions.is_head(new):
        yield from _of_session(identifier, old, new)
    elif casefile_heads.is_head(new):
        yield from _of_casefile(identifier, old, new)
    elif grants.is_grant(new) and new.get("at") != (old or {}).get("at"):
        yield from _of_grant(identifier, new)


def _of_session(session_id: str, old: Item | None, new: Item) -> Iterator[DomainEvent]:
    session = {"session_id": session_id, "session_type": kind_of(session_id)}
    before, after = (old or {}).get("casefile_id"), new.get("casefile_id")
    if "deleted_at" in new:
        if "deleted_at" not in (old or {}):
            yield SessionDeleted(**session, occurred_at=text_of(new["deleted_at"]))
        return
    if old is None:
        at = text_of(new["created_at"])
        yield SessionCreated(**session, occurred_at=at, user_id=new["user_id"], casefile_id=after)
    if before is not None and before != after:
        at = text_of(new["updated_at"])
        yield SessionUnlinked(**session, occurred_at=at, casefile_id=before)
    if after is not None and before != after:
        yield SessionLinked(
            **session,
            occurred_at=text_of(new["filed_at"]),
            casefile_id=after,
            total_sessions=new["total_sessions"],
        )


def _of_record(session_id: str, item: Item) -> Iterator[DomainEvent]:
    record = records.from_item(item)
    common = {
        "session_id": session_id,
        "session_type": kind_of(session_id),
        "occurred_at": text_of(record.at),
        "record": record.number,
    }
    totals = record.totals
    if record.kind == "closed":
        for request_id in records.request_ids(session_id, record.completes[:MAX_UNFINISHED]):
            yield ToolFailed(**common, request_id=str(request_id), tool_name=None)
        yield SessionClosed(
            **common,
            total_requests=totals.requests,
            total_messages=totals.messages,
            total_events=totals.events,
            unfinished_requests=len(record.completes),
            seal=record.seal.hex(),
        )
    elif record.kind == "chat":
        yield MessageRecorded(**common, total_messages=totals.messages)
    elif record.kind == "rewind":
        yield ChatRewound(**common, total_messages=totals.messages)
    elif record.kind in ("tool", "result"):
        try:
            content = json.loads(records.whole(session_id, item).content)
        except NotFound:  # It was deleted since.
            return
        completed = content.get("request_id", str(record.request_id))
        yield ToolFailed(**common, request_id=completed, tool_name=content.get("tool_name"))


def _of_casefile(casefile_id: str, old: Item | None, new: Item) -> Iterator[DomainEvent]:
    if "deleted_at" in new:
        if "deleted_at" not in (old or {}):
            at = text_of(new["deleted_at"])
            yield CasefileDeleted(casefile_id=casefile_id, occurred_at=at)
    elif old is None:
        at = text_of(new["created_at"])
        yield CasefileCreated(casefile_id=casefile_id, occurred_at=at, user_id=new["user_id"])


def _of_grant(casefile_id: str, grant: Item) -> Iterator[DomainEvent]:
    about = {
        "casefile_id": casefile_id,
        "occurred_at": text_of(grant["at"]),
        "target_user_id": grants.grantee(grant),
    }
    if grant["level"] == "none":
        yield CasefileUnshared(**about, revoked_by=grant["granted_by"])
        return
    expires_at = grant.get("expires_at")
    yield CasefileShared(
        **about,
        permission=grant["level"],
        granted_by=grant["granted_by"],
        expires_at=None if expires_at is None else text_of(expires_at),
    )
