"""Strands' repository of messages on DynamoDB, as its community keeps it."""

from __future__ import annotations

from uuid import uuid4

from strands_session_dynamodb import DynamoDBSessionManager

from benchmarks.stores import Store, create_table, table
from benchmarks.stores.strands import Repository


def prepare() -> None:
    create_table("strands_repository", "PK", "SK")


def open_store(session: str) -> Store:
    return Repository(DynamoDBSessionManager(session, table("strands_repository")))


def new_session() -> str:
    session = str(uuid4())
    open_store(session)  # Whoever opens it first creates it.
    return session
