"""Whatever was recorded before is in what a client reads: each page is asked to be consistent."""

from typing import Any

import httpx

import casefile


def test_every_page_is_asked_to_be_consistent() -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        _, kind, session_id, action = request.url.path.split("/")
        asked.append((f"{kind} {action}", request.url.params.get("consistent")))
        place = {"has_more": False, "next_after": 0, "ended": True}
        payload: dict[str, Any] = {"session_id": session_id, action: [], **place}
        told = {"request_id": "0" * 32, "status": "completed", "payload": payload}
        return httpx.Response(200, json=told)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = casefile.Client("http://service.invalid", "token", http=http)
    chat, tool = client.chat_session("cs_one"), client.tool_session("ts_251013_one")
    for read in (chat.messages, chat.events, chat.follow, tool.requests, tool.events, tool.follow):
        assert list(read()) == []
    assert {name for name, _ in asked} == {
        *("chat-sessions messages", "chat-sessions events"),
        *("tool-sessions requests", "tool-sessions events"),
    }
    assert {consistent for _, consistent in asked} == {"true"}
