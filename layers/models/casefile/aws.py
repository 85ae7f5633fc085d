"""Calls to AWS: made if there is time for them, and told in our words when nothing answers.

Whatever passes by itself (no connection, throttling, a fault of AWS's own) is retried by the SDK
and then becomes Unavailable: the caller may send the same request again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)
from botocore.parsers import ResponseParserError

from .attempts import check_time
from .errors import Unavailable

PATIENCE = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
)
"""How a client waits and retries. It retries what is safe to repeat."""

_PASSING_CODES = {
    "OperationAborted",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "SlowDown",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
"""Beside everything with an HTTP status from 500 on."""


@contextlib.contextmanager
def calling(seconds: float = 0) -> Iterator[None]:
    """Make a call if there is time, for one that may take `seconds` as well.

    Raises Unavailable, and ClientError for a definite refusal.
    """
    check_time(seconds)
    try:
        yield
    except ClientError as error:
        if is_passing(cast("dict[str, Any]", error.response)):
            raise come_back() from error
        raise
    except (
        NoConnectionError,
        CredentialRetrievalError,
        HTTPClientError,
        IncompleteReadError,
        ResponseParserError,
        ResponseStreamingError,
    ) as error:
        raise come_back() from error


def is_passing(response: dict[str, Any]) -> bool:
    """Whether an error answer may be another one in a moment."""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return response["Error"]["Code"] in _PASSING_CODES or status >= 500


def come_back() -> Unavailable:
    """What a caller is told when AWS didn't answer."""
    return Unavailable(
        "The storage did not answer in time. Send the same request again, with the same "
        "request_id and timestamp: if it did take effect, it won't take effect twice."
    )
