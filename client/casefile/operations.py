"""The operations as data: how each is addressed, what it takes, what it answers.

So calling one is the same code for all of them, whichever way leads to the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar
from uuid import UUID

from pydantic import ValidationError

from pydantic_models import operations as of
from pydantic_models.base import BaseRequest, BaseResponse, RequestPayload, ResponsePayload, uuid7
from pydantic_models.base.times import now_text
from pydantic_models.canonical import ChatMessagePayload

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
    """One operation of the service."""

    name: str
    method: str
    path: str
    payload_type: type[RequestPayload]
    response_type: type[BaseResponse[AnswerT]]


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


def fields_of(message: ChatMessagePayload | Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a message to be recorded, and nothing else."""
    if isinstance(message, ChatMessagePayload):
        return message.model_dump(exclude_unset=True)
    return dict(message)


def _operation(
    route: str, request: type[BaseRequest[Any]], response: type[BaseResponse[AnswerT]]
) -> Operation[AnswerT]:
    method, _, path = route.partition(" ")
    payload_type = request.model_fields["payload"].annotation
    if not (isinstance(payload_type, type) and issubclass(payload_type, RequestPayload)):
        raise TypeError(f"{request} has no payload")
    name = str(request.model_fields["operation"].default)
    return Operation(name, method, path, payload_type, response)


_TOOL, _CHAT, _CASEFILE = (
    "/tool-sessions/{session_id}",
    "/chat-sessions/{session_id}",
    "/casefiles/{casefile_id}",
)

CREATE_SESSION = _operation(
    "POST /tool-sessions", of.CreateSessionRequest, of.CreateSessionResponse
)
LIST_SESSIONS = _operation("GET /tool-sessions", of.ListSessionsRequest, of.ListSessionsResponse)
GET_SESSION = _operation(f"GET {_TOOL}", of.GetSessionRequest, of.GetSessionResponse)
UPDATE_SESSION = _operation(f"PATCH {_TOOL}", of.UpdateSessionRequest, of.UpdateSessionResponse)
TOOL_EXECUTION = _operation(
    f"POST {_TOOL}/requests", of.ToolExecutionRequest, of.ToolExecutionResponse
)
TOOL_RESULT = _operation(
    f"POST {_TOOL}/requests/{{request_id}}/result", of.ToolResultRequest, of.ToolResultResponse
)
LIST_TOOL_REQUESTS = _operation(
    f"GET {_TOOL}/requests", of.ListToolRequestsRequest, of.ListToolRequestsResponse
)
GET_TOOL_REQUEST = _operation(
    f"GET {_TOOL}/requests/{{request_id}}", of.GetToolRequestRequest, of.GetToolRequestResponse
)
LIST_TOOL_EVENTS = _operation(
    f"GET {_TOOL}/events", of.ListToolEventsRequest, of.ListToolEventsResponse
)
CLOSE_SESSION = _operation(f"POST {_TOOL}/close", of.CloseSessionRequest, of.CloseSessionResponse)
EXPORT_SESSION = _operation(
    f"GET {_TOOL}/export", of.ExportSessionRequest, of.ExportSessionResponse
)
DELETE_SESSION = _operation(f"DELETE {_TOOL}", of.DeleteSessionRequest, of.DeleteSessionResponse)

CREATE_CHAT_SESSION = _operation(
    "POST /chat-sessions", of.CreateChatSessionRequest, of.CreateChatSessionResponse
)
LIST_CHAT_SESSIONS = _operation(
    "GET /chat-sessions", of.ListChatSessionsRequest, of.ListChatSessionsResponse
)
GET_CHAT_SESSION = _operation(f"GET {_CHAT}", of.GetChatSessionRequest, of.GetChatSessionResponse)
UPDATE_CHAT_SESSION = _operation(
    f"PATCH {_CHAT}", of.UpdateChatSessionRequest, of.UpdateChatSessionResponse
)
CHAT = _operation(f"POST {_CHAT}/messages", of.ChatRequest, of.ChatResponse)
LIST_CHAT_MESSAGES = _operation(
    f"GET {_CHAT}/messages", of.ListChatMessagesRequest, of.ListChatMessagesResponse
)
LIST_CHAT_EVENTS = _operation(
    f"GET {_CHAT}/events", of.ListChatEventsRequest, of.ListChatEventsResponse
)
REWIND_CHAT_SESSION = _operation(
    f"POST {_CHAT}/rewind", of.RewindChatSessionRequest, of.RewindChatSessionResponse
)
CLOSE_CHAT_SESSION = _operation(
    f"POST {_CHAT}/close", of.CloseChatSessionRequest, of.CloseChatSessionResponse
)
EXPORT_CHAT_SESSION = _operation(
    f"GET {_CHAT}/export", of.ExportChatSessionRequest, of.ExportChatSessionResponse
)
DELETE_CHAT_SESSION = _operation(
    f"DELETE {_CHAT}", of.DeleteChatSessionRequest, of.DeleteChatSessionResponse
)

ERASE_USER = _operation("DELETE /users/{user_id}", of.EraseUserRequest, of.EraseUserResponse)

CREATE_UPLOAD = _operation("POST /uploads", of.CreateUploadRequest, of.CreateUploadResponse)

CREATE_CASEFILE = _operation("POST /casefiles", of.CreateCasefileRequest, of.CreateCasefileResponse)
LIST_CASEFILES = _operation("GET /casefiles", of.ListCasefilesRequest, of.ListCasefilesResponse)
GET_CASEFILE = _operation(f"GET {_CASEFILE}", of.GetCasefileRequest, of.GetCasefileResponse)
UPDATE_CASEFILE = _operation(
    f"PATCH {_CASEFILE}", of.UpdateCasefileRequest, of.UpdateCasefileResponse
)
SET_LEGAL_HOLD = _operation(
    f"PUT {_CASEFILE}/legal-hold", of.SetLegalHoldRequest, of.SetLegalHoldResponse
)
DELETE_CASEFILE = _operation(
    f"DELETE {_CASEFILE}", of.DeleteCasefileRequest, of.DeleteCasefileResponse
)
ADD_SESSION_TO_CASEFILE = _operation(
    f"POST {_CASEFILE}/sessions",
    of.AddSessionToCasefileRequest,
    of.AddSessionToCasefileResponse,
)
LIST_CASEFILE_SESSIONS = _operation(
    f"GET {_CASEFILE}/sessions",
    of.ListCasefileSessionsRequest,
    of.ListCasefileSessionsResponse,
)
REMOVE_SESSION_FROM_CASEFILE = _operation(
    f"DELETE {_CASEFILE}/sessions/{{session_id}}",
    of.RemoveSessionFromCasefileRequest,
    of.RemoveSessionFromCasefileResponse,
)
GRANT_PERMISSION = _operation(
    f"POST {_CASEFILE}/permissions", of.GrantPermissionRequest, of.GrantPermissionResponse
)
REVOKE_PERMISSION = _operation(
    f"DELETE {_CASEFILE}/permissions/{{target_user_id}}",
    of.RevokePermissionRequest,
    of.RevokePermissionResponse,
)
LIST_PERMISSIONS = _operation(
    f"GET {_CASEFILE}/permissions", of.ListPermissionsRequest, of.ListPermissionsResponse
)
CHECK_PERMISSION = _operation(
    f"GET {_CASEFILE}/access/{{user_id}}",
    of.CheckPermissionRequest,
    of.CheckPermissionResponse,
)

OPERATIONS: dict[str, Operation[Any]] = {
    each.name: each for each in list(vars().values()) if isinstance(each, Operation)
}
"""All of them, by name."""
