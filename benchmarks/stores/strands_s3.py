"""Strands' S3SessionManager: an object for each message."""

from __future__ import annotations

from uuid import uuid4

from strands.session import S3SessionManager

from benchmarks.stores import Store, create_bucket, table
from benchmarks.stores.strands import Repository


def prepare() -> None:
    create_bucket(table("strands"))


def open_store(session: str) -> Store:
    return Repository(S3SessionManager(session, table("strands")))


def new_session() -> str:
    session = str(uuid4())
    open_store(session)  # Whoever opens it first creates it.
    return session
