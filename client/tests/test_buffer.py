"""The buffer: everything once and in order, whatever happens to the service and to us."""

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import casefile
from casefile.buffer import FAULT_SECONDS, MAX_FAULTS, UPLOADED_SECONDS
from dev.local_stack import Stack
from pydantic_models.base.times import now_text

from .conftest import SignIn
from .pretended import AT, Fault, Pretended
from .unplugged import Plug

PASSING = [fault for fault in get_args(Fault) if fault not in ("not allowed", "too old")]
FAULTS = st.lists(st.sampled_from([None, None, *PASSING]), max_size=40)
REFUSALS = st.lists(
    st.sampled_from([None, "unplugged", "lost", "busy", "throttled", "broken", "not allowed"]),
    max_size=40,
)
STEPS = st.lists(
    st.sampled_from(["tool", "slow tool", "say", "say twice", "restart", "flush", "finish"]),
    min_size=1,
    max_size=30,
)


def opened(service: Pretended, path: Path, **more: Any) -> casefile.Buffer:
    """A buffer that is quick to try again and, killed or not, quick to close."""
    more = {"longest_pause": 0.002, "close_seconds": 0.0, **more}
    return casefile.Buffer(service.client(), path, **more)


def said(log: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for each in log for message in each.get("messages", [])]


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, faults=FAULTS)
def test_everything_is_recorded_once_and_in_order(steps: list[str], faults: list[Any]) -> None:
    service = Pretended(faults)
    with TemporaryDirectory() as folder:
        path = Path(folder, "buffer")
        buffer = opened(service, path)
        tool, chat = buffer.create_tool_session(), buffer.create_chat_session()
        tools: list[str] = []
        messages: list[str] = []
        pending: list[Any] = []
        for number, step in enumerate(steps):
            name = str(number)
            if step == "tool":
                tool.record(name, result={})
                tools.append(name)
            elif step == "slow tool":
                pending.append(tool.record(name))
                tools.append(name)
            elif step == "finish" and pending:
                tool.complete(pending.pop(), result={})
                tools.append("result")
            elif step.startswith("say"):
                texts = [name] if step == "say" else [name, f"{name}b"]
                chat.record([{"content": text, "message_type": "user"} for text in texts])
                messages += texts
            elif step == "flush":
                buffer.flush(0.01)
            elif step == "restart":
                # It stops at whatever it is doing, and what it hears after that is not kept: what
                # the file is left with is the same as after a kill.
                buffer.close()
                buffer = opened(service, path)
                tool = casefile.BufferedToolSession(buffer, tool._session)
                chat = casefile.BufferedChatSession(buffer, chat._session)
        assert buffer.flush(30)
        assert buffer.refused() == []
        buffer.close()
    assert len(service.logs) == 2
    log = service.logs[str(tool.session_id)]
    assert [each.get("tool_name", "result") for each in log] == tools
    assert said(service.logs[str(chat.session_id)]) == messages


@pytest.fixture
def service() -> Pretended:
    return Pretended()


@pytest.fixture
def buffer(service: Pretended, tmp_path: Path) -> Iterator[casefile.Buffer]:
    with opened(service, tmp_path / "buffer") as buffer:
        yield buffer


def test_messages_that_wait_go_together(service: Pretended, buffer: casefile.Buffer) -> None:
    service.is_plugged_in = False
    chats = [buffer.create_chat_session(), buffer.create_chat_session()]
    for number in range(250):
        for chat in chats:
            chat.say(str(number))
    service.is_plugged_in = True
    assert buffer.flush(30)
    for chat in chats:
        log = service.logs[str(chat.session_id)]
        assert said(log) == [str(number) for number in range(250)]
        assert [len(each["messages"]) for each in log] == [100, 100, 50]


def test_only_what_is_alike_goes_together(service: Pretended, buffer: casefile.Buffer) -> None:
    service.is_plugged_in = False
    chat = buffer.create_chat_session()
    turns = ("a", "a", "b", None)
    for turn in turns:
        chat.record([{"content": "x", "message_type": "user"}], session_request_id=turn)
    chat.close()
    chat.say("late")
    service.is_plugged_in = True
    assert buffer.flush(30)
    log = service.logs[str(chat.session_id)]
    assert [each.get("session_request_id", each["at"]) for each in log] == [
        "a",
        "b",
        "messages",
        "close",
    ]
    assert [len(each.get("messages", [])) for each in log] == [2, 1, 1, 0]
    assert [each.reason.split(":")[0] for each in buffer.refused()] == ["session_closed"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_session_is_one_by_its_id_and_by_its_handle(
    service: Pretended, tmp_path: Path, is_restarted: bool
) -> None:
    with opened(service, tmp_path / "buffer") as buffer:
        chat = buffer.create_chat_session()
        assert buffer.flush(30)
        session_id = str(chat.session_id)
        service.is_plugged_in = False
        chat.say("one")
        buffer.chat_session(session_id).say("two")
        chat.say("three")
        if is_restarted:  # with a file of before, which had entries by both
            buffer.close()
            with contextlib.closing(sqlite3.connect(tmp_path / "buffer")) as file, file:
                file.execute(
                    "UPDATE queue SET request_id = NULL, timestamp = NULL, session ="
                    " CASE WHEN payload LIKE '%two%' THEN session"
                    " ELSE '@' || (SELECT request_id FROM opened) END"
                )
            buffer = opened(service, tmp_path / "buffer")
        service.faults = iter(["unplugged", "busy"])
        service.is_plugged_in = True
        buffer.chat_session(session_id).close()
        assert buffer.flush(30)
        assert buffer.refused() == []
        assert said(service.logs[session_id]) == ["one", "two", "three"]
        buffer.close()


def test_a_session_is_one_though_it_was_opened_meanwhile(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    service.breaks_at = ["one"]
    with buffer._changed:
        chat = buffer.create_chat_session()
        chat.say("one")
    until(lambda: chat.session_id is not None)
    before = service.requests
    buffer.chat_session(str(chat.session_id)).say("two")
    until(lambda: service.requests > before + 10)
    service.breaks_at = []
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["one", "two"]


def test_who_waits_for_what_failed_has_it_tried_at_once(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.is_plugged_in = False
    chat.say("one")
    until(lambda: buffer._failing != {})
    with buffer._changed:
        service.is_plugged_in = True
        for each in buffer._failing.values():
            each.due += 1000
    assert buffer.flush(30)


def test_what_is_retried_is_sent_though_nobody_waits(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    service.refuses = ["one"]
    chat = buffer.create_chat_session()
    chat.say("one")
    assert buffer.flush(30)
    until(lambda: not buffer._has_news)
    service.refuses = []
    buffer.retry_refused()
    until(lambda: said(service.logs[str(chat.session_id)]) == ["one"])


def test_what_is_refused_is_set_aside_alone(
    service: Pretended, buffer: casefile.Buffer, caplog: pytest.LogCaptureFixture
) -> None:
    service.is_plugged_in = False
    service.refuses = ["bad"]
    chat = buffer.create_chat_session()
    for text in ("one", "bad", "two"):
        chat.say(text)
    service.is_plugged_in = True
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["one", "two"]
    (refused,) = buffer.refused()
    assert refused.payload["messages"][0]["content"] == "bad"
    assert refused.reason.startswith("invalid_request")
    assert "refused for good" in caplog.text
    service.refuses = []
    buffer.retry_refused()
    assert buffer.flush(30)
    assert buffer.refused() == []
    assert said(service.logs[str(chat.session_id)]) == ["one", "two", "bad"]


def test_what_is_refused_can_be_forgotten(service: Pretended, buffer: casefile.Buffer) -> None:
    service.refuses = ["bad"]
    chat = buffer.create_chat_session()
    chat.say("bad")
    assert buffer.flush(30)
    assert len(buffer.refused()) == 1
    buffer.forget_refused()
    assert buffer.refused() == []
    service.refuses = []
    buffer.retry_refused()
    chat.say("good")
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["good"]


def say_together(buffer: casefile.Buffer, chat: casefile.BufferedChatSession, *texts: str) -> None:
    with buffer._changed:  # Nothing is sent meanwhile.
        for text in texts:
            chat.say(text)


@pytest.mark.parametrize(
    "faults",
    [
        ["lost", "not allowed"],
        ["busy", "not allowed"],
        ["broken", "not allowed"],
        ["lost", "too old"],
    ],
)
def test_what_may_have_been_recorded_stays_the_same_request(
    service: Pretended, buffer: casefile.Buffer, faults: list[Fault]
) -> None:
    """Under another id, it could be there twice."""
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = iter(faults)
    say_together(buffer, chat, "one", "two")
    assert buffer.flush(30)
    assert [each.payload["messages"][0]["content"] for each in buffer.refused()] == ["one", "two"]
    buffer.retry_refused()
    assert buffer.flush(30)
    assert buffer.refused() == []
    (together,) = service.logs[str(chat.session_id)]
    assert said([together]) == ["one", "two"]


@pytest.mark.parametrize("fault", ["lost", "throttled", "stale token", "not allowed"])
@pytest.mark.parametrize("last", ["unplugged", "throttled", "stale token", "not allowed"])
def test_what_an_http_client_may_have_sent_before_stays_the_same_request(
    service: Pretended, tmp_path: Path, fault: Fault, last: Fault
) -> None:
    """One that is given may try by itself: what it tells is of its last time alone."""

    class Retrying(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            with contextlib.suppress(httpx.ReadError):
                answer = service.handle_request(request)
                if answer.is_success:
                    return answer
            return service.handle_request(request)

    http = httpx.Client(transport=Retrying())
    client = casefile.Client("http://pretended.invalid", "token", http=http)
    with casefile.Buffer(client, tmp_path / "b", longest_pause=0.002) as buffer:
        chat = buffer.create_chat_session()
        assert buffer.flush(30)
        service.faults = iter([fault, last])
        say_together(buffer, chat, "one", "two")
        assert buffer.flush(30)
        buffer.retry_refused()
        assert buffer.flush(30)
        assert buffer.refused() == []
    assert said(service.logs[str(chat.session_id)]) == ["one", "two"]


NONE_SENT: list[list[Fault]] = [
    [],
    ["unplugged", "stale token"],
    ["throttled"],
]


@pytest.mark.parametrize("faults", NONE_SENT)
def test_what_was_not_recorded_is_no_request_yet(
    service: Pretended, buffer: casefile.Buffer, faults: list[Fault]
) -> None:
    """So it can be put together anew; where it could be told at the first time alone, too."""
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = iter([*faults, "not allowed", "not allowed"])
    say_together(buffer, chat, "one", "two")
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["two"]
    buffer.retry_refused()
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["two", "one"]


@pytest.mark.parametrize("faults", [*NONE_SENT, ["busy"], ["busy", "unplugged", "busy"]])
@pytest.mark.parametrize("why", ["not valid", "too large", "missing"])
def test_what_cannot_have_been_recorded_goes_each_by_itself(
    service: Pretended, buffer: casefile.Buffer, faults: list[Fault], why: str
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = iter(faults)
    bad = f"bad {'x' * 10_000}"
    if why == "not valid":
        service.refuses = ["bad"]
    elif why == "missing":
        service.misses = ["bad"]
    else:
        service.carries = 10_000
    say_together(buffer, chat, "one", bad, "two")
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["one", "two"]
    assert len(buffer.refused()) == 1
    service.refuses, service.misses, service.carries = [], [], None
    buffer.retry_refused()
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["one", "two", bad]


def test_what_came_after_a_closing_is_no_request_yet(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    chat.close()
    assert buffer.flush(30)
    service.faults = iter(["busy"])
    say_together(buffer, chat, "one", "two")
    assert buffer.flush(30)
    assert len(buffer.refused()) == 2
    assert buffer._file.execute("SELECT request_id, timestamp FROM queue").fetchall() == [
        (None, None),
        (None, None),
    ]


def test_what_we_refuse_ourselves_may_have_been_recorded(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    """A newer version may have sent it."""
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = itertools.repeat("lost")
    say_together(buffer, chat, "one", "two")
    until(lambda: buffer.problem is not None)
    with buffer._changed:
        newer = """UPDATE queue SET payload = json_insert(payload, '$.newer', 1)"""
        buffer._file.execute(newer)
    assert buffer.flush(30)
    assert len(buffer.refused()) == 2
    ids = buffer._file.execute("SELECT DISTINCT request_id, timestamp FROM queue").fetchall()
    assert len(ids) == 1
    assert None not in ids[0]


def test_what_was_sent_before_is_sent_with_nothing_else(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    """Though something waits before it that can still be put together."""
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = iter(["not allowed"])
    chat.say("one")
    assert buffer.flush(30)
    service.faults = itertools.chain(["lost"], itertools.repeat("busy"))
    chat.say("two")
    until(lambda: len(said(service.logs[str(chat.session_id)])) == 1)
    until(lambda: buffer.problem is not None)
    buffer.retry_refused()
    service.faults = iter([])
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["two", "one"]


@pytest.mark.parametrize("at", ["2001-01-01T00:00:00.000+00:00", "2999-01-01T00:00:00.000+00:00"])
@pytest.mark.parametrize("faults", [[], ["unplugged", "unplugged", "stale token"]])
def test_what_a_wrong_clock_dated_is_dated_anew(
    service: Pretended,
    buffer: casefile.Buffer,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    faults: list[Fault],
) -> None:
    service.faults = iter(faults)
    with monkeypatch.context() as wrong:
        wrong.setattr("casefile.buffer.now_text", lambda: at)
        chat, tool = buffer.create_chat_session(), buffer.create_tool_session()
        say_together(buffer, chat, "one", "two")
        tool.record("search", result={})
        assert buffer.flush(30)
    assert len(buffer.refused()) == 5
    buffer.retry_refused()
    assert buffer.flush(30)
    assert buffer.refused() == []
    assert said(service.logs[str(chat.session_id)]) == ["one", "two"]
    assert len(service.logs[str(tool.session_id)]) == 1


def test_what_may_have_been_recorded_keeps_its_date(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    tool = buffer.create_tool_session()
    assert buffer.flush(30)
    service.faults = iter(["lost", "not allowed"])
    tool.record("search", result={})
    assert buffer.flush(30)
    (at,) = buffer._file.execute("SELECT timestamp FROM queue").fetchone()
    assert at is not None


def test_what_waits_while_nothing_is_reached_has_no_date(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    """So it can't grow too old."""
    tool = buffer.create_tool_session()
    assert buffer.flush(30)
    service.is_plugged_in = False
    tool.record("search", result={})
    until(lambda: buffer.problem is not None)
    until(lambda: buffer._file.execute("SELECT timestamp FROM queue").fetchone() == (None,))


@settings(max_examples=100, deadline=None)
@given(texts=st.integers(1, 30), faults=REFUSALS)
def test_what_is_refused_and_sent_again_is_recorded_once(texts: int, faults: list[Any]) -> None:
    service = Pretended(faults)
    with TemporaryDirectory() as folder, opened(service, Path(folder, "buffer")) as buffer:
        chat, tool = buffer.create_chat_session(), buffer.create_tool_session()
        for number in range(texts):
            chat.say(str(number))
            tool.record(str(number), result={})
        assert buffer.flush(30)
        while buffer.refused():
            buffer.retry_refused()
            assert buffer.flush(30)
    assert sorted(said(service.logs[str(chat.session_id)]), key=int) == [
        str(number) for number in range(texts)
    ]
    names = [each["tool_name"] for each in service.logs[str(tool.session_id)]]
    assert sorted(names, key=int) == [str(number) for number in range(texts)]


@pytest.mark.parametrize("fault", ["broken", "not ours, broken"])
def test_a_service_that_fails_for_a_while_is_waited_for(
    service: Pretended, buffer: casefile.Buffer, fault: Fault
) -> None:
    tool, chat = buffer.create_tool_session(), buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = itertools.repeat(fault)
    tool.record("one", result={})
    chat.say("Hello")
    until(lambda: service.requests > 10 * MAX_FAULTS)
    assert (len(buffer), buffer.refused()) == (2, [])
    service.faults = iter([])
    assert buffer.flush(30)
    assert buffer.refused() == []
    assert said(service.logs[str(chat.session_id)]) == ["Hello"]
    assert [each["tool_name"] for each in service.logs[str(tool.session_id)]] == ["one"]


def test_a_bad_moment_is_no_fault_and_what_may_be_gone_is_uploaded_again() -> None:
    assert FAULT_SECONDS * (MAX_FAULTS - 1) >= 120
    assert UPLOADED_SECONDS <= 86400 / 2, "what nothing refers to is forgotten after a day"


def test_what_fails_again_and_again_is_set_aside(
    service: Pretended, buffer: casefile.Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.buffer.FAULT_SECONDS", 0.0)
    service.breaks_at = ["odd"]
    first, second = buffer.create_chat_session(), buffer.create_chat_session()
    say_together(buffer, first, "odd", "even")
    second.say("Hello")
    assert buffer.flush(30)
    assert [each.payload["messages"][0]["content"] for each in buffer.refused()] == ["odd", "even"]
    assert all(each.reason.startswith("internal_error") for each in buffer.refused())
    assert said(service.logs[str(second.session_id)]) == ["Hello"]
    service.breaks_at = []
    buffer.retry_refused()
    assert buffer.flush(30)
    assert said(service.logs[str(first.session_id)]) == ["odd", "even"]


def test_an_opening_is_set_aside_for_no_fault(
    service: Pretended, buffer: casefile.Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it, all of its session would be."""
    monkeypatch.setattr("casefile.buffer.FAULT_SECONDS", 0.0)
    service.breaks_at = ["odd"]
    chat = buffer.create_chat_session("odd")
    chat.say("Hello")
    until(lambda: service.requests > 2 * MAX_FAULTS)
    assert buffer.refused() == []
    service.breaks_at = []
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["Hello"]


def test_what_fails_again_and_again_holds_up_its_own_session_alone(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    service.is_plugged_in = False
    service.breaks_at = ["odd", "strange"]
    held = [buffer.create_chat_session("odd"), buffer.create_chat_session()]
    second = buffer.create_chat_session()
    held[1].say("strange")
    for chat in (*held, second):
        chat.say("Hello")
    service.is_plugged_in = True
    until(lambda: len(buffer) == 4)
    assert said(service.logs[str(second.session_id)]) == ["Hello"]
    assert buffer.refused() == []
    service.breaks_at = []
    assert buffer.flush(30)
    assert said(service.logs[str(held[0].session_id)]) == ["Hello"]
    assert said(service.logs[str(held[1].session_id)]) == ["strange", "Hello"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(
            ("one", "two"),
            (
                "payload = '{'",
                "payload = '[]'",
                "payload = CAST(X'7BFF' AS TEXT)",
                "payload = X'FF'",
                """payload = '{"messages": [1]}'""",
                """payload = '{"messages": "ab"}'""",
                """payload = '{"messages": 1}'""",
                "operation = 'newer'",
                "operation = CAST(X'FF' AS TEXT)",
            ),
        ),
        ("one", "session = CAST(X'FF' AS TEXT)"),
        ("one", "metadata = ''"),
        ("one", "metadata = '[1]'"),
        ("one", "metadata = CAST(X'FF' AS TEXT)"),
        ("one", "request_id = 'x'"),
        ("one", "request_id = CAST(X'FF' AS TEXT)"),
        ("one", "timestamp = 'x', request_id = 'b3c0ffee-0000-4000-8000-000000000001'"),
        ("one", "timestamp = 'x', request_id = CAST(X'FF' AS TEXT)"),
    ],
)
def test_what_cannot_be_read_is_set_aside(
    service: Pretended, buffer: casefile.Buffer, name: str, damage: str
) -> None:
    chat, tool = buffer.create_chat_session(), buffer.create_tool_session()
    assert buffer.flush(30)
    with buffer._changed:
        say_together(buffer, chat, "one", "two")
        tool.record("search", result={})
        buffer._file.execute(f"UPDATE queue SET {damage} WHERE payload LIKE '%\"{name}\"%'")
    assert buffer.flush(30)
    assert len(service.logs[str(tool.session_id)]) == 1
    expected = [text for text in ("one", "two") if text != name]
    assert said(service.logs[str(chat.session_id)]) == expected
    (refused,) = buffer.refused()
    assert "can't read it" in refused.reason or "not valid" in refused.reason


def test_what_cannot_be_read_keeps_what_was_sent_with_it(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    """It may have been recorded: without it, it would be another request."""
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults = itertools.chain(["lost"], itertools.repeat("unplugged"))
    say_together(buffer, chat, "one", "two", "three")
    until(lambda: buffer.problem is not None)
    with buffer._changed:
        (whole,) = buffer._file.execute("SELECT payload FROM queue WHERE number = 3").fetchone()
        buffer._file.execute("UPDATE queue SET payload = '{' WHERE number = 3")
    assert buffer.flush(30)
    assert len(buffer.refused()) == 3
    buffer._file.execute("UPDATE queue SET payload = ? WHERE number = 3", (whole,))
    service.faults = iter([])
    buffer.retry_refused()
    assert buffer.flush(30)
    assert buffer.refused() == []
    assert said(service.logs[str(chat.session_id)]) == ["one", "two", "three"]


def test_what_a_newer_version_says_is_set_aside(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    tool = buffer.create_tool_session()
    assert buffer.flush(30)
    with buffer._changed:
        tool.record("odd", result={})
        buffer._file.execute("""UPDATE queue SET payload = '{"tool_name": "odd", "newer": 1}'""")
        tool.record("even", result={})
    assert buffer.flush(30)
    assert [each["tool_name"] for each in service.logs[str(tool.session_id)]] == ["even"]
    assert [each.payload["newer"] for each in buffer.refused()] == [1]


def test_what_a_newer_version_keeps_beside_is_no_hindrance(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    session = str(chat.session_id)
    buffer.close()
    with sqlite3.connect(buffer.path) as file:
        file.execute("ALTER TABLE queue ADD COLUMN newer")
        file.execute("ALTER TABLE opened ADD COLUMN newer")
    file.close()
    with opened(service, buffer.path) as again:
        again.chat_session(session).say("two")
        again.chat_session("cs_nosuch").say("three")
        assert again.flush(30)
        assert len(again.refused()) == 1
    assert said(service.logs[session]) == ["two"]


def test_whatever_goes_wrong_is_told(
    service: Pretended, buffer: casefile.Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    with monkeypatch.context() as broken:
        broken.delattr("casefile.buffer.uuid4")
        with buffer._changed:
            chat.say("one")
        until(lambda: isinstance(buffer.problem, NameError))
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["one"]


LARGE = "x" * 6_000_000


def test_what_cannot_be_uploaded_is_set_aside(
    service: Pretended, buffer: casefile.Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.buffer.FAULT_SECONDS", 0.0)
    for fault in (403, httpx.ConnectError("no way to the bucket")):
        service.bucket = fault
        chat = buffer.create_chat_session()
        chat.say(LARGE)
        chat.say("Hello")
        assert buffer.flush(30)
        assert [each.payload["messages"][0]["content"] for each in buffer.refused()] == [LARGE]
        assert said(service.logs[str(chat.session_id)]) == ["Hello"]
        assert buffer._file.execute("SELECT timestamp FROM queue").fetchall() == [(None,)]
        service.bucket = 200
        buffer.retry_refused()
        assert buffer.flush(30)
        assert len(service.logs[str(chat.session_id)]) == 2
    assert buffer.refused() == []


@pytest.mark.parametrize("fault", ["unplugged", "busy", "not ours", "stale token"])
def test_what_waits_for_leave_to_be_uploaded_is_not_set_aside(
    service: Pretended, buffer: casefile.Buffer, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """It would be, each time the way to the service fails for a while."""
    monkeypatch.setattr("casefile.buffer.FAULT_SECONDS", 0.0)
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.faults, before = itertools.repeat(fault), service.requests
    chat.say(LARGE)
    until(lambda: service.requests > before + 2 * MAX_FAULTS)
    assert buffer.refused() == []
    service.faults = iter([])
    assert buffer.flush(30)
    assert len(service.logs[str(chat.session_id)]) == 1


def test_what_was_uploaded_is_not_uploaded_again(
    service: Pretended, buffer: casefile.Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.breaks_at, before = ['"messages"'], service.requests
    chat.say(LARGE)
    until(lambda: service.requests > before + 10)
    assert service.uploads == 1
    monkeypatch.setattr("casefile.buffer.UPLOADED_SECONDS", 0.0)
    until(lambda: service.uploads > 1)
    service.breaks_at = []
    assert buffer.flush(30)
    assert service.uploads > 1
    assert len(service.logs[str(chat.session_id)]) == 1


@pytest.mark.parametrize("failing", [1, 6])
@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 30.0), (0.1, 30.0), (0.1, 0.0)])
def test_however_many_sessions_fail_others_go_on(
    service: Pretended, tmp_path: Path, failing: int, seconds: float, pause: float
) -> None:
    service.breaks_at, service.break_seconds = ["odd"], seconds
    with opened(service, tmp_path / "buffer", longest_pause=pause) as buffer:
        held = [buffer.create_chat_session() for _ in range(failing)]
        tool = buffer.create_tool_session()
        assert buffer.flush(30)
        for chat in held:
            chat.say("odd")
            chat.say("even")
        until(lambda: len(buffer._failing) == failing)
        began = time.monotonic()
        for number in range(30):
            tool.record(str(number), result={})
        until(lambda: len(service.logs[str(tool.session_id)]) == 30)
        assert time.monotonic() - began < 2.0
        service.breaks_at = []
        assert buffer.flush(30)
        assert buffer.refused() == []
        for chat in held:
            assert said(service.logs[str(chat.session_id)]) == ["odd", "even"]


def test_what_fails_is_tried_again_though_others_never_end(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    chat, tool = buffer.create_chat_session(), buffer.create_tool_session()
    assert buffer.flush(30)
    service.breaks_at = ["odd"]
    chat.say("odd")
    until(lambda: buffer._failing != {})
    is_over = threading.Event()

    def record() -> None:
        while not is_over.is_set():
            tool.record("search", result={})
            until(lambda: len(buffer) < 100)

    others = threading.Thread(target=record)
    others.start()
    until(lambda: len(buffer) > 50)
    service.breaks_at = []
    try:
        until(lambda: said(service.logs[str(chat.session_id)]) == ["odd"])
    finally:
        is_over.set()
        others.join(30)


def test_what_is_too_large_for_a_request_is_uploaded(ann: casefile.Client, tmp_path: Path) -> None:
    texts = ["small", "x" * 7_000_000, "small again"]
    with casefile.Buffer(ann, tmp_path / "buffer") as buffer:
        chat, tool = buffer.create_chat_session(), buffer.create_tool_session()
        for text in texts:
            chat.say(text)
        pending = tool.record("search", {"q": texts[1]})
        tool.complete(pending, result={"found": texts[1]})
        assert buffer.flush(60)
        assert buffer.refused() == []
    messages = ann.chat_session(str(chat.session_id)).messages()
    assert [message.content for message in messages] == texts
    (request,) = ann.tool_session(str(tool.session_id)).requests()
    assert (request.parameters, request.result) == ({"q": texts[1]}, {"found": texts[1]})


def test_what_is_too_large_to_be_carried_is_set_aside_whoever_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda says it of itself, and so does API Gateway: neither knows Casefile's codes."""
    aws = pytest.importorskip("casefile.aws")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "AKIAPRETENDED")
    doors = (aws.Functions("casefile", "svc", region="eu-west-1"), "http://pretended.invalid")

    def answer(request: httpx.Request) -> httpx.Response:
        told = json.loads(request.content)
        if len(request.content) > 1_000_000:
            return httpx.Response(413, json={"message": "Request must be smaller"})
        payload = {"session_id": "ts_251013_tool001", "record": 1, "recorded_at": AT}
        payload |= {"result": {}, "status": "completed"}
        answer = {"request_id": told["request_id"], "status": "completed", "payload": payload}
        return httpx.Response(200, json=answer)

    for number, door in enumerate(doors):
        http = httpx.Client(transport=httpx.MockTransport(answer))
        client = casefile.Client(door, http=http)
        with casefile.Buffer(client, tmp_path / str(number), longest_pause=0.002) as buffer:
            tool = buffer.tool_session("ts_251013_tool001")
            tool.record("large", result={"text": "x" * 1_000_000})
            tool.record("small", result={})
            assert buffer.flush(30)
            assert [each.payload["tool_name"] for each in buffer.refused()] == ["large"]


def test_what_was_done_is_done_though_its_answer_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = pytest.importorskip("casefile.aws")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "AKIAPRETENDED")
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        failed = {"errorType": "AnswerTooLarge", "errorMessage": "It was done"}
        return httpx.Response(200, headers={"X-Amz-Function-Error": "Unhandled"}, json=failed)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = casefile.Client(aws.Functions("casefile", "svc", region="eu-west-1"), http=http)
    with casefile.Buffer(client, tmp_path / "buffer") as buffer:
        say_together(buffer, buffer.chat_session("cs_251013chat01"), "one", "two")
        assert buffer.flush(30)
        assert (len(sent), buffer.refused()) == (1, [])


def test_it_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    tried: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(time.monotonic())
        return httpx.Response(429, headers={"Retry-After": "3600"})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = casefile.Client("http://pretended.invalid", http=http)
    with casefile.Buffer(client, tmp_path / "b", longest_pause=0.2, close_seconds=0) as buffer:
        buffer.create_chat_session()
        until(lambda: buffer.flush(0.001) or len(tried) > 2)  # though it is in a hurry
    assert min(later - tried[n] for n, later in enumerate(tried[1:])) >= 0.2


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_after_a_closing_nothing_is_recorded_and_nothing_is_lost(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    tool = buffer.create_tool_session()
    tool.record("one", result={})
    tool.close()
    tool.record("late", result={})
    assert buffer.flush(30)
    assert [each["at"] for each in service.logs[str(tool.session_id)]] == ["requests", "close"]
    assert [each.payload["tool_name"] for each in buffer.refused()] == ["late"]


@pytest.mark.parametrize("when_full", ["raise", "wait"])
def test_a_full_buffer_says_so(service: Pretended, tmp_path: Path, when_full: Any) -> None:
    service.is_plugged_in = False
    more = {"max_records": 3, "when_full": when_full, "wait_seconds": 0.01}
    with opened(service, tmp_path / "buffer", **more) as buffer:
        chat = buffer.create_chat_session()
        chat.say("one")
        chat.say("two")
        with pytest.raises(casefile.BufferFull, match="3 entries"):
            chat.say("three")
        service.is_plugged_in = True
        assert buffer.flush(30)
        chat.say("four")
        assert buffer.flush(30)
        assert said(service.logs[str(chat.session_id)]) == ["one", "two", "four"]


def test_a_full_buffer_drops_what_is_new_if_told_to(service: Pretended, tmp_path: Path) -> None:
    service.is_plugged_in = False
    with opened(service, tmp_path / "buffer", max_bytes=2000, when_full="drop") as buffer:
        chat = buffer.create_chat_session()
        for number in range(100):
            chat.say(f"{number:200}")
        service.is_plugged_in = True
        assert buffer.flush(30)
        kept = [int(text) for text in said(service.logs[str(chat.session_id)])]
        assert kept == list(range(len(kept)))
        assert 0 < len(kept) == 100 - buffer.dropped < 10


def test_what_is_larger_than_the_buffer_is_dropped_if_it_is_told_to(
    service: Pretended, tmp_path: Path
) -> None:
    with opened(service, tmp_path / "buffer", max_bytes=2000, when_full="drop") as buffer:
        chat = buffer.create_chat_session()
        chat.say("x" * 3000)
        assert buffer.dropped == 1
        buffer.when_full = "wait"
        with pytest.raises(casefile.BufferFull, match="2000 in all"):
            chat.say("x" * 3000)


def test_a_full_buffer_waits_until_there_is_room(service: Pretended, tmp_path: Path) -> None:
    service.is_plugged_in = False
    with opened(service, tmp_path / "buffer", max_records=3) as buffer:
        chat = buffer.create_chat_session()
        chat.say("one")
        chat.say("two")
        waiting = threading.Thread(target=chat.say, args=("three",))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        service.is_plugged_in = True
        waiting.join(30)
        assert buffer.flush(30)
        assert said(service.logs[str(chat.session_id)]) == ["one", "two", "three"]


def test_a_full_disk_is_told_and_passes(service: Pretended, buffer: casefile.Buffer) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    service.is_plugged_in = False
    chat.say("one")
    buffer._file.execute("PRAGMA max_page_count = 1")  # as large as it is, and no larger

    def fill() -> None:
        while True:
            chat.say("x" * 100_000)

    with pytest.raises(casefile.CasefileError, match="full"):
        fill()
    waiting = len(buffer)
    buffer._file.execute("PRAGMA max_page_count = 100000")
    service.is_plugged_in = True
    chat.say("two")
    assert buffer.flush(30)
    texts = said(service.logs[str(chat.session_id)])
    assert (len(texts), texts[0], texts[-1]) == (waiting + 1, "one", "two")


def test_a_file_that_fails_for_a_while_is_tried_again(
    service: Pretended, buffer: casefile.Buffer
) -> None:
    chat = buffer.create_chat_session()
    assert buffer.flush(30)
    buffer._file.execute("ALTER TABLE queue RENAME TO aside")
    with pytest.raises(casefile.CasefileError, match="can't be used"):
        chat.say("lost, and told so")
    deadline = time.monotonic() + 30
    while buffer.problem is None and time.monotonic() < deadline:
        buffer.flush(0.01)  # there is nothing to send; it looks all the same
    assert "queue" in str(buffer.problem)
    buffer._file.execute("ALTER TABLE aside RENAME TO queue")
    chat.say("two")
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["two"]


def test_what_is_wrong_is_told_at_once(buffer: casefile.Buffer) -> None:
    with pytest.raises(casefile.BadRequest, match="message_type"):
        buffer.create_chat_session().say("Hello", "nobody")


@pytest.mark.parametrize(
    "said",
    [
        {"metadata": {"x": float("nan")}},
        {"metadata": {"x": "\ud83d"}},
        {"metadata": {"x": object()}},
        {"metadata": {"x": "y" * 16_000}},
        {"result": {"x": 10**5000}},
    ],
)
def test_what_cannot_be_recorded_is_told_at_once(
    buffer: casefile.Buffer, said: dict[str, Any]
) -> None:
    tool = buffer.create_tool_session()
    with pytest.raises(casefile.BadRequest):
        tool.record("search", **said)


def test_when_it_was_said_is_kept(service: Pretended, buffer: casefile.Buffer) -> None:
    service.is_plugged_in = False
    before = now_text()
    chat, tool = buffer.create_chat_session(), buffer.create_tool_session()
    chat.say("Hello", metadata={"mood": "good"})
    tool.record("search", result={}, metadata={"step": 1})
    after = now_text()
    service.is_plugged_in = True
    assert buffer.flush(30)
    (sent,) = service.logs[str(chat.session_id)]
    (done,) = service.logs[str(tool.session_id)]
    for metadata, own in (
        (sent["messages"][0]["metadata"], {"mood": "good"}),
        (done["metadata"], {"step": 1}),
    ):
        assert before <= metadata.pop("made_at") <= after
        assert metadata == own


def test_calls_are_recorded(service: Pretended, buffer: casefile.Buffer) -> None:
    tool = buffer.create_tool_session("Trip")

    @tool.recorded()
    def double(a: int) -> int:
        return 2 * a

    @tool.recorded("triple")
    async def thrice(a: int) -> int:
        return 3 * a

    assert (double(2), asyncio.run(thrice(2))) == (4, 6)
    unfit: Any = None
    with pytest.raises(TypeError):
        double(unfit)
    assert buffer.flush(30)
    log = service.logs[str(tool.session_id)]
    assert [each["tool_name"] for each in log] == ["double", "triple", "double"]
    assert [each.get("result") for each in log] == [{"value": 4}, {"value": 6}, None]


def test_a_file_is_one_processs_at_a_time(service: Pretended, tmp_path: Path) -> None:
    with (
        opened(service, tmp_path / "buffer"),
        pytest.raises(casefile.CasefileError, match="another process"),
    ):
        opened(service, tmp_path / "buffer")
    opened(service, tmp_path / "buffer").close()
    (tmp_path / "text").write_text("This is no database. " * 100)
    for unfit in (tmp_path / "text", tmp_path / "no folder" / "buffer", tmp_path):
        with pytest.raises(casefile.CasefileError, match="can't be used"):
            opened(service, unfit)


def test_a_damaged_file_is_told_and_let_go(service: Pretended, tmp_path: Path) -> None:
    service.is_plugged_in = False
    path = tmp_path / "buffer"
    with opened(service, path) as buffer:
        chat = buffer.create_chat_session()
        for number in range(1000):
            chat.say(f"{number:200}")
    whole = path.read_bytes()
    page = 4096 * (len(whole) // 4096 // 2)
    for _ in range(2):
        path.write_bytes(whole[:page] + b"\xff" * 4096 + whole[page + 4096 :])
        with pytest.raises(casefile.CasefileError, match="can't be used"):
            opened(service, path)
    path.write_bytes(whole)
    with opened(service, path) as buffer:
        assert len(buffer) == 1001


def test_whatever_reads_a_damaged_file_tells_so(buffer: casefile.Buffer) -> None:
    assert buffer.flush(30)
    buffer._file.execute("ALTER TABLE queue RENAME TO aside")
    for use in (buffer.refused, buffer.retry_refused, buffer.forget_refused):
        with pytest.raises(casefile.CasefileError, match="can't be used"):
            use()


def test_a_power_cut_may_take_the_last_moments_and_not_the_file(buffer: casefile.Buffer) -> None:
    for setting, normal in (("journal_mode", "wal"), ("synchronous", 1)):
        assert buffer._file.execute(f"PRAGMA {setting}").fetchone() == (normal,)


def test_nobody_else_can_read_the_file(buffer: casefile.Buffer) -> None:
    buffer.create_chat_session().say("Hello")
    files = list(buffer.path.parent.glob("buffer*"))
    assert len(files) > 1  # the journal, too
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_it_sends_by_a_client_that_waits(tmp_path: Path) -> None:
    unfit: Any = casefile.AsyncClient("http://x.invalid")
    with pytest.raises(TypeError, match="sends by"):
        casefile.Buffer(unfit, tmp_path / "b")


def test_a_forked_process_is_told_to_open_its_own(
    service: Pretended, buffer: casefile.Buffer, tmp_path: Path
) -> None:
    chat = buffer.create_chat_session()
    service.is_plugged_in = False
    chat.say("one")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def tell(use: Callable[[], object]) -> None:
        with pytest.raises(casefile.CasefileError) as raised:
            use()
        answers.put(str(raised.value))

    def use() -> None:
        for each in (lambda: chat.say("x"), buffer.flush, buffer.refused, buffer.retry_refused):
            tell(each)
        buffer.close()
        tell(lambda: opened(service, buffer.path))
        service.is_plugged_in = True
        with opened(service, tmp_path / "another") as own:
            own.create_chat_session().say("mine")
            answers.put(own.flush(30))

    child = context.Process(target=use)
    child.start()
    told = [answers.get(timeout=30) for _ in range(6)]
    child.join(30)
    assert all("another file" in each for each in told[:4])
    assert "before a fork" in told[4]
    assert told[5] is True
    service.is_plugged_in = True
    chat.say("two")
    assert buffer.flush(30)
    assert said(service.logs[str(chat.session_id)]) == ["one", "two"]


AGENT = """
import sys, casefile
url, token, path, start = sys.argv[1:]
client = casefile.Client(url, token)
buffer = casefile.Buffer(client, path, longest_pause=0.2, close_seconds=60)
sessions = open(path + ".sessions").read().split()
chat, tool = buffer.chat_session(sessions[0]), buffer.tool_session(sessions[1])
for number in range(int(start), int(start) + 10_000):
    chat.say(str(number))
    if number % 10 == 0:
        tool.record(str(number), result={})
    print(number, flush=True)
    if sys.stdin.readline() == "end\\n":
        break
"""


def test_unplugged_killed_restarted_and_plugged_in_again(
    stack: Stack, sign_in: SignIn, ann: casefile.Client, tmp_path: Path
) -> None:
    """The real service behind a wire that is cut, and an agent that is killed."""
    chat, tool = ann.chat_sessions.create(), ann.tool_sessions.create()
    path = tmp_path / "buffer"
    (tmp_path / "buffer.sessions").write_text(f"{chat.session_id} {tool.session_id}")
    with Plug(stack.url) as plug:

        def agent(start: int) -> subprocess.Popen[str]:
            arguments = [plug.url, sign_in("ann@client.example"), str(path), str(start)]
            return subprocess.Popen(
                [sys.executable, "-c", AGENT, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

        def work(running: subprocess.Popen[str], times: int, last: str = "go") -> int:
            assert running.stdin is not None
            assert running.stdout is not None
            for left in reversed(range(times)):
                number = int(running.stdout.readline())
                running.stdin.write("go\n" if left else f"{last}\n")
                running.stdin.flush()
            return number

        first = agent(0)
        work(first, 20)
        plug.cut()  # in the middle of what is being sent
        number = work(first, 61)  # so the next is no tenth, which would be two records
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        # It may have recorded one more than it could tell.
        second = agent(number + 2)
        work(second, 40)
        plug.join()
        work(second, 20)
        plug.cut()
        plug.join()
        last = work(second, 20, "end")
        second.communicate(timeout=120)
        assert second.returncode == 0
    numbers = [int(message.content) for message in chat.messages()]
    assert numbers in (
        [*range(number + 1), *range(number + 2, last + 1)],
        list(range(last + 1)),
    )
    assert [int(each.tool_name) for each in tool.requests()] == [n for n in numbers if n % 10 == 0]


def test_an_exiting_program_sends_what_it_recorded(
    stack: Stack, sign_in: SignIn, ann: casefile.Client, tmp_path: Path
) -> None:
    chat = ann.chat_sessions.create()
    code = f"""
import casefile
client = casefile.Client({stack.url!r}, {sign_in("ann@client.example")!r})
buffer = casefile.Buffer(client, {str(tmp_path / "buffer")!r}, close_seconds=60)
for number in range(150):
    buffer.chat_session({chat.session_id!r}).say(str(number))
"""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert time.monotonic() - began < 60
    assert [message.content for message in chat.messages()] == [str(n) for n in range(150)]
