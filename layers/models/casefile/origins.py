"""Origins: the web pages that may call the API from a browser, if any are named.

A browser asks before it sends (the preflight), and asks of each answer whether the page may read it
(Fetch standard, CORS protocol). It is told so by the page's own origin, if that is in the list, and
by nothing else: no wildcard, no credentials. Whom the token names is not its concern.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import api
from .config import configuration
from .starting import start

Answer = dict[str, Any]

READABLE = "Casefile-Next-After, Retry-After"
"""The headers of answers that pages may read, beyond those that they always may."""


def readable(event: dict[str, Any], answer: Answer) -> Answer:
    """An answer over HTTP that the page which asked for it may read, if its origin is allowed."""
    return _opened(event, answer, {"Access-Control-Expose-Headers": READABLE})


def preflight(allowed: Callable[[], dict[str, str]]) -> Callable[[Any, Any], Answer]:
    """Make a function that tells what pages may send the Lambda handler of preflights."""
    start()
    sent = {f"Access-Control-{name}": value for name, value in allowed().items()}

    def handle(event: dict[str, Any], _: Any) -> Answer:
        return _opened(event, {"statusCode": 204, "headers": {}, "body": ""}, sent)

    return handle


def _opened(event: dict[str, Any], answer: Answer, headers: dict[str, str]) -> Answer:
    """An answer with what is told to pages of allowed origins, if it goes to one."""
    origins = configuration().allowed_origins
    if not origins:
        return answer
    opened = {"Vary": "Origin"}
    origin = api.headers(event).get("origin")
    if origin in origins:
        opened |= {"Access-Control-Allow-Origin": origin, **headers}
    return {**answer, "headers": {**answer["headers"], **opened}}
