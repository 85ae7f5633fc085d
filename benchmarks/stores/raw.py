"""The naive limit: one PutItem of a message's JSON, with nothing that keeps order or identity."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import boto3

from benchmarks.messages import as_json
from benchmarks.stores import Store, create_table, table

client = boto3.client("dynamodb")


class Raw:
    """Messages under the session's key, by their time."""

    table = "raw"

    def __init__(self, session: str) -> None:
        self.session = session

    def append(self, request_id: str, made_at: str, content: str) -> None:
        body = self.packed(as_json(self.session, request_id, made_at, content))
        key = {"pk": {"S": self.session}, "sk": {"S": f"{time.time_ns()}#{request_id}"}}
        client.put_item(TableName=table(self.table), Item={**key, "body": body})

    def packed(self, body: str) -> Any:
        """The attribute that holds a message."""
        return {"S": body}

    def unpacked(self, attribute: Any) -> str:
        """A message from its attribute."""
        return str(attribute["S"])

    def newest(self, count: int) -> list[str]:
        found = client.query(**self._asked, ScanIndexForward=False, Limit=count)
        return self._contents(found["Items"][::-1])

    def read(self) -> list[str]:
        pages = client.get_paginator("query").paginate(**self._asked)
        return [content for page in pages for content in self._contents(page["Items"])]

    @property
    def _asked(self) -> dict[str, Any]:
        return {
            "TableName": table(self.table),
            "KeyConditionExpression": "pk = :session",
            "ExpressionAttributeValues": {":session": {"S": self.session}},
        }

    def _contents(self, items: list[Any]) -> list[str]:
        return [json.loads(self.unpacked(item["body"]))["content"] for item in items]


def prepare() -> None:
    create_table(Raw.table, "pk", "sk")


def open_store(session: str) -> Store:
    return Raw(session)


def new_session() -> str:
    return str(uuid4())
