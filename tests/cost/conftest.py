"""The table on an engine that counts units as AWS does, and a meter on every call to it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from casefile import dynamodb
from dev import dynoxide
from tests.conftest import forget
from tests.template import create_table


@dataclass
class Meter:
    """What was called, and the units that each call cost."""

    calls: list[tuple[str, float]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    @property
    def units(self) -> float:
        return sum(units for _, units in self.calls)

    def ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def read(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        told = parsed.get("ConsumedCapacity") or []
        told = told if isinstance(told, list) else [told]
        self.calls.append((model.name, sum(each["CapacityUnits"] for each in told)))


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    binary = dynoxide.prepare()
    if binary is None:
        if "CI" in os.environ:
            pytest.fail("dynoxide is not installed here, and costs can't be checked without")
        pytest.skip("costs are checked where dynoxide can be installed: Linux on x86-64")
    with dynoxide.running(binary) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def meter(engine: str) -> Iterator[Meter]:
    """An empty table, a fresh execution environment, and its meter."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "test")
        patched.delenv("AWS_SESSION_TOKEN", raising=False)
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patched.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine)
        patched.setenv("TABLE_NAME", "casefile-cost")
        patched.setenv("BUCKET_NAME", "casefile-cost")
        patched.setenv("DYNAMODB_CLIENT", "boto3")  # Its events feed the meter.
        forget()
        admin = boto3.client("dynamodb")
        create_table(admin, "casefile-cost")
        meter, events = Meter(), dynamodb.client().meta.events
        events.register("provide-client-params.dynamodb", meter.ask)
        events.register("after-call.dynamodb", meter.read)
        yield meter
        admin.delete_table(TableName="casefile-cost")
        forget()
