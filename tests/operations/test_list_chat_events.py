"""Reading the events of a chat session in pages."""

from tests.conftest import Invoke


def test_there_is_one_event_per_message(invoke: Invoke) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    for number in range(5):
        invoke("chat", {"session_id": session_id, "message": f"{number}"})
    whole = invoke("get_chat_session", {"session_id": session_id, "include_messages": True})
    page = invoke("list_chat_events", {"session_id": session_id, "limit": 3})["payload"]
    rest = invoke("list_chat_events", {"session_id": session_id, "after": page["next_after"]})
    assert page["events"] + rest["payload"]["events"] == whole["payload"]["events"]
    newest = invoke("list_chat_events", {"session_id": session_id, "order": "newest", "limit": 2})
    assert newest["payload"]["events"] == whole["payload"]["events"][:-3:-1]
