"""The HTTP door: what API Gateway sent becomes a request envelope, an answer becomes HTTP.

REST APIs (payload 1.0), HTTP APIs and function URLs (payload 2.0) say the same things in
different places; here is the only code that knows the places. Who asks is told by the
authorizer, never by a field that the caller may choose.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs, unquote
from uuid import UUID, uuid5

from pydantic_core import from_json

from pydantic_models.base import BaseRequest
from pydantic_models.base.envelopes import without_nulls
from pydantic_models.base.identifiers import lowered

from .errors import (
    AnswerTooLarge,
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    TooLarge,
    Unauthenticated,
)

if TYPE_CHECKING:
    from pydantic_models.operations import ExportPayload

MAX_CARRIED_BYTES = 6 * 1024 * 1024 - 64 * 1024
"""What a function may be sent, or answer (AWS Lambda quotas: 6 MB), less room for its wrapping."""

_IDEMPOTENCY_KEYS = UUID("5a4cf5b4-6a49-4d0c-a9f7-0f6d7f6f2a53")
"""Namespace of request ids derived from idempotency keys that are no UUIDs."""

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def is_api_event(event: dict[str, Any]) -> bool:
    """Whether an event is an HTTP request from API Gateway or a function URL."""
    context = event.get("requestContext")
    return isinstance(context, dict) and ("httpMethod" in event or "http" in context)


def to_envelope(
    event: dict[str, Any], route: str, request_type: type[BaseRequest[Any]]
) -> dict[str, Any]:
    """The request envelope of an HTTP request, not yet validated.

    Raises Unauthenticated, Forbidden, MethodNotAllowed and BadRequest.
    """
    user_id = _user_id(event)
    method, _, path = route.partition(" ")
    if _method(event) != method:
        raise MethodNotAllowed(f"This route answers to {method}, not {_method(event)}.")
    envelope = _body(event)
    if "payload" not in envelope:
        unknown = sorted(set(envelope) - set(BaseRequest.model_fields))
        if unknown:
            raise BadRequest(
                f"The body has no payload, but {', '.join(unknown):.200}. "
                'The fields of an operation go under "payload": {"payload": {…}}.'
            )
        envelope["payload"] = {}
    envelope = without_nulls(envelope)
    query = _typed(_query(event), request_type.model_fields["payload"].annotation)
    if user_id is None and "user_id" in query:  # IAM let the caller in, who names the user.
        envelope["user_id"] = _named_once("user_id", envelope.get("user_id"), query.pop("user_id"))
    if isinstance(envelope["payload"], dict):
        addressed = _joined(query, _path_parameters(event, path))
        envelope["payload"] = _joined(envelope["payload"], addressed)
    key = headers(event).get("idempotency-key")
    if key is not None:
        asks = lowered(str(envelope.get("user_id"))) if user_id is None else user_id
        envelope["request_id"] = _named_once(
            "request_id", envelope.get("request_id"), _key_to_id(key, asks)
        )
    if user_id is None:
        return envelope
    named = envelope.get("user_id")
    if named is not None and not (isinstance(named, str) and lowered(named) == user_id):
        raise Forbidden(f"The envelope names another user than the one who asks, {user_id}.")
    return envelope | {"user_id": user_id}


def answer(status: int, body: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The answer as API Gateway takes it."""
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            **(headers or {}),
        },
        "body": body,
        "isBase64Encoded": False,
    }


def lines(export: ExportPayload) -> dict[str, Any]:
    """Lines of an export as API Gateway takes them; a header tells where they go on, if they do."""
    headers = {"Content-Type": "application/x-ndjson"}
    if export.next_after is not None:
        headers["Casefile-Next-After"] = str(export.next_after)
    return answer(200, export.lines, headers)


def check_size(answered: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, or raise AnswerTooLarge if a function may not give it."""
    body = answered.get("body")
    if isinstance(body, str) and len(body) < MAX_CARRIED_BYTES // 8:
        return answered  # A character takes up to six bytes, and what is beside it is little.
    size = _carried_bytes(answered)
    if size > MAX_CARRIED_BYTES:
        raise AnswerTooLarge(
            f"The answer has {size // 1024} KB, more than a function may give "
            f"({MAX_CARRIED_BYTES // 1024} KB). Read it in pages, or fewer at once."
        )
    return answered


def _carried_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass"))


def _user_id(event: dict[str, Any]) -> str | None:
    """The user whom the authorizer found, or None where IAM let the caller in."""
    authorizer = event["requestContext"].get("authorizer")
    if not isinstance(authorizer, dict):
        authorizer = {}
    if authorizer.get("iam"):
        return None
    claims = authorizer.get("claims") or (authorizer.get("jwt") or {}).get("claims") or {}
    email = claims.get("email")
    if email:
        if str(claims.get("email_verified")).lower() != "true":
            raise Unauthenticated(f"The e-mail address {email} is not verified yet.")
        return lowered(str(email))
    subject = claims.get("sub")
    if subject and claims.get("client_id") == subject:  # A machine client's own access token.
        return lowered(str(subject))
    raise Unauthenticated(
        "The token names no user. Send the ID token of a user with a verified e-mail address, "
        "or a machine client's access token."
    )


def _method(event: dict[str, Any]) -> str:
    if "httpMethod" in event:
        return str(event["httpMethod"])
    return str(event["requestContext"]["http"].get("method"))


def headers(event: dict[str, Any]) -> dict[str, str]:
    """The headers of an HTTP request, by their names in lower case."""
    return {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}


def _body(event: dict[str, Any]) -> dict[str, Any]:
    body = event.get("body")
    if not isinstance(body, str | None):
        raise BadRequest("The body is not UTF-8 text.")
    if body and len(body) > MAX_CARRIED_BYTES // 6 and _carried_bytes(body) > MAX_CARRIED_BYTES:
        raise TooLarge(
            f"The body has {_carried_bytes(body) // 1024} KB as a function is sent it, and at most "
            f"{MAX_CARRIED_BYTES // 1024} KB can be carried. Upload what is large (POST /uploads), "
            "and refer to it in attachments."
        )
    try:
        if event.get("isBase64Encoded") and body:
            body = base64.b64decode(body, validate=True).decode()
        if body is None or not body.strip():
            return {}
        parsed = from_json(body.encode(), allow_inf_nan=False)
    except (binascii.Error, UnicodeError):
        raise BadRequest("The body is not UTF-8 text.") from None
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    if not isinstance(parsed, dict):
        raise BadRequest('The body must be a JSON object: {"payload": {…}}.')
    return parsed


def _joined(said: dict[str, Any], address: dict[str, Any]) -> dict[str, Any]:
    """What was said, with what the address says. Neither may contradict the other."""
    return said | {
        name: _named_once(name, said.get(name), value) for name, value in address.items()
    }


def _query(event: dict[str, Any]) -> dict[str, Any]:
    if "rawQueryString" in event:
        values = parse_qs(event["rawQueryString"], keep_blank_values=True)
    else:
        values = event.get("multiValueQueryStringParameters") or {
            name: [value] for name, value in (event.get("queryStringParameters") or {}).items()
        }
    return {name: value[0] if len(value) == 1 else value for name, value in values.items()}


def _typed(query: dict[str, Any], payload_type: Any) -> dict[str, Any]:
    """What a query string says, with its flags and numbers read, which are text there.

    What is neither is left as it is: the payload tells why it can't be.
    """
    return {
        name: _as_json(value, payload_type.model_fields[name].annotation)
        if name in payload_type.model_fields and isinstance(value, str)
        else value
        for name, value in query.items()
    }


def _as_json(text: str, annotation: Any) -> Any:
    """Text that is a flag or a number as JSON has it, if that is what is meant."""
    meant = get_args(annotation) or (annotation,)  # It may be optional.
    if bool in meant:
        return {"true": True, "false": False}.get(text.lower(), text)
    if int in meant and re.fullmatch("-?[0-9]{1,18}", text):
        return int(text)
    return text


def _path_parameters(event: dict[str, Any], path: str) -> dict[str, str]:
    """The path parameters, decoded once.

    A REST API hands them over as they were sent. An HTTP API has decoded them, and so has a local
    REST API; both tell a version. A function URL leaves it to us to find them in the path.
    """
    given = event.get("pathParameters")
    if given is not None and "version" in event:
        return dict(given)
    if given is None and "rawPath" in event:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        match = re.fullmatch(pattern, event["rawPath"].rstrip("/"))
        given = match.groupdict() if match else None
    return {name: unquote(value) for name, value in (given or {}).items()}


def _named_once(name: str, here: Any, there: Any) -> Any:
    if here is None or here == there:
        return there
    if lowered(str(here)) == lowered(str(there)):
        return there
    raise BadRequest(f"{name} is given twice, and differently: {here!r:.100} and {there!r:.100}.")


def _key_to_id(key: str, user_id: str) -> str:
    """The request id that a user's Idempotency-Key stands for: itself if it is written as a UUID.

    Some 32 hexadecimal digits, a digest, say, are none: read as one, they could tell a time. Two
    users may name their requests alike, so another text is each user's own.
    """
    if not key.strip():
        raise BadRequest("The Idempotency-Key is empty. Send one per request, or none.")
    if re.fullmatch(_UUID, key.strip().lower()):
        return key.strip().lower()
    return str(uuid5(_IDEMPOTENCY_KEYS, f"{user_id}\n{key}"))
