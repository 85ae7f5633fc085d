"""The judge of the race sees each way in which a store can break what it told."""

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import worker
from benchmarks.race import judge

TOLD: list[dict[str, Any]] = [
    {"content": "0/0", "place": 1},
    {"content": "0/1", "place": 2},
    {"content": "1/0", "place": 3},
    {"refused": "1/1"},
]
RECORDED = ["0/0", "0/1", "1/0"]


def test_what_is_as_it_was_told_is_flawless() -> None:
    outcome = judge([*TOLD, TOLD[0]], RECORDED)
    assert outcome.is_flawless
    assert outcome.refused == {"1/1"}


@pytest.mark.parametrize(
    ("flaw", "more", "recorded"),
    [
        ("lost", [], ["0/0", "0/1"]),
        ("doubled", [], [*RECORDED, "0/0"]),
        ("misplaced", [], ["0/0", "1/0", "0/1"]),
        ("misplaced", [], [*RECORDED, "1/1"]),
        ("misplaced", [{"content": "0/0", "place": 9}, TOLD[0]], RECORDED),
        ("misplaced", [{"refused": "0/0"}], RECORDED),
        ("misplaced", [], ["0/1", "0/0", "1/0"]),
        ("gave_up", [{"gave_up": "2/0"}], RECORDED),
    ],
)
def test_each_flaw_is_seen(flaw: str, more: list[dict[str, Any]], recorded: list[str]) -> None:
    outcome = judge([*TOLD, *more], recorded)
    assert not outcome.is_flawless
    assert getattr(outcome, flaw)


def test_what_is_on_a_branch_that_its_readers_do_not_see_is_not_lost() -> None:
    outcome = judge(TOLD, ["0/0", "1/0"], ["0/0", "0/1"])
    assert outcome.branched == {"0/1"}
    assert outcome.lost == set()
    assert not outcome.is_flawless
    assert judge(TOLD, ["0/0"], ["0/0", "0/1"]).lost == {"1/0"}


@pytest.mark.parametrize(
    ("branches", "told"),
    [({"on_branches": lambda: {"0/1", "0/0"}}, ["0/0", "0/1"]), ({}, [])],
)
def test_a_store_tells_what_is_on_its_branches_if_it_can_have_some(
    branches: dict[str, Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SimpleNamespace(read=lambda: ["0/0"], **branches)
    said: list[object] = []
    monkeypatch.setattr(worker, "say", said.append)
    worker.do(SimpleNamespace(open_store=lambda _: store), "read", "s")
    assert said == [["0/0"], told]
