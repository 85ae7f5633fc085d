"""The API as an OpenAPI 3.1 document, made from the operations and their models.

It is kept in the repository, so that a change of the API shows as one; a test says when it is not
what the operations say. `python -m dev.openapi` writes it anew, in the development environment.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from typing import Any

from pydantic.json_schema import models_json_schema

from casefile import errors
from casefile.entry import Operation
from dev.environments import ROOT
from pydantic_models.base import BaseRequest, FailedResponse
from pydantic_models.domain_events import ADAPTER
from pydantic_models.operations import ExportPayload

FILE = ROOT / "openapi.json"
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
            "`timestamp`, and it has one effect and gets the same answer.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/v1", "description": "The stage of the deployed API"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A Cognito ID token; `make start` and `make token` print one",
                }
            },
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "responses": _failures(),
            "schemas": _referred(schemas, [paths, _failures()]),
        },
    }


_TAGS = {
    "tool sessions": "Logs of what tools did",
    "chat sessions": "Logs of what was said",
    "casefiles": "Folders of sessions, and who may see them",
    "uploads": "Content that is too large for a request",
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
    _, together = models_json_schema(models, ref_template=_REFERENCE)
    schemas: dict[str, Any] = _untitled(together["$defs"])
    return schemas


def _untitled(schema: Any) -> Any:
    """A schema without the titles that are only its names again."""
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _untitled(each)
        for name, each in schema.items()
        if name != "title" or isinstance(each, dict)
    }


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
    parameters = [_parameter(name, "path", payload) for name in in_path]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": (inspect.getdoc(module) or "").splitlines()[0].rstrip("."),
        "description": inspect.getdoc(operation.run) or "",
        "tags": [path.strip("/").partition("/")[0].replace("-", " ")],
    }
    if method in ("GET", "DELETE"):
        parameters += [
            _parameter(name, "query", payload)
            for name in payload["properties"]
            if name not in in_path
        ]
    if method != "GET":
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if method in ("POST", "PATCH"):
        described["requestBody"] = _body(operation, payload, in_path)
    described["parameters"] = parameters
    described["responses"] = {str(operation.status): _answer(operation), **_refusals(method)}
    return described


def _parameter(name: str, place: str, payload: dict[str, Any]) -> dict[str, Any]:
    schema = dict(payload["properties"][name])
    choices = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    for choice in choices:  # Null can't be said in an address: the parameter is left out.
        schema |= choice
    if schema.get("default", "") is None:
        del schema["default"]
    parameter = {"name": name, "in": place, "description": schema.pop("description", name)}
    if place == "path" or name in payload.get("required", []):
        parameter["required"] = True
    return parameter | {"schema": schema}


def _body(
    operation: Operation[Any, Any], payload: dict[str, Any], in_path: list[str]
) -> dict[str, Any]:
    """The envelope, of which the path says some fields and the token says who asks."""
    fields = {name: each for name, each in payload["properties"].items() if name not in in_path}
    required = [name for name in payload.get("required", []) if name not in in_path]
    inner = payload | {"properties": fields, "required": required}
    envelope = BaseRequest.model_json_schema(ref_template=_REFERENCE)["properties"]
    given = {name: _untitled(envelope[name]) for name in ("request_id", "timestamp", "metadata")}
    given["request_id"]["type"] = ["string", "null"]  # As if it were left out.
    schema = {
        "type": "object",
        "properties": {"payload": inner, **given},
        "required": ["payload"] if required else [],
    }
    content: dict[str, Any] = {"schema": schema}
    content["example"] = _example(operation, in_path)
    return {"required": bool(required), "content": {"application/json": content}}


def _example(operation: Operation[Any, Any], in_path: list[str]) -> dict[str, Any]:
    """What the operation's own event asks for."""
    path = ROOT / "tests/events" / operation.name / "direct.json"
    payload: dict[str, Any] = json.loads(path.read_text())["payload"]
    return {"payload": {name: value for name, value in payload.items() if name not in in_path}}


def _answer(operation: Operation[Any, Any]) -> dict[str, Any]:
    response = operation.response_type
    told: dict[str, Any] = {"description": (inspect.getdoc(response) or "").splitlines()[0]}
    if response.model_fields["payload"].annotation is ExportPayload:
        return told | {
            "headers": {
                "Casefile-Next-After": {
                    "description": "`after` for the next part, if there is one",
                    "schema": {"type": "integer"},
                }
            },
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }
    return told | {"content": {"application/json": {"schema": _reference(response.__name__)}}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=name)}


def _classes() -> list[type[errors.CasefileError]]:
    """The errors that callers may be answered with."""
    found = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.CasefileError) and hasattr(each, "code")
    ]
    return sorted(found, key=lambda each: (each.status, each.code))


def _failures() -> dict[str, Any]:
    """The failures by status, each with its codes."""
    failures: dict[str, Any] = {}
    for each in _classes():
        meaning = (inspect.getdoc(each) or "").splitlines()[0]
        failure = failures.setdefault(
            str(each.status),
            {
                "description": "",
                "content": {"application/json": {"schema": _reference("FailedResponse")}},
            },
        )
        failure["description"] += f"`{each.code}`: {meaning} "
    for status, description in {
        "429": "`too_many_requests`: Send it again a little later; see Retry-After.",
        "500": "`internal_error`: A fault of the service, which is logged.",
    }.items():
        failures[status] = {
            "description": description,
            "content": {"application/json": {"schema": _reference("FailedResponse")}},
        }
    for failure in failures.values():
        failure["description"] = failure["description"].strip()
    return dict(sorted(failures.items()))


def _refusals(method: str) -> dict[str, Any]:
    never = {"405"} | ({"409"} if method == "GET" else set())
    return {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in _failures()
        if status not in never
    }


def text() -> str:
    """The document as the repository keeps it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def events_text() -> str:
    """The JSON schema of what the event bus is told, as the repository keeps it."""
    schema = _untitled(ADAPTER.json_schema(mode="serialization"))
    told = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What Casefile tells its event bus: the detail of each event",
    }
    return json.dumps(told | schema, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    EVENTS_FILE.write_text(events_text())
