"""The OpenAPI document in the repository is the one that the operations make, and a good one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dev import openapi, redocly
from dev.console import Problem
from tests.conftest import OPERATIONS


def described(operation: str) -> dict[str, Any]:
    (found,) = (
        method
        for item in json.loads(openapi.FILE.read_text())["paths"].values()
        for method in item.values()
        if method["operationId"] == operation
    )
    assert isinstance(found, dict)
    return found


def test_it_is_current() -> None:
    assert openapi.FILE.read_text() == openapi.text(), "make openapi writes it anew"


def test_it_says_what_its_tags_are() -> None:
    document = json.loads(openapi.FILE.read_text())
    used = {tag for operation in OPERATIONS for tag in described(operation)["tags"]}
    assert {tag["name"] for tag in document["tags"]} == used


def test_it_lints_clean() -> None:
    try:
        redocly.prepare()
    except Problem as problem:
        pytest.skip(f"the linter can't be installed here: {problem}")
    assert redocly.lint(openapi.FILE) == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_tells_of_every_operation_how_to_call_it(operation: str) -> None:
    found = described(operation)
    assert found["summary"]
    assert found["description"]
    for parameter in found["parameters"]:
        assert parameter.get("description") or "$ref" in parameter
    if "requestBody" in found:
        assert found["requestBody"]["content"]["application/json"]["example"]["payload"] is not None
    assert any(status.startswith("2") for status in found["responses"])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_tells_each_failure_with_its_codes_and_an_example_of_each(operation: str) -> None:
    document = json.loads(openapi.FILE.read_text())
    told = {}
    for status, answer in described(operation)["responses"].items():
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if not status.startswith("2"):
            examples = answer["content"]["application/json"]["examples"]
            told[int(status)] = {
                each["value"]["metadata"]["error_code"] for each in examples.values()
            }
            assert all(f"`{code}`" in answer["description"] for code in examples)
    assert told == {status: set(codes) for status, codes in openapi.codes(operation).items()}
    assert {400, 401, 403, 404, 413, 429, 500, 503, 504} <= set(told)
    assert "invalid_request" in told[400]


def test_an_operation_is_only_said_to_fail_as_it_can() -> None:
    assert 409 not in openapi.codes("get_session")
    assert 405 not in openapi.codes("chat")
    assert "session_closed" in openapi.codes("chat")[409]
    assert "session_closed" not in openapi.codes("create_session")[409]
    assert "content_missing" in openapi.codes("tool_execution")[400]
    assert "content_missing" not in openapi.codes("grant_permission")[400]


FAR = {"offset"}
"""Numbers whose end is in their description, and told with the way to go on."""

RECORDED = {"content", "message", "prompt", "related_events"}
"""Texts that are recorded as they are: as long as one request may be."""


def unbounded(name: str, schema: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    """The names of texts and lists in a schema that may have any length, and of endless numbers."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield name
    if schema.get("type") == "string" and not {"maxLength", "enum", "const"} & set(schema):
        is_uuid, has_end = schema.get("format") == "uuid", "+" not in schema.get("pattern", "+")
        if not is_uuid and not has_end:
            yield name
    if schema.get("type") == "integer" and not {"maximum", "exclusiveMaximum"} & set(schema):
        yield name
    parts = {name: [*schema.get("anyOf", []), *filter(None, [schema.get("items")])]}
    parts |= {name: [inner] for name, inner in schema.get("properties", {}).items()}
    for part, inners in parts.items():
        for inner in inners:
            yield from unbounded(part, inner, document)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema, and all schemas in it."""
    if isinstance(schema, dict):
        yield schema
    if isinstance(schema, dict | list):
        for each in schema.values() if isinstance(schema, dict) else schema:
            yield from _parts(each)


def test_integers_have_a_size() -> None:
    integers = [
        each
        for each in _parts(json.loads(openapi.FILE.read_text()))
        if each.get("type") == "integer"
    ]
    assert len(integers) > 100
    assert {each.get("format") for each in integers} == {"int64"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_always_has_all_that_is_told_of_it(operation: str) -> None:
    document = json.loads(openapi.FILE.read_text())
    (answer,) = (
        each for status, each in described(operation)["responses"].items() if status[0] == "2"
    )
    schemas = openapi._referred(document["components"]["schemas"], answer)
    assert schemas or operation.startswith("export_")
    for schema in schemas.values():
        assert set(schema.get("required", [])) == set(schema.get("properties", []))


def test_a_failure_tells_its_code_and_what_is_wrong() -> None:
    failure = json.loads(openapi.FILE.read_text())["components"]["schemas"]["FailedResponse"]
    assert set(failure["properties"]) - set(failure["required"]) == {"timestamp"}
    assert set(failure["properties"]["metadata"]["properties"]) == {"error_code", "errors"}


@pytest.mark.parametrize(
    ("operation", "is_needed"),
    [("chat", True), ("update_session", True), ("create_session", False), ("close_session", False)],
)
def test_a_body_is_needed_where_the_address_says_too_little(
    operation: str, is_needed: bool
) -> None:
    body = described(operation)["requestBody"]
    assert body["required"] is is_needed
    schema = body["content"]["application/json"]["schema"]
    assert schema["required"] == (["payload"] if is_needed else [])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_all_that_may_be_sent_has_a_bound(operation: str) -> None:
    document = json.loads(openapi.FILE.read_text())
    found = described(operation)
    named = [(each["name"], each["schema"]) for each in found["parameters"] if "$ref" not in each]
    if "requestBody" in found:
        named.append(("body", found["requestBody"]["content"]["application/json"]["schema"]))
    endless = {each for name, schema in named for each in unbounded(name, schema, document)}
    assert (
        endless - {"offset"} <= RECORDED
    )  # Its end is in its description, and told with a way on.
