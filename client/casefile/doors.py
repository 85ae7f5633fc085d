"""The ways to the service: how a call becomes an HTTP request, and its answer a response envelope.

A door does no I/O. It says what to send and reads what came back, or raises what went wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from pydantic_models import operations as of
from pydantic_models.base import BaseResponse, RequestStatus
from pydantic_models.base.json_values import to_json

from . import errors
from .credentials import checked
from .operations import AnswerT, Call, Operation


class Outgoing(NamedTuple):
    """An HTTP request to make."""

    method: str
    url: str
    headers: dict[str, str]
    params: dict[str, Any] | None = None
    content: bytes | None = None

    def __repr__(self) -> str:
        """Without the headers: an API key is among them."""
        return f"Outgoing({self.method} {self.url})"


class Door(Protocol):
    """A way to the service."""

    @property
    def auth(self) -> httpx.Auth | None:
        """Who asks."""

    def request(self, call: Call[Any]) -> Outgoing:
        """What to send."""

    def read(self, call: Call[AnswerT], response: httpx.Response) -> BaseResponse[AnswerT]:
        """What was answered. Raises RequestFailed."""


@dataclass(frozen=True)
class HttpDoor:
    """The HTTP API at a URL, such as a stack's output `ApiUrl`."""

    url: str
    auth: httpx.Auth | None = None
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raise BadRequest for what is no URL."""
        try:
            httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise errors.BadRequest(f"{self.url!r} is no URL: {error}") from None

    def request(self, call: Call[Any]) -> Outgoing:
        """The route's request; what the path doesn't hold is in the body, or in the query."""
        operation = call.operation
        in_path = re.findall(r"{(\w+)}", operation.path)
        path = operation.path.format(
            **{name: quote(str(call.payload[name]), safe="") for name in in_path}
        )
        rest = {name: value for name, value in call.payload.items() if name not in in_path}
        url = self.url.rstrip("/") + path
        headers = {"Accept": "application/json"}
        if self.api_key is not None:
            headers["X-Api-Key"] = checked(self.api_key, "API key")
        if operation.method != "GET":
            headers["Idempotency-Key"] = str(call.request_id)
        if operation.method in ("GET", "DELETE"):
            return Outgoing(operation.method, url, headers, params=_query(rest))
        envelope = {
            "request_id": str(call.request_id),
            "timestamp": call.timestamp,
            "payload": rest,
        } | ({"metadata": call.metadata} if call.metadata else {})
        headers["Content-Type"] = "application/json"
        return Outgoing(operation.method, url, headers, content=encoded(envelope))

    def read(self, call: Call[AnswerT], response: httpx.Response) -> BaseResponse[AnswerT]:
        """The response envelope; lines of an export have none, and get one here."""
        if not response.is_success:
            raise failure(response)
        if "ndjson" in response.headers.get("content-type", ""):
            return _export(call, response)
        return parsed(call.operation, response.content)


def encoded(envelope: Mapping[str, Any]) -> bytes:
    """An envelope as JSON. Raises BadRequest for what JSON can't hold."""
    try:
        return to_json(envelope).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.BadRequest(f"The request is not JSON: {error}") from None


def parsed(operation: Operation[AnswerT], content: bytes | str) -> BaseResponse[AnswerT]:
    """A response envelope. Raises RequestFailed if it is something else."""
    try:
        return operation.response_type.model_validate_json(content)
    except ValidationError as error:
        raise errors.RequestFailed(
            f"The answer to {operation.name} is not one of Casefile's. Is the URL right? "
            f"{error.error_count()} things are wrong with it, first: {error.errors()[0]['msg']}"
        ) from None


def _query(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in fields.items()
    }


def _export(call: Call[AnswerT], response: httpx.Response) -> BaseResponse[AnswerT]:
    goes_on = response.headers.get("Casefile-Next-After")
    payload = of.ExportPayload(
        session_id=call.payload["session_id"],
        lines=response.content.decode(),
        next_after=int(goes_on) if goes_on else None,
    )
    return call.operation.response_type.model_validate(
        {
            "request_id": call.request_id,
            "status": RequestStatus.COMPLETED,
            "payload": payload.model_dump(),
        }
    )


def failure(response: httpx.Response) -> errors.RequestFailed:
    """What a failed response tells, whoever on the way wrote it."""
    try:
        told = json.loads(response.content)
    except (ValueError, RecursionError):
        told = None
    told = told if isinstance(told, dict) else {}
    metadata = told.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    code, faults = metadata.get("error_code"), metadata.get("errors")
    message = told.get("error") or told.get("message") or response.text[:200]
    kind = errors.of_status(response.status_code, code)
    return kind(
        str(message) or f"HTTP status {response.status_code}",
        code=code,
        status=response.status_code,
        request_id=told.get("request_id"),
        faults=faults if isinstance(faults, list) else (),
        retry_after=retry_after(response),
        is_final=errors.is_final(kind, code),
    )


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the service asks to wait: told as such, or as a date (RFC 9110, 10.2.3)."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        until = parsedate_to_datetime(told)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())


def unreachable(error: httpx.RequestError) -> errors.CasefileError:
    """What it means that no answer came that can be read; what never can be sent is wrong."""
    if isinstance(error, httpx.LocalProtocolError):  # It may quote a header, and so a token.
        return errors.BadRequest("It can't be sent: HTTP takes no such header, or length.")
    if isinstance(error, httpx.UnsupportedProtocol):
        return errors.BadRequest(f"It can't be sent: {error}")
    told = errors.Unreachable(f"Casefile can't be reached: {str(error) or type(error).__name__}")
    told.__cause__ = error  # It tells whether anything was sent.
    return told
