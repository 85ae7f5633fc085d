"""Requests and responses of the operations on the messages of chat sessions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ..base.envelopes import (
    BaseRequest,
    BaseResponse,
    RequestPayload,
    ResponsePayload,
)
from ..base.identifiers import CasefileId, ChatSessionId, SessionRequestId
from ..base.json_values import Text
from ..canonical.chat_session import ChatMessage, ChatMessagePayload

MAX_MESSAGES = 100
"""Of one request."""

MAX_ATTACHMENTS = 100
"""Of all messages of one request."""


class ChatRequestPayload(RequestPayload):
    """Messages to record: `message` for one of the user's, or `messages` for any, all or none."""

    message: Text | None = Field(None, description="Short form: one message of the user")
    messages: list[ChatMessagePayload] | None = Field(None, min_length=1, max_length=MAX_MESSAGES)
    session_id: ChatSessionId
    casefile_id: CasefileId | None = Field(None, description="A label; it gives nobody access")
    session_request_id: SessionRequestId | None = Field(
        None, description="Your own name for it; else its request id"
    )

    @model_validator(mode="after")
    def _has_one_form(self) -> ChatRequestPayload:
        if (self.message is None) == (self.messages is None):
            raise ValueError(
                f"give either message (one of the user's) or messages (1 to {MAX_MESSAGES})"
            )
        if sum(len(message.attachments) for message in self.messages or []) > MAX_ATTACHMENTS:
            raise ValueError(f"one request refers to at most {MAX_ATTACHMENTS} attachments")
        return self


class ChatRequest(BaseRequest[ChatRequestPayload]):
    """Record chat messages."""

    operation: Literal["chat"] = "chat"


class ChatResultPayload(ResponsePayload):
    """The messages as recorded: the first, and those that came with it."""

    message: ChatMessage
    related_messages: list[ChatMessage] = Field(default_factory=list)
    events: list[dict[str, Any]] = Field(default_factory=list)
    session_id: str
    record: int = Field(ge=1, description="Number of the record in its session")
    recorded_at: str


class ChatResponse(BaseResponse[ChatResultPayload]):
    """Tells where the messages were recorded."""


class MessageReference(RequestPayload):
    """A message as readers are told of it."""

    record: int = Field(ge=1, lt=10**12, strict=True, description="`record` of the message")
    message_id: str = Field(min_length=1, max_length=100)


class RewindChatSessionPayload(RequestPayload):
    """What to take back: `count` or `keep` withdraws messages, `replaces` puts `message` there."""

    session_id: ChatSessionId
    count: int | None = Field(
        None, ge=1, lt=10**12, strict=True, description="Withdraw the last so many"
    )
    keep: int | None = Field(
        None,
        ge=0,
        lt=10**12,
        strict=True,
        description="Withdraw all but the first so many; 0 withdraws all",
    )
    replaces: MessageReference | None = Field(None, description="The message to be replaced")
    message: ChatMessagePayload | None = Field(None, description="What stands in its place then")
    include_messages: bool = Field(
        False,
        strict=True,
        description="Give what was withdrawn, too: the newest hundred messages of it, or fewer if "
        "they are large",
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> RewindChatSessionPayload:
        asked = [self.count, self.keep, self.replaces]
        if len([each for each in asked if each is not None]) != 1:
            raise ValueError("give one of count, keep and replaces")
        if (self.replaces is None) != (self.message is None):
            raise ValueError("replaces and message go together")
        return self


class RewindChatSessionRequest(BaseRequest[RewindChatSessionPayload]):
    """Take back messages of a chat session."""

    operation: Literal["rewind_chat_session"] = "rewind_chat_session"


class ChatRewoundPayload(ResponsePayload):
    """What a rewinding came to."""

    session_id: str
    record: int = Field(ge=1, description="Number of the record that takes them back")
    recorded_at: str
    message_count: int = Field(ge=0, description="How many messages stood after it: the first ones")
    withdrawn_count: int = Field(ge=0)
    messages: list[ChatMessage] = Field(
        default_factory=list, description="What was withdrawn, in its order, if it was asked for"
    )
    message: ChatMessage | None = Field(None, description="What took the place of another")


class RewindChatSessionResponse(BaseResponse[ChatRewoundPayload]):
    """Tells what was taken back."""
