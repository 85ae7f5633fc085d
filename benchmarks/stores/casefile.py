"""Casefile's own functions, called as API Gateway would have Lambda call them.

They are imported before anything is asked, as Lambda does.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import boto3

from benchmarks.messages import metadata
from benchmarks.stores import USER, Refused, Store, TryAgain, create_bucket
from casefile import session_log
from casefile.config import configuration
from dev.template import create_table

_HANDLERS = {
    name: importlib.import_module(f"functions.{name}.handler").handle
    for name in (
        "chat",
        "close_chat_session",
        "create_chat_session",
        "list_chat_messages",
        "list_chat_sessions",
    )
}


class _Context:
    def __init__(self) -> None:
        self.aws_request_id = str(uuid4())

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


class Casefile:
    """A chat session; its messages are the contents."""

    def __init__(self, session: str) -> None:
        self.session = session
        session_log._memories.clear()

    def append(self, request_id: str, made_at: str, content: str) -> int:
        return self.place(self.asking(request_id, made_at, content)())

    def place(self, answer: Any) -> int:
        return int(_read(answer)["record"])

    def asking(self, request_id: str, made_at: str, content: str) -> Callable[[], Any]:
        said = {"content": content, "message_type": "user", "metadata": metadata(content)}
        envelope = {"request_id": request_id, "timestamp": made_at, "payload": {"messages": [said]}}
        return _asking("chat", self.session, envelope)

    def newest(self, count: int) -> list[str]:
        page = _ask("list_chat_messages", self.session, order="newest", limit=str(count))
        return [message["content"] for message in reversed(page["messages"])]

    def read(self) -> list[str]:
        contents: list[str] = []
        after = 0
        while True:
            page = _ask("list_chat_messages", self.session, after=str(after), limit="100")
            contents += [message["content"] for message in page["messages"]]
            after = page["next_after"]
            if not page["has_more"]:
                return contents


def _ask(
    name: str, session: str | None, envelope: dict[str, Any] | None = None, **query: str
) -> dict[str, Any]:
    """Send an HTTP request as API Gateway does, and return the payload of the answer."""
    return _read(_asking(name, session, envelope, **query)())


def _asking(
    name: str, session: str | None, envelope: dict[str, Any] | None = None, **query: str
) -> Callable[[], Any]:
    """What takes a function from the event that API Gateway sends it to its answer."""
    handler = _HANDLERS[name]
    method, path = handler.route.split()
    event = {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {n: [v] for n, v in query.items()} or None,
        "pathParameters": {"session_id": session} if session else None,
        "stageVariables": None,
        "requestContext": {
            "authorizer": {
                "claims": {"email": USER, "email_verified": "true", "token_use": "id", "sub": USER}
            },
            "requestId": str(uuid4()),
            "stage": "v1",
        },
        "body": None if envelope is None else json.dumps(envelope),
        "isBase64Encoded": False,
    }
    return partial(handler, event, _Context())


def _read(answer: Any) -> dict[str, Any]:
    """The payload of an answer, or the error that it tells."""
    told = json.loads(answer["body"])
    if answer["statusCode"] < 300:
        payload: dict[str, Any] = told["payload"]
        return payload
    if told["metadata"]["error_code"] == "session_closed":
        raise Refused(told["error"])
    if answer["statusCode"] == 503:
        raise TryAgain(told["error"])
    raise RuntimeError(told["error"])


def prepare() -> None:
    # At home, the engine writes the stream with the item, more slowly the longer it is; on AWS, a
    # put doesn't wait for it. Nobody follows it here.
    create_table(boto3.client("dynamodb"), configuration().table_name, with_stream=False)
    create_bucket(configuration().bucket_name)


def open_store(session: str) -> Store:
    return Casefile(session)


def new_session() -> str:
    return str(_ask("create_chat_session", None, {"payload": {}})["session_id"])


def newest_sessions(count: int) -> list[str]:
    found = _ask("list_chat_sessions", None, limit=str(count))["sessions"]
    return [session["session_id"] for session in found]


def close(session: str, request_id: str, made_at: str) -> None:
    """Close a session, as one of those who race on it may."""
    envelope = {"request_id": request_id, "timestamp": made_at, "payload": {}}
    _ask("close_chat_session", session, envelope)
