"""The command line against the deployed template: what it prints, and its exit codes."""

import json
import stat
from pathlib import Path

import pytest

import casefile
from dev.local_stack import Stack

from .conftest import Run


def test_a_session_from_login_to_verifying_its_export(
    ann_runs: Run, tmp_path: Path, ann: casefile.Client
) -> None:
    (kept,) = (tmp_path / "config").rglob("login.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    folder = ann_runs("create", "casefile", "--title", "Lisbon").out.strip()
    created = ann_runs("create", "chat", "--title", "Talk", "--casefile", folder, "--json")
    session = json.loads(created.out)["session_id"]
    said = '"Where to, Zoë?"\n\n{"content": "\\u001b[31mLisbon", "message_type": "assistant"}\n'
    assert ann_runs("record", session, stdin=said).out == "Recorded 2.\n"
    shown = ann_runs("show", session).out
    assert shown.splitlines()[0].startswith("Talk (ann@client.example")
    assert "\\x1b[31mLisbon" in shown  # shown, not obeyed
    assert "\x1b" not in shown
    (newest,) = ann_runs("show", session, "--newest", "1", "--json").out.splitlines()
    assert json.loads(newest)["content"] == "\x1b[31mLisbon"
    closed = json.loads(ann_runs("close", session, "--json").out)
    assert closed["total_messages"] == 2
    followed = ann_runs("follow", session, "--json").out.splitlines()
    told = [json.loads(line)["content"] for line in followed]
    assert told == ["Where to, Zoë?", "\x1b[31mLisbon"]
    assert session not in ann_runs("list", "chat", "--casefile", folder).out
    assert session in ann_runs("list", "chat", "--casefile", folder, "--all").out
    assert "Lisbon" in ann_runs("list", "casefiles").out
    assert ann_runs("share", folder, "bob@client.example", "--level", "editor").code == 0
    assert ann.casefile(folder).check("bob@client.example").can_write
    taken = ann_runs("share", folder, "bob@client.example", "--level", "none")
    assert taken.out == f"bob@client.example may no longer use {folder}.\n"
    assert not ann.casefile(folder).check("bob@client.example").can_read

    export = tmp_path / "talk.jsonl"
    assert ann_runs("export", session, "-o", str(export)).code == 0
    assert ann_runs("export", session).out == export.read_text()
    assert ann_runs("verify", str(export), "--seal", closed["seal"]).out.startswith("It holds")
    export.write_text(export.read_text().replace("Where", "Whence"))
    broken = ann_runs("verify", str(export))
    assert (broken.code, "record 1" in broken.err) == (7, True)
    told = json.loads(ann_runs("verify", "-", "--json", stdin=export.read_text()).out)
    assert (told["holds"], told["record"]) == (False, 1)


def test_tool_executions_are_recorded_and_shown(ann_runs: Run) -> None:
    session = ann_runs("create", "tool").out.strip()
    said = [
        {"tool_name": "search", "parameters": {"q": "BER-LIS"}, "result": {"hits": 3}},
        {"tool_name": "book", "error_message": "sold out", "duration_ms": 12},
    ]
    stdin = "\n".join(map(json.dumps, said))
    assert json.loads(ann_runs("record", session, "--json", stdin=stdin).out) == {"recorded": 2}
    shown = ann_runs("show", session).out
    for text in ('{"q": "BER-LIS"}', '{"hits": 3}', "sold out", "12 ms", "failed"):
        assert text in shown
    assert session in ann_runs("list").out
    broken = ann_runs("record", session, stdin=json.dumps(said[0]) + "\nno JSON\n")
    assert broken.code == 2
    assert broken.err.startswith("What came before was recorded: 1.\n")


def test_an_export_that_breaks_off_leaves_nothing(ann_runs: Run, tmp_path: Path) -> None:
    assert ann_runs("export", "ts_251013_nosuch", "-o", str(tmp_path / "x.jsonl")).code == 4
    assert not list(tmp_path.glob("x.jsonl*"))


def test_what_is_taken_back_is_shown(ann_runs: Run, ann: casefile.Client) -> None:
    talk = ann.chat_sessions.create()
    one, _ = talk.say("one"), talk.say("Never mind")
    talk.rewind(1)
    talk.replace(one, {"content": "ONE", "message_type": "user"})
    talk.close()
    everything = ann_runs("show", talk.session_id).out
    assert "ONE" in everything
    assert "in the place of message 1" in everything
    assert "Never mind" not in everything
    followed = ann_runs("follow", talk.session_id, "--after", "2").out.splitlines()
    assert followed[0].strip() == "taken back: the first message stands"
    assert "ONE" in followed[1]
    first, second = ann_runs("follow", talk.session_id, "--after", "2", "--json").out.splitlines()
    assert json.loads(first) == {"keep": 1}
    assert json.loads(second)["replaces"] == one.message_id


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["show", "cs_nosuch"], "", 4),
        (["show", "nonsense"], "", 2),
        (["create", "casefile"], "", 2),
        (["list", "nonsense"], "", 2),
        (["record", "cs_nosuch"], "{", 2),
        (["record", "cs_nosuch"], "7", 2),
        (["record", "ts_251013_nosuch"], '{"tool_name": "x", "odd": 1}', 2),
        (["verify", "/nonexistent"], "", 2),
    ],
)
def test_exit_codes_mean_something(
    ann_runs: Run, arguments: list[str], stdin: str, code: int
) -> None:
    ran = ann_runs(*arguments, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err
    assert "Traceback" not in ran.err


def test_who_is_not_logged_in_is_told_so(run: Run, stack: Stack) -> None:
    assert run("list").code == 3
    assert run("login", stack.url, "--token", "nonsense").code == 3
    assert run("list").code == 3


def test_a_user_logs_in_with_a_password_that_is_not_kept(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    email, password = "cleo@client.example", "Aa1!correct horse"
    stack.token(email)
    pool, client = stack.outputs["UserPoolId"], stack.outputs["UserPoolClientId"]
    stack.client("cognito-idp").admin_set_user_password(
        UserPoolId=pool, Username=email, Password=password, Permanent=True
    )
    monkeypatch.setattr("typer.prompt", lambda *_, **__: password)
    named = ["--pool-id", pool, "--client-id", client, "--cognito-url", stack.endpoint]
    assert run("login", stack.url, *named, "--email", email).code == 0
    (kept,) = (tmp_path / "config").rglob("login.json")
    assert "horse" not in kept.read_text()
    session = run("create", "chat").out.strip()
    assert session in run("list", "chat").out
    assert run("logout").out == "Logged out.\n"
    assert run("list").code == 3


def test_what_cannot_be_sent_waits_in_a_file_until_it_is(
    ann_runs: Run, tmp_path: Path, ann: casefile.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ann_runs("create", "chat").out.strip()
    path = str(tmp_path / "buffer")
    with monkeypatch.context() as away:
        away.setenv("CASEFILE_URL", "http://127.0.0.1:9")
        away.setenv("CASEFILE_TOKEN", "token")
        away.setattr("casefile.cli.commands.CLOSE_SECONDS", 0.1)
        away.setattr("casefile.cli.commands.SEND_SECONDS", 0.1)
        ran = ann_runs("record", session, "--buffer", path, stdin='"one"\n"two"\n')
        assert (ran.code, ran.out) == (0, f"Recorded 2 in {path}: 2 wait, 0 were refused.\n")
        assert ann_runs("send", path).code == 6
    assert ann_runs("send", path).out == "All is sent.\n"
    assert [message.content for message in ann.chat_session(session).messages()] == ["one", "two"]
