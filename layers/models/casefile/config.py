"""Configuration: a handful of environment variables, read here alone.

Those of AWS itself (region, credentials, endpoints) are read by its clients; see transport.py.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass

ORIGIN = (
    r"(?!https:[^,]*:443(?:,|$)|http:[^,]*:80(?:,|$))"
    r"[a-z][a-z0-9+.-]*://[a-z0-9][a-z0-9.-]*(?::[1-9][0-9]{0,4})?"
)
"""A web origin as browsers spell it: scheme://host[:port], in small letters, no default port."""


LOG_LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "WARN": 30,
    "WARNING": 30,
    "ERROR": 40,
    "FATAL": 50,
    "CRITICAL": 50,
}
"""As Lambda and Powertools name them."""

_TRACE = r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)"


class Misconfigured(Exception):
    """The deployment left out something that the functions need, or said it wrong."""


@dataclass(frozen=True)
class Configuration:
    """What the template tells a function."""

    table_name: str
    bucket_name: str
    stack_name: str
    allowed_origins: frozenset[str]
    bus_name: str
    metrics_namespace: str
    uses_boto3: bool


@functools.cache
def configuration() -> Configuration:
    """The configuration; raises Misconfigured naming the variable that is not set, or wrong."""
    try:
        return Configuration(
            table_name=os.environ["TABLE_NAME"],
            bucket_name=os.environ["BUCKET_NAME"],
            stack_name=os.environ.get("STACK_NAME", ""),
            allowed_origins=_origins(os.environ.get("ALLOWED_ORIGINS", "")),
            bus_name=os.environ.get("BUS_NAME", "default"),
            metrics_namespace=os.environ.get("METRICS_NAMESPACE", "Casefile"),
            uses_boto3=os.environ.get("DYNAMODB_CLIENT") == "boto3",
        )
    except KeyError as missing:
        raise Misconfigured(
            f"the environment variable {missing} is not set; template.yaml sets it"
        ) from None


def tells_of_messages() -> bool:
    """Whether the bus is told of each recorded message, too."""
    return os.environ.get("MESSAGE_EVENTS") == "on"


def is_from_snapshot() -> bool:
    """Whether this process is being started for a snapshot (Lambda SnapStart)."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def log_level() -> int:
    """From which level on lines are logged; raises Misconfigured for one that there is not."""
    for name in ("POWERTOOLS_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"):
        if level := os.environ.get(name):
            if level.upper() not in LOG_LEVELS:
                raise Misconfigured(f"{name} is {level!r}, not one of {', '.join(LOG_LEVELS)}")
            return LOG_LEVELS[level.upper()]
    return LOG_LEVELS["INFO"]


def trace_id() -> str:
    """The id of the X-Ray trace that this invocation belongs to, if any; a caller can name it."""
    header = os.environ.get("_X_AMZN_TRACE_ID")
    match = re.match(_TRACE, header) if header else None
    return match[1] if match else ""


def _origins(listed: str) -> frozenset[str]:
    origins = listed.split(",") if listed else []
    for origin in origins:
        if not re.fullmatch(ORIGIN, origin):
            raise Misconfigured(
                f"ALLOWED_ORIGINS names {origin!r}, which is no origin as browsers send it: "
                "scheme://host or scheme://host:port, in small letters, without a path, a wildcard "
                "or the scheme's own port, such as https://app.example.com"
            )
    return frozenset(origins)


def is_lambda() -> bool:
    """Whether this process was started as a Lambda function."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ
