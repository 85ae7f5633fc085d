"""Configuration: a handful of environment variables, read here and nowhere else."""

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
    tells_of_messages: bool
    metrics_namespace: str


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
            tells_of_messages=os.environ.get("MESSAGE_EVENTS") == "on",
            metrics_namespace=os.environ.get("METRICS_NAMESPACE", "Casefile"),
        )
    except KeyError as missing:
        raise Misconfigured(
            f"the environment variable {missing} is not set; template.yaml sets it"
        ) from None


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
