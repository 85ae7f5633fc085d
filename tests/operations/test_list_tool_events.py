"""Reading the events of a tool session in pages, in the order of the records."""

from typing import Any

import pytest

from tests.conftest import Invoke


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("limit", [1, 3, 5, 100])
@pytest.mark.parametrize("force", [False, True])
def test_pages_equal_the_whole(invoke: Invoke, order: str, limit: int, force: bool) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    named = {"session_id": session_id, "tool_name": "x"}
    begun = [invoke("tool_execution", named)["request_id"] for _ in range(3)]
    invoke("tool_execution", {**named, "result": {}})
    for request_id in begun[: 2 if force else 3]:
        outcome = {"session_id": session_id, "request_id": request_id, "error_message": "no"}
        invoke("tool_result", outcome)
    closed = invoke("close_session", {"session_id": session_id, "force": force})["payload"]
    whole = invoke("get_session", {"session_id": session_id, "include_events": True})["payload"]
    assert len(whole["events"]) == closed["total_events"]
    seen: list[dict[str, Any]] = []
    place: dict[str, Any] = {}
    for _ in range(20):
        asked = {"session_id": session_id, "order": order, "limit": limit, **place}
        page = invoke("list_tool_events", asked)["payload"]
        seen += page["events"]
        if not page["has_more"]:
            break
        place = (
            {"after": page["next_after"]} if order == "oldest" else {"before": page["next_before"]}
        )
    assert seen == (whole["events"] if order == "oldest" else whole["events"][::-1])
