"""The table's stream, as Lambda gets it through the template's filter."""

import json
from base64 import b64encode
from typing import Any

import boto3
from botocore.config import Config

from tests.template import camel, resources


def stream() -> list[dict[str, Any]]:
    """All changes of the table since it was made, in their order."""
    # moto knows no endpoints of accounts.
    client = boto3.client("dynamodbstreams", config=Config(account_id_endpoint_mode="disabled"))
    (found,) = client.list_streams(TableName="casefile-test")["Streams"]
    described = client.describe_stream(StreamArn=found["StreamArn"])["StreamDescription"]
    told: list[dict[str, Any]] = []
    for shard in described["Shards"]:
        iterator = client.get_shard_iterator(
            StreamArn=found["StreamArn"],
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        told += client.get_records(ShardIterator=iterator)["Records"]
    return [_as_lambda_gets(change, place) for place, change in enumerate(told)]


def _as_lambda_gets(change: dict[str, Any], place: int) -> dict[str, Any]:
    written = {**change["dynamodb"], "SequenceNumber": f"{place:021}"}
    written.pop("ApproximateCreationDateTime", None)
    for image in ("Keys", "OldImage", "NewImage"):
        if image in written:
            written[image] = {name: _in_text(value) for name, value in written[image].items()}
    return {**change, "dynamodb": written}


def _in_text(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, inner),) = value.items()
    return {kind: b64encode(inner).decode() if kind == "B" else inner}


def let_through(function: str) -> list[dict[str, Any]]:
    """The changes that the template's filter lets a function see."""
    return [change for change in stream() if is_let_through(change, function)]


def is_let_through(change: dict[str, Any], function: str) -> bool:
    """Whether the template's filter lets a function see a change."""
    (event,) = resources("AWS::Serverless::Function")[camel(function)]["Events"].values()
    patterns = [
        json.loads(each["Pattern"]) for each in event["Properties"]["FilterCriteria"]["Filters"]
    ]
    return any(_matches(change, pattern) for pattern in patterns)


def _matches(value: Any, pattern: Any) -> bool:
    """Filter rules (AWS Lambda developer guide), as far as the template uses them."""
    if isinstance(pattern, dict):
        return all(
            isinstance(value, dict) and name in value and _matches(value[name], inner)
            for name, inner in pattern.items()
        )
    return any(_fits(value, rule) for rule in pattern)


def _fits(value: Any, rule: Any) -> bool:
    if not isinstance(rule, dict):
        return bool(value == rule)
    ((name, wanted),) = rule.items()
    match name:
        case "prefix":
            return isinstance(value, str) and value.startswith(wanted)
        case "anything-but":
            return value not in wanted
    raise AssertionError(f"the rule {name} is new here")
