"""A tool session: the tool executions that one agent's process reports, and their events."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from ..base.envelopes import RequestStatus
from ..base.json_values import JsonObject, Text
from ..base.model import Model
from ..base.times import Timestamp, now_text
from .content import Attachment, RecordLink
from .lifecycle import LIFECYCLE_EVENT_TYPES

EventType = Annotated[str, StringConstraints(min_length=1, max_length=100)]
ToolName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
MAX_ERROR_MESSAGE = 2000
ErrorMessage = Annotated[str, StringConstraints(max_length=MAX_ERROR_MESSAGE)]
Count = Annotated[int, Field(ge=0, le=10**12, strict=True)]
"""A number that a caller tells: one that any reader of JSON can hold."""


class ToolEvent(Model):
    """Something that happened inside a tool execution."""

    event_id: str = Field(default="", max_length=200, description="Given by Casefile if left empty")
    event_type: EventType = Field(examples=list(LIFECYCLE_EVENT_TYPES))
    tool_name: ToolName
    timestamp: Timestamp = Field(default_factory=now_text)
    parameters: JsonObject = Field(default_factory=dict)
    result_summary: JsonObject | None = None
    duration_ms: int | None = Field(None, ge=0, strict=True)
    status: Literal["success", "error", "pending"] | None = None
    error_message: ErrorMessage | None = None
    initiator: str = Field("user", max_length=200)
    chain_position: int | None = Field(None, ge=0, strict=True)
    chain_id: str | None = Field(None, max_length=200)
    reasoning: str | None = Field(None, max_length=2000)
    source_message_id: str | None = Field(None, max_length=200)
    related_events: list[Text] = Field(default_factory=list, max_length=100)


class ToolEventPayload(ToolEvent):
    """An event as the caller reports it."""

    model_config = ConfigDict(extra="forbid")

    duration_ms: Count | None = None
    chain_position: Count | None = None


class ToolRequest(Model):
    """One tool execution as recorded: what was asked, and how it ended if it has."""

    request_id: UUID
    session_request_id: str
    user_id: str = Field(description="Who recorded it")
    completed_by: str | None = Field(None, description="Who recorded its outcome")
    record: int = Field(ge=1, description="Number of the record in its session")
    recorded_at: str
    completed_at: str | None = Field(None, description="When its outcome was recorded")
    status: RequestStatus
    tool_name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    prompt: str | None = None
    casefile_id: str | None = None
    result: dict[str, Any] | None = None
    error_message: str | None = None
    duration_ms: int | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    result_metadata: dict[str, Any] = Field(
        default_factory=dict, description="That of the request that brought its outcome"
    )
    events: list[dict[str, Any]] = Field(default_factory=list)
    attachments: list[Attachment] = Field(default_factory=list)
    result_attachments: list[Attachment] = Field(default_factory=list)
    left_out: list[RecordLink] = Field(
        default_factory=list,
        description="Where its parameters and result are, if they are too large to tell here",
    )


class ToolSession(Model):
    """The complete record of a tool session's existence."""

    session_id: str
    user_id: str
    casefile_id: str | None = None
    created_at: str = Field(default_factory=now_text)
    updated_at: str = Field(default_factory=now_text)
    request_ids: list[str] = Field(default_factory=list)
    active: bool = True
