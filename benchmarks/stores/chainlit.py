"""Chainlit's DynamoDBDataLayer: an item for each step of a thread, by the step's id."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import uuid4

from chainlit.data.dynamodb import DynamoDBDataLayer
from chainlit.types import Pagination, ThreadFilter

from benchmarks.stores import USER, Store, create_table, table

Answer = TypeVar("Answer")

_loop = asyncio.new_event_loop()


def _run(work: Coroutine[Any, Any, Answer]) -> Answer:
    return _loop.run_until_complete(work)


def _layer() -> DynamoDBDataLayer:
    return DynamoDBDataLayer(table("chainlit"), user_thread_limit=20)


# Chainlit keeps back the steps of a thread until its user has said something; here he has.
_create_step = DynamoDBDataLayer.create_step.__wrapped__


class Chainlit:
    """A thread; its steps are the contents, in the order of their times."""

    def __init__(self, session: str) -> None:
        self.session, self.layer = session, _layer()

    def append(self, request_id: str, made_at: str, content: str) -> None:
        step: dict[str, Any] = {
            "id": request_id,
            "threadId": self.session,
            "parentId": None,
            "name": USER,
            "type": "user_message",
            "output": content,
            "createdAt": made_at,
            "metadata": {},
        }
        _run(_create_step(self.layer, step))

    def newest(self, count: int) -> list[str]:
        """There is no way to read less than all."""
        return self.read()[-count:]

    def read(self) -> list[str]:
        thread = _run(self.layer.get_thread(self.session))
        return [step["output"] for step in thread["steps"]] if thread else []


def prepare() -> None:
    listed = {"UserThread": ("UserThreadPK", "UserThreadSK")}
    create_table("chainlit", "PK", "SK", indexes=listed)


def open_store(session: str) -> Store:
    return Chainlit(session)


def new_session() -> str:
    session = str(uuid4())
    _run(_layer().update_thread(session, name="Talk", user_id=USER))
    return session


def newest_sessions(count: int) -> list[str]:
    page = _run(_layer().list_threads(Pagination(first=count), ThreadFilter(userId=USER)))
    return [thread["id"] for thread in page.data]
