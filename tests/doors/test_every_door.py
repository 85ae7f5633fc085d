"""Every operation is served at every door, and does its work there once."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from casefile.errors import BadRequest
from pydantic_models.base.times import now, to_text
from pydantic_models.export import verify
from tests.conftest import OPERATIONS, WRITING, Context, Invoke, load, stored, uuid7
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


@pytest.mark.parametrize("operation", [*WRITING, "create_upload"])
def test_what_is_dated_in_the_future_is_refused_and_does_nothing(
    things: None, operation: str
) -> None:
    """By its timestamp or by its id, whichever is later."""
    before, ahead = stored(), now() + timedelta(minutes=6)
    asked = event(operation, "direct")
    for dated in (
        {"timestamp": to_text(ahead)},
        {"request_id": str(uuid7(ahead, 1))},
        {"request_id": str(uuid7(ahead, 1)), "timestamp": to_text(now())},
    ):
        with pytest.raises(BadRequest, match="in the future"):
            load(operation)(asked | dated, Context())
    assert stored() == before
    load(operation)(asked | {"timestamp": to_text(now() + timedelta(minutes=4))}, Context())


AGELESS = [name for name in WRITING if name.startswith(("create_", "delete_"))]


@pytest.mark.parametrize("operation", AGELESS)
def test_what_creates_or_deletes_is_done_once_at_any_age(things: None, operation: str) -> None:
    asked = event(operation, "direct")
    asked |= {"request_id": str(uuid4()), "timestamp": "2020-01-01T00:00:00Z"}
    first, second = (load(operation)(asked, Context()) for _ in range(2))
    assert first == second
    assert first["status"] == "completed"


@pytest.mark.parametrize("operation", sorted({*WRITING} - {*AGELESS}))
def test_what_else_stores_something_is_refused_when_it_is_old(things: None, operation: str) -> None:
    asked = event(operation, "direct") | {"timestamp": to_text(now() - timedelta(days=16))}
    with pytest.raises(BadRequest, match="older than 15 days"):
        load(operation)(asked | {"request_id": str(uuid4())}, Context())


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
