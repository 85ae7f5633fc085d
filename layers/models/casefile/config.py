"""Configuration: a handful of environment variables, read here and nowhere else."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass


class MissingConfiguration(Exception):
    """The deployment left out something that the functions need."""


@dataclass(frozen=True)
class Configuration:
    """What the template tells a function."""

    table_name: str
    bucket_name: str
    stack_name: str
    allowed_origin: str | None
    bus_name: str
    tells_of_messages: bool
    metrics_namespace: str
    uses_boto3: bool


@functools.cache
def configuration() -> Configuration:
    """The configuration; raises MissingConfiguration naming the variable that is not set."""
    try:
        return Configuration(
            table_name=os.environ["TABLE_NAME"],
            bucket_name=os.environ["BUCKET_NAME"],
            stack_name=os.environ.get("STACK_NAME", ""),
            allowed_origin=os.environ.get("ALLOWED_ORIGIN") or None,
            bus_name=os.environ.get("BUS_NAME", "default"),
            tells_of_messages=os.environ.get("MESSAGE_EVENTS") == "on",
            metrics_namespace=os.environ.get("METRICS_NAMESPACE", "Casefile"),
            uses_boto3=os.environ.get("DYNAMODB_CLIENT") == "boto3",
        )
    except KeyError as missing:
        raise MissingConfiguration(
            f"the environment variable {missing} is not set; template.yaml sets it"
        ) from None


def is_from_snapshot() -> bool:
    """Whether this process is being started for a snapshot (Lambda SnapStart)."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def log_level() -> str:
    """From which level on lines are logged."""
    for name in ("POWERTOOLS_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"):
        if level := os.environ.get(name):
            return level.upper()
    return "INFO"


def trace_id() -> str:
    """The id of the X-Ray trace that this invocation belongs to, if any."""
    return os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=")


def is_lambda() -> bool:
    """Whether this process was started as a Lambda function."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ
