"""Stores to compare: each module drives one as its users do, in an environment of its own.

prepare()                 makes its tables, if it needs any
new_session() -> str      opens a session of USER's
open_store(session)       that session, as a program does that knows nothing of it yet
newest_sessions(count)    USER's sessions, newest first; missing where the store has no such list

A store that is sent events has `asking(...)` beside `append(...)`, which makes the event and is not
what is measured, and `place(answer)`, which reads what it answered. One that forks a session has
`on_branches()` beside `read()`: all contents, those too that the newest state doesn't have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import boto3

USER = os.environ.get("BENCH_USER", "ann@example.com")
"""Whose sessions they are; lists are those of a user who has no others."""


class Refused(Exception):
    """The session takes no more."""


class TryAgain(Exception):
    """It could not be done now."""


class Store(Protocol):
    """One session of a store."""

    def append(self, request_id: str, made_at: str, content: str) -> int | None:
        """Record content; return its place from 1, if the store tells. Raises Refused, TryAgain."""

    def newest(self, count: int) -> Sequence[str]:
        """The last contents, oldest first."""

    def read(self) -> Sequence[str]:
        """All contents in their order."""


def table(name: str) -> str:
    """The name of a store's table: real ones have a prefix, so that they are told from others."""
    return os.environ.get("BENCH_PREFIX", "") + name


def create_table(name: str, *keys: str, indexes: Mapping[str, Sequence[str]] | None = None) -> None:
    """Create a store's table with text keys, and indexes of all attributes."""
    client = boto3.client("dynamodb")
    listed = indexes or {}
    names = dict.fromkeys([*keys, *(key for each in listed.values() for key in each)])
    more: dict[str, Any] = {}
    if listed:
        more["GlobalSecondaryIndexes"] = [
            {"IndexName": index, "KeySchema": _schema(of), "Projection": {"ProjectionType": "ALL"}}
            for index, of in listed.items()
        ]
    client.create_table(
        TableName=table(name),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in names],
        KeySchema=_schema(keys),
        **more,
    )
    client.get_waiter("table_exists").wait(TableName=table(name))


def create_bucket(name: str) -> None:
    """Create a bucket where the client is."""
    client = boto3.client("s3")
    region: Any = client.meta.region_name
    if region == "us-east-1":  # The one that has no name as a place.
        client.create_bucket(Bucket=name)
    else:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})


def _schema(keys: Sequence[str]) -> list[Any]:
    return [
        {"AttributeName": key, "KeyType": kind}
        for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]
