"""Closing a chat session: exact totals, and one answer for ever."""

from pydantic_models.operations import CloseChatSessionResponse
from tests.conftest import Invoke, forget


def test_the_totals_are_exact_and_the_answer_stays(invoke: Invoke) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    invoke("chat", {"session_id": session_id, "message": "one"})
    pair = [{"content": text, "message_type": "assistant"} for text in ("two", "three")]
    invoke("chat", {"session_id": session_id, "messages": pair})
    first = invoke("close_chat_session", {"session_id": session_id})
    closed = CloseChatSessionResponse.model_validate(first).payload
    read = invoke("get_chat_session", {"session_id": session_id, "include_messages": True})
    assert closed.total_messages == len(read["payload"]["messages"]) == 3
    assert closed.total_events == len(read["payload"]["events"]) == read["payload"]["event_count"]
    assert (closed.tool_session_id, closed.tool_session_closed) == (None, False)
    forget()
    again = invoke("close_chat_session", {"session_id": session_id})
    assert again["payload"] == first["payload"]
