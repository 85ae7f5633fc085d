"""What exists: sessions with their contents, casefiles with their access lists."""

from .casefile import (
    CasefileACL,
    CasefileMetadata,
    CasefileModel,
    LegalHoldEntry,
    PermissionEntry,
    PermissionLevel,
    ResourceReference,
)
from .chat_session import (
    ChatEvent,
    ChatMessage,
    ChatMessagePayload,
    ChatRewindEvent,
    ChatSession,
    MessageType,
)
from .content import Attachment, AttachmentPayload, ContentLink, RecordLink
from .tool_session import ToolEvent, ToolRequest, ToolSession

__all__ = [
    "Attachment",
    "AttachmentPayload",
    "CasefileACL",
    "CasefileMetadata",
    "CasefileModel",
    "ChatEvent",
    "ChatMessage",
    "ChatMessagePayload",
    "ChatRewindEvent",
    "ChatSession",
    "ContentLink",
    "LegalHoldEntry",
    "MessageType",
    "PermissionEntry",
    "PermissionLevel",
    "RecordLink",
    "ResourceReference",
    "ToolEvent",
    "ToolRequest",
    "ToolSession",
]
