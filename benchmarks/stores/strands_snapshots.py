"""Strands' snapshots on DynamoDB: the whole agent in one item, written anew with each message.

With all that its documentation offers: it is compressed, and lies in S3 when it is too large for an
item.
"""

from __future__ import annotations

from uuid import uuid4

from strands.session.snapshot_session_manager import SnapshotSessionManager
from strands_dynamodb_storage import DynamoDBStorage

from benchmarks.stores import Store, create_bucket, create_table, table
from benchmarks.stores.strands import agent_of, content_of, message

NAME, BUCKET = "strands_snapshots", "strands-snapshots"


class Snapshots:
    """An agent; its messages are the contents. It knows no request ids, and tells no place."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.storage = DynamoDBStorage(table(NAME), s3_bucket=table(BUCKET), compression="gzip")
        self.manager = self._manager()
        self.agent = agent_of(self.manager)

    def append(self, request_id: str, made_at: str, content: str) -> None:
        self.agent.messages.append(message(content))
        self.manager.sync_agent(self.agent)

    def newest(self, count: int) -> list[str]:
        """There is no way to read less than all."""
        return self.read()[-count:]

    def read(self) -> list[str]:
        return [content_of(each) for each in agent_of(self._manager()).messages]

    def _manager(self) -> SnapshotSessionManager:
        return SnapshotSessionManager(self.session, storage=self.storage)


def prepare() -> None:
    create_table(NAME, "pk", "sk")
    create_bucket(table(BUCKET))


def open_store(session: str) -> Store:
    return Snapshots(session)


def new_session() -> str:
    return str(uuid4())
