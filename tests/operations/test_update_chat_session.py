"""A chat session's title, tags and metadata can change, as a tool session's can."""

from tests.conftest import Invoke


def test_what_is_given_changes_and_the_rest_stays(invoke: Invoke) -> None:
    session_id = invoke("create_chat_session", {"title": "Old"})["payload"]["session_id"]
    invoke("chat", {"session_id": session_id, "message": "hello"})
    asked = {"session_id": session_id, "tags": ["x"]}
    told = invoke("update_chat_session", asked)["payload"]
    read = invoke("get_chat_session", {"session_id": session_id})["payload"]
    assert (told["title"], told["tags"]) == (read["title"], read["tags"]) == ("Old", ["x"])
    assert (read["message_count"], read["active"]) == (1, True)
