"""Domain events: what happened to sessions and casefiles, told to whoever listens on the bus.

An event holds ids, addresses of users, counts and the name of a tool that failed, and nothing else
that was said: who may read that reads it. Its id is derived from what it tells, so an event that is
delivered twice has one id, and consumers can drop repeats.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

from pydantic import Field, TypeAdapter

from .base import SessionKind
from .base.json_values import to_canonical_json
from .base.model import Model
from .canonical.permission_level import PermissionLevel

_NAMESPACE = UUID("0d0a5bb4-98c4-4f0e-8d2c-6a6d6f0f7b21")
"""Of the ids of events."""


class _Event(Model):
    schema_version: Literal[1] = 1
    occurred_at: str = Field(description="When it took effect (ISO 8601)")

    @property
    def event_id(self) -> UUID:
        """The same for each delivery of the event."""
        return uuid5(_NAMESPACE, to_canonical_json(self.model_dump(mode="json")))

    def detail(self) -> dict[str, Any]:
        """The event as it is sent."""
        return {"event_id": str(self.event_id), **self.model_dump(mode="json")}


class _OfSession(_Event):
    session_id: str
    session_type: SessionKind


class SessionCreated(_OfSession):
    """A session was opened."""

    event_type: Literal["session.created"] = "session.created"
    user_id: str
    casefile_id: str | None = None


class SessionClosed(_OfSession):
    """A session was closed: nothing follows record `record`."""

    event_type: Literal["session.closed"] = "session.closed"
    record: int
    total_requests: int
    total_messages: int
    total_events: int
    unfinished_requests: int = Field(description="Requests that the closing marked failed")
    seal: str = Field(description="The session's seal, in hexadecimal digits")


class SessionDeleted(_OfSession):
    """A session was deleted for good."""

    event_type: Literal["session.deleted"] = "session.deleted"


class SessionLinked(_OfSession):
    """A session was filed in a casefile."""

    event_type: Literal["session.linked"] = "session.linked"
    casefile_id: str
    total_sessions: int = Field(description="How many sessions the casefile held with this one")


class SessionUnlinked(_OfSession):
    """A session was taken out of a casefile."""

    event_type: Literal["session.unlinked"] = "session.unlinked"
    casefile_id: str


class ToolFailed(_OfSession):
    """A tool execution failed, as record `record` says: its own, its result, or the closing.

    Of what one closing fails, the first thousand are told.
    """

    event_type: Literal["tool.failed"] = "tool.failed"
    record: int
    request_id: str = Field(description="Of the tool request that failed")
    tool_name: str | None = Field(None, description="Unless it was asked for in another record")


class MessageRecorded(_OfSession):
    """Messages were recorded, all in one record."""

    event_type: Literal["chat.message_recorded"] = "chat.message_recorded"
    record: int
    total_messages: int = Field(description="How many the session has with these")


class ChatRewound(_OfSession):
    """Messages were withdrawn, or one was replaced, as record `record` says."""

    event_type: Literal["chat.rewound"] = "chat.rewound"
    record: int
    total_messages: int = Field(description="How many stand after it: the first ones")


class CasefileCreated(_Event):
    """A casefile was opened."""

    event_type: Literal["casefile.created"] = "casefile.created"
    casefile_id: str
    user_id: str


class CasefileShared(_Event):
    """Somebody, or everybody (`*`), was given a level in a casefile."""

    event_type: Literal["casefile.shared"] = "casefile.shared"
    casefile_id: str
    target_user_id: str
    permission: PermissionLevel
    granted_by: str
    expires_at: str | None = None


class CasefileUnshared(_Event):
    """What somebody, or everybody (`*`), was given in a casefile was taken away before its time."""

    event_type: Literal["casefile.unshared"] = "casefile.unshared"
    casefile_id: str
    target_user_id: str
    revoked_by: str


class CasefileDeleted(_Event):
    """A casefile was deleted for good."""

    event_type: Literal["casefile.deleted"] = "casefile.deleted"
    casefile_id: str


DomainEvent = Annotated[
    SessionCreated
    | SessionClosed
    | SessionDeleted
    | SessionLinked
    | SessionUnlinked
    | ToolFailed
    | MessageRecorded
    | ChatRewound
    | CasefileCreated
    | CasefileShared
    | CasefileUnshared
    | CasefileDeleted,
    Field(discriminator="event_type"),
]

ADAPTER: TypeAdapter[DomainEvent] = TypeAdapter(DomainEvent)
"""Reads an event from the bus: `ADAPTER.validate_python(event["detail"])`."""
