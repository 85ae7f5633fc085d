"""Requests and responses of the operations on tool sessions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..base.envelopes import (
    BaseRequest,
    BaseResponse,
    ConfirmedPayload,
    RequestPayload,
    ResponsePayload,
)
from ..base.identifiers import CasefileId, ToolSessionId
from ..canonical.casefile import Title
from ..canonical.tool_session import ToolRequest
from .answers import SessionDeletedPayload


class CreateSessionPayload(RequestPayload):
    """A tool session to open."""

    casefile_id: CasefileId | None = Field(None, description="File it there in the same step")
    title: Title | None = None
    stays_open: bool = Field(False, strict=True, description="It isn't closed for having been idle")


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
    include_requests: bool = Field(
        False, strict=True, description="Give its requests, each with its events"
    )
    include_events: bool = Field(False, strict=True, description="Give all its events as one list")


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
    title: Title | None = None
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


class CloseSessionPayload(RequestPayload):
    """A tool session to close."""

    session_id: ToolSessionId
    force: bool = Field(
        False, strict=True, description="Close it with pending requests, which fail with it"
    )


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


class DeleteSessionResponse(BaseResponse[SessionDeletedPayload]):
    """Tells that a tool session is gone."""
