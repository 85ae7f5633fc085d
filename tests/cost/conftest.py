"""The table on an engine that counts units as AWS does, with a meter on the wire before it."""

import os
from collections.abc import Iterator

import boto3
import pytest

from benchmarks.meter import Meter, metered
from dev import dynoxide
from dev.template import create_table
from tests.conftest import forget


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    binary = dynoxide.prepare()
    if binary is None:
        if "CI" in os.environ:
            pytest.fail(f"Costs can't be checked. {dynoxide.NOT_HERE}")
        pytest.skip(f"Costs are not checked. {dynoxide.NOT_HERE}")
    with dynoxide.running(binary) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def meter(engine: str) -> Iterator[Meter]:
    """An empty table, a fresh execution environment, and a meter."""
    with pytest.MonkeyPatch.context() as patched, metered(engine) as meter:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "test")
        patched.delenv("AWS_SESSION_TOKEN", raising=False)
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patched.setenv("AWS_ENDPOINT_URL_DYNAMODB", meter.dynamodb)
        patched.setenv("TABLE_NAME", "casefile-cost")
        patched.setenv("BUCKET_NAME", "casefile-cost")
        forget()
        admin = boto3.client("dynamodb")
        # Nobody follows it here, and this engine takes longer for each write the longer it is.
        create_table(admin, "casefile-cost", with_stream=False)
        yield meter
        admin.delete_table(TableName="casefile-cost")
        forget()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that were measured beside those that they are held against."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    lines = [
        value for report in reports for name, value in report.user_properties if name == "figure"
    ]
    if lines:
        terminalreporter.section("figures: measured, held, wanted")
        for line in lines:
            terminalreporter.line(str(line))
