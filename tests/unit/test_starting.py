"""A function that is restored from a snapshot renews what all its copies would share."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from casefile import dynamodb, transport
from casefile.starting import start
from tests.conftest import FUNCTIONS, forget
from tests.loopback import Scripted, scripted
from tests.template import ROOT

KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What was registered with the runtime of a function with SnapStart."""
    registered: list[Callable[[], None]] = []
    runtime = SimpleNamespace(register_after_restore=registered.append)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    for name in ("TABLE_NAME", "BUCKET_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in transport._ASKS_FOR_MORE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "chat")
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    return registered


@pytest.mark.parametrize("client", ["lean", "boto3"])
def test_a_restore_renews_connections_and_chance(
    hooks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    monkeypatch.setenv("DYNAMODB_CLIENT", client)
    server: Scripted
    with scripted() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.port}")
        forget()
        start(dynamodb.client)
        for _ in range(2):
            dynamodb.client().get_item(TableName="tab", Key=KEY)
        snapshot = random.getstate()
        drawn = []
        for _ in range(2):  # Two copies of what was.
            random.setstate(snapshot)
            (renew,) = hooks
            renew()
            drawn.append([random.random() for _ in range(3)])
        dynamodb.client().get_item(TableName="tab", Key=KEY)
        assert drawn[0] != drawn[1]
        assert [request.connection for request in server.requests] == [1, 1, 2]
        forget()


def test_without_snapshots_nothing_is_registered(
    hooks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget()
    for kind in ("on-demand", None):
        if kind is None:
            monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE")
        else:
            monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
        start(dynamodb.client)
    assert not hooks
    forget()


def test_outside_lambda_nothing_is_made(
    hooks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    start(lambda: pytest.fail("it was made"))
    assert not hooks


def test_every_function_has_its_validators_and_looks_for_garbage_rarely_and_not_in_them() -> None:
    program = """
import gc, importlib, sys
import casefile
assert gc.isenabled()
assert gc.get_threshold()[0] == 10_000
for name in sys.argv[1:]:
    gc.unfreeze()
    handle = importlib.import_module(f"functions.{name}.handler").handle
    assert gc.get_freeze_count(), name
    for model in (getattr(handle, "request_type", None), getattr(handle, "response_type", None)):
        assert model is None or model.__pydantic_complete__, name
"""
    named = ("AWS_LAMBDA_FUNCTION_NAME", "TABLE_NAME", "BUCKET_NAME")
    environment = {**os.environ, **dict.fromkeys(named, "x"), "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-W", "ignore", "-c", program, *FUNCTIONS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
