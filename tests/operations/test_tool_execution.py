"""Recording a tool execution: once, with the events of its life, exactly as it was sent."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

from casefile import creation, session_log
from casefile.errors import BadRequest, NotFound, RequestIdReused, SessionClosed, TooLarge
from pydantic_models.canonical import ToolEvent
from pydantic_models.canonical.lifecycle import LIFECYCLE_EVENT_TYPES
from pydantic_models.operations import ToolExecutionResponse
from tests.conftest import Invoke, forget, objects, stored
from tests.json_strategies import OBJECTS

RECEIVED, STARTED, COMPLETED, FAILED, SENT = LIFECYCLE_EVENT_TYPES


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session")["payload"]["session_id"])


def types(answer: dict[str, Any]) -> list[str]:
    return [event["event_type"] for event in answer["payload"]["events"]]


def read(invoke: Invoke, session_id: str) -> dict[str, Any]:
    asked = {"session_id": session_id, "include_requests": True, "include_events": True}
    payload: dict[str, Any] = invoke("get_session", asked)["payload"]
    return payload


def test_with_a_result_it_is_completed(invoke: Invoke, session_id: str) -> None:
    payload = {
        "session_id": session_id,
        "tool_name": "search",
        "parameters": {"q": "flights"},
        "result": {"hits": 3},
        "duration_ms": 420,
        "session_request_id": "step 1",
    }
    asked = invoke("tool_execution", payload)
    answer = ToolExecutionResponse.model_validate(asked).payload
    assert (asked["status"], answer.status, answer.record) == ("completed", "completed", 1)
    assert answer.result == {"hits": 3}
    assert answer.session_request_id == "step 1"
    assert types(asked) == [RECEIVED, STARTED, COMPLETED, SENT]
    assert answer.events[2]["duration_ms"] == 420


def test_with_an_error_it_is_failed(invoke: Invoke, session_id: str) -> None:
    payload = {"session_id": session_id, "tool_name": "search", "error_message": "no network"}
    answer = invoke("tool_execution", payload)
    assert (answer["status"], answer["payload"]["status"]) == ("completed", "failed")
    assert types(answer) == [RECEIVED, STARTED, FAILED, SENT]
    assert answer["payload"]["events"][2]["error_message"] == "no network"


def test_with_neither_it_is_pending(invoke: Invoke, session_id: str) -> None:
    answer = invoke("tool_execution", {"session_id": session_id, "tool_name": "search"})
    assert (answer["status"], answer["payload"]["status"]) == ("pending", "pending")
    assert types(answer) == [RECEIVED, STARTED]
    assert read(invoke, session_id)["pending_count"] == 1


def test_with_both_it_is_refused(invoke: Invoke, session_id: str) -> None:
    payload = {"session_id": session_id, "tool_name": "x", "result": {}, "error_message": "no"}
    with pytest.raises(BadRequest, match="not both"):
        invoke("tool_execution", payload)


def test_the_callers_events_stand_inside_and_are_not_doubled(
    invoke: Invoke, session_id: str
) -> None:
    own = [
        {"event_type": STARTED, "tool_name": "search", "timestamp": "2026-01-01T00:00:00Z"},
        {"event_type": "cache_missed", "tool_name": "search", "parameters": {"key": "k"}},
    ]
    payload = {"session_id": session_id, "tool_name": "search", "result": {}, "events": own}
    answer = invoke("tool_execution", payload)
    assert types(answer) == [RECEIVED, STARTED, "cache_missed", COMPLETED, SENT]
    events = answer["payload"]["events"]
    assert events[1]["timestamp"] == "2026-01-01T00:00:00.000+00:00"
    assert events[2]["timestamp"] == answer["payload"]["recorded_at"]
    assert events[2]["parameters"] == {"key": "k"}
    assert read(invoke, session_id)["event_count"] == 5


@pytest.mark.parametrize("outcome", [{"result": {"n": 1}}, {"error_message": "no"}, {}])
def test_events_are_told_as_the_model_has_them(
    invoke: Invoke, session_id: str, outcome: dict[str, Any]
) -> None:
    everything = {
        "event_id": "mine",
        "event_type": "cache_missed",
        "tool_name": "cache",
        "timestamp": "2026-01-01T01:00:00+01:00",
        "parameters": {"key": [1.0]},
        "result_summary": {"hit": False},
        "duration_ms": 3,
        "status": "error",
        "error_message": "none",
        "initiator": "agent",
        "chain_position": 2,
        "chain_id": "c",
        "reasoning": "because",
        "source_message_id": "msg_1",
        "related_events": ["evt_1"],
    }
    own = [{"event_type": "noted", "tool_name": "note"}, everything]
    payload = {"session_id": session_id, "tool_name": "search", "events": own, **outcome}
    events = invoke("tool_execution", payload)["payload"]["events"]
    for event in events:
        told = {name: value for name, value in event.items() if name != "session_request_id"}
        assert list(told) == list(ToolEvent.model_fields)
        assert ToolEvent.model_validate(told).model_dump(mode="json") == told
    (mine,) = (event for event in events if event["event_id"] == "mine")
    assert {name: mine[name] for name in everything} == everything | {
        "timestamp": "2026-01-01T00:00:00.000+00:00"
    }


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([RECEIVED], [RECEIVED, STARTED, COMPLETED, SENT]),
        (["before", STARTED], [RECEIVED, "before", STARTED, COMPLETED, SENT]),
        ([RECEIVED, "between"], [RECEIVED, STARTED, "between", COMPLETED, SENT]),
        (["between", SENT], [RECEIVED, STARTED, "between", COMPLETED, SENT]),
        ([COMPLETED, "after"], [RECEIVED, STARTED, COMPLETED, "after", SENT]),
        ([RECEIVED, STARTED, COMPLETED, SENT], [RECEIVED, STARTED, COMPLETED, SENT]),
    ],
)
def test_lifecycle_events_keep_their_order(
    invoke: Invoke, session_id: str, own: list[str], expected: list[str]
) -> None:
    events = [{"event_type": event_type, "tool_name": "x"} for event_type in own]
    payload = {"session_id": session_id, "tool_name": "x", "result": {}, "events": events}
    assert types(invoke("tool_execution", payload)) == expected


@pytest.mark.parametrize(
    ("outcome", "event_type"),
    [({"result": {}}, FAILED), ({"error_message": "no"}, COMPLETED), ({}, COMPLETED), ({}, SENT)],
)
def test_an_event_that_contradicts_the_outcome_is_refused(
    invoke: Invoke, session_id: str, outcome: dict[str, Any], event_type: str
) -> None:
    events = [{"event_type": event_type, "tool_name": "x"}]
    payload = {"session_id": session_id, "tool_name": "x", "events": events, **outcome}
    with pytest.raises(BadRequest, match="contradicts the outcome"):
        invoke("tool_execution", payload)


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": [{"event_type": "e", "tool_name": "x", "detail": "lost"}]},
        {"events": [{"event_type": "e", "tool_name": "x", "duration_ms": 10**12 + 1}]},
        {"events": [{"event_type": "e", "tool_name": "x", "chain_position": 10**12 + 1}]},
        {"duration_ms": "5"},
        {"duration_ms": True},
        {"duration_ms": -1},
        {"tool_name": ""},
        {"result": [1]},
        {"parameters": []},
        {"colour": "red"},
    ],
)
def test_what_would_be_lost_or_guessed_is_refused(
    invoke: Invoke, session_id: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest, match=r"payload\."):
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x", **wrong})
    assert len(stored()) == 1


def test_a_request_recorded_twice_has_ids_of_its_own_each_time(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repetition without a time, after the allowance, is a new request; nothing gets mixed up."""
    payload = {"session_id": session_id, "tool_name": "x", "result": {}}
    request_id = str(uuid4())
    invoke("tool_execution", payload, request_id=request_id)
    for _ in range(10):
        invoke("tool_execution", payload)
    forget()
    later = datetime.now(UTC) + timedelta(minutes=20)
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: later)
    invoke("tool_execution", payload, request_id=request_id, timestamp=later.isoformat())
    events = read(invoke, session_id)["events"]
    assert len({event["event_id"] for event in events}) == len(events) == 12 * 4


def test_reading_back_gives_what_was_answered(invoke: Invoke, session_id: str) -> None:
    endings: list[dict[str, Any]] = [
        {},
        {"result": {}},
        {"error_message": "no"},
        {"result": {"a": None}},
    ]
    answers = [
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x", **end})["payload"]
        for end in endings
    ]
    session = read(invoke, session_id)
    assert [request["record"] for request in session["requests"]] == [1, 2, 3, 4]
    assert [request["events"] for request in session["requests"]] == [
        answer["events"] for answer in answers
    ]
    assert session["events"] == [event for answer in answers for event in answer["events"]]
    assert len({event["event_id"] for event in session["events"]}) == session["event_count"] == 14


def test_a_retry_is_recorded_once(invoke: Invoke, session_id: str) -> None:
    payload = {
        "session_id": session_id,
        "tool_name": "x",
        "result": {"a": 1, "b": 2},
        "events": [{"event_type": "own", "tool_name": "x"}],
    }
    request_id = str(uuid4())
    first = invoke("tool_execution", payload, request_id=request_id)
    invoke("tool_execution", {"session_id": session_id, "tool_name": "between"})
    reordered = payload | {"result": {"b": 2, "a": 1}}
    assert invoke("tool_execution", reordered, request_id=request_id)["payload"]["record"] == 1
    forget()
    again = invoke("tool_execution", payload, request_id=request_id)
    assert again == first
    assert read(invoke, session_id)["request_count"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"tool_name": "y"},
        {"result": {"a": 1.0}},
        {"result": {"a": True}},
        {"result": None},
        {"parameters": {"p": 1}},
    ],
)
def test_the_same_id_for_other_content_is_refused(
    invoke: Invoke, session_id: str, change: dict[str, Any]
) -> None:
    payload = {"session_id": session_id, "tool_name": "x", "result": {"a": 1}}
    request_id = str(uuid4())
    invoke("tool_execution", payload, request_id=request_id)
    before = stored()
    with pytest.raises(RequestIdReused):
        invoke("tool_execution", payload | change, request_id=request_id)
    with pytest.raises(RequestIdReused):
        invoke("tool_execution", payload, request_id=request_id, metadata={"a": 1})
    with pytest.raises(RequestIdReused):
        invoke("close_session", {"session_id": session_id}, request_id=request_id)
    assert stored() == before


def test_a_closed_session_takes_no_more_and_says_since_when(
    invoke: Invoke, session_id: str
) -> None:
    request_id = str(uuid4())
    payload = {"session_id": session_id, "tool_name": "x", "result": {}}
    first = invoke("tool_execution", payload, request_id=request_id)
    closed_at = invoke("close_session", {"session_id": session_id})["payload"]["closed_at"]
    before = stored()
    for _ in range(2):
        with pytest.raises(SessionClosed) as refused:
            invoke("tool_execution", payload)
        assert closed_at in str(refused.value)
        forget()
    assert stored() == before
    assert invoke("tool_execution", payload, request_id=request_id) == first


def test_another_users_session_looks_like_a_missing_one(invoke: Invoke, session_id: str) -> None:
    for asked in (session_id, "ts_261121_none"):
        with pytest.raises(NotFound, match=f"no session {asked}, or you may not see it"):
            invoke(
                "tool_execution", {"session_id": asked, "tool_name": "x"}, user="bob@example.com"
            )


def test_the_envelope_may_name_the_session(invoke: Invoke, session_id: str) -> None:
    answer = invoke("tool_execution", {"tool_name": "x"}, session_id=session_id)
    assert answer["payload"]["session_id"] == session_id


def test_too_old_a_request_is_refused(invoke: Invoke, session_id: str) -> None:
    payload = {"session_id": session_id, "tool_name": "x"}
    with pytest.raises(BadRequest, match="older than 15 days"):
        invoke("tool_execution", payload, timestamp="2026-01-01T00:00:00Z")


def test_more_than_a_function_can_be_sent_is_refused_whole(invoke: Invoke, session_id: str) -> None:
    asked = {"session_id": session_id, "tool_name": "x", "prompt": "a" * 6 * 2**20}
    with pytest.raises(TooLarge, match=r"up to 6144 KB.*POST /uploads"):
        invoke("tool_execution", asked)
    assert len(stored()) == 1
    assert objects() == []


def test_a_large_text_that_compresses_is_kept(invoke: Invoke, session_id: str) -> None:
    result = {"text": "the same again and again " * 30_000}
    invoke("tool_execution", {"session_id": session_id, "tool_name": "x", "result": result})
    assert read(invoke, session_id)["requests"][0]["result"] == result


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parameters=OBJECTS, result=OBJECTS, metadata=OBJECTS)
def test_any_json_comes_back_identical(
    invoke: Invoke,
    session_id: str,
    parameters: dict[str, Any],
    result: dict[str, Any],
    metadata: dict[str, Any],
) -> None:
    sent = {"session_id": session_id, "tool_name": "x", "parameters": parameters, "result": result}
    record = invoke("tool_execution", sent, metadata=metadata)["payload"]["record"]
    kept = read(invoke, session_id)["requests"][record - 1]
    # As text, for 1 == 1.0 == True in Python.
    assert json.dumps([kept["parameters"], kept["result"], kept["metadata"]]) == json.dumps(
        [parameters, result, metadata]
    )
