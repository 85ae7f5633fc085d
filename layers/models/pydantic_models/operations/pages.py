"""Reading a session in pages, by record number.

Records are numbered 1, 2, 3 … for good, so a page is the same whoever asks, and `after` with the
last number seen is how a client follows a live session.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ..base.envelopes import BaseRequest, BaseResponse, RequestPayload, ResponsePayload
from ..base.identifiers import ChatSessionId, ToolSessionId
from ..canonical.chat_session import ChatMessage
from ..canonical.tool_session import ToolRequest
from .answers import ExportPayload


class PagePayload(RequestPayload):
    """Which records, how many things in them, in which order."""

    after: int = Field(
        0, ge=0, lt=10**12, strict=True, description="Only records with a higher number"
    )
    before: int | None = Field(
        None, ge=1, lt=10**12, strict=True, description="Only records with a lower number"
    )
    limit: int = Field(
        50,
        ge=1,
        le=100,
        strict=True,
        description="The page ends with the record that brings it to this many",
    )
    order: Literal["oldest", "newest"] = Field("oldest", description="Which comes first")
    consistent: bool = Field(
        False,
        strict=True,
        description="See all that was recorded before, for twice the read units; else, what was "
        "recorded in the last moment may be missing",
    )
    wait: int = Field(
        0,
        ge=0,
        le=20,
        strict=True,
        description="Seconds to wait for a first record, if there is none yet",
    )

    @model_validator(mode="after")
    def _waits_for_what_comes(self) -> PagePayload:
        if self.wait and (self.order == "newest" or self.before is not None):
            raise ValueError("to wait for what comes, read oldest first and without before")
        return self


class PageOfRecordsPayload(ResponsePayload):
    """A page, and where to go on."""

    session_id: str
    has_more: bool = Field(description="Whether there is more in this direction by now")
    next_after: int | None = Field(
        None, description="Oldest first: `after` for what follows, once there is more, too"
    )
    next_before: int | None = Field(
        None, description="Newest first: `before` for what precedes; null at the beginning"
    )
    ended: bool = Field(
        description="Oldest first: whether the session is closed, and nothing will follow"
    )


class ToolSessionPagePayload(PagePayload):
    """A page of a tool session."""

    session_id: ToolSessionId


class ChatSessionPagePayload(PagePayload):
    """A page of a chat session."""

    session_id: ChatSessionId


class ListToolRequestsRequest(BaseRequest[ToolSessionPagePayload]):
    """Read the requests of a tool session in pages."""

    operation: Literal["list_tool_requests"] = "list_tool_requests"


class ToolRequestPagePayload(PageOfRecordsPayload):
    """Tool requests, each with its events and its outcome if there is one by now."""

    requests: list[ToolRequest]


class ListToolRequestsResponse(BaseResponse[ToolRequestPagePayload]):
    """Gives a page of tool requests."""


class ListToolEventsRequest(BaseRequest[ToolSessionPagePayload]):
    """Read the events of a tool session in pages."""

    operation: Literal["list_tool_events"] = "list_tool_events"


class ListChatEventsRequest(BaseRequest[ChatSessionPagePayload]):
    """Read the events of a chat session in pages."""

    operation: Literal["list_chat_events"] = "list_chat_events"


class EventPagePayload(PageOfRecordsPayload):
    """Events in the order of the records that brought them."""

    events: list[dict[str, Any]]


class ListToolEventsResponse(BaseResponse[EventPagePayload]):
    """Gives a page of a tool session's events."""


class ListChatEventsResponse(BaseResponse[EventPagePayload]):
    """Gives a page of a chat session's events."""


class ExportSessionPayload(RequestPayload):
    """A tool session to export, from a record on."""

    session_id: ToolSessionId
    after: int = Field(
        0, ge=0, lt=10**12, strict=True, description="Where the export before this one ended"
    )


class ExportChatSessionPayload(RequestPayload):
    """A chat session to export, from a record on."""

    session_id: ChatSessionId
    after: int = Field(
        0, ge=0, lt=10**12, strict=True, description="Where the export before this one ended"
    )


class ExportSessionRequest(BaseRequest[ExportSessionPayload]):
    """Export a tool session as JSON Lines."""

    operation: Literal["export_session"] = "export_session"


class ExportChatSessionRequest(BaseRequest[ExportChatSessionPayload]):
    """Export a chat session as JSON Lines."""

    operation: Literal["export_chat_session"] = "export_chat_session"


class ExportSessionResponse(BaseResponse[ExportPayload]):
    """Gives a tool session with its chain of seals."""


class ExportChatSessionResponse(BaseResponse[ExportPayload]):
    """Gives a chat session with its chain of seals."""


class ListChatMessagesRequest(BaseRequest[ChatSessionPagePayload]):
    """Read the messages of a chat session in pages."""

    operation: Literal["list_chat_messages"] = "list_chat_messages"


class ChatMessagePagePayload(PageOfRecordsPayload):
    """Messages that stand, and what to do about those read before.

    Oldest first, who goes on from an earlier page drops the messages whose `index` is `keep` or
    more, puts `replaced` in their places, and appends `messages`.
    """

    messages: list[ChatMessage]
    keep: int | None = Field(
        None,
        description="Oldest first: of what was read up to `after`, only so many first messages "
        "stand; null for all",
    )
    replaced: list[ChatMessage] = Field(
        default_factory=list,
        description="Oldest first: what took the place of messages read up to `after`",
    )


class ListChatMessagesResponse(BaseResponse[ChatMessagePagePayload]):
    """Gives a page of messages."""
