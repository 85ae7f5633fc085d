"""Every operation is served at every door, and does its work there once."""

import json
from typing import Any
from uuid import uuid4

import pytest

from pydantic_models.export import verify
from tests.conftest import OPERATIONS, WRITING, Context, Invoke, load
from tests.events import DOORS, event


@pytest.fixture
def things(aws: None, request: pytest.FixtureRequest) -> None:
    """The sessions, the casefile and the pending request that the events speak of."""
    for creation in ("create_session", "create_chat_session", "create_casefile"):
        load(creation)(event(creation, "direct"), Context())
    if request.node.callspec.params["operation"] in ("tool_result", "get_tool_request"):
        load("tool_execution")(event("tool_execution", "eventbridge"), Context())
    if request.node.callspec.params["operation"] == "remove_session_from_casefile":
        load("add_session_to_casefile")(event("add_session_to_casefile", "direct"), Context())
    if request.node.callspec.params["operation"] == "revoke_permission":
        load("grant_permission")(event("grant_permission", "direct"), Context())


def answer_of(door: str, returned: Any) -> dict[str, Any]:
    """The response envelope in what a door returned."""
    if door in ("api", "http_api"):
        assert returned["statusCode"] in (200, 201), returned["body"]
        if returned["headers"]["Content-Type"] == "application/x-ndjson":
            lines = returned["body"]
            exported = {"session_id": verify(lines.splitlines()).session_id, "lines": lines}
            return {
                "request_id": str(uuid4()),
                "status": "completed",
                "payload": exported,
                "error": None,
            }
        assert returned["headers"]["Content-Type"] == "application/json"
        returned = json.loads(returned["body"])
    assert isinstance(returned, dict)
    return returned


@pytest.mark.parametrize("door", [door for door in DOORS if door != "sqs"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_answers_with_its_response(things: None, operation: str, door: str) -> None:
    handler, asked = load(operation), event(operation, door)
    answer = answer_of(door, handler(asked, Context()))
    assert handler.response_type.model_validate(answer).status.value in ("completed", "pending")
    assert answer["error"] is None


@pytest.mark.parametrize("door", [door for door in DOORS if door != "sqs"])
@pytest.mark.parametrize("operation", WRITING)
def test_a_repeated_request_gets_the_same_answer(things: None, operation: str, door: str) -> None:
    first, second = (
        answer_of(door, load(operation)(event(operation, door), Context())) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_queued_request_is_done(things: None, operation: str) -> None:
    assert load(operation)(event(operation, "sqs"), Context()) == {"batchItemFailures": []}


def test_one_effect_however_many_doors_repeat_it(invoke: Invoke) -> None:
    load("create_chat_session")(event("create_chat_session", "direct"), Context())
    asked = event("chat", "direct")
    queued = event("chat", "sqs")
    queued["Records"][0]["body"] = json.dumps(asked)
    load("chat")(asked, Context())
    assert load("chat")(queued, Context()) == {"batchItemFailures": []}
    load("chat")({"detail-type": "x", "detail": asked}, Context())
    read = invoke("get_chat_session", {"session_id": asked["payload"]["session_id"]})
    assert read["payload"]["message_count"] == len(asked["payload"]["messages"])
