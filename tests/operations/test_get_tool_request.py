"""Reading one tool request by its id, however far back."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from casefile.errors import NotFound
from pydantic_models.base import uuid7
from tests.conftest import Invoke


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session")["payload"]["session_id"])


def begin(invoke: Invoke, session_id: str, request_id: str, **more: Any) -> None:
    asked = {"session_id": session_id, "tool_name": "x", **more}
    invoke("tool_execution", asked, request_id=request_id)


@pytest.mark.parametrize("make", [uuid7, uuid4])
def test_it_is_found_with_its_outcome(invoke: Invoke, session_id: str, make: Any) -> None:
    ids = [str(make()) for _ in range(5)]
    for request_id in ids:
        begin(invoke, session_id, request_id)
    outcome = {"session_id": session_id, "request_id": ids[2], "result": {"a": 1}}
    completing = invoke("tool_result", outcome)["request_id"]
    whole = invoke("get_session", {"session_id": session_id, "include_requests": True})
    for request_id, expected in zip(ids, whole["payload"]["requests"], strict=True):
        asked = {"session_id": session_id, "request_id": request_id}
        assert invoke("get_tool_request", asked)["payload"]["request"] == expected
    for missing in (str(make()), completing):
        with pytest.raises(NotFound, match="no request"):
            invoke("get_tool_request", {"session_id": session_id, "request_id": missing})


def test_an_id_that_carries_its_time_needs_no_walk(
    invoke: Invoke, session_id: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.reading.CLOCK_ALLOWANCE", timedelta(0))
    monkeypatch.setattr("casefile.reading.PAGE", 10)
    wanted = ""
    for number in range(150):
        request_id = str(uuid7())
        begin(invoke, session_id, request_id, result={})
        wanted = request_id if number == 40 else wanted
    calls.clear()
    asked = {"session_id": session_id, "request_id": wanted}
    assert invoke("get_tool_request", asked)["payload"]["request"]["record"] == 41
    assert calls.count("Query") == 2
    assert calls.count("GetItem") <= 8


def test_only_its_owner_may_read_it(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid7())
    begin(invoke, session_id, request_id)
    asked = {"session_id": session_id, "request_id": request_id}
    with pytest.raises(NotFound):
        invoke("get_tool_request", asked, user="bob@example.com")
