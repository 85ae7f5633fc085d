"""The table's own way to DynamoDB: signed requests over connections that are kept.

The idea: a call to DynamoDB is JSON in a POST with a signature. boto3 makes it too, through layers
that serve every service of AWS, and takes six times the CPU for it and a quarter of a second to
start. A function that records a message would spend most of its time there.

So `Client` has the calls of boto3's client that the table needs, with the same arguments and
answers, and none of the rest. Where the environment asks for more than it does (a proxy, a
profile, FIPS endpoints; see `is_enough`), or `DYNAMODB_CLIENT=boto3` is set, boto3 does the same.

What a caller can rely on is what boto3 gives in its `standard` mode: what passes by itself is
tried again, at most so often, after the same pauses and out of the same quota; everything sent is
safe to be repeated. Beyond that, it goes by DynamoDB's clock when its own is wrong.

Sources: the AWS signature version 4 and DynamoDB low-level API documents, and botocore's
retries/standard.py, with which tests compare it.
"""

from __future__ import annotations

import hmac
import json
import os
import random
import re
import select
import socket
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import lru_cache, partialmethod
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4
from zlib import crc32

import orjson

from . import aws
from .aws import NoAnswer, Refused

_CONTENT_TYPE = "application/x-amz-json-1.0"

_PASSING_STATUS = {500, 502, 503, 504}

_PAUSE = 0.025
_THROTTLED_PAUSE = 1.0
_LONGEST_PAUSE = 20.0
_LONGEST_ASKED_PAUSE = 5.0
"""Seconds: a pause before the first retry is drawn below this, before each later one below twice
the last; DynamoDB may ask for some more."""

_QUOTA = 500
_RETRY_COST = 14
_THROTTLED_RETRY_COST = 5
"""What retries may take altogether before successes give it back, so that they don't make an
outage worse."""

_WRONG_TIME = {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"}
_LARGEST_SKEW = 240
"""Seconds: DynamoDB refuses signatures that are five minutes away from its own time."""

_AMAZON_ROOTS = Path(__file__).with_name("amazon_roots.pem")
"""The authorities that sign for DynamoDB (Amazon Trust Services repository; DynamoDB developer
guide, "Troubleshooting SSL/TLS connection establishment issues"). To read all that the system
trusts takes ten times as long, a sixth of a cold start."""

_END_OF_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_LONGEST_HEAD = 65536
_AT_ONCE = 65536

_ASKS_FOR_MORE = (
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)
_REGION = re.compile(r"(?:af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov)-[a-z]+-\d+")


class Credentials(NamedTuple):
    """Who signs."""

    access_key: str
    secret_key: str
    token: str | None


def region() -> str:
    """The region, as Lambda tells it."""
    return os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or ""


def endpoint() -> str:
    """Where DynamoDB is: the region's own endpoint, unless the environment names another."""
    for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(name):
            return url
    suffix = "amazonaws.com.cn" if region().startswith("cn-") else "amazonaws.com"
    return f"https://dynamodb.{region()}.{suffix}"


def is_enough() -> bool:
    """Whether this client does all that the environment asks for, as it does in Lambda."""
    return (
        _REGION.fullmatch(region()) is not None
        and urlsplit(endpoint()).path in ("", "/")
        and not any(os.environ.get(name) for name in _ASKS_FOR_MORE)
    )


def credentials() -> Credentials:
    """As Lambda gives them: in the environment. With SnapStart, and elsewhere, botocore finds them.

    Raises NoAnswer if it doesn't.
    """
    access_key, secret_key = (
        os.environ.get("AWS_ACCESS_KEY_ID"),
        os.environ.get("AWS_SECRET_ACCESS_KEY"),
    )
    if access_key and secret_key:
        return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN"))
    return _found_credentials()


def _found_credentials() -> Credentials:
    from botocore.exceptions import BotoCoreError

    try:
        found = _finder().get_credentials()
        if found is None:
            raise NoAnswer("there are no credentials")
        frozen = found.get_frozen_credentials()  # As they are now: botocore renews them in time.
    except BotoCoreError as error:
        raise NoAnswer("there are no credentials") from error
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


@lru_cache(maxsize=1)
def _finder() -> Any:
    import botocore.session

    return botocore.session.Session()


class Signer(NamedTuple):
    """What makes the headers of requests to one host: signature version 4."""

    host: str
    region: str

    def headers(self, operation: str, body: bytes, who: Credentials, at: float) -> dict[str, str]:
        """The headers of a request that `who` makes at a time, its Authorization among them."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        target = f"DynamoDB_20120810.{operation}"
        token = f"x-amz-security-token:{who.token}\n" if who.token else ""
        named = "x-amz-security-token;" if token else ""
        signed = f"content-type;host;x-amz-date;{named}x-amz-target"
        request = (
            f"POST\n/\n\ncontent-type:{_CONTENT_TYPE}\nhost:{self.host}\nx-amz-date:{stamp}\n"
            f"{token}x-amz-target:{target}\n\n{signed}\n{sha256(body).hexdigest()}"
        )
        scope = f"{stamp[:8]}/{self.region}/dynamodb/aws4_request"
        digest = sha256(request.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        key = _signing_key(who.secret_key, stamp[:8], self.region)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers = {
            "Host": self.host,
            "Content-Type": _CONTENT_TYPE,
            "Content-Length": str(len(body)),
            "User-Agent": "casefile",
            "X-Amz-Date": stamp,
            "X-Amz-Target": target,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={who.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}",
        }
        if who.token:
            headers["X-Amz-Security-Token"] = who.token
        return headers


@lru_cache(maxsize=2)  # today's, and yesterday's around midnight
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "dynamodb", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _spell(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value)} has no place in a call to DynamoDB")
    return b64encode(value).decode()


def _read(structure: dict[str, Any]) -> dict[str, Any]:
    if len(structure) == 1 and isinstance(value := structure.get("B"), str):
        return {"B": b64decode(value)}
    return structure


def encoded(arguments: dict[str, Any]) -> bytes:
    """The body of a call."""
    return orjson.dumps(arguments, default=_spell)


_DECODER = json.JSONDecoder(object_hook=_read)


class Answer(NamedTuple):
    """What came back from one try; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, stream: Stream) -> Answer:
        """Read an HTTP response (RFC 9112). Raises ConnectionError if it ends before its end."""
        status = "100"
        while status.startswith("1"):  # What comes before the answer (RFC 9110, 15.2).
            start, *lines = stream.until(_END_OF_HEAD).decode("latin-1").split("\r\n")
            version, _, rest = start.partition(" ")
            status = rest[:3]
            if not version.startswith("HTTP/1.") or not status.isdecimal():
                raise ProtocolError(f"this is no HTTP: {version[:20]}")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(_chunks(stream))
        elif (length := headers.get("content-length", "")).isdecimal():
            body = stream.exactly(int(length))
        else:
            raise ProtocolError("the answer does not tell its length")
        return cls(int(status), headers, body)

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with it."""
        return self.headers.get("connection", "").lower() == "close"

    @property
    def is_intact(self) -> bool:
        """Whether its body is what DynamoDB sent, as far as DynamoDB tells."""
        return self.headers.get("x-amz-crc32", "") in ("", str(crc32(self.body)))


class ProtocolError(OSError):
    """What came is no answer."""


class Stream:
    """What comes over a connection, read as far as it is asked for."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def until(self, mark: bytes) -> bytes:
        """What comes before a mark, which is passed over."""
        while mark not in self._received:
            if len(self._received) > _LONGEST_HEAD:
                raise ProtocolError("the head of the answer has no end")
            self._received += self._more()
        found, _, self._received = self._received.partition(mark)
        return found

    def exactly(self, length: int) -> bytes:
        """So many bytes."""
        parts, missing = [self._received], length - len(self._received)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        found = b"".join(parts)
        self._received = found[length:]
        return found[:length]

    @property
    def is_read(self) -> bool:
        """Whether nothing came that was not asked for."""
        return not self._received

    def _more(self) -> bytes:
        received = self._connection.recv(_AT_ONCE)
        if not received:
            raise ConnectionError("the connection ended before the answer did")
        return received


def _chunks(stream: Stream) -> Iterator[bytes]:
    while length := _chunk_length(stream.until(_END_OF_LINE)):
        yield stream.exactly(length)
        stream.until(_END_OF_LINE)
    while stream.until(_END_OF_LINE):
        pass


def _chunk_length(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise ProtocolError("a part of the answer does not tell its length") from None


class Client:
    """The calls that the table needs, as boto3's client has them. Threads may share it.

    Each raises Refused when DynamoDB says no, and NoAnswer.
    """

    def __init__(self) -> None:
        address = urlsplit(endpoint())
        is_safe = address.scheme == "https"
        self._address = (address.hostname or "", address.port or (443 if is_safe else 80))
        self._tls: Any = None
        self._may_trust_more = False
        if is_safe:
            import ssl

            trusted = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
            self._tls = ssl.create_default_context(cafile=trusted or _AMAZON_ROOTS)
            self._may_trust_more = not trusted
        # As it stands in the URL, but for what signatures leave out: case, user, usual port.
        host = address.netloc.rpartition("@")[2].lower()
        self._signer = Signer(host.removesuffix(":443" if is_safe else ":80"), region())
        if not os.environ.get("AWS_ACCESS_KEY_ID"):
            _finder()  # Its import takes a while; what it finds is asked for with each request.
        self._idle: list[socket.socket] = []
        self._quota = _QUOTA
        self._skew = 0.0

    def close(self) -> None:
        """End the connections, and forget what the time was. The next call starts anew."""
        self._drop()
        self._skew = 0.0

    def _drop(self) -> None:
        while connection := self._kept():
            connection.close()

    def _kept(self) -> socket.socket | None:
        """A connection that nobody uses, if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        body = encoded(arguments)
        paid = 1
        for tried in range(1, aws.ATTEMPTS + 1):
            answer: Answer | None = None
            failure: Exception
            skew = self._skew
            try:
                answer = self._ask(operation, body, time.time() + skew)
                if answer.status < 300:
                    return self._read(answer, paid)
                failure = _refusal(answer)
            except OSError as error:
                failure = NoAnswer(f"{type(error).__name__}: {error}")
                failure.__cause__ = error
                self._drop()  # What became of this one may have become of all.
            if self._is_corrected(skew, failure, answer):
                continue
            if tried == aws.ATTEMPTS or not _is_passing(failure):
                raise failure
            is_throttled = _is_throttled(failure)
            paid = _THROTTLED_RETRY_COST if is_throttled else _RETRY_COST
            if paid > self._quota:
                raise failure
            self._quota -= paid
            time.sleep(_pause(tried, is_throttled, answer))
        raise failure

    def _read(self, answer: Answer, paid: int) -> dict[str, Any]:
        self._quota = min(self._quota + paid, _QUOTA)
        try:
            read: dict[str, Any] = _DECODER.decode(answer.body.decode())
        except ValueError as error:
            raise NoAnswer("the answer is no JSON") from error
        return read

    def _ask(self, operation: str, body: bytes, at: float) -> Answer:
        """Send a request once; or twice, if the connection had died while nobody used it."""
        headers = self._signer.headers(operation, body, credentials(), at)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body
        while connection := self._kept():
            if _is_quiet(connection):
                try:
                    return self._exchange(connection, request)
                except ConnectionError:  # It broke as it was used; what was sent may be repeated.
                    break
            connection.close()
        return self._exchange(self._connect(), request)

    def _exchange(self, connection: socket.socket, request: bytes) -> Answer:
        try:
            connection.sendall(request)
            stream = Stream(connection)
            answer = Answer.read(stream)
            if not answer.is_intact:
                raise ProtocolError("the answer's checksum is another")
        except BaseException:
            connection.close()
            raise
        if answer.is_last or not stream.is_read:
            connection.close()
        else:
            self._idle.append(connection)
        return answer

    def _connect(self) -> socket.socket:
        try:
            return self._connected()
        except OSError as error:
            if not (self._may_trust_more and _is_distrust(error)):
                raise
            self._tls.load_default_certs()  # Whom else the system trusts, from now on.
            self._may_trust_more = False
            return self._connected()

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=aws.CONNECT_SECONDS)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._address[0])
            connection.settimeout(aws.READ_SECONDS)
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_corrected(self, skew: float, failure: Exception, answer: Answer | None) -> bool:
        """Whether a clock set so was the trouble, and is set right, so the next try is another."""
        if answer is None or not isinstance(failure, Refused) or failure.code not in _WRONG_TIME:
            return False
        from email.utils import mktime_tz, parsedate_tz

        date = parsedate_tz(answer.headers.get("date"))
        if date is None:
            return False
        right = mktime_tz(date) - time.time()
        if abs(right - skew) < _LARGEST_SKEW:
            return False
        self._skew = right
        return True

    get_item = partialmethod(_call, "GetItem")
    put_item = partialmethod(_call, "PutItem")
    update_item = partialmethod(_call, "UpdateItem")
    query = partialmethod(_call, "Query")
    batch_get_item = partialmethod(_call, "BatchGetItem")
    batch_write_item = partialmethod(_call, "BatchWriteItem")

    def transact_write_items(self, **arguments: Any) -> dict[str, Any]:
        """TransactWriteItems, with a token by which a repeated request is known."""
        return self._call("TransactWriteItems", ClientRequestToken=str(uuid4()), **arguments)


def _is_distrust(error: OSError) -> bool:
    """Whether nobody whom we trust has signed for the server."""
    import ssl

    return isinstance(error, ssl.SSLCertVerificationError)


def _is_quiet(connection: socket.socket) -> bool:
    """Whether an unused connection is as it was left: what can be read from it is its end."""
    try:
        return not select.select([connection], [], [], 0)[0]
    except (OSError, ValueError):
        return False


def _refusal(answer: Answer) -> Refused:
    """What DynamoDB's answer says, as boto3 tells it."""
    text = answer.body.decode(errors="replace")
    try:
        fields = dict(_DECODER.decode(text or "{}"))
    except (TypeError, ValueError):
        fields = {"message": text}
    code = str(fields.pop("__type", answer.status)).rpartition("#")[2].partition(":")[0]
    message = str(fields.pop("message", fields.pop("Message", "")))
    metadata = {"HTTPStatusCode": answer.status}
    return Refused(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata, **fields}
    )


def _is_throttled(failure: Exception) -> bool:
    return isinstance(failure, Refused) and (failure.code in aws.THROTTLED or failure.status == 429)


def _is_passing(failure: Exception) -> bool:
    """Whether another try may do better."""
    if not isinstance(failure, Refused):
        return True
    is_busy = failure.status in _PASSING_STATUS or failure.code in aws.PASSING
    return is_busy or _is_throttled(failure)


def _pause(tried: int, is_throttled: bool, answer: Answer | None) -> float:
    longest = (_THROTTLED_PAUSE if is_throttled else _PAUSE) * 2.0 ** (tried - 1)
    pause: float = random.random() * min(longest, _LONGEST_PAUSE)
    asked = answer.headers.get("x-amz-retry-after", "") if answer else ""
    if asked.isdecimal():
        return max(pause, min(int(asked) / 1000, pause + _LONGEST_ASKED_PAUSE))
    return pause
