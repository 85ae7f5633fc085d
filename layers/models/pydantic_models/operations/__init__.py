"""Request, payload and response of each operation.

Each module is imported when one of its names is first asked for: a function needs a few of them,
and would pay for all at each cold start.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..canonical.chat_session import *
    from .answers import *
    from .casefiles import *
    from .chat_sessions import *
    from .lists import *
    from .pages import *
    from .permissions import *
    from .session_changes import *
    from .tool_sessions import *
    from .uploads import *
    from .users import *

_NAMES = {
    "..canonical.chat_session": ("ChatMessagePayload",),
    ".answers": (
        "ExportPayload",
        "SessionDeletedPayload",
    ),
    ".casefiles": (
        "AddSessionToCasefilePayload",
        "AddSessionToCasefileRequest",
        "AddSessionToCasefileResponse",
        "CasefileCreatedPayload",
        "CasefileDataPayload",
        "CasefileDeletedPayload",
        "CasefileUpdatedPayload",
        "CreateCasefilePayload",
        "CreateCasefileRequest",
        "CreateCasefileResponse",
        "DeleteCasefilePayload",
        "DeleteCasefileRequest",
        "DeleteCasefileResponse",
        "GetCasefilePayload",
        "GetCasefileRequest",
        "GetCasefileResponse",
        "LegalHoldPayload",
        "RemoveSessionFromCasefilePayload",
        "RemoveSessionFromCasefileRequest",
        "RemoveSessionFromCasefileResponse",
        "SessionAddedPayload",
        "SessionRemovedPayload",
        "SetLegalHoldPayload",
        "SetLegalHoldRequest",
        "SetLegalHoldResponse",
        "UpdateCasefilePayload",
        "UpdateCasefileRequest",
        "UpdateCasefileResponse",
    ),
    ".chat_sessions": (
        "ChatRequest",
        "ChatRequestPayload",
        "ChatResponse",
        "ChatResultPayload",
        "ChatRewoundPayload",
        "ChatSessionClosedPayload",
        "ChatSessionCreatedPayload",
        "ChatSessionDataPayload",
        "CloseChatSessionPayload",
        "CloseChatSessionRequest",
        "CloseChatSessionResponse",
        "CreateChatSessionPayload",
        "CreateChatSessionRequest",
        "CreateChatSessionResponse",
        "DeleteChatSessionPayload",
        "DeleteChatSessionRequest",
        "DeleteChatSessionResponse",
        "GetChatSessionPayload",
        "GetChatSessionRequest",
        "GetChatSessionResponse",
        "MessageReference",
        "RewindChatSessionPayload",
        "RewindChatSessionRequest",
        "RewindChatSessionResponse",
    ),
    ".lists": (
        "CasefileListPayload",
        "CasefileSessionListPayload",
        "ChatSessionListPayload",
        "ListCasefileSessionsPayload",
        "ListCasefileSessionsRequest",
        "ListCasefileSessionsResponse",
        "ListCasefilesPayload",
        "ListCasefilesRequest",
        "ListCasefilesResponse",
        "ListChatSessionsPayload",
        "ListChatSessionsRequest",
        "ListChatSessionsResponse",
        "ListPayload",
        "ListSessionsPayload",
        "ListSessionsRequest",
        "ListSessionsResponse",
        "SessionListPayload",
    ),
    ".pages": (
        "ChatMessagePagePayload",
        "ChatSessionPagePayload",
        "EventPagePayload",
        "ExportChatSessionPayload",
        "ExportChatSessionRequest",
        "ExportChatSessionResponse",
        "ExportSessionPayload",
        "ExportSessionRequest",
        "ExportSessionResponse",
        "ListChatEventsRequest",
        "ListChatEventsResponse",
        "ListChatMessagesRequest",
        "ListChatMessagesResponse",
        "ListToolEventsRequest",
        "ListToolEventsResponse",
        "ListToolRequestsRequest",
        "ListToolRequestsResponse",
        "PageOfRecordsPayload",
        "PagePayload",
        "ToolRequestPagePayload",
        "ToolSessionPagePayload",
    ),
    ".permissions": (
        "CheckPermissionPayload",
        "CheckPermissionRequest",
        "CheckPermissionResponse",
        "GrantPermissionPayload",
        "GrantPermissionRequest",
        "GrantPermissionResponse",
        "ListPermissionsPayload",
        "ListPermissionsRequest",
        "ListPermissionsResponse",
        "PermissionCheckPayload",
        "PermissionGrantedPayload",
        "PermissionListPayload",
        "PermissionRevokedPayload",
        "RevokePermissionPayload",
        "RevokePermissionRequest",
        "RevokePermissionResponse",
    ),
    ".session_changes": (
        "SessionChangePayload",
        "SessionUpdatedPayload",
        "UpdateChatSessionPayload",
        "UpdateChatSessionRequest",
        "UpdateChatSessionResponse",
        "UpdateSessionPayload",
        "UpdateSessionRequest",
        "UpdateSessionResponse",
    ),
    ".tool_sessions": (
        "CloseSessionPayload",
        "CloseSessionRequest",
        "CloseSessionResponse",
        "CreateSessionPayload",
        "CreateSessionRequest",
        "CreateSessionResponse",
        "DeleteSessionPayload",
        "DeleteSessionRequest",
        "DeleteSessionResponse",
        "GetSessionPayload",
        "GetSessionRequest",
        "GetSessionResponse",
        "GetToolRequestPayload",
        "GetToolRequestRequest",
        "GetToolRequestResponse",
        "SessionClosedPayload",
        "SessionCreatedPayload",
        "SessionDataPayload",
        "ToolExecutionRequest",
        "ToolExecutionResponse",
        "ToolRequestDataPayload",
        "ToolRequestPayload",
        "ToolResponsePayload",
        "ToolResultPayload",
        "ToolResultRequest",
        "ToolResultResponse",
    ),
    ".uploads": (
        "CreateUploadPayload",
        "CreateUploadRequest",
        "CreateUploadResponse",
        "UploadCreatedPayload",
    ),
    ".users": (
        "ErasedPayload",
        "EraseUserPayload",
        "EraseUserRequest",
        "EraseUserResponse",
    ),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
    return value
