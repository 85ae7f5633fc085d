"""Deleting a chat session for good."""

import pytest

from casefile.errors import BadRequest, NotFound
from tests.conftest import Invoke, stored


def test_it_is_gone(invoke: Invoke) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    invoke("chat", {"session_id": session_id, "message": "a secret"})
    with pytest.raises(BadRequest):
        invoke("delete_chat_session", {"session_id": session_id})
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    assert "secret" not in str(stored())
    for operation, more in (
        ("get_chat_session", {"include_messages": True}),
        ("list_chat_messages", {}),
        ("list_chat_events", {}),
        ("export_chat_session", {}),
        ("chat", {"message": "late"}),
        ("close_chat_session", {}),
    ):
        with pytest.raises(NotFound):
            invoke(operation, {"session_id": session_id, **more})
