"""Sending again: a request names itself, so it takes effect once however often it is sent."""

import email.utils
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import casefile
from dev.local_stack import Stack

from .conftest import SignIn
from .pretended import Pretended

QUICK = casefile.Retries(first=0.001, longest=0.01)


class Forgetful(httpx.HTTPTransport):
    """A wire to the real service that loses the first answer to each request."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, int] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        key = request.headers.get("Idempotency-Key", str(request.url))
        self.sent[key] = self.sent.get(key, 0) + 1
        if self.sent[key] == 1:
            response.read()
            raise httpx.ReadError("the answer was lost")
        return response


@pytest.fixture
def forgetful(stack: Stack, sign_in: SignIn) -> Iterator[casefile.Client]:
    http = httpx.Client(transport=Forgetful(), timeout=60)
    with http, casefile.Client(stack.url, sign_in("ann@client.example"), http=http) as client:
        yield client


def test_all_that_writes_is_done_once_though_each_first_answer_is_lost(
    forgetful: casefile.Client, ann: casefile.Client
) -> None:
    folder = forgetful.casefiles.create("Lisbon")
    tool = forgetful.tool_sessions.create("Trip", casefile_id=folder.casefile_id)
    chat = forgetful.chat_sessions.create("Talk")
    assert folder.add(chat.session_id).total_sessions == 2
    assert tool.record("one", result={}).record == 1
    begun = tool.begin("two")
    assert tool.complete(begun, result={}).record == 3
    assert chat.record([{"content": "Hello", "message_type": "user"}]).record == 1
    assert tool.update(title="Journey").title == "Journey"
    folder.share("bob@client.example")
    folder.unshare("bob@client.example")
    attachment = forgetful.upload(b"bytes", name="a.bin")
    chat.record([{"content": "", "message_type": "user", "attachments": [attachment]}])
    assert tool.close().total_requests == 2
    assert chat.close().total_messages == 2
    assert folder.remove(chat.session_id).total_sessions == 1
    assert len(list(ann.tool_session(tool.session_id).requests())) == 2
    folder.delete()
    chat.delete()
    with pytest.raises(casefile.NotFound):
        ann.chat_session(chat.session_id).read()


def test_it_is_the_same_request_each_time() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(503 if len(bodies) < 4 else 400, json={"error": "no"})

    with (
        casefile.Client(
            "http://pretended.invalid", retries=QUICK, http=httpx.Client(transport=handler(answer))
        ) as client,
        pytest.raises(casefile.BadRequest),
    ):
        client.chat_sessions.create("Talk")
    assert len(bodies) == 4
    assert len(set(bodies)) == 1


@pytest.mark.parametrize(
    ("status", "code", "error", "tries"),
    [
        (429, None, casefile.TooManyRequests, 6),
        (502, None, casefile.Unavailable, 6),
        (503, None, casefile.Unavailable, 6),
        (504, None, casefile.Unavailable, 6),
        (504, "INTEGRATION_TIMEOUT", casefile.Unavailable, 6),
        (500, None, casefile.Unavailable, 6),  # none of Casefile's own, which has its code
        (500, "API_CONFIGURATION_ERROR", casefile.Unavailable, 6),  # a function was throttled
        (500, "internal_error", casefile.InternalError, 1),
        (404, "no_route", casefile.NotFound, 1),
        (409, None, casefile.Conflict, 1),
        (418, None, casefile.RequestFailed, 1),
    ],
)
def test_what_may_pass_is_tried_again(
    status: int, code: str | None, error: Any, tries: int
) -> None:
    tried: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        if code is None:
            return httpx.Response(status, text="not JSON")
        return httpx.Response(status, json={"error": "No.", "metadata": {"error_code": code}})

    with (
        casefile.Client(
            "http://pretended.invalid", retries=QUICK, http=httpx.Client(transport=handler(answer))
        ) as client,
        pytest.raises(error) as raised,
    ):
        client.chat_sessions.create()
    assert type(raised.value) is error
    assert len(tried) == tries
    assert not raised.value.is_final


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"5", b"\xff", b'{"metadata": {"errors": 5}}', b'{"metadata": 5}']
)
def test_a_failure_is_one_of_casefiles_errors_whatever_it_says(content: bytes) -> None:
    http = httpx.Client(transport=handler(lambda _: httpx.Response(400, content=content)))
    with (
        casefile.Client("http://pretended.invalid", http=http) as client,
        pytest.raises(casefile.BadRequest) as raised,
    ):
        client.chat_sessions.create()
    assert raised.value.faults == []


def test_nobody_there_is_tried_again_and_then_said_so() -> None:
    service = Pretended()
    service.is_plugged_in = False
    with service.client(retries=QUICK) as client, pytest.raises(casefile.Unreachable):
        client.chat_sessions.create()
    assert service.requests == 6


def test_it_waits_as_long_as_it_is_told() -> None:
    told = casefile.TooManyRequests("later", retry_after=7)
    wait = casefile.Retries(first=1).wait(1, told)
    assert wait is not None
    assert 7 <= wait <= 8
    assert casefile.Retries(longest=5).wait(1, told) is None
    assert casefile.Retries().wait(1, casefile.NotFound("no")) is None
    retries = casefile.Retries(first=1, longest=4)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 4), (9999, 4)):
        assert 0 <= min(retries.pause(attempt) for _ in range(100)) < longest / 2
        assert longest / 2 < max(retries.pause(attempt) for _ in range(100)) <= longest


def test_an_answer_that_cannot_be_read_is_tried_again() -> None:
    tried: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        return httpx.Response(
            502, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")
        )

    with (
        casefile.Client(
            "http://pretended.invalid", retries=QUICK, http=httpx.Client(transport=handler(answer))
        ) as client,
        pytest.raises(casefile.Unreachable, match="decompress"),
    ):
        client.chat_sessions.create()
    assert len(tried) == 6


def test_who_follows_waits_longer_than_the_service() -> None:
    waits: list[tuple[int, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        wait = int(request.url.params.get("wait", 0))
        waits.append((wait, request.extensions["timeout"]))
        raise httpx.ReadTimeout("late")

    for timeout in (5.0, 60.0):
        client = casefile.Client(
            "http://pretended.invalid",
            retries=casefile.Retries(attempts=1),
            timeout=timeout,
            http=httpx.Client(transport=handler(answer)),
        )
        for session in (client.chat_session("cs_x"), client.tool_session("ts_251013_tool001")):
            with pytest.raises(casefile.Unreachable):
                next(session.follow())
            wait, told = waits.pop()
            assert told["read"] >= max(wait + 5, timeout)
            assert wait > 0
            assert {told["connect"], told["write"], told["pool"]} == {timeout}
        with pytest.raises(casefile.Unreachable):
            client.chat_session("cs_x").read()
        assert waits.pop() == (0, dict.fromkeys(("connect", "read", "write", "pool"), timeout))


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_seconds_or_a_date(as_date: bool) -> None:
    soon = email.utils.formatdate(time.time() + 3600, usegmt=True)
    refusal = httpx.Response(503, headers={"Retry-After": soon if as_date else "3600"})
    with (
        casefile.Client(
            "http://pretended.invalid", http=httpx.Client(transport=handler(lambda _: refusal))
        ) as client,
        pytest.raises(casefile.Unavailable) as raised,
    ):
        client.chat_sessions.create()  # It gives up at once: nobody waits for an hour.
    assert 3590 < (raised.value.retry_after or 0) <= 3600


def handler(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(answer)
