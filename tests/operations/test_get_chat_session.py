"""Reading a chat session: the whole `ChatSession` record when its messages are asked for."""

import pytest

from casefile.errors import NotFound
from pydantic_models.canonical import ChatSession
from tests.conftest import Invoke


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    created = invoke("create_chat_session", {"title": "Trip"}, metadata={"tier": "gold"})
    session_id = str(created["payload"]["session_id"])
    invoke("chat", {"session_id": session_id, "message": "Where to?", "session_request_id": "t1"})
    pair = [
        {"content": "Lisbon", "message_type": "user"},
        {"content": "Booked", "message_type": "assistant", "session_request_id": "t3"},
    ]
    invoke("chat", {"session_id": session_id, "messages": pair, "session_request_id": "t2"})
    return session_id


def test_the_whole_record(invoke: Invoke, session_id: str) -> None:
    asked = {"session_id": session_id, "include_messages": True}
    payload = invoke("get_chat_session", asked)["payload"]
    record = ChatSession.model_validate(payload)
    assert [message["content"] for message in record.messages] == ["Where to?", "Lisbon", "Booked"]
    ids = [message["message_id"] for message in record.messages]
    assert record.message_index == {ids[0]: 0, ids[1]: 1, ids[2]: 2}
    assert record.request_index == {"t1": [ids[0]], "t2": [ids[1]], "t3": [ids[2]]}
    assert [event["message_id"] for event in record.events] == ids
    assert record.metadata == {"tier": "gold"}
    assert record.active
    assert payload["message_count"] == payload["event_count"] == 3


def test_without_messages_only_the_counts(invoke: Invoke, session_id: str) -> None:
    payload = invoke("get_chat_session", {"session_id": session_id})["payload"]
    assert (payload["title"], payload["message_count"]) == ("Trip", 3)
    assert payload["messages"] == payload["events"] == []


def test_only_its_owner_may_read_it(invoke: Invoke, session_id: str) -> None:
    with pytest.raises(NotFound):
        invoke("get_chat_session", {"session_id": session_id}, user="bob@example.com")
