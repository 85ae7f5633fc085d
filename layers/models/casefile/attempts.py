"""Trying again: bounded in number, spread by jitter, and never past the function's own time.

Whoever loses a race tries again after a short pause; whoever runs out of tries or time is told to
come back: what is done in one write is done or not, and what takes many goes on from there.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from contextvars import ContextVar

from .errors import Unavailable

MAX_ATTEMPTS = 100
LONGEST_PAUSE = 0.25
"""Seconds."""
RESERVE = 2.0
"""Seconds kept back for one more call and for the answer."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let attempts inside end in time to answer within `seconds` from now."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextlib.contextmanager
def sparing(seconds: float) -> Iterator[None]:
    """Keep back so many seconds of the time left: attempts inside end that much earlier."""
    deadline = _deadline.get()
    token = _deadline.set(None if deadline is None else deadline - seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextlib.contextmanager
def sharing(among: int) -> Iterator[None]:
    """Divide the time left in so many equal parts: attempts inside end with the first of them."""
    deadline = _deadline.get()
    if deadline is not None:
        deadline -= (deadline - time.monotonic()) * (among - 1) / among
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def check_time(seconds: float = 0) -> None:
    """Raise Unavailable if there is no time left for another call that may take `seconds`."""
    deadline = _deadline.get()
    if deadline is not None and time.monotonic() > deadline - max(RESERVE, seconds):
        raise Unavailable(
            "There was no time left to do this. Send the same request again, with the same "
            "request_id and timestamp: if it did take effect, it won't take effect twice."
        )


def attempts(what: str) -> Iterator[None]:
    """Attempt after attempt, with a pause before each but the first.

    Raises Unavailable, naming `what`, when the attempts run out, or the time.
    """
    for attempt in range(MAX_ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.005 * 2**attempt)))
        check_time()
        yield
    raise Unavailable(
        f"{what} is being written by many at once, and this request lost each race. "
        "Send the same request again."
    )
