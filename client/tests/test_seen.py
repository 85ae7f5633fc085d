"""What a client was told of, it asks for when it reads."""

import json
from typing import Any

import httpx

import casefile
from casefile import operations, seen

AT = "2025-10-13T14:30:00.000+00:00"


class Service(httpx.MockTransport):
    """One that tells of record 7, and notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        super().__init__(self._answer)

    def client(self) -> casefile.Client:
        return casefile.Client("http://service.invalid", "token", http=httpx.Client(transport=self))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        session_id = request.url.path.split("/")[2]
        payload: dict[str, Any] = {"session_id": session_id, "created_at": AT, "updated_at": AT}
        if request.method == "POST":
            message = json.loads(request.content)["payload"]["messages"][0]
            told = {"message_id": "m", "user_id": "u@e", "record": 7, "timestamp": AT}
            payload["message"] = message | told | {"position": 0, "index": 0}
            payload |= {"record": 7, "recorded_at": AT}
        elif request.url.path.endswith("/messages"):
            self.asked.append(request.url.params.get("at_least"))
            payload |= {"messages": [], "has_more": False, "next_after": 0}
        else:
            payload |= {"user_id": "u@e", "casefile_id": None, "active": False, "record_count": 9}
        answer = {"request_id": "0" * 32, "status": "completed", "payload": payload}
        return httpx.Response(200, json=answer)


def test_a_read_asks_for_what_was_recorded_by_it_or_was_there() -> None:
    service = Service()
    client = service.client()
    session = client.chat_session("cs_one")
    assert list(session.messages()) == []
    session.say("Hello")
    assert list(client.chat_session("CS_ONE").messages(order="newest")) == []
    assert list(client.chat_session("cs_other").messages()) == []
    assert service.asked == [None, "7", None]
    session.read()
    session.say("What is told later may be an older record.")
    assert list(session.messages()) == []
    assert service.asked[3:] == ["9"]


def test_whoever_follows_to_the_end_asks_for_all_that_was_there_when_it_closed() -> None:
    service = Service()
    assert list(service.client().chat_session("cs_one").follow()) == []
    assert service.asked == [None, "9"]


def test_only_so_many_sessions_are_remembered() -> None:
    known = seen.Seen()
    answer = Service().client().chat_session("cs_one").read()
    for number in range(seen.SESSIONS + 1):
        known.learn({"session_id": f"cs_{number}"}, answer)
    page = operations.LIST_CHAT_MESSAGES.payload_type
    assert known.to_see(page, {"session_id": "cs_0"}) == {}
    assert known.to_see(page, {"session_id": "cs_1"}) == {"at_least": 9}
    assert known.to_see(page, {"session_id": "cs_1", "at_least": 3}) == {}
