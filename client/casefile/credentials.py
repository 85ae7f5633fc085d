"""Who asks: a token, something that gets one, or a Cognito sign-in that renews itself.

Each is an `httpx.Auth`, so any other one will do in its place.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TypeAlias

import httpx

TokenSource: TypeAlias = "str | Callable[[], str] | Callable[[], Awaitable[str]]"


class Token(httpx.Auth):
    """A token, or a callable that gets one.

    The callable is called when first needed, and again when the service refuses what it gave;
    it may be asynchronous for an asynchronous client.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token = source if isinstance(source, str) else None

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with the token; refused, once more with a new one."""
        used = self._token
        if used is None:
            used = self._take(self._call())
        response = yield _bearing(request, used)
        if response.status_code == 401 and callable(self._source):
            yield _bearing(request, self._take(self._call()))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with the token; refused, once more with a new one."""
        used = self._token
        if used is None:
            used = self._take(await _awaited(self._call()))
        response = yield _bearing(request, used)
        if response.status_code == 401 and callable(self._source):
            yield _bearing(request, self._take(await _awaited(self._call())))

    def _call(self) -> str | Awaitable[str]:
        return self._source if isinstance(self._source, str) else self._source()

    def _take(self, token: str | Awaitable[str]) -> str:
        if not isinstance(token, str):
            if inspect.iscoroutine(token):
                token.close()
            raise TypeError("The callable must return a token, as text; await needs AsyncClient.")
        self._token = token
        return token


async def _awaited(token: str | Awaitable[str]) -> str:
    return token if isinstance(token, str) else await token


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
