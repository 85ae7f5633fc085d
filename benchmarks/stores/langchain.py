"""LangChain's DynamoDBChatMessageHistory: all messages of a session in one item's list."""

from __future__ import annotations

import os
from uuid import uuid4

from langchain_community.chat_message_histories import DynamoDBChatMessageHistory
from langchain_core.messages import HumanMessage

from benchmarks.stores import Store, create_table, table


class LangChain:
    """A history; its messages are the contents. It knows no request ids, and tells no place."""

    def __init__(self, session: str) -> None:
        self.history = DynamoDBChatMessageHistory(
            table("langchain"), session, endpoint_url=os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
        )

    def append(self, request_id: str, made_at: str, content: str) -> None:
        self.history.add_message(HumanMessage(content, id=request_id))

    def newest(self, count: int) -> list[str]:
        """There is no way to read less than all."""
        return self.read()[-count:]

    def read(self) -> list[str]:
        return [str(message.content) for message in self.history.messages]


def prepare() -> None:
    create_table("langchain", "SessionId")


def open_store(session: str) -> Store:
    return LangChain(session)


def new_session() -> str:
    return str(uuid4())
