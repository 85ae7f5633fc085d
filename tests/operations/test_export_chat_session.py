"""A chat session is exported with its chain of seals."""

import json

from pydantic_models.export import verify
from tests.conftest import Invoke


def test_it_holds_and_says_what_was_said(invoke: Invoke) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    invoke("chat", {"session_id": session_id, "message": "Grüße, 大小 🧳"})
    seal = invoke("close_chat_session", {"session_id": session_id})["metadata"]["seal"]
    lines = invoke("export_chat_session", {"session_id": session_id})["payload"]["lines"]
    assert verify(lines.splitlines(), seal).records == 2
    content = json.loads(json.loads(lines.splitlines()[1])["content"])
    assert content["messages"][0]["content"] == "Grüße, 大小 🧳"
