"""`make invoke` finds its event, or tells which there are."""

import json
from pathlib import Path

import pytest

from dev import invoke
from dev.console import Problem
from tests.conftest import FUNCTIONS
from tests.events import event
from tests.template import ROOT


def test_an_event_is_found_by_its_name_or_in_a_file(tmp_path: Path) -> None:
    assert invoke.read_event("chat", "api") == event("chat", "api")
    assert invoke.read_event("chat", None) == event("chat", "direct")
    assert invoke.read_event("archive_sessions", None) == event("archive_sessions", "schedule")
    (tmp_path / "mine.json").write_text(json.dumps({"operation": "chat"}))
    assert invoke.read_event("chat", str(tmp_path / "mine.json")) == {"operation": "chat"}


def test_every_function_has_an_event_to_try_it_with() -> None:
    for function in FUNCTIONS:
        assert list((ROOT / "tests/events" / function).glob("*.json"))


@pytest.mark.parametrize(
    ("function", "named", "told"),
    [
        (
            "chatt",
            "api",
            "no function 'chatt'. There are: add_session_to_casefile, answer_preflight, ",
        ),
        ("../chat", "api", "no function"),
        ("chat", "apii", "no event 'apii' for chat, nor a file. There are: api, direct, "),
        ("on_request", None, "no event 'direct' for on_request"),
    ],
)
def test_a_wrong_name_is_told_with_the_right_ones(
    function: str, named: str | None, told: str
) -> None:
    with pytest.raises(Problem, match=told):
        invoke.read_event(function, named)


def test_a_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{")
    with pytest.raises(Problem, match=r"mine\.json is not JSON"):
        invoke.read_event("chat", str(tmp_path / "mine.json"))
