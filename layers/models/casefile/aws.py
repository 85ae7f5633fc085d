"""Calls to AWS: made if there is time for them, and told in our words when nothing answers.

Whatever passes by itself (no connection, throttling, a fault of AWS's own) is retried by the client
and then becomes Unavailable: the caller may send the same request again.

boto3 takes a quarter of a second to import, so it is imported here, when a client is made.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from .attempts import check_time
from .errors import Unavailable

CONNECT_SECONDS = 1
READ_SECONDS = 2
ATTEMPTS = 3
"""How a client waits and retries, unless it says otherwise. It retries what is safe to repeat."""

THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
PASSING = {"ReplicatedWriteConflictException", "RequestTimeout", "RequestTimeoutException"}
"""What AWS calls errors that pass by themselves, and that a client tries again for."""

_MAKING = threading.Lock()
"""boto3 makes one client at a time, or its session breaks."""

_MET_ANOTHER = "OperationAborted"
"""What S3 calls a change that met another one; it passes, too."""


class Refused(Exception):
    """AWS said no: `response` is its answer, as boto3's ClientError has it."""

    def __init__(self, response: dict[str, Any]) -> None:
        error = response["Error"]
        super().__init__(f"{error['Code']}: {error.get('Message', '')}")
        self.response = response

    @property
    def code(self) -> str:
        """What AWS calls the error."""
        return str(self.response["Error"]["Code"])

    @property
    def status(self) -> int:
        """The HTTP status of the answer, 0 if it isn't known."""
        return int(self.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


class NoAnswer(Exception):
    """AWS could not be reached, or what it answered could not be understood."""


def client(
    service: str, *, read_seconds: int = READ_SECONDS, attempts: int = ATTEMPTS, **more: Any
) -> Any:
    """boto3's client for a service."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
        **more,
    )
    make: Any = boto3.client
    with _MAKING:
        return make(service, config=config)


class Calling:
    """A call to AWS that is made if there is time for it, and for the `seconds` it may take.

    `with` it around the call: it raises Unavailable, and Refused for a definite refusal.
    """

    def __init__(self, seconds: float = 0) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        check_time(self._seconds)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            meant = self._meaning(error)
            if meant is not error:
                raise meant from error

    def _meaning(self, error: Exception) -> Exception:
        """What a failure means."""
        meant = _from_boto3(error)
        if isinstance(meant, NoAnswer) or (isinstance(meant, Refused) and _is_passing(meant)):
            return come_back()
        return meant


def _from_boto3(error: Exception) -> Exception:
    """An error as it is named here; what is not boto3's stays as it is."""
    if "botocore.exceptions" not in sys.modules:  # Who has not imported them can't have them.
        return error
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, exceptions.ClientError):
        return Refused(dict(error.response))
    nothing_came = (
        exceptions.ConnectionError,
        exceptions.CredentialRetrievalError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
        ResponseParserError,
    )
    return NoAnswer(str(error)) if isinstance(error, nothing_came) else error


def _is_passing(refused: Refused) -> bool:
    """Whether an error answer may be another one in a moment."""
    return refused.status >= 500 or refused.code in THROTTLED | PASSING | {_MET_ANOTHER}


def come_back() -> Unavailable:
    """What a caller is told when AWS didn't answer."""
    return Unavailable(
        "The storage did not answer in time. Send the same request again, with the same "
        "request_id and timestamp: if it did take effect, it won't take effect twice."
    )
