"""Large content goes and comes by itself, and what was fetched is what was recorded."""

import asyncio
import random
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

import casefile
from dev.local_stack import Stack
from pydantic_models.canonical import ContentLink

from .conftest import SignIn


def noise(size: int) -> str:
    """Text that hardly compresses."""
    return b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()


def test_more_than_a_function_is_ever_sent_is_recorded(ann: casefile.Client) -> None:
    tool = ann.tool_sessions.create()
    result = {"rows": [noise(7_000_000)]}
    tool.record("dump", result=result)
    assert [request.result for request in tool.requests()] == [result]


def test_what_is_too_large_for_a_request_comes_back_whole(
    ann: casefile.Client, stack: Stack, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
    texts = ["small", noise(40_000), '"' * 30_000, noise(30_000), "Größe"]
    result: dict[str, Any] = {"rows": [noise(70_000), 2**100, 1.0]}
    chat, tool = ann.chat_sessions.create(), ann.tool_sessions.create()
    chat.record([{"content": text, "message_type": "user"} for text in texts])
    tool.record("dump", {"q": "small"}, result=result)
    begun = tool.begin("dump", result)
    tool.complete(begun, result=result)
    assert [message.content for message in chat.messages()] == texts
    newest = chat.messages(order="newest", limit=2)
    assert [message.content for message in newest] == texts[:2:-1]
    first, second = tool.requests()
    assert (first.parameters, first.result) == ({"q": "small"}, result)
    assert (second.parameters, second.result) == (result, result)

    async def read() -> list[str]:
        async with casefile.AsyncClient(stack.url, sign_in("ann@client.example")) as client:
            session = client.chat_session(chat.session_id)
            return [message.content async for message in session.messages()]

    assert asyncio.run(read()) == texts


class Counted(httpx.BaseTransport):
    """Tells what goes to the bucket and comes from there."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self._way = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if "Authorization" not in request.headers:
            self.methods.append(request.method)
        return self._way.handle_request(request)

    def close(self) -> None:
        self._way.close()


def test_what_was_said_is_answered_as_it_was_said_and_not_fetched_for_that(
    stack: Stack, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
    large: dict[str, Any] = {"rows": [noise(70_000), 2**100]}
    text, bucket = noise(60_000), Counted()
    token = sign_in("ann@client.example")
    with (
        httpx.Client(transport=bucket) as http,
        casefile.Client(stack.url, token, http=http) as client,
    ):
        chat, tool = client.chat_sessions.create(), client.tool_sessions.create()
        said = chat.say(text)
        assert (said.content, said.left_out) == (text, [])
        calls: list[dict[str, Any]] = [{"n": 1}, large]
        message = {"content": "x", "message_type": "tool", "tool_calls": calls}
        told = chat.record([{"content": "y", "message_type": "user"}, message, message])
        assert [each.tool_calls for each in told.related_messages] == [calls, calls]
        replaced = chat.replace(said, message | {"content": text})
        assert (replaced.content, replaced.tool_calls) == (text, calls)
        assert tool.record("a", large, result=large, prompt=text).result == large
        begun = tool.begin("b", prompt=text)
        assert tool.complete(begun, result=large).result == large
        # What is the same is uploaded once for each request.
        assert bucket.methods == ["PUT"] * (1 + 1 + 2 + 2 + 1 + 1)
        shown = chat.read(include_messages=True).messages
        assert [each["content"] for each in shown] == [text, "y", "x", "x"]
        assert [each["tool_calls"] for each in shown] == [calls, [], calls, calls]
        for first, second in (tool.read(include_requests=True).requests, tool.requests()):
            assert (first.parameters, first.prompt, first.result) == (large, text, large)
            assert (second.parameters, second.prompt, second.result) == ({}, text, large)
        (popped,) = chat.rewind(1, include_messages=True).messages
        assert popped.tool_calls == calls
    assert calls == [{"n": 1}, large]


def test_what_is_large_in_many_pieces_goes_as_one(
    ann: casefile.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
    calls = [{"id": number, "said": noise(700)} for number in range(200)]
    chat = ann.chat_sessions.create()
    message = {"content": "See", "message_type": "assistant", "tool_calls": calls}
    told = chat.record([message, message | {"content": noise(60_000)}])
    assert [each.tool_calls for each in (told.message, *told.related_messages)] == [calls] * 2
    first, second = chat.messages()
    assert (first.content, first.tool_calls) == ("See", calls)
    assert second.tool_calls == calls
    assert (len(first.attachments), len(second.attachments)) == (1, 2)
    many = [message | {"tool_calls": calls[n : n + 2]} for n in range(0, 200, 2)]
    chat.record(many)
    assert [each.tool_calls for each in chat.messages(after=told.record)] == [
        each["tool_calls"] for each in many
    ]


def test_more_than_can_be_attached_is_refused_before_any_of_it_is_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404)

    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    large = {"content": noise(60_000), "message_type": "user", "attachments": [film] * 20}
    calls = [{"said": noise(600)}]
    both = {"content": noise(600), "message_type": "user", "tool_calls": calls}
    http = httpx.Client(transport=httpx.MockTransport(answer))
    with casefile.Client("http://pretended.invalid", "token", http=http) as client:
        chat = client.chat_session("cs_one")
        with pytest.raises(casefile.BadRequest, match="fewer attachments of your own") as refused:
            chat.record([large])
        assert refused.value.is_final
        monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 500)
        with pytest.raises(casefile.BadRequest, match="fewer messages at once"):
            chat.record([both] * 100)
        with pytest.raises(casefile.BadRequest, match="20 attachments"):
            client.tool_session("ts_one").record("f", result=calls[0], attachments=[film] * 20)
    assert asked == []


def test_what_an_answer_leaves_out_is_fetched(ann: casefile.Client) -> None:
    """Each fits a request, and together they are more than an answer carries."""
    texts = [noise(size) for size in range(2_000_000, 2_005_000, 1000)]
    chat, tool = ann.chat_sessions.create(), ann.tool_sessions.create()
    chat.record([{"content": text, "message_type": "user"} for text in texts[:2]])
    chat.record([{"content": text, "message_type": "user"} for text in texts[2:4]])
    tool.record("a", {"p": texts[0]}, result={"r": texts[1]}, prompt=texts[4])
    begun = tool.begin("b", {"p": texts[2]})
    tool.complete(begun, result={"r": texts[3] + texts[4]})
    assert [message.content for message in chat.messages()] == texts[:4]
    newest = chat.messages(order="newest")
    assert [message.content for message in newest] == texts[3::-1]
    first, second = tool.requests()
    assert (first.parameters, first.prompt, first.result) == (
        {"p": texts[0]},
        texts[4],
        {"r": texts[1]},
    )
    assert (second.parameters, second.result) == ({"p": texts[2]}, {"r": texts[3] + texts[4]})


class Expiring(httpx.BaseTransport):
    """A way to the service on which links can be let end, as they do after a while."""

    def __init__(self) -> None:
        self.refused = 0
        self._since = ""
        self._way = httpx.HTTPTransport()

    def expire(self) -> None:
        """End the links that were given so far."""
        time.sleep(1.05 - time.time() % 1)  # They tell the second in which they were made.
        self._since = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.params.get("X-Amz-Date", self._since) < self._since:
            self.refused += 1
            return httpx.Response(403, text="<Error>Request has expired</Error>")
        return self._way.handle_request(request)

    def close(self) -> None:
        self._way.close()


@pytest.fixture
def expiring(stack: Stack, sign_in: SignIn) -> Iterator[tuple[casefile.Client, Expiring]]:
    way, token = Expiring(), sign_in("ann@client.example")
    with (
        httpx.Client(transport=way) as http,
        casefile.Client(stack.url, token, http=http) as client,
    ):
        yield client, way


def test_links_that_ended_since_their_page_was_read_are_asked_for_anew(
    expiring: tuple[casefile.Client, Expiring], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long who reads takes over each."""
    client, way = expiring
    chat, tool = client.chat_sessions.create(), client.tool_sessions.create()
    monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
    texts = [noise(size) for size in range(60_000, 63_000, 1000)]
    _, replaced, _ = (chat.say(text) for text in (texts[0], "old", texts[2]))
    chat.replace(replaced, {"content": texts[1], "message_type": "user"})
    read: list[Any] = []
    for message in chat.messages():
        read.append(message.content)
        way.expire()
    assert (read, way.refused) == (texts, 2)
    begun = [tool.begin("search", {"q": text}) for text in texts]
    for request_id, text in zip(begun, texts, strict=True):
        tool.complete(request_id, result={"said": text})
    for request in tool.requests():
        read.append((request.parameters["q"], (request.result or {})["said"]))
        way.expire()
    assert (read[3:], way.refused) == (list(zip(texts, texts, strict=True)), 4)


def test_what_was_taken_back_since_its_page_was_read_is_not_asked_for_for_ever(
    expiring: tuple[casefile.Client, Expiring], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, way = expiring
    monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
    chat = client.chat_sessions.create()
    for size in range(60_000, 64_000, 1000):
        chat.say(noise(size))
    messages = chat.messages()
    next(messages)
    chat.rewind(keep=1)
    way.expire()
    with pytest.raises(casefile.Forbidden, match="expired"):
        list(messages)
    assert way.refused == 1


def test_files_are_attached_and_fetched(ann: casefile.Client, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(random.Random(1).randbytes(3_000_000))
    chat, tool = ann.chat_sessions.create(), ann.tool_sessions.create()
    chat.record([{"content": "See:", "message_type": "user", "attachments": [film]}])
    tool.record("film", result={}, attachments=[film])
    (message,), (request,) = chat.messages(), tool.requests()
    for attachment in (*message.attachments, *request.attachments):
        assert (attachment.name, attachment.content_type) == ("film.mp4", "video/mp4")
        assert ann.download(attachment) == film.read_bytes()
        ann.save(attachment, tmp_path / "saved.mp4")
        assert (tmp_path / "saved.mp4").read_bytes() == film.read_bytes()


def test_what_was_fetched_is_checked(tmp_path: Path) -> None:
    tried: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        assert "Authorization" not in request.headers  # the link is all it needs
        return httpx.Response(200, content=b"something else" if len(tried) == 1 else b"")

    http = httpx.Client(transport=httpx.MockTransport(answer))
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    link = ContentLink(sha256=empty, size=0, url="http://bucket.invalid/x", expires_at="")
    retries = casefile.Retries(first=0.001)
    with casefile.Client("http://pretended.invalid", "token", http=http, retries=retries) as client:
        assert client.download(link) == b""
        assert len(tried) == 2
        wrong = link.model_copy(update={"sha256": "0" * 64})
        with pytest.raises(casefile.Unavailable, match="not the content"):
            client.download(wrong)
        with pytest.raises(casefile.Unavailable, match="not the content"):
            client.save(wrong, tmp_path / "saved")
        client.save(link, tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, text="<Error/>")

    path = tmp_path / "saved"
    path.write_text("before")
    link = ContentLink(sha256="0" * 64, size=0, url="http://bucket.invalid/x", expires_at="")
    http = httpx.Client(transport=httpx.MockTransport(answer))
    with (
        casefile.Client("http://pretended.invalid", "token", http=http) as client,
        pytest.raises(casefile.NotFound, match="bucket"),
    ):
        client.save(link, path)
    assert path.read_text() == "before"
