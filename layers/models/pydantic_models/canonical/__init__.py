"""What exists: sessions with their contents, casefiles with their access lists."""

from .casefile import (
    CasefileACL,
    CasefileMetadata,
    CasefileModel,
    PermissionEntry,
    PermissionLevel,
    ResourceReference,
)
from .chat_session import ChatEvent, ChatMessage, ChatMessagePayload, ChatSession, MessageType
from .tool_session import ToolEvent, ToolRequest, ToolSession

__all__ = [
    "CasefileACL",
    "CasefileMetadata",
    "CasefileModel",
    "ChatEvent",
    "ChatMessage",
    "ChatMessagePayload",
    "ChatSession",
    "MessageType",
    "PermissionEntry",
    "PermissionLevel",
    "ResourceReference",
    "ToolEvent",
    "ToolRequest",
    "ToolSession",
]
