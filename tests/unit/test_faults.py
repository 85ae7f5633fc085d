"""Whatever call fails, before or after it took effect, sending the request again mends it.

The calls are not listed here: each writing operation runs once for each call that it makes, and
that call fails. So a new call is covered without a new test.
"""

import contextlib
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from casefile import dynamodb
from casefile.errors import Unavailable
from tests.conftest import OPERATIONS, Context, forget, load, stored
from tests.events import event

WRITING = [name for name in OPERATIONS if not name.startswith(("get_", "list_", "export_"))]
OF_ITS_TIME = {
    "at",
    "closed_at",
    "created_at",
    "deleted_at",
    "filed_at",
    "seal",
    "ttl",
    "updated_at",
}


class Faulty:
    """A client of which one call fails, counted from 1, in one of three ways."""

    def __init__(self, client: Any, number: int, way: str) -> None:
        self._client, self._number, self._way, self.calls = client, number, way, 0

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls += 1
            if self.calls != self._number:
                return getattr(self._client, name)(**arguments)
            if self._way != "before it took effect":
                answer = getattr(self._client, name)(**arguments)
            if self._way == "and the SDK repeated it":
                return answer if name.startswith("transact") else self._repeat(name, arguments)
            raise ReadTimeoutError(endpoint_url="https://dynamodb.example")

        return call

    def _repeat(self, name: str, arguments: dict[str, Any]) -> Any:
        return getattr(self._client, name)(**arguments)


def prepare(operation: str) -> None:
    """An empty table, and in it what the events speak of."""
    client = boto3.client("dynamodb")
    for item in stored():
        client.delete_item(TableName="casefile-test", Key={key: item[key] for key in ("pk", "sk")})
    forget()
    for creation in ("create_session", "create_chat_session", "create_casefile"):
        if creation != operation:
            load(creation)(event(creation, "direct"), Context())
    if operation == "tool_result":
        load("tool_execution")(event("tool_execution", "eventbridge"), Context())


def request(operation: str) -> dict[str, Any]:
    """The operation's event; a session to create is filed with it, for there the most can fail."""
    asked = event(operation, "direct")
    if operation in ("create_session", "create_chat_session"):
        casefile = load("create_casefile")(event("create_casefile", "direct"), Context())
        asked["payload"] |= {"casefile_id": casefile["payload"]["casefile_id"]}
    return asked


def kept() -> list[dict[str, Any]]:
    """What is stored, less what depends on the time of day."""
    return [
        {name: value for name, value in item.items() if name not in OF_ITS_TIME}
        for item in stored()
    ]


@pytest.mark.parametrize(
    "way", ["before it took effect", "after it took effect", "and the SDK repeated it"]
)
@pytest.mark.parametrize("operation", WRITING)
def test_a_request_sent_again_after_any_failure_has_one_effect(
    aws: None, monkeypatch: pytest.MonkeyPatch, operation: str, way: str
) -> None:
    prepare(operation)
    asked = request(operation)
    load(operation)(asked, Context())
    expected = kept()
    for number in range(1, 9):
        prepare(operation)
        request(operation)
        faulty = Faulty(dynamodb.client(), number, way)
        with monkeypatch.context() as patched:
            patched.setattr(dynamodb, "client", lambda faulty=faulty: faulty)
            try:
                first = load(operation)(asked, Context())
            except Unavailable:
                first = None
        if faulty.calls < number:
            assert number > 1
            return
        # The client sends it again: to the same instance, then to a new one.
        second = load(operation)(asked, Context())
        forget()
        third = load(operation)(asked, Context())
        assert second == third
        assert first in (None, second)
        assert kept() == expected
    raise AssertionError("no operation makes that many calls")


@pytest.mark.parametrize("operation", WRITING)
@pytest.mark.parametrize("seconds", [0, 1, 2.001])
def test_a_request_that_ran_out_of_time_has_one_effect_when_sent_again(
    aws: None, operation: str, seconds: float
) -> None:
    prepare(operation)
    asked = request(operation)
    load(operation)(asked, Context())
    expected = kept()
    prepare(operation)
    request(operation)
    with contextlib.suppress(Unavailable):
        load(operation)(asked, Context(seconds=seconds))
    load(operation)(asked, Context())
    assert kept() == expected
