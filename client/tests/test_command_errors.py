"""Whatever is wrong, the command line says so in a line, and by its exit code: no tracebacks."""

import io
import json
import sqlite3
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from casefile._sync.chat_sessions import ChatSession
from casefile.cli import commands
from pydantic_models.canonical.record import Record, Totals, first_seal, sealed
from pydantic_models.export import head_line, record_line

from .conftest import Ran, Run
from .pretended import Pretended

CHAT, TOOL = "cs_251013chat01", "ts_251013_tool001"


def check(ran: Ran, code: int) -> None:
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.strip()
    assert "Traceback" not in ran.err


@pytest.fixture
def service() -> Pretended:
    """A service that has two sessions, and answers no question."""
    service = Pretended()
    service.logs |= {CHAT: [], TOOL: []}
    return service


@pytest.fixture
def offline(run: Run, service: Pretended, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line with this service."""
    monkeypatch.setattr(commands, "_client", service.client)
    return run


@pytest.fixture
def export(tmp_path: Path) -> Path:
    before = first_seal(CHAT, "ann@example.com", 0)
    lines = [head_line(CHAT, "ann@example.com", 0)]
    for number in (1, 2):
        content = json.dumps({"said": f"naïve {number}"}, ensure_ascii=False)
        record = Record(number, "chat", UUID(int=number), 0, content, Totals())
        record = sealed(record, before)
        before = record.seal
        lines.append(record_line(record))
    path = tmp_path / "export.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_byte_that_is_no_text_breaks_its_record(run: Run, export: Path) -> None:
    assert run("verify", str(export)).code == 0
    damaged = export.read_bytes().replace("ï".encode(), b"\xff", 2)
    export.write_bytes(damaged.replace(b"\xff", "ï".encode(), 1))
    for told in (
        run("verify", str(export), "--json"),
        run("verify", "-", "--json", stdin=export.read_bytes()),
    ):
        assert told.code == 7
        assert json.loads(told.out)["record"] == 2
    check(run("verify", str(export)), 7)


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["export", CHAT, "-o", "/nonexistent/x"], "", 1),
        (["send", "/"], "", 2),
        (["verify", "/"], "", 2),
        (["record", CHAT, "--buffer", "/"], "", 1),
        (["record", CHAT], '{"content": "x", "attachments": 5}', 2),
        (["record", CHAT], '{"content": "x", "metadata": "none"}', 2),
        (["record", TOOL], '{"tool_name": "x", "attachments": 5}', 2),
        pytest.param(["record", TOOL], "[" * 100_000, 2, id="deep"),
    ],
)
def test_what_is_wrong_is_a_line_and_an_exit_code(
    offline: Run, arguments: list[str], stdin: str, code: int
) -> None:
    ran = offline(*arguments, stdin=stdin)
    check(ran, code)


def test_what_is_wrong_is_told_by_way_of_a_buffer_too(offline: Run, tmp_path: Path) -> None:
    stdin = '{"content": "x", "metadata": "none"}'
    check(offline("record", CHAT, "--buffer", str(tmp_path / "buffer"), stdin=stdin), 2)


def test_what_a_buffer_had_refused_is_told(offline: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "buffer")
    ran = offline("record", "cs_nosuch", "--buffer", path, stdin='"x"\n"y"')
    assert (ran.code, ran.out) == (1, f"Recorded 2 in {path}: 0 wait, 2 were refused.\n")
    ran = offline("record", CHAT, "--buffer", path, "--json", stdin='"x"')
    assert (ran.code, json.loads(ran.out)) == (0, {"recorded": 1, "waiting": 0, "refused": 0})


def test_whatever_cannot_be_sent_is_kept_in_a_buffer(
    offline: Run, service: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "CLOSE_SECONDS", 0.1)
    service.is_plugged_in = False
    path, many = str(tmp_path / "buffer"), 10_001
    ran = offline("record", CHAT, "--buffer", path, stdin='"x"\n' * many + "{")
    check(ran, 2)
    assert f"What came before was recorded in {path}: {many}.\n" in ran.err
    ran = offline("record", CHAT, "--buffer", path, "--json", stdin='"x"')
    assert json.loads(ran.out) == {"recorded": 1, "waiting": many + 1, "refused": 0}
    service.is_plugged_in = True
    assert offline("send", path).code == 0
    assert sum(len(each["messages"]) for each in service.logs[CHAT]) == many + 1


def test_a_damaged_buffer_is_told(offline: Run, tmp_path: Path) -> None:
    path = tmp_path / "buffer"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE queue (number, session, request_id, refused)")
    for command in (["send", str(path)], ["record", CHAT, "--buffer", str(path)]):
        check(offline(*command, stdin='"x"'), 1)


def test_what_the_terminal_lacks_is_shown_escaped_and_exported_as_it_is(
    offline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    terminal = io.TextIOWrapper(printed, "cp1252", write_through=True)
    monkeypatch.setattr("sys.stdout", terminal)
    assert offline("record", "cs_nosuch", "--buffer", str(tmp_path / "🙂"), stdin='"x"').code == 1
    assert b"\\U0001f642: 0 wait, 1 were refused." in printed.getvalue()
    printed.seek(0)
    printed.truncate()
    monkeypatch.setattr(ChatSession, "export", lambda self: iter(["🙂"]))
    assert offline("export", CHAT).code == 0
    assert printed.getvalue() == "🙂\n".encode()


@pytest.mark.parametrize("url", ["http://[::1", "http://x:port"])
def test_what_is_no_url_is_wrong(run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CASEFILE_URL", url)
    monkeypatch.setenv("CASEFILE_TOKEN", "token")
    check(run("list"), 2)
    check(run("login", url, "--token", "token"), 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),  # which takes one package more
        ("HTTP_PROXY", "::bad::"),
        ("HTTP_PROXY", "http://ann:sec#ret@127.0.0.1:9"),
        ("HTTPS_PROXY", "ftp://127.0.0.1:9"),
        ("NO_PROXY", "[::"),
    ],
)
def test_what_is_no_proxy_is_wrong(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("CASEFILE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CASEFILE_TOKEN", "token")
    ran = run("list")
    check(ran, 2)
    assert "sec" not in ran.err
    check(run("login", "http://127.0.0.1:9", "--token", "token"), 2)


@pytest.mark.parametrize(("arguments", "code"), [(["record", CHAT], 0), (["verify", "-"], 7)])
def test_a_closed_standard_input_is_empty(offline: Run, arguments: list[str], code: int) -> None:
    ran = offline(*arguments, stdin=None)
    assert ran.code == code
    assert "Traceback" not in ran.err


def test_input_that_is_no_text_is_wrong(offline: Run) -> None:
    check(offline("record", CHAT, stdin=b'"\xff"'), 2)


def test_what_is_kept_is_for_its_own_url_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def answer(self: httpx.Client, request: httpx.Request, **_: object) -> httpx.Response:
        asked.append(request)
        return httpx.Response(403)

    monkeypatch.setattr("httpx.Client.send", answer)
    path = tmp_path / "config/casefile/login.json"
    path.parent.mkdir(parents=True)
    mine = {"url": "http://mine.invalid/v1", "token": "token"}
    user = {"pool_id": "eu-west-1_x", "client_id": "c", "refresh_token": "secret"}
    for kept in (mine, user | {"url": "http://mine.invalid/v1"}):
        path.write_text(json.dumps(kept))
        monkeypatch.setenv("CASEFILE_URL", "http://other.invalid/v1")
        ran = run("list")
        check(ran, 3)
        assert "http://mine.invalid/v1" in ran.err
        assert "CASEFILE_TOKEN" in ran.err
        assert not asked
        monkeypatch.setenv("CASEFILE_URL", "http://mine.invalid/v1/")
        check(run("list"), 3)
        assert [each.url.host for each in asked] == ["mine.invalid"]
        asked.clear()
    path.write_text('{"token": "whose?"}')
    check(run("list"), 3)
    assert not asked


def test_an_api_key_is_kept_with_the_login_for_its_url_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str | None]] = []

    def answer(self: httpx.Client, request: httpx.Request, **_: object) -> httpx.Response:
        sent.append((request.url.host, request.headers.get("X-Api-Key")))
        page = {"total_count": 0, "total_is_exact": True, "offset": 0, "limit": 1}
        told = {"request_id": str(UUID(int=1)), "status": "completed", "payload": page}
        return httpx.Response(200, json=told)

    monkeypatch.setattr("httpx.Client.send", answer)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "asked")
    ran = run("login", "http://mine.invalid", "--token", "token", "--api-key", "-")
    assert (ran.code, "asked" in ran.out + ran.err) == (0, False)
    assert run("login", "http://mine.invalid", "--token", "token", "--api-key", "mine\n").code == 0
    assert run("list").code == 0
    monkeypatch.setenv("CASEFILE_API_KEY", "other")
    assert run("list").code == 0
    monkeypatch.delenv("CASEFILE_API_KEY")
    monkeypatch.setenv("CASEFILE_URL", "http://other.invalid")
    check(run("list"), 3)
    monkeypatch.setenv("CASEFILE_TOKEN", "token")
    assert run("list").code == 0
    monkeypatch.setenv("CASEFILE_API_KEY", "other")
    assert run("list").code == 0
    assert run("login", "http://other.invalid", "--token", "token").code == 0
    assert sent == [
        ("mine.invalid", "asked"),
        ("mine.invalid", "mine"),
        ("mine.invalid", "mine"),
        ("mine.invalid", "other"),
        ("other.invalid", None),
        *[("other.invalid", "other")] * 2,
    ]


@pytest.mark.parametrize(
    "text", ["{broken", "[]", '{"url": 5}', '{"url": "http://x.invalid", "refresh_token": "x"}']
)
def test_a_damaged_login_is_none(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "config/casefile/login.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    check(run("list"), 3)
    monkeypatch.setenv("CASEFILE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CASEFILE_TOKEN", "token")
    monkeypatch.setattr("casefile.retries.Retries.attempts", 1)
    monkeypatch.setattr("casefile.retries.Retries.pause", lambda *_: 0.0)
    check(run("list"), 6)  # which needs no login
    assert run("logout").code == 0
