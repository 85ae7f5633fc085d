"""A meter on the wire: what a program asks of DynamoDB and S3, and the units that it is charged.

It stands between a program and the engine, and knows neither's code: whatever client somebody
uses, in whatever language, is counted in the same way. DynamoDB tells the units of a call to
whoever asks for them, so the meter asks on the program's behalf. What DynamoDB charges for and
doesn't tell, a conditional write that failed, is added by the published rule: the larger of the
item that is there and the one that was to be.
"""

from __future__ import annotations

import contextlib
import json
import threading
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}

READING = "/meter"
"""Where the meter itself answers: the totals since it was started."""

_SIGNATURE = {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "expect"}


Sign: TypeAlias = "Callable[[str, str, str, bytes, dict[str, str]], dict[str, str]]"
"""From service, method, URL, body and headers to the headers that the request is sent with."""


class Call(NamedTuple):
    """One call: its name, its units, the bytes of its bodies, and how many items it wrote."""

    name: str
    units: float
    sent: int
    received: int
    items: int = 0


@dataclass(frozen=True)
class Reading:
    """Totals: S3's dear requests (PUT, COPY, POST, LIST) are `puts`, the cheap ones `gets`."""

    calls: int = 0
    write_units: float = 0
    read_units: float = 0
    puts: int = 0
    gets: int = 0
    sent: int = 0
    received: int = 0

    @classmethod
    def of(cls, calls: list[Call]) -> Reading:
        """What some calls add up to."""
        return cls(
            calls=sum(not call.name.startswith("S3") for call in calls),
            write_units=sum(call.units for call in calls if call.name in WRITES),
            read_units=sum(call.units for call in calls if call.name in READS),
            puts=sum(call.name == "S3 put" for call in calls),
            gets=sum(call.name == "S3 get" for call in calls),
            sent=sum(call.sent for call in calls),
            received=sum(call.received for call in calls),
        )

    def since(self, before: Reading) -> Reading:
        """What was added after another reading."""
        now, then = asdict(self), asdict(before)
        return Reading(**{name: now[name] - then[name] for name in now})


@dataclass
class Meter:
    """What was called since `calls` was last cleared, in the order of the answers."""

    dynamodb: str = ""
    s3: str = ""
    calls: list[Call] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names of the calls."""
        return [call.name for call in self.calls]

    @property
    def costs(self) -> list[tuple[str, float]]:
        """The calls, each with its units."""
        return [(call.name, call.units) for call in self.calls]

    @property
    def units(self) -> float:
        """The units of all calls together, reads and writes."""
        return sum(call.units for call in self.calls)

    @property
    def reading(self) -> Reading:
        """The totals."""
        return Reading.of(self.calls)


@contextlib.contextmanager
def metered(dynamodb: str, s3: str | None = None, sign: Sign | None = None) -> Iterator[Meter]:
    """A meter before these endpoints; its own take their place while the `with` block runs.

    What it passes on is not what the program signed; AWS itself wants it signed anew, by `sign`.
    """
    meter = Meter()
    with contextlib.ExitStack() as open_:
        meter.dynamodb = open_.enter_context(_standing_before(dynamodb, meter, _DynamoDB, sign))
        if s3 is not None:
            meter.s3 = open_.enter_context(_standing_before(s3, meter, _S3, sign))
        yield meter


def read(endpoint: str) -> Reading:
    """The totals of a meter in another process."""
    place = urlsplit(endpoint)
    connection = HTTPConnection(place.hostname or "", place.port)
    try:
        connection.request("GET", READING)
        return Reading(**json.loads(connection.getresponse().read()))
    finally:
        connection.close()


def signing(session: Any) -> Sign:
    """Signs as a boto3 session would."""
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest

    kept = {"content-type", "content-md5", "content-encoding", "range", "accept"}

    def sign(
        service: str, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> dict[str, str]:
        plain = {
            name: value
            for name, value in headers.items()
            if name.lower() in kept
            or (name.lower().startswith("x-amz-") and name.lower() not in _SIGNATURE)
        }
        request = AWSRequest(method, url, plain, body)
        auth = S3SigV4Auth if service == "s3" else SigV4Auth
        auth(session.get_credentials(), service, session.region_name).add_auth(request)
        return {**dict(request.headers.items()), "Content-Length": str(len(body))}

    return sign


@contextlib.contextmanager
def _standing_before(
    endpoint: str, meter: Meter, kind: type[_Between], sign: Sign | None
) -> Iterator[str]:
    told = {"endpoint": endpoint, "meter": meter, "sign": staticmethod(sign) if sign else None}
    handler = type(kind.__name__, (kind,), told)
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that goes away amid an answer, as one that is killed does, is no news."""


class _Between(BaseHTTPRequestHandler, ABC):
    """One connection of a program, and the one to the engine that is kept for it."""

    service: str
    endpoint: str
    meter: Meter
    sign: Sign | None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        place = urlsplit(self.endpoint)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        self._engine = kind(place.hostname or "", place.port)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self._engine.close()

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            return super().handle_one_request()
        self.close_connection = True
        return None

    def handle_expect_100(self) -> bool:
        """Whoever asks whether to go on waits for the answer before sending more."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _carry(self) -> None:
        if self.path == READING:
            return self._answer(200, {}, json.dumps(asdict(self.meter.reading)).encode())
        asked = self._asked(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        headers = {n: v for n, v in self.headers.items() if n.lower() not in _HOP_BY_HOP}
        headers["Content-Length"] = str(len(asked))
        if self.sign is not None:
            headers = self.sign(
                self.service, self.command, self.endpoint + self.path, asked, headers
            )
        self._engine.request(self.command, self.path, asked, headers)
        answered = self._engine.getresponse()
        body = answered.read()
        self.meter.calls.append(self._counted(asked, answered.status, body))
        told = {n: v for n, v in answered.getheaders() if n.lower() not in _HOP_BY_HOP}
        told |= {"Content-Length": answered.getheader("Content-Length") or "0"} if not body else {}
        return self._answer(answered.status, told, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _carry

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body or "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """It counts, and says nothing."""

    def _asked(self, body: bytes) -> bytes:
        return body

    @abstractmethod
    def _counted(self, asked: bytes, status: int, answered: bytes) -> Call:
        """What the service charges for a call."""


class _DynamoDB(_Between):
    service = "dynamodb"

    @property
    def _name(self) -> str:
        return self.headers.get("X-Amz-Target", "").partition(".")[2]

    def _asked(self, body: bytes) -> bytes:
        if self._name not in READS | WRITES:
            return body
        return json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}).encode()

    def _counted(self, asked: bytes, status: int, answered: bytes) -> Call:
        name, wanted, told = self._name, json.loads(asked), json.loads(answered or "{}")
        if status != 200:
            failed = _units_of_failure(name, wanted, told)
            return Call(name, failed, len(asked), len(answered))
        return Call(name, _told_units(told), len(asked), len(answered), _items(name, wanted))


class _S3(_Between):
    service = "s3"

    def _counted(self, asked: bytes, status: int, answered: bytes) -> Call:
        is_listing = self.command == "GET" and "list-type=" in self.path
        is_free = self.command == "DELETE"
        is_put = self.command in {"PUT", "POST"} or is_listing
        name = "S3 delete" if is_free else "S3 put" if is_put else "S3 get"
        return Call(name, 0, len(asked), len(answered))


def _told_units(answer: dict[str, Any]) -> float:
    told = answer.get("ConsumedCapacity") or []
    told = told if isinstance(told, list) else [told]
    return sum(float(each["CapacityUnits"]) for each in told)


def _items(name: str, asked: dict[str, Any]) -> int:
    """How many items a call wrote."""
    if name == "TransactWriteItems":
        return len(asked["TransactItems"])
    if name == "BatchWriteItem":
        return sum(map(len, asked["RequestItems"].values()))
    return int(name in WRITES)


def _units_of_failure(name: str, asked: dict[str, Any], told: dict[str, Any]) -> float:
    """What a conditional write costs that failed; in a transaction, twice that.

    Source: the DynamoDB developer guide, "Working with items", on conditional writes.
    """
    kind = str(told.get("__type", "")).rpartition("#")[2]
    if kind == "ConditionalCheckFailedException":
        return max(write_units(asked.get("Item", {})), write_units(told.get("Item", {})))
    if kind == "TransactionCanceledException" and name == "TransactWriteItems":
        writes = [next(iter(write.values())) for write in asked["TransactItems"]]
        return 2 * sum(write_units(write.get("Item", {})) for write in writes)
    return 0


def write_units(item: Mapping[str, Any]) -> int:
    """The write units of an item as it is spelled on the wire."""
    return max(1, -(-item_bytes(item) // 1024))


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item as it is spelled on the wire."""
    return sum(len(name.encode()) + _bytes(value) for name, value in item.items())


def _bytes(spelled: Mapping[str, Any]) -> int:
    """A value's size. Source: the DynamoDB developer guide, "Item sizes and formats"."""
    ((kind, value),) = spelled.items()
    match kind:
        case "S":
            return len(value.encode())
        case "B":
            return len(value if isinstance(value, bytes) else b64decode(value))
        case "N":
            return (len(value.strip("-").replace(".", "").strip("0")) + 1) // 2 + 1
        case "L":
            return 3 + sum(1 + _bytes(each) for each in value)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _bytes(each) for name, each in value.items())
        case "SS" | "NS" | "BS":
            return sum(_bytes({kind[0]: each}) for each in value)
        case _:
            return 1
