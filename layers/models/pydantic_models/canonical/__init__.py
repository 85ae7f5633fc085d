"""What exists: sessions with their contents, casefiles with their access lists."""

from typing import TYPE_CHECKING

from ..lazily import finding

if TYPE_CHECKING:
    from .casefile import *
    from .chat_session import *
    from .content import *
    from .permission_level import *
    from .tool_session import *

_NAMES = {
    ".casefile": (
        "CasefileACL",
        "CasefileMetadata",
        "CasefileModel",
        "LegalHoldEntry",
        "PermissionEntry",
        "ResourceReference",
    ),
    ".chat_session": (
        "ChatEvent",
        "ChatMessage",
        "ChatMessagePayload",
        "ChatRewindEvent",
        "ChatSession",
        "MessageType",
    ),
    ".content": (
        "MAX_ATTACHMENTS_OF_ONE",
        "Attachment",
        "AttachmentPayload",
        "ContentLink",
        "RecordLink",
    ),
    ".permission_level": ("PermissionLevel",),
    ".tool_session": ("MAX_ERROR_MESSAGE", "ToolEvent", "ToolName", "ToolRequest", "ToolSession"),
}

__all__ = sorted(name for names in _NAMES.values() for name in names)
__getattr__ = finding(__name__, _NAMES)
