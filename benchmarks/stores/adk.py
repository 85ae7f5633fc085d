"""Google's ADK: DatabaseSessionService on a SQLite file, with a reload when it tells of others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types

from benchmarks.stores import USER, Store, TryAgain

Answer = TypeVar("Answer")
APP = "bench"

_loop = asyncio.new_event_loop()


def _run(work: Coroutine[Any, Any, Answer]) -> Answer:
    return _loop.run_until_complete(work)


def _service() -> DatabaseSessionService:
    return DatabaseSessionService(f"sqlite+aiosqlite:///{os.environ['BENCH_FOLDER']}/adk.sqlite")


class Adk:
    """A session; its events are the contents. An event's id is the request's."""

    def __init__(self, session: str) -> None:
        self.id, self.service = session, _service()
        self.session = self._loaded()

    def append(self, request_id: str, made_at: str, content: str) -> None:
        said = types.Content(role="user", parts=[types.Part(text=content)])
        event = Event(id=request_id, author="user", content=said)
        try:
            _run(self.service.append_event(self.session, event))
        except Exception as error:
            if "stale" not in f"{type(error).__name__} {error}".lower():
                raise  # 2.13 says it by the class alone, in a module that is private.
            self.session = self._loaded()
            raise TryAgain from error

    def newest(self, count: int) -> list[str]:
        return _contents(self._loaded(GetSessionConfig(num_recent_events=count)))

    def read(self) -> list[str]:
        return _contents(self._loaded())

    def _loaded(self, config: GetSessionConfig | None = None) -> Any:
        return _run(
            self.service.get_session(app_name=APP, user_id=USER, session_id=self.id, config=config)
        )


def _contents(session: Any) -> list[str]:
    return [event.content.parts[0].text for event in session.events]


def prepare() -> None:
    new_session()


def open_store(session: str) -> Store:
    return Adk(session)


def new_session() -> str:
    return str(_run(_service().create_session(app_name=APP, user_id=USER)).id)


def newest_sessions(count: int) -> list[str]:
    """All there are, oldest first: there is no other way to ask."""
    found = _run(_service().list_sessions(app_name=APP, user_id=USER)).sessions
    return [session.id for session in found][::-1][:count]
