"""The meter on the wire counts what DynamoDB charges, told or not, and hinders nobody."""

import contextlib
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import meter
from benchmarks.meter import Meter, Reading

SENT: list[dict[str, Any]] = []


class Engine(BaseHTTPRequestHandler):
    """Answers as told by the item that it is sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        SENT.append({"asked": asked, "headers": dict(self.headers.items())})
        name = self.headers["X-Amz-Target"].partition(".")[2]
        answer: dict[str, Any] = {"ConsumedCapacity": {"CapacityUnits": 2.5}}
        status = 200
        if "ConditionExpression" in asked:
            kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            answer, status = {"__type": kind, "Item": {"pk": {"S": "x" * 3000}}}, 400
        elif name == "BatchWriteItem":
            answer = {"ConsumedCapacity": [{"CapacityUnits": 1}, {"CapacityUnits": 4}]}
        elif name == "DescribeTable":
            answer = {}
        self._answer(status, json.dumps(answer).encode())

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._answer(200, b"<ListBucketResult/>" if "list-type" in self.path else b"content")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def engine() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def counting() -> Iterator[Meter]:
    with engine() as endpoint, meter.metered(endpoint, endpoint) as counting:
        yield counting


def client(service: Any, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_calls_are_counted_with_what_the_engine_says_that_they_cost(counting: Meter) -> None:
    dynamodb = client("dynamodb", counting.dynamodb)
    dynamodb.put_item(TableName="t", Item={"pk": {"S": "a"}})
    dynamodb.query(TableName="t", KeyConditionExpression="pk = :a")
    dynamodb.describe_table(TableName="t")
    puts = [{"PutRequest": {"Item": {"pk": {"S": each}}}} for each in "ab"]
    dynamodb.batch_write_item(RequestItems={"t": puts})
    assert counting.costs == [
        ("PutItem", 2.5),
        ("Query", 2.5),
        ("DescribeTable", 0),
        ("BatchWriteItem", 5),
    ]
    assert [call.items for call in counting.calls] == [1, 0, 0, 2]
    assert (counting.reading.write_units, counting.reading.read_units) == (7.5, 2.5)
    assert counting.reading == meter.read(counting.dynamodb)
    assert "ReturnConsumedCapacity" not in SENT[-2]["asked"]  # There is no such thing to ask.


def test_a_conditional_write_that_fails_costs_the_larger_of_both_items(counting: Meter) -> None:
    dynamodb = client("dynamodb", counting.dynamodb)
    for size in (10, 4000):
        with pytest.raises(ClientError):
            dynamodb.put_item(
                TableName="t", Item={"pk": {"S": "x" * size}}, ConditionExpression="a = b"
            )
    assert counting.costs == [("PutItem", 3), ("PutItem", 4)]


def test_requests_to_s3_are_counted_by_what_they_cost(counting: Meter) -> None:
    s3 = client("s3", counting.s3)
    s3.put_object(Bucket="b", Key="k", Body=b"x" * 100_000)
    s3.get_object(Bucket="b", Key="k")["Body"].read()
    s3.list_objects_v2(Bucket="b")
    reading = counting.reading
    assert (reading.calls, reading.puts, reading.gets) == (0, 2, 1)
    assert reading.sent == 100_000
    assert reading.since(reading) == Reading()


def test_what_is_passed_on_to_aws_is_signed_as_the_program_would_have_signed_it() -> None:
    session = boto3.Session("key", "secret", "token", "eu-central-1")
    SENT.clear()
    with engine() as endpoint:
        with meter.metered(endpoint, sign=meter.signing(session)) as counting:
            program = client("dynamodb", counting.dynamodb)
            program.put_item(TableName="t", Item={"pk": {"S": "ä"}})
        direct = session.client("dynamodb", endpoint_url=endpoint)
        direct.put_item(TableName="t", Item={"pk": {"S": "ä"}}, ReturnConsumedCapacity="TOTAL")
    passed, signed = (each["headers"] for each in SENT)
    assert passed["Host"] == signed["Host"] == endpoint.removeprefix("http://")
    assert passed["X-Amz-Security-Token"] == "token"
    scope = "/eu-central-1/dynamodb/aws4_request"
    for headers in (passed, signed):
        assert scope in headers["Authorization"]
        assert "host;" in headers["Authorization"]


@given(st.text(max_size=2000), st.binary(max_size=2000))
def test_an_item_costs_a_unit_for_each_started_kilobyte(text: str, data: bytes) -> None:
    spelled = b64encode(data).decode()
    units = meter.write_units({"pk": {"S": text}, "content": {"B": spelled}})
    size = 2 + len(text.encode()) + 7 + len(data)
    assert (units - 1) * 1024 < size <= units * 1024
