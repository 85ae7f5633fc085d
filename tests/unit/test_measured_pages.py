"""The pages that are made of measurements say what was measured."""

import copy
import json
import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import costs, fixed, measuring, meter, race, report, scale
from benchmarks.__main__ import merged
from benchmarks.measuring import FULL, QUICK
from benchmarks.peers import CASEFILE, IN_TURN, PEERS, RAW
from benchmarks.place import Place
from tests.template import ROOT, resources, template

RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks/results.json").read_text())


@pytest.mark.parametrize("page", [report, costs, scale], ids=lambda page: page.PAGE.name)
def test_a_page_is_what_its_results_make_it(page: Any) -> None:
    assert page.PAGE.read_text() == page.as_page(RESULTS), "make bench ARGS=--draw writes it anew"


def test_the_readme_has_what_its_results_draw_in_it() -> None:
    readme = report.README.read_text()
    assert readme == report.as_readme(RESULTS, readme), "make bench ARGS=--draw writes it anew"
    assert report.at_a_glance(RESULTS) in readme


def test_what_the_readme_says_of_figures_is_what_is_held_and_measured() -> None:
    readme = " ".join(report.README.read_text().split())
    assert costs.HELD["turns_units"]["held"] == pytest.approx(2, abs=0.1)
    eight = scale.races()[8]
    assert f"take {eight.calls_each:.1f} calls and {eight.units_each:.1f} units" in readme
    assert f"lists {costs.HELD['lists_units_seldom']['held']:.2f} more" in readme
    units = {
        name: {many: found["read_units"] for many, found in store["newest"].items()}
        for name, store in RESULTS["stores"].items()
        if name in {"casefile", "raw", "deflated"}
    }
    ours, raw = units["casefile"], units["raw"]
    shares = [ours[many] / raw[many] for many in ("1000", "100")]
    assert "are {:.2f} (of 1,000) to {:.2f} (of 100) of the units".format(*shares) in readme
    assert ours["100"] == units["deflated"]["100"]


def test_all_that_is_measured_is_in_the_order_in_which_it_is_compared() -> None:
    assert list(RESULTS["stores"]) == [peer.name for peer in PEERS]


def test_what_is_on_other_branches_is_not_told_as_lost() -> None:
    told = copy.deepcopy(RESULTS)
    race = told["stores"]["langgraph"]["race"]["8"]
    race |= {"lost": 0, "branched": 667}
    page = report.as_page(told)
    assert re.search(
        r"\| LangGraph DynamoDBSaver \| .* \| 0 of 800, 667 on other branches \|", page
    )
    assert "On branches that the newest state doesn't have, not lost: LangGraph Dyn" in page
    assert "| LangGraph DynamoDBSaver | on branches | yes | yes |" in page
    race |= {"lost": 1, "branched": 666}
    assert "| LangGraph DynamoDBSaver | no | yes | yes |" in report.as_page(told)


def test_casefile_is_told_to_do_all_alone_only_if_it_does() -> None:
    said = "Casefile alone does all three."
    assert said in report.at_a_glance(RESULTS)
    told = copy.deepcopy(RESULTS)
    assert f"Of these {_in_cloud()} in DynamoDB or S3" in report.at_a_glance(told)
    told["stores"]["agno"]["large"] = {"is_whole": True}
    assert said not in report.at_a_glance(told)


def _in_cloud() -> int:
    """How many stores were measured whole that aren't a file."""
    stores = RESULTS["stores"].values()
    return sum(store["lives_in"] != "a file" and "8" in store["race"] for store in stores)


def test_a_page_is_made_of_what_was_measured_if_casefile_was_not() -> None:
    told = copy.deepcopy(RESULTS)
    for part in ("append", "mean", "newest", "ended", "to_s3", "again", "large", "fresh", "list"):
        told["stores"]["casefile"].pop(part)
    told["stores"]["casefile"] |= {"race": {}, "start": {}, "times": {}, "failed": ["counting"]}
    assert "alone" not in report.at_a_glance(told)
    assert "- Casefile: counting" in report.as_page(told)


def test_a_store_has_rows_in_the_tables_of_what_was_measured_of_it() -> None:
    told = copy.deepcopy(RESULTS)
    told["about"]["place"] = "at home"
    ours = told["stores"]["casefile"]
    bare = {"version": "", "race": {}, "failed": [], "lives_in": "DynamoDB", "runs_in": "an agent"}
    start = {"ratio": 99.0, "cpu_ratio": 99.5, "megabytes": 1}
    appends = {name: ours[name] for name in ("append", "mean", "ended", "to_s3")}
    times = {"append": ours["times"]["append"]}
    told["stores"] |= {
        "turns": {**bare, "title": "in turn", **appends, "times": times, "start": {}},
        "casefile_openai": {**bare, "title": "adapter", "times": {}, "start": start},
    }
    for name in report.ADAPTERS:
        told["stores"][name]["start"] = start
    page = report.as_page(told)
    assert page.count("\n| in turn |") == 2
    assert page.count("\n| adapter |") == 1
    assert "| adapter | an agent | 99 | 99.50 | 1 |" in page
    assert "an agent starts slower than with the store that it replaces" in page
    assert costs.as_page(told).count("\n| in turn |") == 1
    assert costs.as_page(told).count("\n| adapter |") == 0


def test_what_lies_in_s3_is_timed_on_aws_alone() -> None:
    told = copy.deepcopy(RESULTS)
    told["about"]["place"] = "AWS"
    row = r"\n\| Strands S3SessionManager \| \d+\.\d\d \(\d"
    assert re.search(row, report.as_page(told))
    told["about"]["place"] = "at home"
    assert not re.search(row, report.as_page(told))


def test_the_last_twenty_of_as_many_messages_are_compared() -> None:
    told = copy.deepcopy(RESULTS)
    for store in told["stores"].values():
        if "newest" in store:
            store["times"].get("newest", {})["100"] = 12.34
            store["newest"]["100"]["received"] = 77 * 1024
    page = report.as_page(told).split("## The last 20 messages")[1].split("## Writers")[0]
    there = [peer for peer in PEERS if re.search(rf"\n\| {re.escape(peer.title)} \|", page)]
    assert len(there) > 10
    assert page.count("| 77 |") == len([each for each in there if each.lives_in != "a file"])
    assert page.count("| 12.34 |") == len([each for each in there if each.lives_in != "S3"])


def test_a_million_of_a_reading_costs_the_sum_of_its_parts() -> None:
    reading: dict[str, float] = {"write_units": 2, "read_units": 4, "puts": 1, "gets": 3}
    assert costs.of_reading(reading) == pytest.approx(2 * 0.625 + 4 * 0.125 + 5 + 3 * 0.4)


def test_a_million_answers_cost_what_leaves_aws() -> None:
    body = costs.HELD["answer_bytes"]["held"] + costs.content_bytes()
    assert costs.answer_bytes() == pytest.approx(body, abs=1)
    rest, *_, direct = costs._doors()
    assert rest.transfer == pytest.approx((body + 450) * 1e6 / 2**30 * 0.09, rel=0.001)
    assert direct.transfer == 0


def test_a_race_costs_what_it_took_for_each_message_that_was_sent_lost_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = [{"content": f"{writer}/0", "place": None} for writer in range(9)]
    outcome = race.judge([*told, {"content": "9/0", "gave_up": "9/0"}], ["0/0", "1/0"], ["2/0"])
    readings = iter([meter.Reading(), meter.Reading(calls=18, write_units=27, read_units=9)])
    monkeypatch.setattr(meter, "read", lambda _: next(readings))
    monkeypatch.setattr(race, "run", lambda *_, **__: outcome)
    place = Place(direct={}, metered={"BENCH_METER": ""})
    found = measuring.raced(RAW, place, replace(FULL, appends=1), writers=10)
    assert (found["lost"], found["branched"], found["gave_up"]) == (6, 1, 1)
    assert (found["calls"], found["write_units"], found["read_units"]) == (2, 3, 1)


def test_a_mean_is_of_the_messages_that_all_stores_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    appends = [
        {"append": n, "write_units": 1 if n <= measuring.MEAN_OF else 9, "puts": 0}
        for n in range(1, 2000)
    ]

    listers: set[str | None] = set()

    def work(peer: Any, variables: Any, *tasks: object) -> list[Any]:
        if "list" in tasks:
            listers.add(variables.get("BENCH_USER"))
        if tasks[0] == "grow":
            return appends
        names = [name for name in tasks if name in ("fill", "once", "again", "large", "list")]
        return [{"filled": "s"} if name == "fill" else {"seen": 1} for name in names]

    monkeypatch.setattr(measuring, "work", work)
    place = Place(direct={}, metered={})
    of = {peer.name: measuring.counted(peer, place, FULL) for peer in (CASEFILE, IN_TURN, RAW)}
    assert of["casefile"]["mean"] == of["raw"]["mean"] == {"write_units": 1, "puts": 0}
    assert set(of["casefile"]["random"]) == {"100", "1000"}
    assert of["raw"]["random"] == {}
    assert of["casefile_turns"].keys().isdisjoint({"newest", "list", "fresh"})
    assert None not in listers, "Others' sessions would be read with those that are listed."


@pytest.mark.parametrize(
    ("puts", "last"), [([0, 0, 0, 1, 1], 3), ([0, 0, 0], None), ([1, 1, 1], None)]
)
def test_the_last_append_before_a_session_lies_in_s3_is_told(
    puts: list[int], last: int | None
) -> None:
    appends = [{"append": n, "write_units": 10 * n, "puts": p} for n, p in enumerate(puts, 1)]
    found = measuring._to_s3(appends)
    assert found == (last and {"at": last, "write_units": 20, "puts": 0})


def test_a_store_that_was_measured_anew_takes_its_place_and_the_page_says_when() -> None:
    kept = copy.deepcopy(RESULTS)
    anew = {"at": "2030-01-02", "machine": "an abacus", "seconds": 8, "runs": 3}
    raw = kept["stores"]["raw"] | {"title": "raw, again"}
    found = merged(kept, {"about": anew, "stores": {"raw": raw}})
    assert list(found["stores"]) == list(kept["stores"])
    assert found["about"] == kept["about"]
    assert {name for name, store in found["stores"].items() if store != kept["stores"][name]} == {
        "raw"
    }
    assert "anew on 2030-01-02, in 8 and 2 seconds (an abacus):\nraw, again." in report.as_page(
        found
    )


def test_where_sessions_lie_in_s3_the_table_says_from_when() -> None:
    told = copy.deepcopy(RESULTS)
    told["stores"]["langgraph"] |= {"to_s3": {"at": 899}}
    assert re.search(r"\| LangGraph DynamoDBSaver .* \| in S3 from 900 \|", report.as_page(told))
    assert "LangGraph DynamoDBSaver from message 900" in report.as_page(told)


def test_a_store_that_came_to_no_end_tells_what_its_last_message_took() -> None:
    told = copy.deepcopy(RESULTS)
    store = told["stores"]["langgraph"]
    store["append"]["last"] |= {"at": 1234, "write_units": 321.0}
    assert re.search(r"\| LangGraph DynamoDBSaver .* \| 321 at 1,234 \|", report.as_page(told))
    store["ended"] = {"ended": 1235, "why": "It is full."}
    assert re.search(r"\| LangGraph DynamoDBSaver .* \| ends at 1235 \|", report.as_page(told))


def test_the_page_tells_what_random_ids_cost_if_that_was_measured() -> None:
    told = copy.deepcopy(RESULTS)
    told["about"]["seconds"] = FULL.seconds
    reading = {"calls": 3, "read_units": 12.5, "puts": 0, "gets": 0}
    told["stores"]["casefile"]["random"] = {"1000": reading}
    assert "3 calls, 12.5 RRU with 1,000 of them" in report.as_page(told)
    assert "`make bench` gives" not in report.as_page(told)
    told["about"]["seconds"] = FULL.seconds // 2
    assert f"`make bench` gives {FULL.seconds} and" in report.as_page(told)


def test_what_a_run_on_aws_costs_grows_with_what_it_does() -> None:
    everybody = [peer.name for peer in PEERS if "appends" in peer.measured]
    quick, full = (costs.of_run(plan, everybody) for plan in (QUICK, FULL))
    assert 0 < costs.of_run(QUICK, ["raw"]) < quick < full < 10


def test_a_session_costs_the_requests_and_events_of_its_beginning_and_its_end() -> None:
    page = costs.as_page(RESULTS)
    rows = re.findall(r"^\| (.+?) \| .* \| \**\$([\d.]+)\** \|$", page, re.M)
    dollars = {what: float(amount) for what, amount in rows}
    parts = [what for what, _ in rows][: [what for what, _ in rows].index("**together**")]
    whole = float(rows[len(parts)][1])
    assert whole == pytest.approx(sum(map(dollars.__getitem__, parts)), abs=0.03)
    share = 2 / costs.PRICES["assumed"]["sessions_of"]
    (by_request,) = (dollars[what] for what in parts if what.startswith("two requests more"))
    assert by_request == pytest.approx(share * sum(dollars[each] for each in parts[3:8]), abs=0.01)
    (events,) = (dollars[what] for what in parts if what.startswith("EventBridge"))
    telling = costs.of_function(costs.PRICES["assumed"]["telling_milliseconds"])
    each = costs.PRICES["events"]["million_events"] + telling
    assert events == pytest.approx(share * each, abs=0.005)
    rest, *_, direct = costs._doors()
    by_door = (1 + share) * (rest.requests + rest.transfer)
    assert whole - dollars[direct.name] == pytest.approx(by_door, abs=0.01)


@pytest.mark.parametrize(
    ("rate", "dollars"), [(0.4, 5), (1, 5), (2, 2.625), (10, 0.725), (100, 0.2975), (10_000, 0.25)]
)
def test_fewer_requests_a_second_are_traced_the_more_of_them(rate: float, dollars: float) -> None:
    assert costs.of_traces(rate) == pytest.approx(dollars, abs=0.001)


def test_a_million_messages_are_told_at_the_rate_they_come_at_and_without_traces() -> None:
    told = re.findall(r"\*\*\$([\d.]+)\*\*", costs.as_page(RESULTS))
    at_rate, _, at_one, untraced = map(float, told[:4])
    rate = costs.PRICES["assumed"]["requests_a_second"]
    requests = 1 + 2 / costs.PRICES["assumed"]["sessions_of"]
    assert at_one - at_rate == pytest.approx(requests * (5 - costs.of_traces(rate)), abs=0.01)
    assert at_rate - untraced == pytest.approx(requests * costs.of_traces(rate), abs=0.01)


@pytest.mark.parametrize(
    ("every", "held"),
    [(costs.OFTEN, "lists_units_often"), (costs.SELDOM, "lists_units_seldom")],
)
def test_lists_cost_what_is_held_of_them_and_the_time_of_that(every: float, held: str) -> None:
    units = costs.HELD[held]["held"] * costs.PRICES["dynamodb"]["million_write_units"]
    refreshes = min(1, every / int(template()["Parameters"]["RefreshSeconds"]["Default"]))
    time = refreshes * (costs.of_function(6) - costs.of_function(0))
    assert costs.of_lists(every) == pytest.approx(units + time, abs=0.001)


TEMPLATE: dict[str, Any] = {
    "Parameters": {"Key": {"Default": "false"}, "Hours": {"Default": 720}, "Topic": {}},
    "Conditions": {
        "HasKey": {"Fn::Equals": [{"Ref": "Key"}, "true"]},
        "HasHours": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Hours"}, 0]}]},
        "HasBoth": {"Fn::And": [{"Condition": "HasKey"}, {"Condition": "HasHours"}]},
        "HasEither": {"Fn::Or": [{"Condition": "HasKey"}, {"Condition": "HasHours"}]},
        "HasTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Topic"}, ""]}]},
    },
    "Resources": {
        "Plain": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "a"}},
        "Reckoned": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {"Metrics": [{"Expression": "a+b"}, *[{"MetricStat": {}}] * 2]},
        },
        "Optional": {"Type": "AWS::CloudWatch::Alarm", "Condition": "HasKey"},
        "Key": {"Type": "AWS::KMS::Key", "Condition": "HasKey"},
        "Ordered": {"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": True}},
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Events": {
                    "Asked": {
                        "Type": "SQS",
                        "Properties": {"Queue": {"Fn::GetAtt": ["Ordered", "Arn"]}},
                    },
                    "Hourly": {
                        "Type": "Schedule",
                        "Properties": {
                            "Schedule": "rate(1 hour)",
                            "State": {"Fn::If": ["HasHours", "ENABLED", "DISABLED"]},
                        },
                    },
                    "Route": {"Type": "Api", "Properties": {"Path": "/"}},
                }
            },
        },
    },
}


def test_what_a_stack_costs_unused_is_counted_in_its_template() -> None:
    found = {
        (each.what, each.condition): each for each in fixed.of_template(TEMPLATE, costs.PRICES)
    }
    assert {key: each.many for key, each in found.items()} == {
        ("alarms, by their metrics", None): 3,
        ("alarms, by their metrics", "HasKey"): 1,
        ("KMS key", "HasKey"): 1,
        ("queue that Lambda asks for messages, fifo", None): 1,
        ("function that runs by the clock, rate(1 hour)", "HasHours"): 1,
    }
    assert found["alarms, by their metrics", None].dollars == pytest.approx(0.30)
    # Fifteen a minute, of 730 hours, at half a dollar a million.
    asked = found["queue that Lambda asks for messages, fifo", None]
    assert asked.dollars == pytest.approx(15 * 60 * 730 / 1e6 * 0.50)
    run = found["function that runs by the clock, rate(1 hour)", "HasHours"]
    assert run.dollars == pytest.approx(730 * (0.2e-6 + 0.5 * 0.0000133334))


@pytest.mark.parametrize(
    ("condition", "does"),
    [
        (None, True),
        ("HasKey", False),
        ("HasHours", True),
        ("HasBoth", False),
        ("HasEither", True),
        ("HasTopic", False),
    ],
)
def test_a_condition_is_told_of_a_stack_as_the_template_has_it(
    condition: str | None, does: bool
) -> None:
    assert fixed.holds(TEMPLATE, condition) is does


def test_all_alarms_of_the_template_are_in_what_it_costs_unused() -> None:
    alarms = resources("AWS::CloudWatch::Alarm").values()
    found = fixed.of_template(template(), costs.PRICES)
    counted = sum(each.many for each in found if each.what.startswith("alarms"))
    assert counted == sum(map(fixed.metrics_of, alarms)) >= len(alarms)
    assert sum(each.many for each in found if each.what == "dashboard") == 1


def test_every_chart_that_a_page_shows_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        (page.parent / link).resolve()
        for page in pages
        for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())
    }
    assert shown
    assert [chart for chart in shown if not chart.exists()] == []


def test_the_chart_of_write_units_names_each_store_that_has_some() -> None:
    chart = (ROOT / "docs/charts/write-units.svg").read_text()
    drawn = [
        store["title"]
        for store in RESULTS["stores"].values()
        if store["lives_in"] == "DynamoDB" and store.get("append")
    ]
    assert [title for title in drawn if f"{title}<" not in chart] == []


def test_a_race_without_rivals_takes_one_call_for_each_record() -> None:
    alone, many = scale.Race().run(1, 200), scale.Race().run(8, 200)
    assert alone.calls_each == pytest.approx(1, abs=0.01)
    assert many.calls_each > 1.2
    assert many.per_second == pytest.approx(alone.per_second, rel=0.1)


def test_filings_take_two_calls_each_and_more_writers_file_hardly_more() -> None:
    alone, many = scale.Filing().run(1, 200), scale.Filing().run(8, 200)
    assert alone.calls_each == pytest.approx(2, abs=0.01)
    # A look and a transaction, three round trips of 5 ms, and 2 ms of its own before each.
    assert alone.per_second == pytest.approx(1 / 0.019, rel=0.05)
    assert many.calls_each > 4
    assert many.per_second < 2 * alone.per_second


def test_the_model_of_a_race_is_near_the_races_that_were_run() -> None:
    found = scale.compared(RESULTS)
    assert set(found) == {2, 8}
    for measured, simulated in found.values():
        assert simulated == pytest.approx(measured, rel=scale.AS_MEASURED)


def test_what_ends_first_is_what_the_figures_say() -> None:
    held = tomllib.loads((ROOT / "tests/cost/held.toml").read_text())
    assert scale.refreshes_per_append(10) * sum(scale.REFRESH_UNITS.values()) == pytest.approx(
        held["lists_units_seldom"]["held"], abs=0.01
    )
    limits = scale.limits(10)
    assert [limit.at for limit in limits] == sorted(limit.at for limit in limits)
    assert limits[0].at == scale.STAGE_REQUESTS


@pytest.mark.parametrize("every", [1.0, 10.0, 60.0])
def test_a_full_shard_brings_the_refreshes_that_its_follower_makes(every: float) -> None:
    shard = scale.full_shard(every)
    assert shard.per_second * shard.units == pytest.approx(scale.PARTITION_WRITES, rel=0.001)
    followed = scale.follow(shard.per_second, every, batches=20)
    assert shard.refreshes == pytest.approx(followed.refreshes_per_append, rel=0.05)


def test_partitions_take_records_and_refreshes() -> None:
    loads = scale.partitions(4, 100, 1_000)
    often = 100 / scale.window_of(1_000 / 4)  # Each session writes at least once in a window.
    assert sum(loads) == pytest.approx(1_000 * scale.APPEND_UNITS + often)
    seldom = scale.partitions(4, 100_000, 10)  # And here hardly one does.
    assert sum(seldom) == pytest.approx(10 * (scale.APPEND_UNITS + 1), rel=0.01)


def test_a_batch_that_is_full_ends_its_window() -> None:
    quiet, busy = scale.refreshes_per_append(10, 50), scale.refreshes_per_append(10, 500)
    assert quiet == scale.refreshes_per_append(10) == pytest.approx(10 / scale.REFRESH_SECONDS)
    assert busy == 1
    assert scale.refreshes_per_append(2, 500) == pytest.approx(2 * 500 / scale.FULL_BATCH)
    assert scale.full_shard(10).refreshes == busy


def test_one_update_at_a_time_falls_behind_where_several_keep_up() -> None:
    assert not scale.follow(400, 10, at_once=1).keeps_up
    assert scale.follow(400, 10).keeps_up
