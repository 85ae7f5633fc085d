"""Requests and responses of the operations on tool sessions."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from ..base.envelopes import (
    BaseRequest,
    BaseResponse,
    ConfirmedPayload,
    RequestPayload,
    RequestStatus,
    ResponsePayload,
)
from ..base.identifiers import CasefileId, ToolSessionId
from ..base.json_values import JsonObject, Text
from ..canonical.casefile import Title
from ..canonical.content import AttachmentPayload, RecordLink
from ..canonical.tool_session import (
    ErrorMessage,
    ToolEventPayload,
    ToolName,
    ToolRequest,
)


class CreateSessionPayload(RequestPayload):
    """A tool session to open."""

    casefile_id: CasefileId | None = Field(None, description="File it there in the same step")
    title: Title | None = None


class CreateSessionRequest(BaseRequest[CreateSessionPayload]):
    """Open a tool session."""

    operation: Literal["create_session"] = "create_session"


class SessionCreatedPayload(ResponsePayload):
    """The tool session that was opened."""

    session_id: str = Field(examples=["ts_251013_tool001"])
    casefile_id: str | None = Field(None, examples=["cf_251013_abc123"])
    created_at: str = Field(examples=["2025-10-13T14:30:00.000+00:00"])


class CreateSessionResponse(BaseResponse[SessionCreatedPayload]):
    """Tells the id of the tool session that was opened."""


class GetSessionPayload(RequestPayload):
    """A tool session to read."""

    session_id: ToolSessionId
    include_requests: bool = Field(False, description="Give its requests, each with its events")
    include_events: bool = Field(False, description="Give all its events as one list")


class GetSessionRequest(BaseRequest[GetSessionPayload]):
    """Read a tool session."""

    operation: Literal["get_session"] = "get_session"


class SessionDataPayload(ResponsePayload):
    """A tool session. Its requests and events are there when they were asked for."""

    session_id: str
    user_id: str
    casefile_id: str | None
    created_at: str
    updated_at: str
    active: bool
    title: str | None = Field(None, min_length=1, max_length=200)
    request_count: int = Field(0, ge=0)
    event_count: int = Field(0, ge=0)
    pending_count: int = Field(0, ge=0, description="Requests that have no result yet")
    closed_at: str | None = None
    seal: str | None = Field(None, description="Of a closed session: stands for all its records")
    archived_at: str | None = Field(
        None, description="Since when the archive has the session, too; null while it hasn't"
    )
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    request_ids: list[str] = Field(default_factory=list)
    requests: list[ToolRequest] = Field(default_factory=list)
    events: list[dict[str, Any]] = Field(default_factory=list)


class GetSessionResponse(BaseResponse[SessionDataPayload]):
    """Gives a tool session."""


class GetToolRequestPayload(RequestPayload):
    """A tool request to read."""

    session_id: ToolSessionId
    request_id: UUID


class GetToolRequestRequest(BaseRequest[GetToolRequestPayload]):
    """Read one tool request."""

    operation: Literal["get_tool_request"] = "get_tool_request"


class ToolRequestDataPayload(ResponsePayload):
    """A tool request with its events, and its outcome if there is one by now."""

    session_id: str
    request: ToolRequest


class GetToolRequestResponse(BaseResponse[ToolRequestDataPayload]):
    """Gives one tool request."""


class ToolRequestPayload(RequestPayload):
    """A tool execution to record. Without result or error message it stays pending."""

    session_id: ToolSessionId
    tool_name: ToolName
    parameters: JsonObject = Field(default_factory=dict)
    prompt: Text | None = None
    casefile_id: CasefileId | None = Field(None, description="A label; it gives nobody access")
    session_request_id: str | None = Field(
        None, min_length=1, max_length=200, description="Your own name for it; else its request id"
    )
    result: JsonObject | None = None
    error_message: ErrorMessage | None = None
    duration_ms: int | None = Field(None, ge=0, le=10**12, strict=True)
    events: list[ToolEventPayload] = Field(
        default_factory=list, max_length=100, description="What happened inside the execution"
    )
    attachments: list[AttachmentPayload] = Field(
        default_factory=list, max_length=20, description="What was uploaded for it"
    )

    @model_validator(mode="after")
    def _ends_one_way(self) -> ToolRequestPayload:
        if self.result is not None and self.error_message is not None:
            raise ValueError("give a result or an error_message, not both")
        _check_events(self)
        return self


def _check_events(payload: ToolRequestPayload | ToolResultPayload) -> None:
    """Raise ValueError for an event that can't have happened with this outcome, or without one."""
    impossible = {"tool_execution_failed", "tool_execution_completed", "tool_response_sent"}
    if payload.result is not None:
        impossible = {"tool_execution_failed"}
    elif payload.error_message is not None:
        impossible = {"tool_execution_completed"}
    for event in payload.events:
        if event.event_type in impossible:
            raise ValueError(f"an event {event.event_type} contradicts the outcome given")


class ToolExecutionRequest(BaseRequest[ToolRequestPayload]):
    """Record a tool execution."""

    operation: Literal["tool_execution"] = "tool_execution"


class ToolResponsePayload(ResponsePayload):
    """The tool execution as recorded."""

    result: dict[str, Any]
    events: list[dict[str, Any]] = Field(default_factory=list)
    session_request_id: str | None = Field(None, min_length=1, max_length=200)
    session_id: str
    status: RequestStatus = Field(description="Pending until there is a result or an error")
    error_message: str | None = None
    record: int = Field(ge=1, description="Number of the record in its session")
    recorded_at: str
    left_out: list[RecordLink] = Field(
        default_factory=list,
        description="Where the parameters and result are, if they are too large to tell here",
    )


class ToolExecutionResponse(BaseResponse[ToolResponsePayload]):
    """Tells where a tool execution was recorded, and its events."""


class ToolResultPayload(RequestPayload):
    """How a pending tool request ended: a result, or an error message."""

    session_id: ToolSessionId
    request_id: UUID = Field(description="The tool request that ended")
    result: JsonObject | None = None
    error_message: ErrorMessage | None = None
    duration_ms: int | None = Field(None, ge=0, le=10**12, strict=True)
    events: list[ToolEventPayload] = Field(
        default_factory=list, max_length=100, description="What happened since the request"
    )
    attachments: list[AttachmentPayload] = Field(
        default_factory=list, max_length=20, description="What was uploaded for it"
    )

    @model_validator(mode="after")
    def _ends_one_way(self) -> ToolResultPayload:
        if (self.result is None) == (self.error_message is None):
            raise ValueError("give a result or an error_message")
        _check_events(self)
        return self


class ToolResultRequest(BaseRequest[ToolResultPayload]):
    """Complete a pending tool request, or fail it."""

    operation: Literal["tool_result"] = "tool_result"


class ToolResultResponse(BaseResponse[ToolResponsePayload]):
    """Tells where the outcome was recorded, and all events of the tool execution."""


class CloseSessionPayload(RequestPayload):
    """A tool session to close."""

    session_id: ToolSessionId
    force: bool = Field(False, description="Close it with pending requests, which fail with it")


class CloseSessionRequest(BaseRequest[CloseSessionPayload]):
    """Close a tool session."""

    operation: Literal["close_session"] = "close_session"


class SessionClosedPayload(ResponsePayload):
    """The totals of a closed tool session."""

    session_id: str = Field(examples=["ts_251013_tool001"])
    closed_at: str = Field(examples=["2025-10-13T16:00:00.000+00:00"])
    total_requests: int = Field(ge=0, description="Tool executions in it", examples=[12])
    total_events: int = Field(ge=0, description="Events in it", examples=[48])
    duration_seconds: int | None = Field(
        None, ge=0, description="Whole seconds from creation to closing", examples=[1800]
    )


class CloseSessionResponse(BaseResponse[SessionClosedPayload]):
    """Tells the totals of a closed tool session."""


class DeleteSessionPayload(ConfirmedPayload):
    """A tool session to delete for good."""

    session_id: ToolSessionId


class DeleteSessionRequest(BaseRequest[DeleteSessionPayload]):
    """Delete a tool session, its records included."""

    operation: Literal["delete_session"] = "delete_session"


class SessionDeletedPayload(ResponsePayload):
    """The session that is gone."""

    session_id: str
    deleted_at: str


class DeleteSessionResponse(BaseResponse[SessionDeletedPayload]):
    """Tells that a tool session is gone."""
