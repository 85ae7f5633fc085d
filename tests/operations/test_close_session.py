"""Closing: a seal on the log, exact totals, and one answer for ever."""

import contextlib
from datetime import datetime
from uuid import uuid4

import pytest

from casefile import sessions
from casefile.errors import NotFound, Unavailable
from pydantic_models.operations import CloseSessionResponse
from tests.conftest import Invoke, forget, stored


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    session_id = str(invoke("create_session")["payload"]["session_id"])
    endings: list[dict[str, object]] = [
        {"result": {}},
        {"error_message": "no"},
        {"result": {"a": 1}},
    ]
    for end in endings:
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x", **end})
    return session_id


def test_the_totals_are_exact(invoke: Invoke, session_id: str) -> None:
    asked = invoke("close_session", {"session_id": session_id})
    closed = CloseSessionResponse.model_validate(asked).payload
    read = invoke("get_session", {"session_id": session_id, "include_events": True})["payload"]
    assert (closed.total_requests, closed.total_events) == (3, 12)
    assert closed.total_events == len(read["events"]) == read["event_count"]
    assert closed.total_requests == read["request_count"]
    created, ended = (
        datetime.fromisoformat(moment) for moment in (read["created_at"], closed.closed_at)
    )
    assert closed.duration_seconds == int((ended - created).total_seconds())
    assert read["active"] is False
    assert read["closed_at"] == closed.closed_at


def test_an_empty_session_closes_with_nothing(invoke: Invoke) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    closed = invoke("close_session", {"session_id": session_id})["payload"]
    assert (closed["total_requests"], closed["total_events"]) == (0, 0)


def test_again_is_the_first_answer(invoke: Invoke, session_id: str) -> None:
    first = invoke("close_session", {"session_id": session_id}, request_id=str(uuid4()))
    before = stored()
    for _ in range(2):
        again = invoke("close_session", {"session_id": session_id}, request_id=str(uuid4()))
        assert (again["payload"], again["timestamp"]) == (first["payload"], first["timestamp"])
        forget()
    same = invoke("close_session", {"session_id": session_id}, request_id=first["request_id"])
    assert same == first
    assert stored() == before


@pytest.mark.parametrize("failure", [RuntimeError("it timed out"), Unavailable("busy")])
def test_interrupted_before_the_head_was_told_it_is_closed_all_the_same(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as broken, contextlib.suppress(RuntimeError):
        broken.setattr(sessions, "mark_closed", fail)
        invoke("close_session", {"session_id": session_id})
    read = invoke("get_session", {"session_id": session_id})["payload"]
    assert read["active"] is False
    answer = invoke("close_session", {"session_id": session_id})["payload"]
    assert answer["closed_at"] == read["closed_at"]
    (head,) = [item for item in stored() if item["sk"]["S"] == "HEAD"]
    assert head["active"] == {"BOOL": False}


def test_only_its_owner_may_close_it(invoke: Invoke, session_id: str) -> None:
    with pytest.raises(NotFound):
        invoke("close_session", {"session_id": session_id}, user="bob@example.com")
    with pytest.raises(NotFound):
        invoke("close_session", {"session_id": "ts_261121_none"})
