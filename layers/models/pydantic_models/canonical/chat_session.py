"""A chat session: messages in the order in which they were recorded, less what was taken back."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ..base.identifiers import CasefileId, SessionRequestId
from ..base.json_values import JsonObject, Metadata, Text
from ..base.model import Model
from ..base.times import now_text
from .content import Attachment, Attachments, RecordLink


class MessageType(str, Enum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"
    ERROR = "error"


class Message(Model):
    """What a message says, sent or recorded."""

    content: Text
    message_type: MessageType
    tool_calls: list[JsonObject] = Field(default_factory=list, max_length=1000)
    session_request_id: SessionRequestId | None = None
    casefile_id: CasefileId | None = Field(None, description="A label; it gives nobody access")
    metadata: Metadata = Field(default_factory=dict)


class ChatMessagePayload(Message):
    """One message as it is sent."""

    model_config = ConfigDict(extra="forbid")

    attachments: Attachments = Field(default_factory=list, description="What was uploaded for it")


class ChatMessage(Message):
    """One message as it was recorded."""

    message_id: str
    user_id: str = Field(description="Who recorded it")
    # Metadata was checked when it came.
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Its own or, if it had none, that of its request"
    )
    request_metadata: dict[str, Any] = Field(
        default_factory=dict, description="That of its request, if it had metadata of its own"
    )
    record: int = Field(ge=1, description="Number of the record in its session")
    position: int = Field(ge=0, description="Its place among the messages of its record")
    index: int = Field(ge=0, description="Its position in the session's messages, while it stands")
    replaces: str | None = Field(None, description="Id of the message in whose place it stands")
    timestamp: str
    attachments: list[Attachment] = Field(default_factory=list)
    left_out: list[RecordLink] = Field(
        default_factory=list, description="Where its content is, if that is too large to tell here"
    )


class ChatEvent(Model):
    """That a message was recorded."""

    event_id: str
    event_type: str = "chat_message_recorded"
    timestamp: str
    message_id: str
    message_type: MessageType
    session_request_id: str | None = None


class ChatRewindEvent(Model):
    """That messages were withdrawn, or one put in another's place."""

    event_id: str
    event_type: Literal["chat_messages_withdrawn", "chat_message_replaced"]
    timestamp: str
    message_count: int = Field(ge=0, description="How many messages stood after it: the first ones")
    message_id: str | None = Field(None, description="Of the message that took the place")
    replaces: str | None = Field(None, description="Id of the message that had it")
    session_request_id: str | None = None


class ChatSession(Model):
    """The complete record of a chat session, its messages included."""

    session_id: str = Field(description="Unique within Casefile", examples=["cs_abc123xyz"])
    user_id: str = Field(description="Whose session it is", examples=["user@example.com"])
    casefile_id: str | None = Field(
        None, description="The casefile it is filed in, if any", examples=["cf_251013_abc123"]
    )
    created_at: str = Field(default_factory=now_text, description="When it was opened (ISO 8601)")
    updated_at: str = Field(default_factory=now_text, description="Its last change (ISO 8601)")
    messages: list[dict[str, Any]] = Field(
        default_factory=list, description="Messages in chronological order, those that stand"
    )
    message_index: dict[str, int] = Field(
        default_factory=dict, description="Message id to its position in `messages`"
    )
    request_index: dict[str, list[str]] = Field(
        default_factory=dict, description="Session request id to the ids of its messages"
    )
    events: list[dict[str, Any]] = Field(
        default_factory=list, description="All events of the session in chronological order"
    )
    active: bool = Field(True, description="False once it is closed")
    metadata: dict[str, Any] | None = Field(
        default_factory=dict, description="What the caller keeps with it"
    )
