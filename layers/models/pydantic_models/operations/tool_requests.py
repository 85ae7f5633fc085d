"""Requests and responses of the operations on the requests of tool sessions."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from ..base.envelopes import (
    BaseRequest,
    BaseResponse,
    RequestPayload,
    RequestStatus,
    ResponsePayload,
)
from ..base.identifiers import CasefileId, SessionRequestId, ToolSessionId
from ..base.json_values import JsonObject, Text
from ..canonical.content import Attachments, RecordLink
from ..canonical.lifecycle import COMPLETED, FAILED, SENT
from ..canonical.tool_session import (
    Count,
    ErrorMessage,
    ToolEventPayload,
    ToolName,
    ToolRequest,
)


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
    session_request_id: SessionRequestId | None = Field(
        None, description="Your own name for it; else its request id"
    )
    result: JsonObject | None = None
    error_message: ErrorMessage | None = None
    duration_ms: Count | None = None
    events: list[ToolEventPayload] = Field(
        default_factory=list, max_length=100, description="What happened inside the execution"
    )
    attachments: Attachments = Field(default_factory=list, description="What was uploaded for it")

    @model_validator(mode="after")
    def _ends_one_way(self) -> ToolRequestPayload:
        if self.result is not None and self.error_message is not None:
            raise ValueError("give a result or an error_message, not both")
        _check_events(self)
        return self


def _check_events(payload: ToolRequestPayload | ToolResultPayload) -> None:
    """Raise ValueError for an event that can't have happened with this outcome, or without one."""
    impossible = {COMPLETED, FAILED, SENT}
    if payload.result is not None:
        impossible = {FAILED}
    elif payload.error_message is not None:
        impossible = {COMPLETED}
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
    session_request_id: SessionRequestId | None = None
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
    duration_ms: Count | None = None
    events: list[ToolEventPayload] = Field(
        default_factory=list, max_length=100, description="What happened since the request"
    )
    attachments: Attachments = Field(default_factory=list, description="What was uploaded for it")

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
