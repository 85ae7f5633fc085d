"""Completing a pending tool request: once, however much later, or failed with the session."""

from typing import Any
from uuid import uuid4

import pytest

from casefile.errors import (
    AlreadyCompleted,
    BadRequest,
    NotFound,
    PendingRequests,
    RequestIdReused,
    SessionClosed,
)
from pydantic_models.canonical.lifecycle import LIFECYCLE_EVENT_TYPES
from pydantic_models.operations import ToolResultResponse
from tests.conftest import Invoke, forget, stored

RECEIVED, STARTED, COMPLETED, FAILED, SENT = LIFECYCLE_EVENT_TYPES


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session")["payload"]["session_id"])


def begin(invoke: Invoke, session_id: str, **more: Any) -> str:
    """Record a pending request and return its id."""
    asked = {"session_id": session_id, "tool_name": "search", **more}
    return str(invoke("tool_execution", asked)["request_id"])


def end(
    invoke: Invoke, session_id: str, request_id: str, *, own_id: str | None = None, **outcome: Any
) -> dict[str, Any]:
    asked = {"session_id": session_id, "request_id": request_id, **(outcome or {"result": {}})}
    return invoke("tool_result", asked, **({"request_id": own_id} if own_id else {}))


def read(invoke: Invoke, session_id: str) -> dict[str, Any]:
    asked = {"session_id": session_id, "include_requests": True, "include_events": True}
    payload: dict[str, Any] = invoke("get_session", asked)["payload"]
    return payload


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events]


def test_a_result_completes_it(invoke: Invoke, session_id: str) -> None:
    request_id = begin(invoke, session_id, session_request_id="step 1", parameters={"q": 1})
    asked = end(invoke, session_id, request_id, result={"hits": 3}, duration_ms=9)
    answer = ToolResultResponse.model_validate(asked).payload
    assert (answer.status, answer.result, answer.record) == ("completed", {"hits": 3}, 2)
    assert answer.session_request_id == "step 1"
    assert types(answer.events) == [RECEIVED, STARTED, COMPLETED, SENT]
    session = read(invoke, session_id)
    (request,) = session["requests"]
    assert (request["status"], request["result"]) == ("completed", {"hits": 3})
    assert (request["parameters"], request["duration_ms"]) == ({"q": 1}, 9)
    assert request["completed_at"] == answer.recorded_at
    assert request["events"] == answer.events == session["events"]
    assert (session["request_count"], session["pending_count"], session["event_count"]) == (1, 0, 4)


def test_an_error_fails_it(invoke: Invoke, session_id: str) -> None:
    request_id = begin(invoke, session_id)
    answer = end(invoke, session_id, request_id, error_message="timed out")["payload"]
    assert (answer["status"], answer["error_message"]) == ("failed", "timed out")
    assert types(answer["events"]) == [RECEIVED, STARTED, FAILED, SENT]


def test_own_events_come_with_either_step(invoke: Invoke, session_id: str) -> None:
    own = [{"event_type": "queued", "tool_name": "search"}]
    request_id = begin(invoke, session_id, events=own)
    later = [{"event_type": "retried", "tool_name": "search"}]
    end(invoke, session_id, request_id, result={}, events=later)
    session = read(invoke, session_id)
    expected = [RECEIVED, STARTED, "queued", "retried", COMPLETED, SENT]
    assert types(session["events"]) == expected
    assert session["event_count"] == 6
    assert len({event["event_id"] for event in session["events"]}) == 6


def test_events_stand_in_the_order_of_the_records(invoke: Invoke, session_id: str) -> None:
    one, two = begin(invoke, session_id), begin(invoke, session_id)
    end(invoke, session_id, two)
    end(invoke, session_id, one)
    chains = [event["chain_id"] for event in read(invoke, session_id)["events"]]
    assert chains == [one, one, two, two, two, two, one, one]


def test_the_same_result_again_is_the_same_answer(invoke: Invoke, session_id: str) -> None:
    request_id, own_id = begin(invoke, session_id), str(uuid4())
    first = end(invoke, session_id, request_id, own_id=own_id, result={"a": 1})
    before = stored()
    assert end(invoke, session_id, request_id, own_id=own_id, result={"a": 1}) == first
    forget()
    again = end(invoke, session_id, request_id, result={"a": 1})
    assert (again["payload"], again["timestamp"]) == (first["payload"], first["timestamp"])
    invoke("close_session", {"session_id": session_id})
    late = end(invoke, session_id, request_id, result={"a": 1})
    assert late["payload"] == first["payload"]
    assert len(stored()) == len(before) + 1


@pytest.mark.parametrize("other", [{"result": {"a": 2}}, {"error_message": "no"}])
def test_a_different_result_is_refused(
    invoke: Invoke, session_id: str, other: dict[str, Any]
) -> None:
    request_id, own_id = begin(invoke, session_id), str(uuid4())
    end(invoke, session_id, request_id, own_id=own_id, result={"a": 1})
    with pytest.raises(AlreadyCompleted):
        end(invoke, session_id, request_id, **other)
    with pytest.raises(RequestIdReused):
        end(invoke, session_id, request_id, own_id=own_id, **other)
    with pytest.raises(RequestIdReused):
        end(invoke, session_id, begin(invoke, session_id), own_id=own_id, result={"a": 1})


def test_the_same_result_is_the_same_whatever_comes_with_it(
    invoke: Invoke, session_id: str
) -> None:
    """As a retry that counts its attempts, or measures anew, sends it."""
    request_id = begin(invoke, session_id)
    asked = {"session_id": session_id, "request_id": request_id, "result": {"a": 1, "b": 2}}
    first = invoke("tool_result", asked, metadata={"attempt": 1})
    for more in ({}, {"duration_ms": 7}, {"result": {"b": 2, "a": 1}}):
        again = invoke("tool_result", asked | more, metadata={"attempt": 2})
        assert again["payload"] == first["payload"]
        assert again["timestamp"] == first["timestamp"]
    (told,) = read(invoke, session_id)["requests"]
    assert told["duration_ms"] is None
    events = [{"event_type": "x", "tool_name": "search"}]
    for other in ({"result": {"a": 1}}, {"events": events}):
        with pytest.raises(AlreadyCompleted):
            invoke("tool_result", asked | other, metadata={"attempt": 1})


def test_what_was_recorded_with_its_outcome_has_no_other(invoke: Invoke, session_id: str) -> None:
    request_id = begin(invoke, session_id, result={})
    with pytest.raises(AlreadyCompleted, match="recorded with its outcome"):
        end(invoke, session_id, request_id)


def test_a_request_that_is_not_there_is_not_found(invoke: Invoke, session_id: str) -> None:
    other_session = invoke("create_session")["payload"]["session_id"]
    elsewhere = begin(invoke, other_session)
    begin(invoke, session_id)
    for request_id in (str(uuid4()), elsewhere):
        with pytest.raises(NotFound, match="no tool request"):
            end(invoke, session_id, request_id)


@pytest.mark.parametrize("outcome", [{"result": {}, "error_message": "no"}, {"duration_ms": 1}])
def test_it_takes_one_outcome(invoke: Invoke, session_id: str, outcome: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="give a result or an error_message"):
        end(invoke, session_id, begin(invoke, session_id), **outcome)


def test_it_comes_however_much_later(invoke: Invoke, session_id: str) -> None:
    request_id = begin(invoke, session_id)
    for _ in range(230):
        begin(invoke, session_id, result={})
    forget()
    first = end(invoke, session_id, request_id)
    assert first["payload"]["record"] == 232
    forget()
    assert end(invoke, session_id, request_id)["payload"] == first["payload"]


def test_closing_waits_for_pending_requests_unless_forced(invoke: Invoke, session_id: str) -> None:
    for _ in range(2):
        begin(invoke, session_id)
    done = begin(invoke, session_id)
    end(invoke, session_id, done)
    pending = [request["request_id"] for request in read(invoke, session_id)["requests"]][:2]
    before = stored()
    with pytest.raises(PendingRequests, match="2 tool requests have no result"):
        invoke("close_session", {"session_id": session_id})
    assert stored() == before

    forget()
    closed = invoke("close_session", {"session_id": session_id, "force": True})["payload"]
    session = read(invoke, session_id)
    assert (closed["total_requests"], closed["total_events"]) == (3, 10)
    assert (session["pending_count"], len(session["events"])) == (0, 10)
    assert [request["status"] for request in session["requests"]] == [
        "failed",
        "failed",
        "completed",
    ]
    assert types(session["events"])[-2:] == [FAILED, FAILED]
    assert "closed before" in session["requests"][0]["error_message"]
    assert session["requests"][0]["completed_at"] == closed["closed_at"]
    assert invoke("close_session", {"session_id": session_id})["payload"] == closed
    with pytest.raises(SessionClosed):
        end(invoke, session_id, pending[0])


def test_only_its_owner_may_complete_it(invoke: Invoke, session_id: str) -> None:
    asked = {"session_id": session_id, "request_id": begin(invoke, session_id), "result": {}}
    with pytest.raises(NotFound):
        invoke("tool_result", asked, user="bob@example.com")
