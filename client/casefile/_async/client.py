"""The client: where everything begins."""

from __future__ import annotations

import httpx
from typing_extensions import Unpack

from pydantic_models import operations as of

from .. import operations
from ..credentials import Token, TokenSource
from ..doors import Door, HttpDoor
from ..retries import Retries
from .casefiles import AsyncCasefile, AsyncCasefiles
from .chat_sessions import AsyncChatSession, AsyncChatSessions
from .connection import AsyncConnection
from .tool_sessions import AsyncToolSession, AsyncToolSessions


class AsyncClient(AsyncConnection):
    """Casefile at a URL, or by another door (`casefile.aws.Functions`).

    `token` is a token, or a callable that gets one, again and again; `auth` is any other way to say
    who asks (`casefile.CognitoUser`, `casefile.CognitoMachine`, any `httpx.Auth`). `api_key` is
    for a stack that requires one, too. An `http` client of your own may bring proxies and
    certificates; it stays yours to close, and is not for two processes, nor, if it is asynchronous,
    for two event loops: there, make another.
    """

    def __init__(
        self,
        to: str | Door,
        token: TokenSource | None = None,
        *,
        auth: httpx.Auth | None = None,
        api_key: str | None = None,
        retries: Retries | None = None,
        timeout: float = 30.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        if isinstance(to, str):
            to = HttpDoor(to, Token(token) if token is not None else auth, api_key)
        elif token is not None or auth is not None or api_key is not None:
            raise TypeError("a token, auth or API key goes with a URL; this door has its own")
        super().__init__(to, retries or Retries(), timeout, http)
        self.tool_sessions = AsyncToolSessions(self)
        self.chat_sessions = AsyncChatSessions(self)
        self.casefiles = AsyncCasefiles(self)

    async def erase_user(
        self, user_id: str, **envelope: Unpack[operations.Envelope]
    ) -> of.ErasedPayload:
        """Remove everything that the user who asks owns; the receipt says when it is over."""
        fields = {"user_id": user_id, "confirm": True}
        return (await self.call(operations.ERASE_USER, fields, envelope)).payload

    def tool_session(self, session_id: str) -> AsyncToolSession:
        """The tool session of this id."""
        return AsyncToolSession(self, session_id)

    def chat_session(self, session_id: str) -> AsyncChatSession:
        """The chat session of this id."""
        return AsyncChatSession(self, session_id)

    def casefile(self, casefile_id: str) -> AsyncCasefile:
        """The casefile of this id."""
        return AsyncCasefile(self, casefile_id)
