"""Casefile, from Python: record what AI agents do, and read it.

with casefile.Client(url, token=token) as client:
    session = client.tool_sessions.create("Trip")
    session.record("search", {"q": "BER-LIS"}, result={"hits": 3})
"""

from typing import TYPE_CHECKING

from pydantic_models.base import uuid7
from pydantic_models.lazily import finding

from ._sync.casefiles import Casefile, Casefiles
from ._sync.chat_sessions import ChatSession, ChatSessions
from ._sync.client import Client
from ._sync.tool_sessions import ToolSession, ToolSessions
from .credentials import CognitoMachine, CognitoUser, Token
from .errors import (
    AlreadyCompleted,
    AlreadyFiled,
    AnswerTooLarge,
    BadRequest,
    BufferFull,
    CasefileError,
    Conflict,
    ContentMissing,
    Forbidden,
    InternalError,
    LegalHold,
    NotFound,
    NotJson,
    NotStanding,
    Outdated,
    PendingRequests,
    RequestFailed,
    RequestIdReused,
    SessionClosed,
    SessionDeleted,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from .executions import Execution
from .retries import Retries
from .withdrawals import Withdrawal

if TYPE_CHECKING:
    from ._async.casefiles import AsyncCasefile, AsyncCasefiles
    from ._async.chat_sessions import AsyncChatSession, AsyncChatSessions
    from ._async.client import AsyncClient
    from ._async.tool_sessions import AsyncToolSession, AsyncToolSessions
    from .buffer import Buffer, BufferedChatSession, BufferedToolSession, Refused
else:  # A Client needs none of them.
    __getattr__ = finding(
        __name__,
        {
            "._async.casefiles": ("AsyncCasefile", "AsyncCasefiles"),
            "._async.chat_sessions": ("AsyncChatSession", "AsyncChatSessions"),
            "._async.client": ("AsyncClient",),
            "._async.tool_sessions": ("AsyncToolSession", "AsyncToolSessions"),
            ".buffer": ("Buffer", "BufferedChatSession", "BufferedToolSession", "Refused"),
        },
    )

__all__ = [
    "AlreadyCompleted",
    "AlreadyFiled",
    "AnswerTooLarge",
    "AsyncCasefile",
    "AsyncCasefiles",
    "AsyncChatSession",
    "AsyncChatSessions",
    "AsyncClient",
    "AsyncToolSession",
    "AsyncToolSessions",
    "BadRequest",
    "Buffer",
    "BufferFull",
    "BufferedChatSession",
    "BufferedToolSession",
    "Casefile",
    "CasefileError",
    "Casefiles",
    "ChatSession",
    "ChatSessions",
    "Client",
    "CognitoMachine",
    "CognitoUser",
    "Conflict",
    "ContentMissing",
    "Execution",
    "Forbidden",
    "InternalError",
    "LegalHold",
    "NotFound",
    "NotJson",
    "NotStanding",
    "Outdated",
    "PendingRequests",
    "Refused",
    "RequestFailed",
    "RequestIdReused",
    "Retries",
    "SessionClosed",
    "SessionDeleted",
    "Token",
    "TooLarge",
    "TooManyRequests",
    "ToolSession",
    "ToolSessions",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "Withdrawal",
    "uuid7",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
