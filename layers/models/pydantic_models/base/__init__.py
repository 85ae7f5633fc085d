"""Envelopes, identifiers, points in time and JSON: what every other model is made of."""

from .envelopes import (
    BaseRequest,
    BaseResponse,
    FailedResponse,
    RequestPayload,
    RequestStatus,
    ResponsePayload,
)
from .identifiers import (
    CasefileId,
    ChatSessionId,
    SessionId,
    SessionKind,
    ToolSessionId,
    UserId,
    kind_of,
    uuid7,
)
from .json_values import JsonObject, Text
from .times import Timestamp

__all__ = [
    "BaseRequest",
    "BaseResponse",
    "CasefileId",
    "ChatSessionId",
    "FailedResponse",
    "JsonObject",
    "RequestPayload",
    "RequestStatus",
    "ResponsePayload",
    "SessionId",
    "SessionKind",
    "Text",
    "Timestamp",
    "ToolSessionId",
    "UserId",
    "kind_of",
    "uuid7",
]
