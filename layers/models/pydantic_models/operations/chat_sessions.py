"""Requests and responses of the operations on chat sessions."""

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
from ..base.identifiers import CasefileId, ChatSessionId
from ..canonical.casefile import Title
from ..canonical.chat_session import ChatSession
from .answers import SessionDeletedPayload


class CreateChatSessionPayload(RequestPayload):
    """A chat session to open."""

    casefile_id: CasefileId | None = Field(None, description="File it there in the same step")
    title: Title | None = None
    stays_open: bool = Field(False, strict=True, description="It isn't closed for having been idle")


class CreateChatSessionRequest(BaseRequest[CreateChatSessionPayload]):
    """Open a chat session."""

    operation: Literal["create_chat_session"] = "create_chat_session"


class ChatSessionCreatedPayload(ResponsePayload):
    """The chat session that was opened."""

    session_id: str
    tool_session_id: str | None = None
    casefile_id: str | None = None
    created_at: str


class CreateChatSessionResponse(BaseResponse[ChatSessionCreatedPayload]):
    """Tells the id of the chat session that was opened."""


class GetChatSessionPayload(RequestPayload):
    """A chat session to read."""

    session_id: ChatSessionId
    include_messages: bool = Field(
        False, strict=True, description="Give its messages, their indexes and its events, too"
    )


class GetChatSessionRequest(BaseRequest[GetChatSessionPayload]):
    """Read a chat session."""

    operation: Literal["get_chat_session"] = "get_chat_session"


class ChatSessionDataPayload(ChatSession, ResponsePayload):
    """A chat session: the whole `ChatSession` record when its messages were asked for."""

    created_at: str
    updated_at: str
    active: bool
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    message_count: int = Field(0, ge=0)
    event_count: int = Field(0, ge=0)
    title: Title | None = None
    closed_at: str | None = None
    seal: str | None = Field(None, description="Of a closed session: stands for all its records")
    archived_at: str | None = Field(
        None, description="Since when the archive has the session, too; null while it hasn't"
    )


class GetChatSessionResponse(BaseResponse[ChatSessionDataPayload]):
    """Gives a chat session."""


class CloseChatSessionPayload(RequestPayload):
    """A chat session to close."""

    session_id: ChatSessionId


class CloseChatSessionRequest(BaseRequest[CloseChatSessionPayload]):
    """Close a chat session."""

    operation: Literal["close_chat_session"] = "close_chat_session"


class ChatSessionClosedPayload(ResponsePayload):
    """The totals of a closed chat session."""

    session_id: str
    closed_at: str
    total_messages: int = Field(ge=0)
    total_events: int = Field(ge=0)
    duration_seconds: int | None = Field(
        None, ge=0, description="Whole seconds from creation to closing"
    )
    tool_session_id: str | None = None
    tool_session_closed: bool = False


class CloseChatSessionResponse(BaseResponse[ChatSessionClosedPayload]):
    """Tells the totals of a closed chat session."""


class DeleteChatSessionPayload(ConfirmedPayload):
    """A chat session to delete for good."""

    session_id: ChatSessionId


class DeleteChatSessionRequest(BaseRequest[DeleteChatSessionPayload]):
    """Delete a chat session, its records included."""

    operation: Literal["delete_chat_session"] = "delete_chat_session"


class DeleteChatSessionResponse(BaseResponse[SessionDeletedPayload]):
    """Tells that a chat session is gone."""
