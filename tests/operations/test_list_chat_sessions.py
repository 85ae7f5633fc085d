"""Lists of chat sessions."""

from pydantic_models.operations import ListChatSessionsResponse
from tests.conftest import Invoke


def test_they_are_kept_apart_from_tool_sessions(invoke: Invoke) -> None:
    invoke("create_session", {"title": "tool"})
    session_id = invoke("create_chat_session", {"title": "chat"})["payload"]["session_id"]
    invoke("chat", {"session_id": session_id, "message": "Hello"})
    invoke("close_chat_session", {"session_id": session_id})
    answer = invoke("list_chat_sessions", {"active_only": False})
    (line,) = ListChatSessionsResponse.model_validate(answer).payload.sessions
    assert (line.session_id, line.title, line.message_count, line.active, line.session_type) == (
        session_id,
        "chat",
        1,
        False,
        "chat",
    )
    assert invoke("list_chat_sessions")["payload"]["sessions"] == []
