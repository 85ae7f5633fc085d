"""Who asks: a token, something that gets one, or a Cognito sign-in that renews itself.

Each is an `httpx.Auth`, so any other one will do in its place.
"""

from __future__ import annotations

import inspect
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import datetime, timezone
from typing import Any, TypeAlias

import httpx

from .errors import RequestFailed, Unauthenticated, Unavailable
from .srp import Handshake

TokenSource: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]

EARLY = 60.0
"""How many seconds before its end a token is renewed."""

_SECRET = re.compile(r"[!-~]+")
"""What a header can carry as a token, or as an API key."""


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
        self._token = checked(token)
        return self._token


async def _awaited(token: str | Awaitable[str]) -> str:
    return token if isinstance(token, str) else await token


def checked(secret: str, name: str = "token") -> str:
    """A token, say, without what is around it. Raises Unauthenticated for what is none."""
    secret = secret.strip()  # Of a file, it comes with a line's end.
    if not _SECRET.fullmatch(secret):
        raise Unauthenticated(f"This is no {name}: it is empty, or holds what no {name} can.")
    return secret


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {checked(token)}"
    return request


class _Renewed(httpx.Auth, ABC):
    """A token that is renewed shortly before it ends, or when it is refused."""

    requires_response_body = True

    def __init__(self) -> None:
        self._token = ""
        self._ends = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with a token that is good; refused, once more with a new one."""
        if time.monotonic() > self._ends:
            yield from self._renewing(request)
        response = yield _bearing(request, self._token)
        if response.status_code == 401:
            yield from self._renewing(request)
            yield _bearing(request, self._token)

    def _renewing(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            yield from self._renew(request)
        except (LookupError, TypeError, ValueError) as error:
            raise Unavailable(f"What gives tokens answered something else: {error!r}") from error

    @abstractmethod
    def _renew(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Get a new token, by what requests that takes, and `_take` it."""

    def _take(self, token: str, seconds: float) -> None:
        self._token = token
        self._ends = time.monotonic() + seconds - EARLY


class CognitoUser(_Renewed):
    """A user of the stack's pool (outputs `UserPoolId` and `UserPoolClientId`).

    With a password, it signs in without sending it (SRP); with a refresh token, of an earlier
    sign-in, it needs none. `refresh_token` is there after the first request, to be kept.
    """

    def __init__(
        self,
        pool_id: str,
        client_id: str,
        *,
        email: str | None = None,
        password: str | None = None,
        refresh_token: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        super().__init__()
        if refresh_token is None and (email is None or password is None):
            raise TypeError("CognitoUser takes an email and a password, or a refresh_token")
        self.refresh_token = refresh_token
        self._pool_id, self._client_id = pool_id, client_id
        self._email, self._password = email, password
        region = pool_id.partition("_")[0]
        self._endpoint = endpoint or f"https://cognito-idp.{region}.amazonaws.com"

    def _renew(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        answer: dict[str, Any] = {}
        if self.refresh_token is not None:
            parameters = {"REFRESH_TOKEN": self.refresh_token}
            response = yield self._ask(request, "REFRESH_TOKEN_AUTH", parameters)
            if response.is_success:
                answer = response.json()
            elif self._password is None:
                raise _not_signed_in(response)
        if not answer and self._email is not None and self._password is not None:
            handshake = Handshake(self._pool_id, self._password)
            parameters = {"USERNAME": self._email, "SRP_A": handshake.public}
            response = yield self._ask(request, "USER_SRP_AUTH", parameters)
            challenge = _told(response)
            said = {
                "ClientId": self._client_id,
                "ChallengeName": "PASSWORD_VERIFIER",
                "ChallengeResponses": handshake.answer(
                    challenge["ChallengeParameters"], datetime.now(timezone.utc)
                ),
            }
            response = yield self._post(request, "RespondToAuthChallenge", said)
            answer = _told(response)
        if "AuthenticationResult" not in answer:
            raise Unauthenticated(
                f"Cognito wants more than a password: {answer['ChallengeName']}. "
                "Finish signing in elsewhere, and give its token."
            )
        result = answer["AuthenticationResult"]
        self.refresh_token = result.get("RefreshToken") or self.refresh_token
        self._take(result["IdToken"], result["ExpiresIn"])

    def _ask(self, request: httpx.Request, flow: str, parameters: dict[str, str]) -> httpx.Request:
        said = {"ClientId": self._client_id, "AuthFlow": flow, "AuthParameters": parameters}
        return self._post(request, "InitiateAuth", said)

    def _post(self, request: httpx.Request, action: str, said: dict[str, Any]) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._endpoint,
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": f"AWSCognitoIdentityProviderService.{action}",
            },
            content=json.dumps(said),
            extensions={"timeout": request.extensions.get("timeout", {})},
        )


class CognitoMachine(_Renewed):
    """A machine client of a pool: the OAuth 2 client credentials grant (RFC 6749, 4.4).

    `token_url` is `https://<the pool's domain>/oauth2/token`.
    """

    def __init__(
        self, token_url: str, client_id: str, client_secret: str, *, scope: str | None = None
    ) -> None:
        super().__init__()
        self._token_url = token_url
        self._basic = httpx.BasicAuth(client_id, client_secret)
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})

    def _renew(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        asking = httpx.Request(
            "POST",
            self._token_url,
            data=self._form,
            extensions={"timeout": request.extensions.get("timeout", {})},
        )
        response = yield next(self._basic.auth_flow(asking))
        told = _told(response)
        self._take(told["access_token"], told.get("expires_in", 3600))


def _told(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise _not_signed_in(response)
    told: dict[str, Any] = response.json()
    return told


def _not_signed_in(response: httpx.Response) -> RequestFailed:
    status = response.status_code
    try:
        told = response.json()
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    is_throttled = str(told.get("__type")).endswith("TooManyRequestsException")  # with status 400
    if is_throttled or status == 429 or status >= 500:
        return Unavailable(f"Cognito answered {status}", status=status)
    said = told.get("message") or told.get("error_description") or told.get("error")
    return Unauthenticated(
        f"Cognito refused to sign in: {said or response.text[:200]}", status=status
    )
