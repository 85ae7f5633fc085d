"""Reading tool requests in pages, with their outcomes wherever those were recorded."""

from typing import Any
from uuid import uuid4

import pytest

from casefile import reading
from tests.conftest import Invoke


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    """Requests 0 to 5, of which 1 and 3 are completed after all of them, and 5 is pending."""
    session_id = str(invoke("create_session")["payload"]["session_id"])
    begun = []
    for number in range(6):
        ended = {} if number in (1, 3, 5) else {"result": {"n": number}}
        asked = {"session_id": session_id, "tool_name": f"{number}", **ended}
        begun.append(invoke("tool_execution", asked)["request_id"])
    for number in (3, 1):
        outcome = {"request_id": begun[number], "result": {"n": number}}
        invoke("tool_result", {"session_id": session_id, **outcome})
    return session_id


def read(invoke: Invoke, session_id: str, **asked: Any) -> dict[str, Any]:
    payload: dict[str, Any] = invoke("list_tool_requests", {"session_id": session_id, **asked})[
        "payload"
    ]
    return payload


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("limit", [1, 2, 4, 100])
def test_pages_equal_the_whole(invoke: Invoke, session_id: str, order: str, limit: int) -> None:
    whole = invoke("get_session", {"session_id": session_id, "include_requests": True})
    expected = whole["payload"]["requests"]
    assert [request["status"] for request in expected] == ["completed"] * 5 + ["pending"]
    seen: list[dict[str, Any]] = []
    place: dict[str, Any] = {}
    for _ in range(9):
        page = read(invoke, session_id, order=order, limit=limit, **place)
        seen += page["requests"]
        if not page["has_more"]:
            break
        place = (
            {"after": page["next_after"]} if order == "oldest" else {"before": page["next_before"]}
        )
    assert seen == (expected if order == "oldest" else expected[::-1])


def test_what_a_closing_failed_shows_it_on_every_page(invoke: Invoke, session_id: str) -> None:
    invoke("close_session", {"session_id": session_id, "force": True})
    page = read(invoke, session_id, after=5, limit=1)
    assert [request["status"] for request in page["requests"]] == ["failed"]


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_a_page_ends_in_time_where_few_records_begin_a_request(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Ten requests, then ten results: a page ends after so many records, and says that it did."""
    session_id = invoke("create_session")["payload"]["session_id"]
    begun = [str(uuid4()) for _ in range(10)]
    for request_id in begun:
        asked = {"session_id": session_id, "tool_name": "t"}
        invoke("tool_execution", asked, request_id=request_id)
    for request_id in begun:
        asked = {"session_id": session_id, "request_id": request_id, "result": {}}
        invoke("tool_result", asked)
    monkeypatch.setattr(reading, "MAX_PAGE_RECORDS", 4)
    monkeypatch.setattr(reading, "PAGE", 1)
    seen: list[str] = []
    place: dict[str, int] = {}
    for _ in range(20):
        where: dict[str, Any] = {"session_id": session_id, "order": order, **place}
        page = invoke("list_tool_requests", where)["payload"]
        assert len(page["requests"]) <= 6
        assert all(request["status"] == "completed" for request in page["requests"])
        seen += [request["request_id"] for request in page["requests"]]
        if not page["has_more"]:
            break
        name = "next_after" if order == "oldest" else "next_before"
        place = {name.removeprefix("next_"): page[name]}
    assert seen == (begun if order == "oldest" else begun[::-1])
