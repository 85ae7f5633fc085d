"""Our own way to DynamoDB does what botocore does: the same requests, retries and errors.

Each failure is played by a server on the loopback, to our client and to boto3's, and both must
send the same requests, wait the same times and tell the caller the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import botocore.session
import pytest
from botocore import auth, serialize
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from casefile import aws, dynamodb, transport
from casefile.dynamodb import ConditionFailed, TransactionFailed
from casefile.errors import TooLarge, Unavailable
from tests import loopback
from tests.conftest import forget
from tests.loopback import Scripted, Step, answer, scripted

CALLS = {
    "BatchGetItem": "batch_get_item",
    "BatchWriteItem": "batch_write_item",
    "GetItem": "get_item",
    "PutItem": "put_item",
    "Query": "query",
    "TransactWriteItems": "transact_write_items",
    "UpdateItem": "update_item",
}
MODEL = botocore.session.Session().get_service_model("dynamodb")
KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}

visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
attributes: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, st.text()),
        st.builds(lambda number: {"N": str(number)}, st.integers()),
        st.builds(lambda data: {"B": data}, st.binary()),
        st.builds(lambda is_so: {"BOOL": is_so}, st.booleans()),
    ),
    lambda inner: st.one_of(
        st.builds(lambda members: {"L": members}, st.lists(inner, max_size=3)),
        st.builds(lambda members: {"M": members}, st.dictionaries(st.text(), inner, max_size=3)),
    ),
    max_leaves=6,
)
items = st.dictionaries(st.text(), attributes, max_size=5)


def arguments(operation: str, item: Any) -> dict[str, Any]:
    """Arguments of a call that carry an item."""
    put = {"TableName": "tab", "Item": item}
    asked: dict[str, dict[str, Any]] = {
        "BatchGetItem": {"RequestItems": {"tab": {"Keys": [item], "ConsistentRead": True}}},
        "BatchWriteItem": {"RequestItems": {"tab": [{"PutRequest": {"Item": item}}]}},
        "GetItem": {"TableName": "tab", "Key": item, "ConsistentRead": True},
        "PutItem": put,
        "Query": {"TableName": "tab", "ExpressionAttributeValues": item, "Limit": 2},
        "TransactWriteItems": {"TransactItems": [{"Put": put}]},
        "UpdateItem": {"TableName": "tab", "Key": item, "UpdateExpression": "SET é = :é"},
    }
    return asked[operation]


@pytest.fixture
def lambda_(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a function, and nothing of this machine's."""
    for name in (*transport._ASKS_FOR_MORE, "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # It may know other credentials.
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "DYNAMODB_CLIENT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("TABLE_NAME", "BUCKET_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget()
    yield monkeypatch
    while _made:
        _made.pop().close()
    forget()


@given(
    who=st.builds(
        transport.Credentials, visible, st.text(min_size=1), st.none() | st.just("") | visible
    ),
    operation=st.sampled_from(sorted(CALLS)),
    body=st.binary(),
    host=st.from_regex(r"[a-z0-9.-]{1,30}(:[1-9][0-9]{1,4})?", fullmatch=True),
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
    at=st.integers(min_value=0, max_value=4_000_000_000),
)
def test_signatures_are_botocores(
    who: transport.Credentials, operation: str, body: bytes, host: str, region: str, at: int
) -> None:
    """For each header that is sent, less those that botocore adds after it has signed."""
    ours = transport.Signer(host, region).headers(operation, body, who, at)
    theirs = AWSRequest("POST", f"https://{host}/", data=body)
    for name in set(ours) - {"Authorization", "Content-Length", "User-Agent"}:
        theirs.headers[name] = ours[name]
    signer = auth.SigV4Auth(
        Credentials(who.access_key, who.secret_key, who.token), "dynamodb", region
    )
    when = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    with mock.patch.object(auth, "get_current_datetime", return_value=when):
        signer.add_auth(theirs)
    assert ours["Authorization"] == theirs.headers["Authorization"]
    assert int(ours["Content-Length"]) == len(body)


@pytest.mark.parametrize("operation", CALLS)
@given(item=items)
def test_bodies_say_what_botocores_say(operation: str, item: Any) -> None:
    asked = arguments(operation, item)
    serializer = serialize.create_serializer("json")
    theirs = serializer.serialize_to_request(asked, MODEL.operation_model(operation))
    assert json.loads(transport.encoded(asked)) == json.loads(theirs["body"])


@given(item=items)
def test_answers_are_read_as_botocore_reads_them(item: Any) -> None:
    sent = transport.encoded({"Item": item})
    assert transport._DECODER.decode(sent.decode()) == {"Item": item}


_made: list[Any] = []


def lean() -> Any:
    _made.append(transport.Client())
    return _made[-1]


def full() -> Any:
    _made.append(aws.client("dynamodb", read_seconds=aws.READ_SECONDS))
    return _made[-1]


Client = Callable[[], Any]


@contextlib.contextmanager
def playing(patched: pytest.MonkeyPatch, *script: Step) -> Iterator[Scripted]:
    with scripted(*script) as server:
        patched.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.port}")
        yield server


@pytest.mark.parametrize("operation", CALLS)
def test_the_same_is_sent(lambda_: pytest.MonkeyPatch, operation: str) -> None:
    """What botocore sends beside tells how often it tried, and what it runs on."""
    asked = arguments(operation, KEY)
    sent = []
    for client in (lean, full):
        with playing(lambda_) as server:
            getattr(client(), CALLS[operation])(**asked)
            (request,) = server.requests
            body = json.loads(request.body)
            if operation == "TransactWriteItems":
                assert len(body.pop("ClientRequestToken")) == 36
            sent.append((body, request.headers))
    (ours, our_headers), (theirs, their_headers) = sent
    assert ours == theirs
    assert set(their_headers) - set(our_headers) <= {
        "accept-encoding",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    }
    for name in ("content-type", "x-amz-target", "x-amz-security-token"):
        assert our_headers[name] == their_headers[name]
    assert "/eu-central-1/dynamodb/aws4_request, SignedHeaders=" in our_headers["authorization"]


def error(code: str, status: int = 400, **more: Any) -> Step:
    told = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "Why é", **more}
    return answer(status, json.dumps(told), x_amzn_requestid="1")


def failures() -> dict[str, Step]:
    html = "<html>busy</html>"
    return {
        "hung up": loopback.hang_up,
        "reset": loopback.reset,
        "silent": loopback.keep_silent,
        "no HTTP": loopback.send(b"SSH-2.0-OpenSSH\r\n\r\n", then_close=True),
        "broken chunk": loopback.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", then_close=True
        ),
        "changed on its way": answer(200, '{"Attributes": {}}', x_amz_crc32="1"),
        "cut short": loopback.send(
            b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"Item"', then_close=True
        ),
        "cut in the headers": loopback.send(b"HTTP/1.1 200 OK\r\nContent-Le", then_close=True),
        **{f"status {status}": answer(status, html) for status in (429, 500, 502, 503, 504)},
        "throttled later": error("ThrottlingException", x_amz_retry_after="x"),
        **{code: error(code) for code in sorted(aws.THROTTLED | aws.PASSING)},
        "retry after": answer(400, '{"__type": "ThrottlingException"}', x_amz_retry_after="3000"),
        "retry long after": answer(503, "", x_amz_retry_after="90000"),
        "retry whenever": answer(503, "", x_amz_retry_after="soon"),
        "InternalServerError": error("InternalServerError", 500),
        "501": answer(501, html),
        "403": answer(403, html),
        "307": answer(307, ""),
        "ValidationException": error("ValidationException"),
        "too large": error("ValidationException", message="Item size has exceeded"),
        "ResourceNotFoundException": error("ResourceNotFoundException"),
        "UnrecognizedClientException": error("UnrecognizedClientException"),
        "InvalidSignatureException": error("InvalidSignatureException"),
        "no JSON": answer(200, "Hello"),
        "no JSON, refused": answer(400, "Hello"),
        "a list": answer(400, "[]"),
        "colon": answer(400, '{"__type": "ThrottlingException:http://x/", "Message": "M"}'),
        "taken": error(
            "ConditionalCheckFailedException", Item={"pk": {"S": "é"}, "data": {"B": "AAH/"}}
        ),
        "conflict": error("TransactionConflictException"),
        "cancelled": error(
            "TransactionCanceledException",
            CancellationReasons=[
                {"Code": "None"},
                {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}},
            ],
        ),
        "throttled in part": error(
            "TransactionCanceledException", CancellationReasons=[{"Code": "ThrottlingError"}]
        ),
    }


FAILURES = failures()
CUT = {"cut short", "cut in the headers", "changed on its way"}
"""What botocore takes for an answer with nothing in it, or in the end for the answer that came."""

NOT_UNDERSTOOD = {"a list", "no JSON"}
"""What botocore takes for an empty answer, or fails at with an AttributeError."""


def outcome(
    client: Client, script: list[Step], patched: pytest.MonkeyPatch
) -> tuple[int, list[float], Any]:
    """How many requests a call made, how long it paused, and what the caller was told."""
    pauses: list[float] = []
    with playing(patched, *script) as server, pytest.MonkeyPatch.context() as clock:
        made = client()
        clock.setattr(time, "sleep", pauses.append)
        random.seed(1)
        try:
            with dynamodb.Calling():
                told: Any = made.put_item(TableName="tab", Item=KEY).get("Attributes")
        except (ConditionFailed, TransactionFailed) as failed:
            told = (type(failed), vars(failed))
        except (Unavailable, TooLarge) as failed:
            told = (type(failed), str(failed))
        except aws.Refused as refused:
            told = (refused.code, refused.status, refused.response["Error"]["Message"])
        return len(server.requests), pauses, told


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("what", sorted(set(FAILURES) - CUT - NOT_UNDERSTOOD))
def test_failures_end_as_with_botocore(lambda_: pytest.MonkeyPatch, what: str, times: int) -> None:
    if what == "silent":
        lambda_.setattr(aws, "READ_SECONDS", 0.5)
    script = [FAILURES[what]] * times + [answer(200, '{"Attributes": {"b": {"B": "AAH/"}}}')]
    ours, theirs = (outcome(client, script, lambda_) for client in (lean, full))
    assert ours == theirs


@pytest.mark.parametrize("what", sorted(CUT))
def test_half_an_answer_is_none(lambda_: pytest.MonkeyPatch, what: str) -> None:
    script = [FAILURES[what]] * 2 + [answer(200, '{"Attributes": {"n": {"N": "1"}}}')]
    requests, pauses, told = outcome(lean, script, lambda_)
    assert (requests, len(pauses), told) == (3, 2, {"n": {"N": "1"}})
    requests, _, (told, _) = outcome(lean, [FAILURES[what]] * 3, lambda_)
    assert (requests, told) == (3, Unavailable)


@pytest.mark.parametrize(("what", "expected"), [("no JSON", Unavailable), ("a list", "400")])
def test_what_cannot_be_understood_is_no_answer(
    lambda_: pytest.MonkeyPatch, what: str, expected: Any
) -> None:
    requests, _, (told, *_) = outcome(lean, [FAILURES[what]], lambda_)
    assert (requests, told) == (1, expected)


def test_nobody_there_is_tried_as_often_as_by_botocore(lambda_: pytest.MonkeyPatch) -> None:
    with scripted() as server:
        pass
    lambda_.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.port}")
    told = []
    for client in (lean, full):
        pauses: list[float] = []
        with pytest.MonkeyPatch.context() as clock:
            made = client()
            clock.setattr(time, "sleep", pauses.append)
            random.seed(1)
            with pytest.raises(Unavailable), dynamodb.Calling():
                made.get_item(TableName="tab", Key=KEY)
        told.append(pauses)
    assert told[0] == told[1]
    assert len(told[0]) == 2


def test_an_outage_uses_up_the_quota_of_retries_as_with_botocore(
    lambda_: pytest.MonkeyPatch,
) -> None:
    """And what succeeds gives it back."""
    lambda_.setattr(time, "sleep", lambda _: None)
    busy = answer(503, "")
    counted = []
    for client in (lean, full):
        with playing(lambda_, *[busy] * 60) as server:
            made, requests = client(), []
            for number in range(60):
                before = len(server.requests)
                if number == 40:
                    server.script[:] = [answer()] * 20 + [busy] * 20
                with contextlib.suppress(Unavailable), dynamodb.Calling():
                    made.get_item(TableName="tab", Key=KEY)
                requests.append(len(server.requests) - before)
            counted.append(requests)
    assert counted[0] == counted[1]
    assert {1, 2, 3} <= set(counted[0])


@pytest.mark.parametrize("hard", [False, True])
def test_a_connection_is_kept_and_one_that_died_meanwhile_is_not_used(
    lambda_: pytest.MonkeyPatch, hard: bool
) -> None:
    """As after a freeze: without a pause, and without a try lost."""
    lambda_.setattr(time, "sleep", pytest.fail)
    with playing(lambda_) as server:
        client = lean()
        for _ in range(3):
            client.get_item(TableName="tab", Key=KEY)
        server.hang_up(hard=hard)
        threading.Event().wait(0.05)
        for _ in range(2):
            client.get_item(TableName="tab", Key=KEY)
        assert [request.connection for request in server.requests] == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("end", [loopback.hang_up, loopback.reset])
def test_a_connection_that_dies_when_it_is_used_again_is_replaced_at_once(
    lambda_: pytest.MonkeyPatch, end: Step
) -> None:
    lambda_.setattr(time, "sleep", pytest.fail)
    with playing(lambda_, answer(), end, answer(200, '{"Item": {}}')) as server:
        client = lean()
        client.get_item(TableName="tab", Key=KEY)
        assert client.get_item(TableName="tab", Key=KEY) == {"Item": {}}
        assert [request.connection for request in server.requests] == [1, 1, 2]


def test_a_connection_that_the_server_ends_is_not_kept(lambda_: pytest.MonkeyPatch) -> None:
    with playing(lambda_, answer(200, "{}", Connection="close"), answer()) as server:
        client = lean()
        client.get_item(TableName="tab", Key=KEY)
        assert not client._idle
        client.get_item(TableName="tab", Key=KEY)
        assert [request.connection for request in server.requests] == [1, 2]


def test_a_connection_on_which_more_came_than_was_told_is_not_kept(
    lambda_: pytest.MonkeyPatch,
) -> None:
    more = loopback.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK")
    with playing(lambda_, more, answer()) as server:
        client = lean()
        assert client.get_item(TableName="tab", Key=KEY) == {}
        assert client.get_item(TableName="tab", Key=KEY) == {}
        assert [request.connection for request in server.requests] == [1, 2]


def test_if_one_connection_is_dead_none_of_those_kept_is_used(lambda_: pytest.MonkeyPatch) -> None:
    """As after a long freeze, when nobody told of it."""
    lambda_.setattr(aws, "READ_SECONDS", 0.5)
    lambda_.setattr(time, "sleep", lambda _: None)
    with playing(lambda_, loopback.keep_silent, answer()) as server:
        client = lean()
        client._idle += [client._connect() for _ in range(4)]
        client.get_item(TableName="tab", Key=KEY)
        assert len(server.requests) == 2
        assert len(client._idle) == 1


def test_an_answer_is_waited_for_as_long_as_configured(lambda_: pytest.MonkeyPatch) -> None:
    with playing(lambda_):
        client = lean()
        client.get_item(TableName="tab", Key=KEY)
        assert [each.gettimeout() for each in client._idle] == [aws.READ_SECONDS]


def test_an_answer_with_the_right_checksum_is_read(lambda_: pytest.MonkeyPatch) -> None:
    body = '{"Item": {}}'
    lambda_.setattr(time, "sleep", pytest.fail)
    with playing(lambda_, answer(200, body, x_amz_crc32=str(zlib.crc32(body.encode())))):
        assert lean().get_item(TableName="tab", Key=KEY) == {"Item": {}}


def test_what_comes_before_an_answer_is_passed_over(lambda_: pytest.MonkeyPatch) -> None:
    told = b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"Item": {}}'
    lambda_.setattr(time, "sleep", pytest.fail)
    with playing(lambda_, loopback.send(told)):
        assert lean().get_item(TableName="tab", Key=KEY) == {"Item": {}}


def test_an_answer_that_comes_byte_by_byte_is_read(lambda_: pytest.MonkeyPatch) -> None:
    told = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"Item": {}}'

    def trickle(connection: Any) -> bool:
        for byte in told:
            connection.sendall(bytes([byte]))
        return True

    with playing(lambda_, trickle):
        assert lean().get_item(TableName="tab", Key=KEY) == {"Item": {}}


def test_a_head_without_an_end_is_no_answer(lambda_: pytest.MonkeyPatch) -> None:
    endless = loopback.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000)
    served = playing(lambda_, *[endless] * aws.ATTEMPTS)
    with served, pytest.raises(aws.NoAnswer, match="has no end"):
        lean().get_item(TableName="tab", Key=KEY)


def test_an_answer_in_chunks_is_read(lambda_: pytest.MonkeyPatch) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = loopback.send(
        head + b'3\r\n{"I\r\nA;x=y\r\ntem": {}   \r\n1\r\n}\r\n0\r\nX: y\r\n\r\n'
    )
    with playing(lambda_, chunks, answer()) as server:
        client = lean()
        assert client.get_item(TableName="tab", Key=KEY) == {"Item": {}}
        assert client.get_item(TableName="tab", Key=KEY) == {}
        assert [request.connection for request in server.requests] == [1, 1]


def test_threads_share_a_client(lambda_: pytest.MonkeyPatch) -> None:
    def echo(connection: Any) -> bool:
        threading.Event().wait(0.002)
        return answer(200, '{"Item": {"n": {"N": "1"}}}')(connection)

    with playing(lambda_, *[echo] * 80):
        client = lean()
        told: list[Any] = []

        def ask() -> None:
            told.extend(client.get_item(TableName="tab", Key=KEY) for _ in range(10))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told == [{"Item": {"n": {"N": "1"}}}] * 80
        assert len(client._idle) <= 8


@pytest.mark.parametrize("code", sorted(transport._WRONG_TIME))
@pytest.mark.parametrize("hours", [-3, 0.1, 2])
def test_a_wrong_clock_is_set_by_dynamodbs(
    lambda_: pytest.MonkeyPatch, code: str, hours: float
) -> None:
    lambda_.setattr(time, "sleep", pytest.fail)
    theirs = datetime.now(UTC) + timedelta(hours=hours)
    body = json.dumps({"__type": code, "message": "Signature expired"})
    refused = answer(400, body, Date=format_datetime(theirs, usegmt=True))
    with playing(lambda_, refused) as server:
        client = lean()
        for _ in range(2):
            client.get_item(TableName="tab", Key=KEY)
        dates = [request.headers["x-amz-date"] for request in server.requests]
        first, *others = (datetime.strptime(date, "%Y%m%dT%H%M%S%z") for date in dates)
        assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)
        assert [abs(other - theirs) < timedelta(minutes=1) for other in others] == [True, True]
        client.close()
        client.get_item(TableName="tab", Key=KEY)
        assert server.requests[-1].headers["x-amz-date"][:11] == dates[0][:11]


def test_a_wrong_clock_is_set_for_all_who_asked_by_it(lambda_: pytest.MonkeyPatch) -> None:
    theirs = datetime.now(UTC) + timedelta(hours=1)
    refused = answer(400, '{"__type": "RequestExpired"}', Date=format_datetime(theirs, usegmt=True))
    all_asked = threading.Barrier(8)

    def refuse(connection: socket.socket) -> bool:
        all_asked.wait(10)
        return refused(connection)

    with playing(lambda_, *[refuse] * 8):
        client = lean()
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(client.get_item, TableName="tab", Key=KEY) for _ in range(8)]
            assert [each.result() for each in asked] == [{}] * 8


@pytest.mark.parametrize("date", ["", "sometime", "now"])
def test_a_wrong_signature_is_no_matter_of_the_clock(
    lambda_: pytest.MonkeyPatch, date: str
) -> None:
    date = date.replace("now", format_datetime(datetime.now(UTC), usegmt=True))
    refused = answer(400, '{"__type": "InvalidSignatureException"}', Date=date)
    with playing(lambda_, refused) as server:
        with pytest.raises(aws.Refused, match="InvalidSignatureException"):
            lean().get_item(TableName="tab", Key=KEY)
        assert len(server.requests) == 1


def test_a_clock_that_cannot_be_set_is_told(lambda_: pytest.MonkeyPatch) -> None:
    """A server whose own clock jumps about ends no call in an endless loop."""
    ahead = (datetime.now(UTC) + timedelta(hours=number) for number in range(1, 9))
    script = [
        answer(400, '{"__type": "RequestExpired"}', Date=format_datetime(at, usegmt=True))
        for at in ahead
    ]
    with playing(lambda_, *script) as server:
        with pytest.raises(aws.Refused, match="RequestExpired"):
            lean().get_item(TableName="tab", Key=KEY)
        assert len(server.requests) == aws.ATTEMPTS


def test_credentials_are_those_that_the_environment_has_now(lambda_: pytest.MonkeyPatch) -> None:
    with playing(lambda_) as server:
        client = lean()
        client.get_item(TableName="tab", Key=KEY)
        lambda_.setenv("AWS_ACCESS_KEY_ID", "other")
        lambda_.delenv("AWS_SESSION_TOKEN")
        client.get_item(TableName="tab", Key=KEY)
        first, second = (request.headers for request in server.requests)
        assert "Credential=test/" in first["authorization"]
        assert first["x-amz-security-token"] == "token"
        assert "Credential=other/" in second["authorization"]
        assert "x-amz-security-token" not in second
        assert "security-token" not in second["authorization"]


def test_without_keys_in_the_environment_botocore_finds_and_renews_them(
    lambda_: pytest.MonkeyPatch,
) -> None:
    """As with SnapStart, where Lambda gives them by an address."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        lambda_.delenv(name)

    def keys(name: str, minutes: int) -> Step:
        expires = datetime.now(UTC) + timedelta(minutes=minutes)
        told = {"AccessKeyId": name, "SecretAccessKey": "s", "Token": "t"}
        return answer(200, json.dumps(told | {"Expiration": expires.isoformat()}))

    with scripted(keys("first", 5), keys("second", 600)) as giver, playing(lambda_) as server:
        address = f"http://127.0.0.1:{giver.port}/credentials"
        lambda_.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        lambda_.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "so that it is us")
        client = lean()
        for _ in range(3):
            client.get_item(TableName="tab", Key=KEY)
        signed = [request.headers["authorization"] for request in server.requests]
        used = [line.partition("Credential=")[2].partition("/")[0] for line in signed]
        assert used == ["second"] * 3  # The first are about to expire.
        assert {request.headers["authorization"] for request in giver.requests} == {
            "so that it is us"
        }


def test_without_any_credentials_the_caller_is_told_to_come_back(
    lambda_: pytest.MonkeyPatch,
) -> None:
    lambda_.delenv("AWS_ACCESS_KEY_ID")
    lambda_.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Unavailable), dynamodb.Calling():
        lean().get_item(TableName="tab", Key=KEY)


def test_the_endpoint_is_botocores_in_each_region_that_we_know(
    lambda_: pytest.MonkeyPatch,
) -> None:
    session = boto3.session.Session()
    known = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("dynamodb", partition)
        if transport._REGION.fullmatch(region)
    ]
    assert {"us-east-1", "us-gov-west-1", "cn-north-1", "eu-central-1"} <= set(known)
    for region in known:
        lambda_.setenv("AWS_DEFAULT_REGION", region)
        client = boto3.client("dynamodb", region_name=region)
        assert transport.endpoint() == client.meta.endpoint_url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in transport._ASKS_FOR_MORE),
        ("AWS_DEFAULT_REGION", "us-iso-east-1"),
        ("AWS_DEFAULT_REGION", ""),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1/dynamodb"),
    ],
)
def test_what_we_do_not_do_is_left_to_boto3(
    lambda_: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert transport.is_enough()
    lambda_.setenv(name, value)
    assert not transport.is_enough()


def test_a_setting_switches_back_to_boto3(lambda_: pytest.MonkeyPatch) -> None:
    assert isinstance(dynamodb.client(), transport.Client)
    forget()
    lambda_.setenv("DYNAMODB_CLIENT", "boto3")
    assert not isinstance(dynamodb.client(), transport.Client)
    assert dynamodb.client().meta.region_name == "eu-central-1"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A server's certificate for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(pem.Encoding.PEM) + secret)
    return file


@pytest.mark.parametrize(("host", "is_trusted"), [("127.0.0.1", True), ("localhost", False)])
def test_the_server_must_prove_who_it_is(
    lambda_: pytest.MonkeyPatch, certificate: Path, host: str, is_trusted: bool
) -> None:
    lambda_.setattr(time, "sleep", lambda _: None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with scripted(tls=context) as server:
        lambda_.setenv("AWS_ENDPOINT_URL", f"https://{host}:{server.port}")
        with pytest.raises(aws.NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
            lean().get_item(TableName="tab", Key=KEY)
        assert server.connections == aws.ATTEMPTS + 1  # The system was asked once.
        lambda_.setenv("AWS_CA_BUNDLE", str(certificate))
        client = lean()
        if is_trusted:
            for _ in range(2):
                client.get_item(TableName="tab", Key=KEY)
            assert {request.connection for request in server.requests} == {server.connections}
        else:
            with pytest.raises(aws.NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
                client.get_item(TableName="tab", Key=KEY)
            assert not server.requests


def test_who_signs_for_dynamodb_is_trusted_by_boto3_too(lambda_: pytest.MonkeyPatch) -> None:
    ours = set(lean()._tls.get_ca_certs(binary_form=True))
    assert len(ours) == 5
    assert ours == trusted(transport._AMAZON_ROOTS)
    assert ours < trusted(Path(botocore.__file__).with_name("cacert.pem"))


def trusted(bundle: Path) -> set[bytes]:
    return set(ssl.create_default_context(cafile=bundle).get_ca_certs(binary_form=True))


def test_whom_the_system_trusts_is_asked_where_amazon_has_not_signed(
    lambda_: pytest.MonkeyPatch, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with scripted(tls=context) as server:
        lambda_.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{server.port}")
        lambda_.setenv("SSL_CERT_FILE", str(certificate))
        client = lean()
        client.get_item(TableName="tab", Key=KEY)
        assert server.connections == 2
        client.close()
        client.get_item(TableName="tab", Key=KEY)  # It is known now.
        assert [request.connection for request in server.requests] == [2, 3]


def test_who_is_not_there_is_not_asked_for_another_signature(
    lambda_: pytest.MonkeyPatch,
) -> None:
    lambda_.setattr(time, "sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    lambda_.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{port}")
    with (
        mock.patch.object(socket, "create_connection", wraps=socket.create_connection) as connect,
        pytest.raises(aws.NoAnswer, match="ConnectionRefused"),
    ):
        lean().get_item(TableName="tab", Key=KEY)
    assert connect.call_count == aws.ATTEMPTS
    assert {call.kwargs.get("timeout") for call in connect.call_args_list} == {aws.CONNECT_SECONDS}


def test_where_it_is_said_whom_to_trust_nobody_else_is(
    lambda_: pytest.MonkeyPatch, certificate: Path, tmp_path: Path
) -> None:
    lambda_.setattr(time, "sleep", lambda _: None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    lambda_.setenv("SSL_CERT_FILE", str(certificate))
    lambda_.setenv("AWS_CA_BUNDLE", str(transport._AMAZON_ROOTS))
    with scripted(tls=context) as server:
        lambda_.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{server.port}")
        with pytest.raises(aws.NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
            lean().get_item(TableName="tab", Key=KEY)
        assert server.connections == aws.ATTEMPTS
