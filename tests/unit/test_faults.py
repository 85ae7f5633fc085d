"""Whatever call fails, before or after it took effect, sending the request again mends it.

The calls are not listed here: each writing operation runs once for each call that it makes, and
that call fails. So a new call is covered without a new test.
"""

import contextlib
import json
import random
import re
import time
from base64 import b64encode
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from casefile import attempts, contents, dynamodb
from casefile.errors import Unavailable
from tests.conftest import (
    BUCKET,
    RECORDING,
    WRITING,
    Context,
    Lines,
    account,
    forget,
    load,
    objects,
    stored,
)
from tests.events import event

OF_ITS_TIME = {
    "activity",
    "at",
    "changed_at",
    "closed_at",
    "created_at",
    "creation",
    "deleted_at",
    "deleting_at",
    "filed_at",
    "held_at",
    "hold_asked_at",
    "hold_changed_at",
    "narrowed_at",
    "seal",
    "since",
    "taken_out_at",
    "ttl",
    "updated_at",
}


READING = ("batch_get_", "get_", "head_", "list_", "query")
"""How calls that read begin. Those that begin with `generate_` make a link, and no call."""


class Killed(BaseException):
    """The function's process ended where it stood."""


class Faults:
    """The clients of a function, of whose calls one fails, counted from 1, in one of these ways.

    Those that read may be left out of the count.
    """

    WAYS = (
        "before it took effect",
        "after it took effect",
        "throttled",
        "and the SDK repeated it",
        "past the deadline",
        "and the function was killed",
    )

    def __init__(
        self, patched: pytest.MonkeyPatch, number: int, way: str, *, only_writes: bool = False
    ) -> None:
        self.number, self.way, self.calls = number, way, 0
        self.left_out = ("generate_", *(READING if only_writes else ()))
        self.late = 0.0
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + self.late, sleep=time.sleep)
        patched.setattr(attempts, "time", clock)
        for module in (dynamodb, contents):
            client = module.client()
            patched.setattr(module, "client", lambda client=client: Faulty(client, self))


class Faulty:
    """A client whose calls are counted, and may fail."""

    def __init__(self, client: Any, faults: Faults) -> None:
        self._client, self._faults = client, faults

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name.startswith(self._faults.left_out):
            return call
        return lambda **arguments: self._fail(name, call, arguments)

    def _fail(self, name: str, call: Any, arguments: dict[str, Any]) -> Any:
        faults = self._faults
        faults.calls += 1
        if faults.calls != faults.number:
            return call(**arguments)
        if faults.way == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, name)
        if faults.way != "before it took effect":
            answer = call(**arguments)
        if faults.way == "and the SDK repeated it":
            return call(**arguments)
        if faults.way == "past the deadline":
            faults.late = 900
            return answer
        if faults.way == "and the function was killed":
            raise Killed
        raise ReadTimeoutError(endpoint_url="https://aws.example")


LARGE = [name for name in WRITING if name in RECORDING or name.startswith("delete_")]
"""The operations that may have to do with the bucket."""

SMALL = [name for name in WRITING if name != "erase_user"]
"""An erasure takes many calls, and tells in between how far it has come: see its own tests."""

CASES = [*((name, False) for name in SMALL), *((name, True) for name in LARGE)]


def prepare(operation: str, is_large: bool) -> dict[str, Any]:
    """An empty table and bucket, in them what the events speak of; return the request.

    A session to create is filed with its creation, for there the most can fail.
    """
    client, bucket = account("dynamodb"), account("s3")
    for item in stored():
        client.delete_item(TableName="casefile-test", Key={key: item[key] for key in ("pk", "sk")})
    for key in objects():
        bucket.delete_object(Bucket=BUCKET, Key=key)
    forget()
    for creation in ("create_session", "create_chat_session", "create_casefile"):
        if creation != operation:
            load(creation)(event(creation, "direct"), Context())
    if operation == "tool_result":
        load("tool_execution")(event("tool_execution", "eventbridge"), Context())
    if operation == "remove_session_from_casefile":
        load("add_session_to_casefile")(event("add_session_to_casefile", "direct"), Context())
    if operation == "revoke_permission":
        load("grant_permission")(event("grant_permission", "direct"), Context())
    asked = event(operation, "direct")
    if operation in ("create_session", "create_chat_session"):
        casefile = load("create_casefile")(event("create_casefile", "direct"), Context())
        asked["payload"] |= {"casefile_id": casefile["payload"]["casefile_id"]}
    if is_large and operation in RECORDING:
        asked["payload"] = enlarged(asked["payload"])
    elif is_large:
        recording = event("chat" if "chat" in operation else "tool_execution", "direct")
        load(recording["operation"])(
            recording | {"payload": enlarged(recording["payload"])}, Context()
        )
    return asked


def enlarged(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with an attachment, and too large for the table."""
    address = urlsplit(
        load("create_upload")(event("create_upload", "direct"), Context())["payload"]["url"]
    )
    described = event("create_upload", "direct")["payload"]
    account("s3").put_object(
        Bucket=BUCKET,
        Key=address.path.removeprefix("/"),
        Body=b"hello world",
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=b64encode(bytes.fromhex(described["sha256"])).decode(),
    )
    noise = b64encode(random.Random(1).randbytes(60_000)).decode()
    if "messages" in payload:
        large = {"content": noise, "message_type": "tool", "attachments": [described]}
        return payload | {"messages": [large]}
    return payload | {"result": {"noise": noise}, "attachments": [described]}


def kept() -> tuple[list[dict[str, Any]], list[str]]:
    """What is stored, less what depends on the time of day."""
    items = [
        {name: value for name, value in item.items() if name not in OF_ITS_TIME}
        for item in stored()
    ]
    return items, objects()


def audit_lines(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was logged of changes of access or of legal holds, less when and from where."""
    beside = {"level", "location", "service", "timestamp"}
    return [
        {name: value for name, value in line.items() if name not in beside}
        for line in lines
        if line["message"].endswith(" changed")
    ]


def effect(answer: dict[str, Any] | None) -> str:
    """An answer, less the signatures of its links."""
    return re.sub(r'"url": "[^"]*"|"expires_at": "[^"]*"', "", json.dumps(answer))


@pytest.mark.parametrize("way", Faults.WAYS)
@pytest.mark.parametrize(("operation", "is_large"), CASES)
def test_a_request_sent_again_after_any_failure_has_one_effect(
    aws: None,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    is_large: bool,
    way: str,
) -> None:
    asked = prepare(operation, is_large)
    lines()
    load(operation)(asked, Context())
    expected, told = kept(), audit_lines(lines())
    for number in range(1, 20):
        prepare(operation, is_large)
        lines()
        with monkeypatch.context() as patched:
            faults = Faults(patched, number, way)
            try:
                first = load(operation)(asked, Context())
            except Unavailable:
                first = None
            except Killed:
                first = None
        if way == "and the function was killed":
            forget()
        if faults.calls < number:
            assert number > 1
            return
        # The client sends it again: to the same instance, then to a new one.
        second = load(operation)(asked, Context())
        forget()
        third = load(operation)(asked, Context())
        assert effect(second) == effect(third)
        assert first is None or effect(first) == effect(second)
        told_since = audit_lines(lines())
        assert kept() == expected
        assert all(line in told_since for line in told)
    raise AssertionError("no operation makes that many calls")


@pytest.mark.parametrize(("operation", "is_large"), CASES)
@pytest.mark.parametrize("seconds", [0, 1, 2.001])
def test_a_request_that_ran_out_of_time_has_one_effect_when_sent_again(
    aws: None, operation: str, is_large: bool, seconds: float
) -> None:
    asked = prepare(operation, is_large)
    load(operation)(asked, Context())
    expected = kept()
    prepare(operation, is_large)
    with contextlib.suppress(Unavailable):
        load(operation)(asked, Context(seconds=seconds))
    load(operation)(asked, Context())
    assert kept() == expected
