"""A line of the log is JSON whatever it tells, and is left out below the level that was set."""

import json

import pytest

from casefile.config import Misconfigured, log_level
from casefile.log import Log


def test_a_line_tells_who_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    Log(20).info("done", outcome="completed")
    line = json.loads(capsys.readouterr().out)
    assert line["location"].startswith("test_a_line_tells_who_wrote_it:")
    assert (line["level"], line["message"], line["outcome"]) == ("INFO", "done", "completed")


def test_what_no_encoding_can_hold_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    Log(20).info("done", user_id="half a pair: \ud800", about={1})
    line = json.loads(capsys.readouterr().out)
    assert (line["user_id"], line["about"]) == ("half a pair: \ud800", "{1}")


def test_an_exception_is_told_with_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        Log(20).exception("bug", operation="chat")
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["exception_name"]) == ("ERROR", "KeyError")
    assert "test_an_exception_is_told_with_its_stack" in line["exception"]


def test_a_line_is_ascii_whatever_it_tells(capsys: pytest.CaptureFixture[str]) -> None:
    Log(20).info("done", user_id="Zoë")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert json.loads(line)["user_id"] == "Zoë"


@pytest.mark.parametrize(
    ("level", "told"),
    [("", ["INFO", "ERROR"]), ("trace", ["INFO", "ERROR"]), ("WARN", ["ERROR"]), ("FATAL", [])],
)
def test_lines_below_the_level_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str, told: list[str]
) -> None:
    monkeypatch.delenv("POWERTOOLS_LOG_LEVEL", raising=False)
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", level)
    log = Log(log_level())
    log.info("done")
    log.error("bug")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["level"] for line in lines] == told


def test_a_level_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "LOUD")
    with pytest.raises(Misconfigured, match="POWERTOOLS_LOG_LEVEL is 'LOUD', not one of TRACE"):
        log_level()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "1-5759e988-bd862e3fe1be46a994272793",
        ),
        ("Root=my secret words;Parent=53995c3f42cd8ad8", None),
        ("Root=1-5759e988-bd862e3fe1be46a994272793 and more", None),
        ("", None),
    ],
)
def test_a_trace_is_named_if_that_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, told: str | None
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", said)
    Log(20).info("done")
    assert json.loads(capsys.readouterr().out).get("xray_trace_id") == told
