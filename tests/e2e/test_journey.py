"""The main job over HTTP: open, write, file, close, read back, and again after a restart."""

import time
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from dev.console import Problem
from dev.local_cloud import LocalCloud
from dev.local_stack import Stack
from tests.e2e.conftest import Caller

ANYTHING = {
    "float": 0.1,
    "small": 5e-324,
    "whole": 1.0,
    "big": 2**200,
    "empty": "",
    "none": None,
    "text": "naïve 大小 🧳 \u0000 \u2028 \ufffd",
    "nested": [[[[{"a": [{}, [], [False]]}]]]],
}


def test_a_session_from_opening_to_reading_it_after_a_restart(
    ann: Caller, cloud: LocalCloud
) -> None:
    casefile = ann.do("POST", "/casefiles", {"title": "Lisbon", "tags": ["travel"]})
    casefile_id = casefile["casefile_id"]
    chat = ann.do("POST", "/chat-sessions", {"title": "Talk", "casefile_id": casefile_id})
    tool = ann.do("POST", "/tool-sessions", {"title": "Work"})
    tool_url, chat_url = (
        f"/{kind}-sessions/{session['session_id']}"
        for kind, session in (("tool", tool), ("chat", chat))
    )

    recorded = ann.do(
        "POST",
        f"{tool_url}/requests",
        {"tool_name": "search", "parameters": ANYTHING, "result": {"found": ANYTHING}},
        envelope={"metadata": {"kept": ANYTHING}},
    )
    assert recorded["result"] == {"found": ANYTHING}
    ann.do("POST", f"{tool_url}/requests", {"tool_name": "book", "error_message": "sold out"})
    ann.do("POST", f"{chat_url}/messages", {"message": str(ANYTHING["text"])})
    pair = [{"content": text, "message_type": "assistant"} for text in ("One.", "Two.")]
    ann.do("POST", f"{chat_url}/messages", {"messages": pair})

    filed = ann.do(
        "POST",
        f"/casefiles/{casefile_id}/sessions",
        {"session_id": tool["session_id"], "session_type": "tool"},
    )
    assert filed["total_sessions"] == 2

    closed = ann.do("POST", f"{tool_url}/close")
    assert (closed["total_requests"], closed["total_events"]) == (2, 8)
    assert ann.do("POST", f"{tool_url}/close") == closed
    refused = ann.send("POST", f"{tool_url}/requests", {"tool_name": "late"})
    assert refused.status_code == 409
    assert closed["closed_at"] in refused.json()["error"]
    assert ann.do("POST", f"{chat_url}/close")["total_messages"] == 3

    def read_all() -> list[dict[str, Any]]:
        return [
            ann.do("GET", f"{tool_url}?include_requests=true&include_events=true"),
            ann.do("GET", f"{chat_url}?include_messages=true"),
            ann.do("GET", f"/casefiles/{casefile_id}"),
        ]

    before = read_all()
    assert before[0]["requests"][0]["parameters"] == ANYTHING
    assert before[0]["requests"][0]["metadata"] == {"kept": ANYTHING}
    assert len(before[0]["events"]) == closed["total_events"]
    assert before[1]["messages"][0]["content"] == ANYTHING["text"]
    assert len(before[1]["message_index"]) == 3
    assert set(before[2]["casefile"]["session_ids"]) == {tool["session_id"], chat["session_id"]}

    cloud.stop()
    cloud.start()
    assert read_all() == before


def test_a_lost_answer_and_a_retry_make_one_record(ann: Caller) -> None:
    session = ann.do("POST", "/chat-sessions", {})
    url = f"/chat-sessions/{session['session_id']}/messages"
    key = str(uuid4())
    sent = [
        ann.send("POST", url, {"message": "Hello"}, headers={"Idempotency-Key": key})
        for _ in range(3)
    ]
    assert sent[0].status_code == 201
    assert sent[0].json() == sent[1].json() == sent[2].json()
    assert ann.do("GET", f"/chat-sessions/{session['session_id']}")["message_count"] == 1


def test_what_is_recorded_comes_to_be_shown_in_lists(ann: Caller) -> None:
    session_id = ann.do("POST", "/chat-sessions", {"title": "Listed"})["session_id"]
    first = ann.do("GET", "/chat-sessions?limit=1")["sessions"][0]
    assert (first["session_id"], first["message_count"]) == (session_id, 0)
    ann.do("POST", f"/chat-sessions/{session_id}/messages", {"message": "Hello"})
    deadline = time.monotonic() + 30
    while first["message_count"] == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
        first = ann.do("GET", "/chat-sessions?limit=1")["sessions"][0]
    assert (first["session_id"], first["message_count"]) == (session_id, 1)


@pytest.mark.parametrize("name", ["nonsense", "two words@a.example", "ann@"])
def test_a_token_for_what_is_no_address_is_a_problem(stack: Stack, name: str) -> None:
    with pytest.raises(Problem, match=f"'{name}' is no e-mail address"):
        stack.token(name)


def test_nobody_gets_in_without_a_token(stack: Stack) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        with httpx.Client(base_url=stack.url, headers=headers) as stranger:
            assert stranger.post("/tool-sessions", json={"payload": {}}).status_code == 401


def test_what_is_anothers_is_not_there(ann: Caller, bob: Caller) -> None:
    session_id = ann.do("POST", "/tool-sessions", {})["session_id"]
    casefile_id = bob.do("POST", "/casefiles", {"title": "Bob's"})["casefile_id"]
    for method, path, payload in (
        ("GET", f"/tool-sessions/{session_id}", None),
        ("POST", f"/tool-sessions/{session_id}/requests", {"tool_name": "x"}),
        ("POST", f"/tool-sessions/{session_id}/close", None),
        (
            "POST",
            f"/casefiles/{casefile_id}/sessions",
            {"session_id": session_id, "session_type": "tool"},
        ),
        (
            "POST",
            "/tool-sessions",
            {"casefile_id": ann.do("POST", "/casefiles", {"title": "A"})["casefile_id"]},
        ),
    ):
        response = bob.send(method, path, payload)
        assert response.status_code == 404, response.text
        assert response.json()["status"] == "failed"


@pytest.mark.parametrize("body", ["{", "[]", '{"payload": 7}', '{"titel": 1}', "\u0000"])
def test_a_malformed_body_is_400(ann: Caller, body: str) -> None:
    response = ann.send("POST", "/tool-sessions", content=body)
    assert response.status_code == 400
    assert response.json()["metadata"]["error_code"] == "invalid_request"


def test_whoever_an_address_names_is_meant_whatever_is_in_the_name(ann: Caller) -> None:
    casefile_id = ann.do("POST", "/casefiles", {"title": "Shared"})["casefile_id"]
    path = f"/casefiles/{casefile_id}/permissions"
    for name in ("a%41b@example.com", "aab@example.com", "100%@example.com"):
        ann.do("POST", path, {"target_user_id": name, "permission": "viewer"})
    for name in ("a%41b@example.com", "100%@example.com"):
        ann.do("DELETE", f"{path}/{quote(name, safe='')}")
    left = ann.do("GET", path)["permissions"]
    assert [entry["user_id"] for entry in left] == ["aab@example.com"]
