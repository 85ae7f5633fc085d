"""Casefile's own functions, called as Lambda would call them."""

from __future__ import annotations

import importlib
from typing import Any
from uuid import uuid4

from benchmarks.race import Refused, Store, TryAgain
from casefile.errors import SessionClosed, Unavailable

USER = "ann@example.com"


class _Context:
    def __init__(self) -> None:
        self.aws_request_id = str(uuid4())

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


class Casefile:
    """A chat session; its messages are the contents."""

    def __init__(self, session: str) -> None:
        self.session = session

    def append(self, request_id: str, made_at: str, content: str) -> int:
        told = self._call("chat", request_id, made_at, message=content)
        return int(told["record"])

    def close(self, request_id: str, made_at: str) -> None:
        self._call("close_chat_session", request_id, made_at)

    def read(self) -> list[str]:
        contents: list[str] = []
        after = 0
        while True:
            page = self._call("list_chat_messages", after=after, limit=100)
            contents += [message["content"] for message in page["messages"]]
            after = page["next_after"]
            if not page["has_more"]:
                return contents

    def _call(
        self, name: str, request_id: str | None = None, made_at: str | None = None, **payload: Any
    ) -> dict[str, Any]:
        envelope: dict[str, Any] = {
            "user_id": USER,
            "payload": {"session_id": self.session, **payload},
        }
        if request_id:
            envelope |= {"request_id": request_id, "timestamp": made_at}
        handler = importlib.import_module(f"functions.{name}.handler").handle
        try:
            answer: dict[str, Any] = handler(envelope, _Context())["payload"]
        except SessionClosed as error:
            raise Refused from error
        except Unavailable as error:
            raise TryAgain from error
        return answer


def open_store(session: str) -> Store:
    """A session that exists."""
    return Casefile(session)


def new_session() -> str:
    """A new session's id."""
    create = importlib.import_module("functions.create_chat_session.handler").handle
    answer = create({"user_id": USER, "payload": {}}, _Context())
    return str(answer["payload"]["session_id"])
