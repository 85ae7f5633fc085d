"""Reading a tool session: its state and counts, and its requests and events when asked for."""

import pytest

from casefile.errors import NotFound
from pydantic_models.operations import GetSessionResponse
from tests.conftest import Invoke


def test_an_empty_session(invoke: Invoke) -> None:
    created = invoke("create_session", {"title": "Trip"}, metadata={"run": 10**30, "x": [1.5]})
    session_id = created["payload"]["session_id"]
    answer = invoke("get_session", {"session_id": session_id.upper()})
    read = GetSessionResponse.model_validate(answer).payload
    assert (read.session_id, read.title, read.user_id) == (session_id, "Trip", "ann@example.com")
    assert read.metadata == {"run": 10**30, "x": [1.5]}
    assert (read.active, read.casefile_id, read.closed_at) == (True, None, None)
    assert (read.request_count, read.event_count, read.pending_count) == (0, 0, 0)
    assert read.created_at == read.updated_at == created["payload"]["created_at"]


def test_content_comes_only_when_asked_for(invoke: Invoke) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    recorded = invoke("tool_execution", {"session_id": session_id, "tool_name": "x"})
    bare = invoke("get_session", {"session_id": session_id})["payload"]
    assert (bare["request_count"], bare["requests"], bare["events"]) == (1, [], [])
    assert bare["updated_at"] == recorded["payload"]["recorded_at"]
    full = invoke("get_session", {"session_id": session_id, "include_requests": True})["payload"]
    assert full["request_ids"] == [recorded["request_id"]]
    assert full["events"] == []


def test_more_records_than_one_page_come_in_order(invoke: Invoke) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    for number in range(230):
        invoke("tool_execution", {"session_id": session_id, "tool_name": f"tool {number}"})
    asked = {"session_id": session_id, "include_requests": True}
    read = invoke("get_session", asked)["payload"]
    assert [request["tool_name"] for request in read["requests"]] == [
        f"tool {number}" for number in range(230)
    ]


def test_only_its_owner_may_read_it(invoke: Invoke) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    with pytest.raises(NotFound):
        invoke("get_session", {"session_id": session_id}, user="bob@example.com")
