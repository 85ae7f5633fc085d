"""The API as an OpenAPI 3.1 document, made from the operations and their models.

It is kept in the repository, so that a change of the API shows as one, with the function that
serves it; a test says when it is not what the operations say. `python -m dev.openapi` writes it
anew, in the development environment.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from casefile import errors
from casefile.entry import Operation
from dev.environments import ROOT
from pydantic_models.base import BaseRequest, FailedResponse
from pydantic_models.domain_events import ADAPTER
from pydantic_models.operations import ExportPayload

FILE = ROOT / "functions/describe_api/openapi.json"
EVENTS_FILE = ROOT / "events.schema.json"
_REFERENCE = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """The whole document."""
    operations = _operations()
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        method, _, path = operation.route.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Casefile",
            "version": "1.0.0",
            "summary": "The record of what AI agents do, kept in your own AWS account",
            "description": "Each operation takes a request envelope and answers with a response "
            "envelope. Repeat a request with its `request_id` (or `Idempotency-Key`) and its "
            "`timestamp`, and it has one effect and gets the same answer; an update is answered "
            "with what is there then. A failure is told by "
            "`metadata.error_code`; codes in capitals are API Gateway's own. A stack that requires "
            "API keys takes one in the header `X-Api-Key`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "The API that serves this document"}],
        "security": [{"token": []}, {"token": [], "api_key": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A Cognito ID token; `make start` and `make token` print one",
                },
                "api_key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Api-Key",
                    "description": "An API key, if the stack requires one; its output `ApiKeyId` "
                    "names the first",
                },
            },
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "responses": {str(status): _failure(status, _codes(status)) for status in _SHARED},
            "schemas": _referred(schemas, [paths, _failure(400, {})]),
        },
    }


_TAGS = {
    "tool sessions": "Logs of what tools did",
    "chat sessions": "Logs of what was said",
    "casefiles": "Folders of sessions, and who may see them",
    "uploads": "Content that is too large for a request",
    "users": "Everything of a user at once",
}

_DESCRIBED = {
    "casefile_id": "The casefile's id, which its creation was answered with",
    "request_id": "The id of the request that recorded the tool execution",
    "required_permission": "What they would have to be allowed",
    "session_id": "The session's id, which its creation was answered with",
}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Names the request, in place of `request_id`: sent again, it has one effect",
    "schema": {"type": "string", "minLength": 1},
}


def _operations() -> list[Operation[Any, Any]]:
    """All operations, in the order of the README's table."""
    named = re.findall(r"^\| \[`(\w+)`\]\(functions/", (ROOT / "README.md").read_text(), re.M)
    return [importlib.import_module(f"functions.{name}.handler").handle for name in named]


def _schemas(operations: list[Operation[Any, Any]]) -> dict[str, Any]:
    """Schemas by name: what is sent as it is checked, what is answered as it is written."""
    asked = [(_payload_type(operation), "validation") for operation in operations]
    told = [(operation.response_type, "serialization") for operation in operations]
    models: Any = [*dict.fromkeys([*asked, *told]), (FailedResponse, "serialization")]
    _, together = models_json_schema(
        models, ref_template=_REFERENCE, schema_generator=_SchemasOfWhatIsWritten
    )
    schemas: dict[str, Any] = _plain(together["$defs"])
    failure = schemas["FailedResponse"]
    failure["required"].remove("timestamp")  # API Gateway's own failures don't tell it.
    failure["properties"]["metadata"]["properties"] = {
        "error_code": {"type": "string"},
        "errors": {"type": "array", "items": _FAULT},
    }
    for closed in ("CloseChatSessionResponse", "CloseSessionResponse"):
        schemas[closed]["properties"]["metadata"]["properties"] = {"seal": {"type": "string"}}
    return schemas


class _SchemasOfWhatIsWritten(GenerateJsonSchema):
    """Schemas that say of what is answered that all of it is there, as it is."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)


_FAULT = {
    "type": "object",
    "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
    "required": ["where", "what"],
}


def _plain(schema: Any) -> Any:
    """A schema without the titles that are only its names again, and with the size of integers.

    Without it, generators for languages that have two sizes take the smaller.
    """
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    sized = {"format": "int64"} if schema.get("type") == "integer" else {}
    return {
        name: _plain(each)
        for name, each in schema.items()
        if name != "title" or isinstance(each, dict)
    } | sized


def _referred(schemas: dict[str, Any], used: Any) -> dict[str, Any]:
    """The schemas that are used, and those that these use."""
    found: dict[str, Any] = {}
    waiting = [used]
    while waiting:
        names = re.findall(r"#/components/schemas/(\w+)", json.dumps(waiting.pop()))
        for name in dict.fromkeys(names):
            if name not in found:
                found[name] = schemas[name]
                waiting.append(schemas[name])
    return dict(sorted(found.items()))


def _payload_type(operation: Operation[Any, Any]) -> Any:
    return operation.request_type.model_fields["payload"].annotation


def _operation(operation: Operation[Any, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    method, _, path = operation.route.partition(" ")
    module = importlib.import_module(operation.run.__module__)
    payload = schemas[_payload_type(operation).__name__]
    in_path = re.findall(r"{(\w+)}", path)
    example = _example(operation)
    parameters = [_parameter(name, "path", payload, example) for name in in_path]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": (inspect.getdoc(module) or "").splitlines()[0].rstrip("."),
        "description": inspect.getdoc(operation.run) or "",
        "tags": [path.strip("/").partition("/")[0].replace("-", " ")],
    }
    if method in ("GET", "DELETE"):
        parameters += [
            _parameter(name, "query", payload, example)
            for name in payload["properties"]
            if name not in in_path
        ]
    if method != "GET":
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if method in ("PATCH", "POST", "PUT"):
        described["requestBody"] = _body(operation, payload, example, in_path)
    described["parameters"] = parameters
    described["responses"] = {str(operation.status): _answer(operation), **_refusals(operation)}
    return described


def _parameter(
    name: str, place: str, payload: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any]:
    schema = dict(payload["properties"][name])
    choices = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    for choice in choices:  # Null can't be said in an address: the parameter is left out.
        schema |= choice
    if schema.get("default", "") is None:
        del schema["default"]
    told = schema.pop("description", None) or _DESCRIBED[name]
    parameter: dict[str, Any] = {"name": name, "in": place, "description": told}
    if place == "path" or name in payload.get("required", []):
        parameter["required"] = True
    # An id that was made is somebody's own: an example of one would lead to nothing.
    if name in example and not (place == "path" and name in _MADE):
        parameter["example"] = example[name]
    return parameter | {"schema": schema}


_MADE = ("casefile_id", "request_id", "session_id")


def _body(
    operation: Operation[Any, Any],
    payload: dict[str, Any],
    example: dict[str, Any],
    in_path: list[str],
) -> dict[str, Any]:
    """The envelope, of which the path says some fields and the token says who asks."""
    fields = {name: each for name, each in payload["properties"].items() if name not in in_path}
    required = [name for name in payload.get("required", []) if name not in in_path]
    inner = payload | {"properties": fields, "required": required}
    is_needed = not _says_enough(operation, {name: example[name] for name in in_path})
    envelope = BaseRequest.model_json_schema(ref_template=_REFERENCE)["properties"]
    given = {name: _plain(envelope[name]) for name in ("request_id", "timestamp", "metadata")}
    for each in given.values():
        each["type"] = [each["type"], "null"]  # As if it were left out.
    schema = {
        "type": "object",
        "properties": {"payload": inner, **given},
        "required": ["payload"] if is_needed else [],
    }
    sent = {name: value for name, value in example.items() if name not in in_path}
    content = {"schema": schema, "example": {"payload": sent}}
    return {"required": is_needed, "content": {"application/json": content}}


def _says_enough(operation: Operation[Any, Any], payload: dict[str, Any]) -> bool:
    """Whether an operation can be asked for with this payload."""
    try:
        TypeAdapter(_payload_type(operation)).validate_python(payload)
    except ValidationError:
        return False
    return True


def _example(operation: Operation[Any, Any]) -> dict[str, Any]:
    """What the operation's own event asks for."""
    path = ROOT / "tests/events" / operation.name / "direct.json"
    payload: dict[str, Any] = json.loads(path.read_text())["payload"]
    return payload


def _answer(operation: Operation[Any, Any]) -> dict[str, Any]:
    response = operation.response_type
    told: dict[str, Any] = {"description": (inspect.getdoc(response) or "").splitlines()[0]}
    if response.model_fields["payload"].annotation is ExportPayload:
        return told | {
            "headers": {
                "Casefile-Next-After": {
                    "description": "`after` for the next part, if there is one",
                    "schema": {"type": "integer", "format": "int64"},
                }
            },
            "content": {"application/x-ndjson": {"schema": {"type": "string", "format": "binary"}}},
        }
    return told | {"content": {"application/json": {"schema": _reference(response.__name__)}}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=name)}


_CREATING = ("create_casefile", "create_chat_session", "create_session")
_CLOSING = ("close_chat_session", "close_session")
_RECORDING = ("chat", "rewind_chat_session", "tool_execution", "tool_result")

_CHANGING = (
    *("add_session_to_casefile", "remove_session_from_casefile"),
    *("grant_permission", "revoke_permission", "set_legal_hold"),
    *("update_casefile", "update_chat_session", "update_session"),
)
_RELEASING = (
    *("delete_casefile", "delete_chat_session", "delete_session"),
    "remove_session_from_casefile",
)

_ONLY: dict[type[errors.CasefileError], tuple[str, ...]] = {
    errors.ContentMissing: _RECORDING,
    errors.MethodNotAllowed: (),  # API Gateway lets no other method through.
    errors.RequestIdReused: (*_CREATING, *_RECORDING, *_CLOSING, *_CHANGING),
    errors.SessionClosed: _RECORDING,
    errors.SessionDeleted: ("create_chat_session", "create_session"),
    errors.AlreadyFiled: ("add_session_to_casefile",),
    errors.AlreadyCompleted: ("tool_result",),
    errors.PendingRequests: ("close_session",),
    errors.NotStanding: ("rewind_chat_session",),
    errors.LegalHold: _RELEASING,
    errors.Outdated: ("set_legal_hold",),
}
"""The errors that only some operations answer with, and which these are."""

_OTHERS = {
    401: {"UNAUTHORIZED": "There is no token, or it isn't good, or not any more."},
    403: {
        "INVALID_API_KEY": "The stack requires an API key in the header X-Api-Key, and this is "
        "none that is good."
    },
    429: {
        "too_many_requests": "Send it again a little later; see Retry-After.",
        "QUOTA_EXCEEDED": "The API key has been used as often as it may be in a day.",
    },
    500: {
        "internal_error": "A fault of the service, which is logged.",
        "API_CONFIGURATION_ERROR": "The function could not be called just now. Send it again.",
        "AUTHORIZER_CONFIGURATION_ERROR": "Tokens can't be checked just now. Send it again.",
        "AUTHORIZER_FAILURE": "The token could not be checked. Send it again.",
    },
    504: {
        "INTEGRATION_TIMEOUT": "It took too long; it may have been done. Send it again.",
        "INTEGRATION_FAILURE": "The function could not be reached. Send it again.",
    },
}
"""The failures that are no error of ours."""

_SHARED = (401, 403, 404, 413, 429, 500, 503, 504)
"""The statuses that every operation may answer with, with the same codes or with more."""


def codes(operation: str) -> dict[int, dict[str, str]]:
    """The statuses that an operation may fail with, the error codes of each and what they mean."""
    statuses = {each.status for each in _classes()} | set(_OTHERS)
    found = {status: _codes(status, operation) for status in sorted(statuses)}
    return {status: meanings for status, meanings in found.items() if meanings}


def _codes(status: int, operation: str | None = None) -> dict[str, str]:
    """The codes of a status; those that only some operations have, for these."""
    ours = {
        each.code: (inspect.getdoc(each) or "").splitlines()[0]
        for each in _classes()
        if each.status == status and (each not in _ONLY or operation in _ONLY[each])
    }
    return ours | _OTHERS.get(status, {})


def _classes() -> list[type[errors.CasefileError]]:
    """The errors that callers may be answered with."""
    found = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.CasefileError) and hasattr(each, "code")
    ]
    # A class without a code of its own stands for the one above it.
    own = [each for each in found if "code" in vars(each)]
    return sorted(own, key=lambda each: each.code)


def _failure(status: int, meanings: dict[str, str]) -> dict[str, Any]:
    """A failure, with its codes and an example of each."""
    examples = {
        code: {
            "summary": meaning,
            "value": {
                "request_id": "0192f0c1-0000-7000-8000-000000000001",
                "status": "failed",
                "payload": None,
                "timestamp": "2026-01-15T09:30:00+00:00",
                "error": meaning,
                "metadata": {"error_code": code},
            },
        }
        for code, meaning in meanings.items()
    }
    told: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {meaning}" for code, meaning in meanings.items()),
        "content": {
            "application/json": {"schema": _reference("FailedResponse"), "examples": examples}
        },
    }
    if status in (429, 503):
        after = {"description": "Seconds to wait", "schema": {"type": "integer", "format": "int64"}}
        told["headers"] = {"Retry-After": after}
    return told


def _refusals(operation: Operation[Any, Any]) -> dict[str, Any]:
    return {
        str(status): {"$ref": f"#/components/responses/{status}"}
        if status in _SHARED and meanings == _codes(status)
        else _failure(status, meanings)
        for status, meanings in codes(operation.name).items()
    }


def text() -> str:
    """The document as the repository keeps it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def events_text() -> str:
    """The JSON schema of what the event bus is told, as the repository keeps it."""
    schema = _plain(ADAPTER.json_schema(mode="serialization"))
    told = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What Casefile tells its event bus: the detail of each event",
    }
    return json.dumps(told | schema, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    EVENTS_FILE.write_text(events_text())
