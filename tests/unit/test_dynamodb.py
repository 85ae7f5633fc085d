"""What DynamoDB says, in our words: come back, or too large, and never a bug of ours."""

from typing import Any
from uuid import uuid4

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from casefile import attempts, dynamodb, session_log
from casefile.aws import Refused
from casefile.errors import CasefileError, NotFound, TooLarge, Unavailable
from tests.conftest import OPERATIONS, Context, forget, load, stored
from tests.events import event
from tests.replicas import lagging

ENDPOINT = {"endpoint_url": "https://dynamodb.example"}
COME_BACK: dict[str, Exception] = {
    "no connection": exceptions.EndpointConnectionError(**ENDPOINT),
    "connect timeout": exceptions.ConnectTimeoutError(**ENDPOINT),
    "read timeout": exceptions.ReadTimeoutError(**ENDPOINT),
    "closed": exceptions.ConnectionClosedError(**ENDPOINT),
    "tls": exceptions.SSLError(**ENDPOINT, error=OSError("handshake")),
    "proxy": exceptions.ProxyConnectionError(proxy_url="http://proxy.example"),
    "cut short": exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "garbled": ResponseParserError("no XML, no JSON"),
    "credentials": exceptions.CredentialRetrievalError(provider="x", error_msg="late"),
}


def client_error(code: str, status: int, **more: Any) -> exceptions.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": more.pop("message", "")},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return exceptions.ClientError(response, "Any")


for code, status in {
    "ProvisionedThroughputExceededException": 400,
    "RequestLimitExceeded": 400,
    "ThrottlingException": 400,
    "TransactionInProgressException": 400,
    "ReplicatedWriteConflictException": 400,
    "InternalServerError": 500,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "503": 503,
}.items():
    COME_BACK[code] = client_error(code, status)

COME_BACK["TransactionConflictException"] = client_error("TransactionConflictException", 400)
COME_BACK["throttled transaction"] = client_error(
    "TransactionCanceledException", 400, CancellationReasons=[{"Code": "ThrottlingError"}]
)


class Failing:
    """A client whose calls fail from the given one on; it counts them."""

    def __init__(self, client: Any, failure: Exception, first: int = 1) -> None:
        self._client, self._failure, self._first, self.calls = client, failure, first, 0

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls += 1
            is_write = name in ("put_item", "update_item", "transact_write_items")
            conflicts = "TransactionConflict" in str(self._failure)
            if self.calls >= self._first and (is_write or not conflicts):
                raise self._failure
            return getattr(self._client, name)(**arguments)

        return call


@pytest.fixture
def things(aws: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(attempts, "LONGEST_PAUSE", 0)
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 3)
    for creation in ("create_session", "create_chat_session", "create_casefile"):
        load(creation)(event(creation, "direct"), Context())
    operation = (
        getattr(request.node, "callspec", None) and request.node.callspec.params["operation"]
    )
    if operation in ("tool_result", "get_tool_request"):
        load("tool_execution")(event("tool_execution", "eventbridge"), Context())
    forget()


@pytest.mark.parametrize("what", COME_BACK)
@pytest.mark.parametrize(  # An erasure tells how far it has come, and goes on: see its own tests.
    "operation", [name for name in OPERATIONS if name != "erase_user"]
)
def test_whatever_fails_at_aws_the_caller_is_told_to_come_back(
    things: None, monkeypatch: pytest.MonkeyPatch, operation: str, what: str
) -> None:
    """Each call of the operation fails, in turn, as it would at AWS."""
    client: Any = dynamodb.client()
    for number in range(1, 16):
        session_log._memories.clear()
        failing = Failing(client, COME_BACK[what], first=number)
        asked = event(operation, "direct") | {"request_id": str(uuid4())}
        outcome: Exception | None = None
        with monkeypatch.context() as patched:
            patched.setattr(dynamodb, "client", lambda failing=failing: failing)
            try:
                load(operation)(asked, Context())
            except CasefileError as error:
                outcome = error
        if failing.calls < number:
            return
        if operation.startswith(("remove_", "revoke_")) and isinstance(outcome, NotFound):
            return  # It took effect, and is a new request each time.
        assert outcome is None or isinstance(outcome, Unavailable), outcome
        assert outcome is None or "same request" in str(outcome)
    raise AssertionError("no operation makes that many calls")


def refused(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> BaseException:
    """What creating a session raises if DynamoDB fails like this."""
    failing = Failing(None, failure)
    with monkeypatch.context() as patched:
        patched.setattr(dynamodb, "client", lambda: failing)
        with pytest.raises((ClientError, CasefileError)) as told:
            load("create_session")(event("create_session", "direct"), Context())
    return told.value


def test_too_large_an_item_is_told_as_such(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "Item size has exceeded the maximum allowed size"
    whole = client_error("ValidationException", 400, message=message)
    part = {"Code": "ValidationError", "Message": message}
    in_part = client_error("TransactionCanceledException", 400, CancellationReasons=[part])
    for failure in (whole, in_part):
        assert isinstance(refused(monkeypatch, failure), TooLarge)


def test_an_error_that_is_our_own_fault_is_not_hidden(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = client_error("ValidationException", 400)
    with pytest.raises(Refused, match="ValidationException"):
        refused(monkeypatch, failure)


def test_no_call_is_begun_when_there_is_no_time_left(things: None) -> None:
    before = stored()
    with pytest.raises(Unavailable, match="no time left"):
        load("chat")(event("chat", "direct"), Context(seconds=1))
    assert stored() == before


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"pk": "S", "n": 0}, 5),
        ({"text": "é"}, 6),
        ({"b": b"1234", "gone": None}, 5),
        ({"n": 1234567, "yes": True}, 6 + 4),
        ({"l": [1, 2]}, 1 + 3 + 3 + 3),
    ],
)
def test_items_are_measured_as_dynamodb_counts(item: dict[str, Any], size: int) -> None:
    assert dynamodb.item_bytes(item) == size


def test_what_is_written_is_read_back() -> None:
    item: dict[str, Any] = {
        "s": "é",
        "n": 2**70,
        "b": b"\0\xff",
        "yes": True,
        "no": False,
        "l": [1, 2],
        "e": [],
    }
    assert dynamodb.from_attributes(dynamodb.to_attributes(item)) == item


def test_many_keys_are_read_however_many_batches_they_take(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are no attempts: neither their number is bounded, nor does one wait for another."""
    monkeypatch.setattr(dynamodb, "MAX_BATCH", 2)
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 3)
    items = [{"pk": "many", "sk": f"{number:03}"} for number in range(11)]
    dynamodb.put_many(items)
    found = dynamodb.get_many(items)
    assert sorted(item["sk"] for item in found) == [item["sk"] for item in items]
    dynamodb.delete_many(items[1:])
    assert [item["sk"] for item in dynamodb.get_many(items)] == ["000"]


def test_items_are_read_as_they_are_now_unless_that_is_not_asked_for(aws: None) -> None:
    key = {"pk": "SESSION#x", "sk": "HEAD"}
    dynamodb.put_many([key])
    with lagging(lambda _: True):
        assert dynamodb.get(key) == key
        assert [*dynamodb.get_many([key])] == [key]
        assert [*dynamodb.get_many([key], strong=False)] == []
