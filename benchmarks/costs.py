"""What it costs, from measured units and AWS's list prices: docs/cost.md, and what a run costs.

Every number on the page is worked out here, from `results.json`, `prices.toml`, the template and the figures that
tests/cost holds, so it can't disagree with them; a test writes it anew and compares.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks import fixed, messages, scale
from benchmarks.measuring import Plan
from benchmarks.stores import USER
from casefile import records, transcript
from dev.environments import ROOT
from dev.template import load
from pydantic_models.operations import ChatRequest

PRICES: dict[str, Any] = tomllib.loads((ROOT / "benchmarks/prices.toml").read_text())
HELD: dict[str, Any] = tomllib.loads((ROOT / "tests/cost/held.toml").read_text())
TEMPLATE: dict[str, Any] = load(ROOT / "template.yaml")
PAGE = ROOT / "docs/cost.md"
CONTENTS = messages.contents(1000)

REFRESH_UNITS = sum(scale.REFRESH_UNITS.values())

MILLION = 1_000_000

APPENDS = {"10": "message 10", "100": "message 100", "1000": "message 1,000"}
READS = {"100": "a million times the last 20 of 100", "1000": "of 1,000"}
MEGABYTE = 1024**2
GIGABYTE = 1024**3


def of_reading(reading: dict[str, float]) -> float:
    """Dollars of a million times what a meter read."""
    dynamodb, s3 = PRICES["dynamodb"], PRICES["s3"]
    return float(
        reading["write_units"] * dynamodb["million_write_units"]
        + reading["read_units"] * dynamodb["million_read_units"]
        + reading["puts"] * s3["million_puts"]
        + reading["gets"] * s3["million_gets"]
    )


def of_run(plan: Plan, stores: Iterable[str]) -> float:
    """About what a run on AWS costs, in dollars: that of lists of messages grows as they do."""
    growing = {"langchain": 360, "langgraph": 1100, "strands_snapshots": 1100}
    units = 0.0
    for store in stores:
        appends = (
            plan.up_to + plan.runs * plan.timed_up_to + sum(plan.writers) * plan.appends + 1100
        )
        each = 210 if store in growing else 12 if store in ("agno", "langgraph_delta") else 2
        if store in growing:  # Then they end, or lie in S3, each time they are grown.
            grown = min(plan.up_to, growing[store])
            appends = (plan.runs + 3) * grown + sum(plan.writers) * plan.appends
        units += appends * each + plan.sessions * 4
    puts = plan.up_to * (1 + plan.runs) if "strands_s3" in set(stores) else 100
    dynamodb, s3 = PRICES["dynamodb"], PRICES["s3"]
    return float(units * dynamodb["million_write_units"] + puts * s3["million_puts"]) / MILLION


class Door(NamedTuple):
    """A way in, and the dollars of a million messages through it: requests, and answers."""

    name: str
    told: str
    requests: float
    transfer: float


def _doors() -> list[Door]:
    """The one that the template has comes first."""
    api = PRICES["api"]
    transfer = of_transfer(answer_bytes() + PRICES["assumed"]["header_bytes"])
    return [
        Door(
            "REST API",
            "what the template has: usage plans, limits, Cognito",
            api["million_rest"],
            transfer,
        ),
        Door("HTTP API", "a JWT authorizer, no usage plans", api["million_http"], transfer),
        Door(
            "function URL",
            "IAM decides who may; no routes, no limits",
            api["million_function_url"],
            transfer,
        ),
        Door("direct", "a function, a Step Functions task, an agent in the same region", 0.0, 0.0),
    ]


def of_function(milliseconds: float) -> float:
    """Dollars of a million invocations."""
    lambda_, assumed = PRICES["lambda"], PRICES["assumed"]
    seconds = milliseconds / 1000 * assumed["function_gigabytes"]
    return float(lambda_["million_requests"] + MILLION * seconds * lambda_["gigabyte_second"])


def of_traces(requests_a_second: float) -> float:
    """Dollars of tracing a million requests, a sample of those that come at such a rate."""
    assumed = PRICES["assumed"]
    sure = min(1.0, assumed["traced_a_second"] / requests_a_second)
    share = sure + (1 - sure) * assumed["traced_share"]
    return float(share * PRICES["tracing"]["million_traces"])


def of_logs(bytes_: float) -> float:
    """Dollars of a million requests that log so much."""
    return float(MILLION * bytes_ / GIGABYTE * PRICES["logs"]["gigabyte"])


def of_transfer(bytes_: float) -> float:
    """Dollars of a million answers of so many bytes to whoever asks from outside AWS."""
    return float(MILLION * bytes_ / GIGABYTE * PRICES["transfer"]["gigabyte"])


def content_bytes() -> float:
    """Of a message of the benchmark's, in an answer."""
    return fmean(len(json.dumps(content)) for content in CONTENTS)


def answer_bytes() -> int:
    """The body of the answer to such a message, which it tells again."""
    return int(HELD["answer_bytes"]["held"]) + round(content_bytes())


OFTEN, SELDOM = 0.1, 10.0
"""Seconds between the messages of a session that is busy, and of one that isn't."""


def of_lists(every: float) -> float:
    """Dollars of keeping lists current over a million appends: units, and the follower's time.

    They are of sessions that append `every` so many seconds, on a shard that is not full.
    """
    units = REFRESH_UNITS * PRICES["dynamodb"]["million_write_units"]
    seconds = PRICES["assumed"]["follower_milliseconds_per_session"] / 1000
    time = seconds * PRICES["assumed"]["function_gigabytes"] * PRICES["lambda"]["gigabyte_second"]
    return float(scale.refreshes_per_append(every) * (units + MILLION * time))


def of_turns(reading: dict[str, float]) -> float:
    """Dollars of a million records and their Lambda, two instances writing each session in turn."""
    dynamodb, assumed = PRICES["dynamodb"], PRICES["assumed"]
    units = HELD["turns_units"]["held"] * reading["write_units"]
    return float(
        units * dynamodb["million_write_units"]
        + HELD["turns_read_units"]["held"] * dynamodb["million_read_units"]
        + of_function(assumed["warm_milliseconds"] + assumed["lost_race_milliseconds"])
    )


def at_rest(stored_bytes: float, *, backed_up: bool = True, in_s3: bool = False) -> float:
    """Dollars a month of a million messages that lie there."""
    gigabytes = MILLION * stored_bytes / GIGABYTE
    if in_s3:
        return float(gigabytes * PRICES["s3"]["gigabyte_month"])
    dynamodb = PRICES["dynamodb"]
    backup = dynamodb["backup_gigabyte_month"] if backed_up else 0
    return float(gigabytes * (dynamodb["gigabyte_month"] + backup))


def _table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"


def write(results: dict[str, Any], page: Path = PAGE) -> None:
    """Write docs/cost.md."""
    page.write_text(as_page(results))


def as_page(results: dict[str, Any]) -> str:
    """docs/cost.md."""
    prices, assumed = PRICES, PRICES["assumed"]
    stores = results["stores"]
    ours = stores["casefile"]
    write_unit = prices["dynamodb"]["million_write_units"]
    append = of_reading(ours["mean"])
    function = of_function(assumed["warm_milliseconds"])
    logs = of_logs(assumed["log_bytes"])
    rate = assumed["requests_a_second"]
    traces, all_traces = of_traces(rate), of_traces(1)
    lists_often, lists_seldom = of_lists(OFTEN), of_lists(SELDOM)
    _, _, rest, transfer = _doors()[0]
    creation = HELD["create_units"]["held"] / assumed["sessions_of"] * write_unit
    closing = (HELD["close_units"]["held"] + 1) / assumed["sessions_of"] * write_unit
    filed = sum(
        HELD[f"filed_{each}_units"]["held"] - HELD[f"{each}_units"]["held"]
        for each in ("create", "close")
    )
    filed *= write_unit / assumed["sessions_of"]
    each_way = 2 / assumed["sessions_of"]  # An opening and a closing, for each message.
    around = function + logs + traces
    telling = of_function(assumed["telling_milliseconds"])
    told = each_way * (prices["events"]["million_events"] + telling)
    unused = sum(
        each.dollars
        for each in fixed.of_template(TEMPLATE, prices)
        if fixed.holds(TEMPLATE, each.condition)
    )
    inside = append + lists_often + creation + closing + told + (1 + each_way) * around
    whole = inside + (1 + each_way) * (rest + transfer)
    traced, all_traced = (1 + each_way) * traces, (1 + each_way) * all_traces
    session = creation + closing + told + each_way * (around + rest + transfer)
    parts = [
        ("DynamoDB: the record", f"{ours['mean']['write_units']:.2f} WRU × ${write_unit}", append),
        (
            "DynamoDB: opening and closing its session",
            f"({HELD['create_units']['held']} + {HELD['close_units']['held'] + 1} WRU) ÷ "
            f"{assumed['sessions_of']} messages × ${write_unit}",
            creation + closing,
        ),
        (
            f"DynamoDB and Lambda: lists, a session at {1 / OFTEN:.0f} messages a second",
            f"a refresh of {REFRESH_UNITS:.0f} WRU and "
            f"{assumed['follower_milliseconds_per_session']} ms every "
            f"{scale.REFRESH_SECONDS / OFTEN:.0f} messages",
            lists_often,
        ),
        (
            "Lambda",
            f"{_dollars(prices['lambda']['million_requests'])} + {assumed['warm_milliseconds']} ms × "
            f"{assumed['function_gigabytes']} GB × ${prices['lambda']['gigabyte_second']:.10f}",
            function,
        ),
        (
            "CloudWatch Logs",
            f"{assumed['log_bytes']} B × {_dollars(prices['logs']['gigabyte'])}/GB",
            logs,
        ),
        (
            f"X-Ray, at {rate} requests a second",
            f"({assumed['traced_a_second']} + {assumed['traced_share']:.0%} of the rest) ÷ {rate} × "
            f"{_dollars(prices['tracing']['million_traces'])}",
            traces,
        ),
        ("API Gateway, REST", "by the request", rest),
        (
            "Data transfer: the answer, which tells the message again",
            f"({answer_bytes():,.0f} B + {assumed['header_bytes']} B of headers) × "
            f"{_dollars(prices['transfer']['gigabyte'])}/GB",
            transfer,
        ),
        (
            "two requests more, to open and close its session",
            f"2 ÷ {assumed['sessions_of']} messages × the five lines above",
            each_way * (around + rest + transfer),
        ),
        (
            "EventBridge and Lambda: that it was opened, and closed",
            f"2 ÷ {assumed['sessions_of']} messages × "
            f"({_dollars(prices['events']['million_events'])} + {_dollars(telling)})",
            told,
        ),
    ]
    return f"""# What it costs

A million messages recorded through the REST API cost about **{_dollars(whole)}**, of which API
Gateway takes {_dollars((1 + each_way) * rest)} and the record itself {_dollars(append)}; **{
        _dollars(whole - lists_often + lists_seldom)
    }** if their sessions
get one every {SELDOM:.0f} seconds, and {
        _dollars(of_turns(ours["mean"]) - append - function)
    } more if two
instances write each session in turn. That is at {rate} requests a second. At one or less it is **{
        _dollars(whole - traced + all_traced)
    }**,
since X-Ray traces one a second, and {assumed["traced_share"]:.0%} of the rest; without traces
(`Tracing=Disabled`) it is **{
        _dollars(whole - traced)
    }** at any rate. A stack that nobody uses costs {_dollars(unused)} a month, most of
it for being watched, and the room that records take.

This page is made by `make bench ARGS=--draw` from measured units ([benchmarks](benchmarks.md)) and
AWS's list prices in {prices["region"]} of {prices["date"]}, without free tiers
([`prices.toml`](../benchmarks/prices.toml)). What can't be measured at home is assumed there, too,
and named here: {assumed["warm_milliseconds"]} ms of Lambda for an append, {assumed["log_bytes"]}
bytes of log, {
        assumed["header_bytes"]
    } of an answer's headers. Change them there, and make the page again.

## A million messages, one by one

{
        _table(
            ["what", "how it comes about", "dollars"],
            [
                *([name, how, _dollars(amount)] for name, how, amount in parts),
                ["**together**", "", f"**{_dollars(whole)}**"],
            ],
        )
    }

Sessions of one message every {SELDOM:.0f} seconds keep their lists current for {
        _dollars(lists_seldom)
    } a million
messages instead of {_dollars(lists_often)}: the same refresh, for {
        scale.REFRESH_SECONDS / SELDOM:.0f} messages instead of {
        scale.REFRESH_SECONDS / OFTEN:.0f}. That is
{
        "more" if lists_seldom > append else "less"
    } than the record itself; `RefreshSeconds=300` divides it by up to {
        300 / scale.REFRESH_SECONDS:.0f}. A session that is filed in a
casefile is in two lists more: its refresh takes {
        REFRESH_UNITS + scale.FILED_REFRESH_UNITS:.0f} units instead of {
        REFRESH_UNITS:.0f}, its creation, in a transaction with the
casefile, {HELD["filed_create_units"]["held"]} instead of {
        HELD["create_units"]["held"]
    } (filing it later {HELD["link_units"]["held"]} more), and its closing {
        HELD["filed_close_units"]["held"] + 1
    } instead of {HELD["close_units"]["held"] + 1}. To be
created and closed there costs {_dollars(filed)} a million messages more.

That is of sessions whose next message comes to the instance that recorded the last. Lambda promises
nothing of the kind: where two instances write a session in turn, neither has seen the newest record,
and each message is {HELD["turns_calls"]["held"]} calls, a put that is lost, a query and a put, for
{HELD["turns_units"]["held"]} times the write units, a read unit and {
        assumed["lost_race_milliseconds"]
    } ms more: {_dollars(of_turns(ours["mean"]))} instead
of {_dollars(append + function)} for the record and Lambda together.

All this is of appends by the session's owner. What somebody else may do is read each time: when an
editor of the casefile appends, that is {HELD["shared_append_calls"]["held"]} call and {
        HELD["shared_append_read_units"]["held"]
    } read units more if the heads of session and casefile have up to 4 KB each, {
        _dollars(
            HELD["shared_append_read_units"]["held"] * prices["dynamodb"]["million_read_units"]
        )
    } a million.

## Unused, and by the month

{_table(*_by_the_month())}

In an account with nothing else in it, it is less: ten alarms and three dashboards are free there, and a
million requests each to SQS and to Lambda. The alarms and the dashboard, which shows them, may be deleted
from the template; nothing else needs them. So may the events `Requests` and `OrderedRequests`
of `OnRequest`, where no other system sends requests to the queues. `IdleHours=0` stops the
hourly round.

What isn't paid at rest, but isn't in the price of a million messages, either:

- **Metrics of one's own** cost {
        _dollars(prices["logs"]["metric_month"])
    } a month each, in the hours in
  which they are sent: `Appends` of each operation that records, and the others
  ([runbook](runbook.md)) when there is something to tell. A stack with chats and tool executions sends
  two all the time, and perhaps ten now and then; with `Archive=true`, `ArchiveLag` is sent each hour.
- **Cognito** takes {
        prices["cognito"]["user_month"] * 100:.1f} cents a month for each user who signs in; the
  first ten thousand are free.
- **`CustomerKey`** adds requests to KMS, {
        _dollars(prices["kms"]["million_requests"])
    } a million: few, since DynamoDB and S3 use what
  they are given for some minutes. After each of its first two years the key costs {
        _dollars(prices["kms"]["key_month"])
    } a month more, as it is
  changed then. Without it, AWS's own keys cost nothing.
- **Idle sessions that are open** are looked at each hour, half a read unit each: a thousand of them
  {_dollars(fixed.HOURS * 1000 * 0.5 * prices["dynamodb"]["million_read_units"] / MILLION)} a month.

## A million messages in what people use today

Of the store alone: no function, no API, since those are the caller's in each case. A message is
appended to a session that has so many; where a store rewrites what is there, the price is that of
its place. Casefile's row is the record alone, too; lists are in the table above. A message is a turn
here: LangGraph's saver and Strands' snapshots save at the end of one, so where a turn adds two messages,
each costs half there.

{_table(*_of_stores(stores, "append", APPENDS))}

Local files (OpenAI's SQLite, ADK's) cost nothing a request, and need a machine that stays.

## A month at rest

A million messages of the benchmark's, a month, backups (point-in-time recovery) included where the
template has them, and the {
        assumed["item_overhead"]
    } bytes that DynamoDB adds to each item. Sessions have {assumed["sessions_of"]}
messages each; a session is {HELD["create_units"]["held"]} items of {
        assumed["head_bytes"] + assumed["item_overhead"]
    } bytes, one in the table and one in each of its lists.

{_table(*_at_rest())}

## Reading

{_table(*_of_stores(stores, "newest", READS))}

Of the store alone, too. Where messages leave AWS, whatever store they come from, that is dearer than
reading them: the contents of twenty are {20 * content_bytes() / 1024:.0f} KB, {
        _dollars(of_transfer(20 * content_bytes()))
    } a million times.

## What to turn for less

- **Send batches.** One request holds up to a hundred messages in one record. 25 messages at once
  take {
        HELD["batch_units"][
            "held"
        ]:.2f} times the write units of 25 appends, and a 25th of everything
  else but their session and the answers, which tell all messages: a million messages come to about
  **{_dollars(_batched(append, whole, session + of_transfer(answer_bytes())))}** instead of {
        _dollars(whole)
    }, at as many requests a second.
- **Make request ids UUIDv7s**, as the Python client does: they tell that they are new. An instance that
  meets a session then takes {
        HELD["cold_append_read_units"]["held"]:g} read units more for its first append to it; with
  random ids it takes {
        HELD["random_append_read_units"]["held"]:g} if a message comes every ten seconds, and
  the more, the more there are.
- **Leave the REST API** for another door; each function answers all of them, and nothing else
  changes.

{
        _table(
            [
                "door",
                "what it has",
                "dollars a million requests",
                "their answers leave AWS",
                "a million messages in all",
            ],
            (
                [
                    door.name,
                    door.told,
                    _dollars(door.requests),
                    _dollars(door.transfer),
                    _dollars(inside + (1 + each_way) * (door.requests + door.transfer)),
                ]
                for door in _doors()
            ),
        )
    }

- **`RefreshSeconds`**: up to 300. Lists then lag by five minutes, and cost up to {
        300
        / scale.REFRESH_SECONDS:.0f} times less, as long as a shard of the stream gets fewer than {
        scale.FULL_BATCH / 300:.0f} records a second: a batch that is full
  [ends the window](scale.md#the-streams-follower).
- **`Tracing=Disabled`** saves {_dollars(traced)} a million messages at {
        rate
    } requests a second, and {_dollars(all_traced)} at
  one or less; **`LogRetentionDays`** what logs cost at rest, ${
        prices["logs"]["gigabyte_month"]
    } a gigabyte and month.
- **`MessageEvents=off`** is the default; on, each message costs an event, too,
  ${prices["events"]["million_events"]:.2f} a million, and up to {
        _dollars(telling)
    } for what sends it, which takes those of a second together.
- **Provisioned capacity** suits a load that is the same all day: a million write units then cost
  {_dollars(prices["dynamodb"]["provisioned_write_unit_hour"] / 3600 * MILLION)} instead of
  ${write_unit}, if all of it is used all the time.

## When content goes to S3

An S3 PUT costs ${prices["s3"]["million_puts"]:.2f} a million, as much as {
        prices["s3"]["million_puts"] / write_unit:.0f} write units; a GET ${
        prices["s3"]["million_gets"]:.2f}, as much as {
        prices["s3"]["million_gets"] / prices["dynamodb"]["million_read_units"]:.1f} strongly read
units of 4 KB. So writing alone breaks even at {
        prices["s3"]["million_puts"] / write_unit
        + 1:.0f} KB of what is stored, after deflating: the
PUT, and the unit of the record that points at it.

{_table(*_of_sizes())}

With one read the two still meet at 9 KB; each further one is dearer from S3 below 17 KB. But a page
of twenty such records would wait for twenty GETs instead of one query. So the threshold is 32 KB
stored ([`records.py`](../layers/models/casefile/records.py)): {
        MEGABYTE // records.MAX_STORED_BYTES
    } such records are what one query
reads (1 MB), and writing one in the table costs at most {
        32
        * write_unit
        / (prices["s3"]["million_puts"] + write_unit):.1f} times what S3 would. At rest,
S3 is {at_rest(1) / at_rest(1, in_s3=True):.0f} times cheaper, as what lies there isn't backed up.
"""


def _batched(append: float, whole: float, by_message: float) -> float:
    """Dollars in batches of 25, of which something is paid by the message all the same."""
    around = whole - append - by_message
    return float(append * HELD["batch_units"]["held"] + around / 25 + by_message)


def _of_stores(
    stores: dict[str, Any], what: str, points: dict[str, str]
) -> tuple[list[str], list[list[str]]]:
    """The dollars of a million times something, where it has been measured."""

    def told(store: dict[str, Any], point: str) -> str:
        reading = store[what].get(point)
        return _dollars(of_reading(reading)) if reading else _ended(store)

    return ["store", *points.values()], [
        [store["title"], *(told(store, point) for point in points)]
        for store in stores.values()
        if store["lives_in"] != "a file" and store.get(what)
    ]


def _ended(store: dict[str, Any]) -> str:
    ended = store["ended"] or {}
    return f"ends at {ended['ended']}" if "ended" in ended else "not measured"


def _by_the_month() -> tuple[list[str], list[list[str]]]:
    """What is paid while nobody uses it; and what parameters add that are off by default."""
    found = fixed.of_template(TEMPLATE, PRICES)
    on = [each for each in found if fixed.holds(TEMPLATE, each.condition)]
    off = [each for each in found if each not in on]
    return ["what", "how many", "dollars a month"], [
        *([each.what, str(each.many), _dollars(each.dollars)] for each in on),
        ["**together**", "", f"**{_dollars(sum(each.dollars for each in on))}**"],
        *(
            [f"more with `{each.condition}`: {each.what}", str(each.many), _dollars(each.dollars)]
            for each in off
        ),
    ]


def _at_rest() -> tuple[list[str], list[list[str]]]:
    ours, raw = stored_bytes()
    assumed = PRICES["assumed"]
    more = assumed["item_overhead"]
    head = (assumed["head_bytes"] + more) / assumed["sessions_of"]
    places = (HELD["create_units"]["held"] - 1) * head
    in_table, lists = ours + more + head, at_rest(places, backed_up=False)
    return ["what", "bytes a message", "dollars a month"], [
        ["Casefile", f"{in_table + places:,.0f}", _dollars(at_rest(in_table) + lists)],
        [
            "raw PutItem, and others that keep JSON",
            f"{raw + more:,.0f}",
            _dollars(at_rest(raw + more)),
        ],
        ["objects in S3, each a message's JSON", f"{raw:,.0f}", _dollars(at_rest(raw, in_s3=True))],
    ]


def stored_bytes() -> tuple[float, float]:
    """What a message of the benchmark takes at rest: a record of ours, and a bare item."""
    session, request = f"cs_260101_{'a' * 16}", str(UUID(int=0))
    ours, raw = [], []
    for content in CONTENTS:
        said = {
            "content": content,
            "message_type": "user",
            "metadata": messages.metadata(content),
        }
        asked = ChatRequest.model_validate(
            {"user_id": USER, "payload": {"session_id": session, "messages": [said]}}
        )
        (stored,) = records.pack(session, transcript.chat_entry(asked).content).values()
        ours.append(records.bytes_beside(session) + len(stored))
        raw.append(len(messages.as_json(session, request, "2026-01-01T00:00:00Z", content)) + 100)
    return round(fmean(ours), -1), round(fmean(raw), -1)  # zlib differs from version to version


def _of_sizes() -> tuple[list[str], list[list[str]]]:
    dynamodb, s3 = PRICES["dynamodb"], PRICES["s3"]
    away = s3["million_puts"] + dynamodb["million_write_units"]
    fetched = s3["million_gets"] + dynamodb["million_read_units"]
    head = [
        "stored",
        "a million written in the table",
        "in S3",
        "and read once: in the table",
        "in S3",
    ]

    def row(size: int) -> list[str]:
        written = float(size * dynamodb["million_write_units"])
        read = -(-size // 4) * dynamodb["million_read_units"]
        return [f"{size} KB", *map(_dollars, (written, away, written + read, away + fetched))]

    return head, [row(size) for size in (4, 9, 16, 32, 64, 256)]
