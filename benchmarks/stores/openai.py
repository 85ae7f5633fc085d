"""OpenAI's Agents SDK: a SQLite file on the machine that the program runs on."""

from __future__ import annotations

import asyncio
import os
from uuid import uuid4

from agents import SQLiteSession

from benchmarks.stores import Store

_loop = asyncio.new_event_loop()


class OpenAI:
    """A session; its items are the contents. It knows no request ids, and tells no place."""

    def __init__(self, session: str) -> None:
        self.session = SQLiteSession(session, os.environ["BENCH_FOLDER"] + "/openai.sqlite")

    def append(self, request_id: str, made_at: str, content: str) -> None:
        _loop.run_until_complete(self.session.add_items([{"role": "user", "content": content}]))

    def newest(self, count: int) -> list[str]:
        items = _loop.run_until_complete(self.session.get_items(limit=count))
        return [str(item["content"]) for item in items]

    def read(self) -> list[str]:
        items = _loop.run_until_complete(self.session.get_items())
        return [str(item["content"]) for item in items]


def prepare() -> None:
    """It makes its file itself."""


def open_store(session: str) -> Store:
    return OpenAI(session)


def new_session() -> str:
    return str(uuid4())
