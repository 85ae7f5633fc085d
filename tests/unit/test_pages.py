"""The pages that are made of measurements say what was measured."""

import json
import re
import tomllib
from typing import Any

import pytest

from benchmarks import costs, report, scale
from benchmarks.measuring import FULL, QUICK
from benchmarks.peers import PEERS
from tests.template import ROOT, template

RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks/results.json").read_text())


@pytest.mark.parametrize("page", [report, costs, scale], ids=lambda page: page.PAGE.name)
def test_a_page_is_what_its_results_make_it(page: Any) -> None:
    assert page.PAGE.read_text() == page.as_page(RESULTS), "make bench ARGS=--draw writes it anew"


def test_all_that_is_compared_has_been_measured() -> None:
    assert list(RESULTS["stores"]) == [peer.name for peer in PEERS]


def test_a_million_of_a_reading_costs_the_sum_of_its_parts() -> None:
    reading: dict[str, float] = {"write_units": 2, "read_units": 4, "puts": 1, "gets": 3}
    assert costs.of_reading(reading) == pytest.approx(2 * 0.625 + 4 * 0.125 + 5 + 3 * 0.4)


def test_what_a_run_on_aws_costs_grows_with_what_it_does() -> None:
    everybody = [peer.name for peer in PEERS]
    quick, full = (costs.of_run(plan, everybody) for plan in (QUICK, FULL))
    assert 0 < costs.of_run(QUICK, ["raw"]) < quick < full < 10


@pytest.mark.parametrize(
    ("every", "held"),
    [(costs.OFTEN, "lists_units_often"), (costs.SELDOM, "lists_units_seldom")],
)
def test_lists_cost_what_is_held_of_them_and_the_time_of_that(every: float, held: str) -> None:
    units = costs.HELD[held]["held"] * costs.PRICES["dynamodb"]["million_write_units"]
    refreshes = min(1, every / template()["Parameters"]["RefreshSeconds"]["Default"])
    time = refreshes * (costs.of_function(6) - costs.of_function(0))
    assert costs.of_lists(every) == pytest.approx(units + time, abs=0.005)


def test_every_chart_that_a_page_shows_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        (page.parent / link).resolve()
        for page in pages
        for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())
    }
    assert shown
    assert [chart for chart in shown if not chart.exists()] == []


def test_a_race_without_rivals_takes_one_call_for_each_record() -> None:
    alone, many = scale.Race().run(1, 200), scale.Race().run(8, 200)
    assert alone.calls_each == pytest.approx(1, abs=0.01)
    assert many.calls_each > 1.2
    assert many.per_second == pytest.approx(alone.per_second, rel=0.1)


def test_what_ends_first_is_what_the_figures_say() -> None:
    held = tomllib.loads((ROOT / "tests/cost/held.toml").read_text())
    assert scale.refreshes_per_append(10) * sum(scale.REFRESH_UNITS.values()) == pytest.approx(
        held["lists_units_seldom"]["held"], abs=0.01
    )
    limits = scale.limits(10)
    assert [limit.at for limit in limits] == sorted(limit.at for limit in limits)
    assert limits[0].at == scale.STAGE_REQUESTS


def test_one_batch_at_a_time_falls_behind_where_ten_keep_up() -> None:
    assert not scale.follow(600, 10, lanes=1).keeps_up
    assert scale.follow(600, 10).keeps_up
