"""LangChain's DynamoDBChatMessageHistory: all messages of a session in one item's list."""

from __future__ import annotations

import contextlib
import os
from uuid import uuid4

import boto3
from langchain_community.chat_message_histories import DynamoDBChatMessageHistory
from langchain_core.messages import HumanMessage

from benchmarks.race import Store

TABLE = "langchain"


class LangChain:
    """A history; its messages are the contents."""

    def __init__(self, session: str) -> None:
        self.history = DynamoDBChatMessageHistory(
            TABLE, session, endpoint_url=os.environ["AWS_ENDPOINT_URL"]
        )

    def append(self, request_id: str, made_at: str, content: str) -> None:
        """It knows no request ids, and tells no place."""
        self.history.add_message(HumanMessage(content))

    def close(self, request_id: str, made_at: str) -> None:
        """It knows no end."""

    def read(self) -> list[str]:
        return [str(message.content) for message in self.history.messages]


def open_store(session: str) -> Store:
    """A history that may be empty."""
    return LangChain(session)


def new_session() -> str:
    """A new history's name."""
    client = boto3.client("dynamodb")
    with contextlib.suppress(client.exceptions.ResourceInUseException):
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "SessionId", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "SessionId", "KeyType": "HASH"}],
        )
    return str(uuid4())
