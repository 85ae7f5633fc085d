"""The operations as data: how each is addressed, what it takes, what it answers.

So calling one is the same code for all of them, whichever way leads to the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar
from uuid import UUID

from pydantic import ValidationError

from pydantic_models import canonical
from pydantic_models import operations as of
from pydantic_models.base import BaseRequest, BaseResponse, RequestPayload, ResponsePayload, uuid7
from pydantic_models.base.times import now_text

from . import errors

AnswerT = TypeVar("AnswerT", bound=ResponsePayload)


class Envelope(TypedDict, total=False):
    """What goes with a request that writes; its `metadata` is kept with what it records.

    A request that is given a `request_id` and a `timestamp` by you, another process can send again,
    to one effect.
    """

    request_id: UUID
    timestamp: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Operation(Generic[AnswerT]):
    """One operation of the service. Its models are found when they are asked for."""

    name: str
    method: str
    path: str
    envelopes: Callable[[], tuple[type[BaseRequest[Any]], type[BaseResponse[AnswerT]]]]
    """Finds the envelope that asks for it, and the one that answers."""

    @property
    def payload_type(self) -> type[RequestPayload]:
        """What it asks for. Raises TypeError if its request has no payload."""
        request, _ = self.envelopes()
        payload_type = request.model_fields["payload"].annotation
        if not (isinstance(payload_type, type) and issubclass(payload_type, RequestPayload)):
            raise TypeError(f"{request} has no payload")
        return payload_type

    @property
    def response_type(self) -> type[BaseResponse[AnswerT]]:
        """The envelope of its answer."""
        _, response = self.envelopes()
        return response


@dataclass(frozen=True)
class Call(Generic[AnswerT]):
    """One request, the same however often it is sent."""

    operation: Operation[AnswerT]
    payload: dict[str, Any]
    request_id: UUID
    timestamp: str
    metadata: Mapping[str, Any]


def call(
    operation: Operation[AnswerT], fields: Mapping[str, Any], envelope: Envelope
) -> Call[AnswerT]:
    """A request for an operation; what is None is left out. Raises BadRequest."""
    unknown = sorted(set(envelope) - Envelope.__annotations__.keys())
    if unknown:  # A name that was mistyped comes here, and must not be passed over.
        raise TypeError(f"{operation.name} knows no {', '.join(unknown)}")
    try:
        payload = operation.payload_type.model_validate(
            {name: value for name, value in fields.items() if value is not None}
        )
    except ValidationError as error:
        raise errors.invalid(error) from None
    return Call(
        operation,
        payload.model_dump(mode="json", exclude_unset=True),
        envelope.get("request_id") or uuid7(),
        envelope.get("timestamp") or now_text(),
        envelope.get("metadata") or {},
    )


def fields_of(message: canonical.ChatMessagePayload | Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a message to be recorded, and nothing else."""
    if isinstance(message, canonical.ChatMessagePayload):
        return message.model_dump(exclude_unset=True)
    return dict(message)


def _operation(
    name: str,
    route: str,
    envelopes: Callable[[], tuple[type[BaseRequest[Any]], type[BaseResponse[AnswerT]]]],
) -> Operation[AnswerT]:
    method, _, path = route.partition(" ")
    return Operation(name, method, path, envelopes)


_TOOL, _CHAT, _CASEFILE = (
    "/tool-sessions/{session_id}",
    "/chat-sessions/{session_id}",
    "/casefiles/{casefile_id}",
)

CREATE_SESSION = _operation(
    "create_session",
    "POST /tool-sessions",
    lambda: (of.CreateSessionRequest, of.CreateSessionResponse),
)
LIST_SESSIONS = _operation(
    "list_sessions", "GET /tool-sessions", lambda: (of.ListSessionsRequest, of.ListSessionsResponse)
)
GET_SESSION = _operation(
    "get_session", f"GET {_TOOL}", lambda: (of.GetSessionRequest, of.GetSessionResponse)
)
UPDATE_SESSION = _operation(
    "update_session", f"PATCH {_TOOL}", lambda: (of.UpdateSessionRequest, of.UpdateSessionResponse)
)
TOOL_EXECUTION = _operation(
    "tool_execution",
    f"POST {_TOOL}/requests",
    lambda: (of.ToolExecutionRequest, of.ToolExecutionResponse),
)
TOOL_RESULT = _operation(
    "tool_result",
    f"POST {_TOOL}/requests/{{request_id}}/result",
    lambda: (of.ToolResultRequest, of.ToolResultResponse),
)
LIST_TOOL_REQUESTS = _operation(
    "list_tool_requests",
    f"GET {_TOOL}/requests",
    lambda: (of.ListToolRequestsRequest, of.ListToolRequestsResponse),
)
GET_TOOL_REQUEST = _operation(
    "get_tool_request",
    f"GET {_TOOL}/requests/{{request_id}}",
    lambda: (of.GetToolRequestRequest, of.GetToolRequestResponse),
)
LIST_TOOL_EVENTS = _operation(
    "list_tool_events",
    f"GET {_TOOL}/events",
    lambda: (of.ListToolEventsRequest, of.ListToolEventsResponse),
)
CLOSE_SESSION = _operation(
    "close_session",
    f"POST {_TOOL}/close",
    lambda: (of.CloseSessionRequest, of.CloseSessionResponse),
)
EXPORT_SESSION = _operation(
    "export_session",
    f"GET {_TOOL}/export",
    lambda: (of.ExportSessionRequest, of.ExportSessionResponse),
)
DELETE_SESSION = _operation(
    "delete_session", f"DELETE {_TOOL}", lambda: (of.DeleteSessionRequest, of.DeleteSessionResponse)
)

CREATE_CHAT_SESSION = _operation(
    "create_chat_session",
    "POST /chat-sessions",
    lambda: (of.CreateChatSessionRequest, of.CreateChatSessionResponse),
)
LIST_CHAT_SESSIONS = _operation(
    "list_chat_sessions",
    "GET /chat-sessions",
    lambda: (of.ListChatSessionsRequest, of.ListChatSessionsResponse),
)
GET_CHAT_SESSION = _operation(
    "get_chat_session",
    f"GET {_CHAT}",
    lambda: (of.GetChatSessionRequest, of.GetChatSessionResponse),
)
UPDATE_CHAT_SESSION = _operation(
    "update_chat_session",
    f"PATCH {_CHAT}",
    lambda: (of.UpdateChatSessionRequest, of.UpdateChatSessionResponse),
)
CHAT = _operation("chat", f"POST {_CHAT}/messages", lambda: (of.ChatRequest, of.ChatResponse))
LIST_CHAT_MESSAGES = _operation(
    "list_chat_messages",
    f"GET {_CHAT}/messages",
    lambda: (of.ListChatMessagesRequest, of.ListChatMessagesResponse),
)
LIST_CHAT_EVENTS = _operation(
    "list_chat_events",
    f"GET {_CHAT}/events",
    lambda: (of.ListChatEventsRequest, of.ListChatEventsResponse),
)
REWIND_CHAT_SESSION = _operation(
    "rewind_chat_session",
    f"POST {_CHAT}/rewind",
    lambda: (of.RewindChatSessionRequest, of.RewindChatSessionResponse),
)
CLOSE_CHAT_SESSION = _operation(
    "close_chat_session",
    f"POST {_CHAT}/close",
    lambda: (of.CloseChatSessionRequest, of.CloseChatSessionResponse),
)
EXPORT_CHAT_SESSION = _operation(
    "export_chat_session",
    f"GET {_CHAT}/export",
    lambda: (of.ExportChatSessionRequest, of.ExportChatSessionResponse),
)
DELETE_CHAT_SESSION = _operation(
    "delete_chat_session",
    f"DELETE {_CHAT}",
    lambda: (of.DeleteChatSessionRequest, of.DeleteChatSessionResponse),
)

ERASE_USER = _operation(
    "erase_user", "DELETE /users/{user_id}", lambda: (of.EraseUserRequest, of.EraseUserResponse)
)

CREATE_UPLOAD = _operation(
    "create_upload", "POST /uploads", lambda: (of.CreateUploadRequest, of.CreateUploadResponse)
)

CREATE_CASEFILE = _operation(
    "create_casefile",
    "POST /casefiles",
    lambda: (of.CreateCasefileRequest, of.CreateCasefileResponse),
)
LIST_CASEFILES = _operation(
    "list_casefiles", "GET /casefiles", lambda: (of.ListCasefilesRequest, of.ListCasefilesResponse)
)
GET_CASEFILE = _operation(
    "get_casefile", f"GET {_CASEFILE}", lambda: (of.GetCasefileRequest, of.GetCasefileResponse)
)
UPDATE_CASEFILE = _operation(
    "update_casefile",
    f"PATCH {_CASEFILE}",
    lambda: (of.UpdateCasefileRequest, of.UpdateCasefileResponse),
)
SET_LEGAL_HOLD = _operation(
    "set_legal_hold",
    f"PUT {_CASEFILE}/legal-hold",
    lambda: (of.SetLegalHoldRequest, of.SetLegalHoldResponse),
)
DELETE_CASEFILE = _operation(
    "delete_casefile",
    f"DELETE {_CASEFILE}",
    lambda: (of.DeleteCasefileRequest, of.DeleteCasefileResponse),
)
ADD_SESSION_TO_CASEFILE = _operation(
    "add_session_to_casefile",
    f"POST {_CASEFILE}/sessions",
    lambda: (of.AddSessionToCasefileRequest, of.AddSessionToCasefileResponse),
)
LIST_CASEFILE_SESSIONS = _operation(
    "list_casefile_sessions",
    f"GET {_CASEFILE}/sessions",
    lambda: (of.ListCasefileSessionsRequest, of.ListCasefileSessionsResponse),
)
REMOVE_SESSION_FROM_CASEFILE = _operation(
    "remove_session_from_casefile",
    f"DELETE {_CASEFILE}/sessions/{{session_id}}",
    lambda: (of.RemoveSessionFromCasefileRequest, of.RemoveSessionFromCasefileResponse),
)
GRANT_PERMISSION = _operation(
    "grant_permission",
    f"POST {_CASEFILE}/permissions",
    lambda: (of.GrantPermissionRequest, of.GrantPermissionResponse),
)
REVOKE_PERMISSION = _operation(
    "revoke_permission",
    f"DELETE {_CASEFILE}/permissions/{{target_user_id}}",
    lambda: (of.RevokePermissionRequest, of.RevokePermissionResponse),
)
LIST_PERMISSIONS = _operation(
    "list_permissions",
    f"GET {_CASEFILE}/permissions",
    lambda: (of.ListPermissionsRequest, of.ListPermissionsResponse),
)
CHECK_PERMISSION = _operation(
    "check_permission",
    f"GET {_CASEFILE}/access/{{user_id}}",
    lambda: (of.CheckPermissionRequest, of.CheckPermissionResponse),
)

OPERATIONS: dict[str, Operation[Any]] = {
    each.name: each for each in list(vars().values()) if isinstance(each, Operation)
}
"""All of them, by name."""
