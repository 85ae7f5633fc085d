"""agno's DynamoDb: a run for each turn, kept as an agent keeps it."""

from __future__ import annotations

import time
from uuid import uuid4

from agno.db.base import SessionType
from agno.db.dynamo import DynamoDb
from agno.models.message import Message
from agno.run.agent import RunOutput
from agno.run.base import RunStatus
from agno.session import AgentSession

from benchmarks.stores import USER, Store, table

AGENT = "agent"


def _db() -> DynamoDb:
    return DynamoDb(session_table=table("agno_sessions"), runs_table=table("agno_runs"))


class Agno:
    """A session; each run of its agent is a message. It tells no place."""

    def __init__(self, session: str) -> None:
        self.session, self.db, self.runs = session, _db(), 0

    def append(self, request_id: str, made_at: str, content: str) -> None:
        run = RunOutput(
            run_id=request_id,
            agent_id=AGENT,
            session_id=self.session,
            user_id=USER,
            messages=[Message(role="user", content=content)],
            status=RunStatus.completed,
        )
        self.db.upsert_run(run, self.session, USER, run_index=self.runs)
        self.runs += 1

    def newest(self, count: int) -> list[str]:
        runs = self.db.get_runs(
            session_id=self.session, limit=count, page=1, sort_by="created_at", sort_order="desc"
        )
        return _contents(runs)

    def read(self) -> list[str]:
        found = self.db.get_session(self.session, SessionType.AGENT)
        return _contents(found.runs or []) if found else []


def _contents(runs: list[RunOutput]) -> list[str]:
    return [str(message.content) for run in runs for message in run.messages or []]


def prepare() -> None:
    new_session()
    Agno("first").append(str(uuid4()), "", "It makes its tables itself.")


def open_store(session: str) -> Store:
    return Agno(session)


def new_session() -> str:
    session = str(uuid4())
    at = int(time.time())
    _db().upsert_session(AgentSession(session, agent_id=AGENT, user_id=USER, created_at=at))
    return session


def newest_sessions(count: int) -> list[str]:
    found = _db().get_sessions(
        SessionType.AGENT,
        user_id=USER,
        limit=count,
        page=1,
        sort_by="created_at",
        sort_order="desc",
    )
    return [session.session_id for session in found]
