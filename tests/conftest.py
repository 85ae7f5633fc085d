"""What tests share: the functions as they are deployed, and a table like the template's."""

import contextlib
import functools
import importlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from time import sleep, time_ns  # before a test puts others in their place
from typing import Any, Literal
from uuid import UUID, uuid4

import boto3
import pytest
from hypothesis import settings
from moto import mock_aws

from casefile import (
    archives,
    bus,
    config,
    contents,
    cursors,
    dynamodb,
    erasure,
    session_log,
    transport,
)
from casefile.entry import Operation
from casefile.errors import CasefileError
from casefile.web_pages import Pages
from dev import openapi
from dev.template import create_table
from pydantic_models.base.times import to_milliseconds
from tests import rights
from tests.loopback import wired_to_moto
from tests.origins import Allow
from tests.template import ROOT

# How long an example takes is a matter of the machine, and of what else it has to do.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

BUCKET = "casefile-test"
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


def load(name: str) -> Operation[Any, Any]:
    """The Lambda handler of an operation."""
    handler: Operation[Any, Any] = importlib.import_module(f"functions.{name}.handler").handle
    return handler


OPERATIONS = [name for name in FUNCTIONS if isinstance(load(name), Operation)]
"""What is asked for by an envelope."""

PAGES = [name for name in FUNCTIONS if isinstance(load(name), Pages)]
"""What anybody may read. Functions in neither list serve queues, stream, clock or preflights."""

WRITING = [
    name
    for name in OPERATIONS
    if not name.startswith(("get_", "list_", "export_", "check_")) and name != "create_upload"
]
"""The operations that store something."""

RECORDING = ["chat", "tool_execution", "tool_result"]
"""Those that record content."""


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about its invocation."""

    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    seconds: float = 900

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def client() -> str:
    """Through which client the table is reached: `boto3`, or `lean` for our own."""
    return "boto3"


BOTH_CLIENTS = pytest.fixture(name="client", params=["boto3", "lean"])(
    lambda request: request.param
)
"""In place of `client`, for tests that are to hold with either."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let no test begin on one day and end on the next.

    Ids have a date in them, and a creation that brings no time of its own is known within its day
    (UTC). What is to hold around midnight is tested by a clock that says so.
    """
    left = 86_400 - time.time() % 86_400
    if left < 60:
        sleep(left)


@functools.cache
def _session() -> boto3.Session:
    """What boto3 knows of AWS, read once for all tests."""
    return boto3.Session()


@contextlib.contextmanager
def empty_aws() -> Iterator[None]:
    """An AWS that lives in this process, with an empty table and an empty bucket."""
    with mock_aws():
        boto3.DEFAULT_SESSION = _session()
        create_table(account("dynamodb"), "casefile-test")
        account("s3").create_bucket(Bucket=BUCKET)
        yield


@functools.cache
def account(service: Literal["dynamodb", "s3"]) -> Any:
    """The tests' own client of the AWS in this process."""
    return boto3.client(service)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, client: str) -> Iterator[None]:
    """An empty table of an AWS that lives in this process, and a fresh execution environment.

    Functions may do there what their roles allow.
    """
    monkeypatch.setenv("TABLE_NAME", "casefile-test")
    monkeypatch.setenv("BUCKET_NAME", BUCKET)
    monkeypatch.setenv("STACK_NAME", "casefile-test")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("DYNAMODB_CLIENT", client)
    monkeypatch.setattr(erasure, "SETTLING_SECONDS", 0)  # This table's indexes don't lag.
    with empty_aws(), rights.judged(), contextlib.ExitStack() as stack:
        if client == "lean":
            stack.enter_context(wired_to_moto())
        forget()
        yield
        forget()


@pytest.fixture
def calls(aws: None, client: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the calls that are made to DynamoDB, until `forget`."""
    made: list[str] = []
    if client == "lean":
        ask = transport.Client._ask

        def counted(
            self: transport.Client, operation: str, body: bytes, at: float
        ) -> transport.Answer:
            made.append(operation)
            return ask(self, operation, body, at)

        monkeypatch.setattr(transport.Client, "_ask", counted)
    else:
        events = dynamodb.client().meta.events
        events.register("before-call.dynamodb", lambda model, **_: made.append(model.name))
    return made


def forget() -> None:
    """Become a new execution environment: nothing is remembered."""
    if dynamodb.client.cache_info().currsize:
        dynamodb.client().close()
    config.configuration.cache_clear()
    transport._finder.cache_clear()
    bus.client.cache_clear()
    dynamodb.client.cache_clear()
    archives._manifest.cache_clear()
    contents.client.cache_clear()
    cursors._key.cache_clear()
    session_log._memories.clear()


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Allow]:
    """Let pages of some web origins call the API, of none without: `allow("https://…", …)`."""

    def name(*origins: str) -> None:
        monkeypatch.setenv("TABLE_NAME", "casefile-test")
        monkeypatch.setenv("BUCKET_NAME", BUCKET)
        monkeypatch.setenv("ALLOWED_ORIGINS", ",".join(origins))
        config.configuration.cache_clear()

    yield name
    config.configuration.cache_clear()


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """The lines that were logged since they were last asked for."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


Invoke = Callable[..., dict[str, Any]]


@pytest.fixture
def invoke(aws: None) -> Invoke:
    """Invoke an operation directly: `invoke("chat", {"session_id": …}, user="…", …)`."""

    def invoke_directly(
        name: str,
        payload: dict[str, Any] | None = None,
        *,
        user: str = "ann@example.com",
        **more: Any,
    ) -> dict[str, Any]:
        envelope = {"user_id": user, "operation": name, "payload": payload or {}, **more}
        try:
            answer: dict[str, Any] = load(name)(envelope, Context())
        except CasefileError as error:
            if error.code not in openapi.codes(name).get(error.status, {}):
                pytest.fail(f"openapi.json doesn't say that {name} fails with {error.code}")
            raise
        finally:
            let_a_millisecond_pass()
        return answer

    return invoke_directly


def let_a_millisecond_pass() -> None:
    """What comes next is of a later one, on a fast machine too: lists know no finer order."""
    now = time_ns() // 1_000_000
    while time_ns() // 1_000_000 == now:
        sleep(0.0002)


def overtake(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], object]
) -> None:
    """Let something happen right before a function is called next, and not again."""
    real = getattr(module, name)

    def overtaken(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(module, name, real)
        act()
        return real(*arguments, **more)

    monkeypatch.setattr(module, name, overtaken)


def objects() -> list[str]:
    """The keys of everything in the bucket."""
    found = account("s3").list_objects_v2(Bucket=BUCKET)
    return sorted(content["Key"] for content in found.get("Contents", []))


def stored() -> list[dict[str, Any]]:
    """Everything in the table."""
    found = account("dynamodb").scan(TableName="casefile-test", ConsistentRead=True)
    return sorted(found["Items"], key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def days_left(item: dict[str, Any]) -> float:
    """In how many days an item expires: DynamoDB takes its `ttl` for seconds since 1970."""
    return (int(item["ttl"]["N"]) - time.time()) / 86400


def restore(items: list[dict[str, Any]], kept: dict[str, bytes] | None = None) -> None:
    """Make table and bucket what they were, for a new execution environment."""
    client, bucket = account("dynamodb"), account("s3")
    client.delete_table(TableName="casefile-test")
    create_table(client, "casefile-test")
    for begin in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[begin : begin + 25]]
        client.batch_write_item(RequestItems={"casefile-test": puts})
    for key in objects():
        bucket.delete_object(Bucket=BUCKET, Key=key)
    for key, body in (kept or {}).items():
        bucket.put_object(Bucket=BUCKET, Key=key, Body=body)
    forget()


def uuid7(at: datetime, more: int) -> UUID:
    """The UUIDv7 of a time; of two of the same time, the one with `more` is higher."""
    return UUID(int=to_milliseconds(at) << 80 | 7 << 76 | 2 << 62 | more)
