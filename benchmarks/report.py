"""What came of a run, as tables: docs/benchmarks.md, and what `make bench` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import costs, measuring, scale
from dev.environments import ROOT

PAGE = ROOT / "docs/benchmarks.md"
README = ROOT / "README.md"
BEGINS, ENDS = "<!-- drawn by make bench -->", "<!-- until here -->"
_KINDS = ("put", "get")
POINTS = ("10", "100", "1000", "5000")
ADAPTERS = {
    "casefile_langchain": "langchain",
    "casefile_strands": "strands_s3",
    "casefile_openai": "openai",
}
"""Adapters of Casefile's, and what is used instead with the same SDK."""

Store = dict[str, Any]


def write(results: dict[str, Any]) -> None:
    """Write the pages that are made of results."""
    PAGE.write_text(as_page(results))
    README.write_text(as_readme(results, README.read_text()))
    costs.write(results)
    scale.write(results)


def as_readme(results: dict[str, Any], readme: str) -> str:
    """README with what is drawn in it drawn anew."""
    before, _, rest = readme.partition(BEGINS)
    after = rest.partition(ENDS)[2]
    return f"{before}{BEGINS}\n{at_a_glance(results)}\n{ENDS}{after}"


def as_page(results: dict[str, Any]) -> str:
    """docs/benchmarks.md."""
    about = results["about"]
    return f"""# Measured beside what people use today

Made by `make bench` on {about["at"]}: {about["machine"]}, Python {about["python"]}, DynamoDB by
dynoxide {about["dynoxide"]}. **Units, calls and bytes are exact**: a meter on the wire reads what
each call was charged, whatever client made it; of races they are those of one race each, where
chance decides how often writers meet. **Times are ratios** to a bare boto3 PutItem of 1 KB to the
same engine, one after every other append: medians of {
        about["runs"]
    } runs. They are without a network. On
AWS, add a round trip for each call to the others, from the agent to DynamoDB; to Casefile one more,
and API Gateway's time: its agent asks API Gateway, and its function DynamoDB. So what an agent waits
for is not what this compares, but what is done meanwhile. An append of Casefile's is timed from when
its function has API Gateway's event until it has made the answer: to make the one and to read the
other is the client's work. Other stores are timed as their users call them; those in a file have no
engine in common with the bare PutItem. {_of_s3(about)}A session was grown up to {
        about["up_to"]:,} messages while it was counted,
and {about["timed_up_to"]:,} while it was timed, or as far as a store came in {
        about["seconds"]
    } and in {about["seconds"] // 4} seconds{_shortened(about)};
"–" is what was not reached.
{_anew(results["stores"])}
Contents are the same for all: a median of 600 characters, some of many thousand
([`messages.py`](../benchmarks/messages.py)). Casefile's messages and the raw items carry the same
metadata beside them, others what they make of it themselves. Means are of the first {
        measuring.MEAN_OF:,}, or
of as many as there are of a store. In races they are as short as `3/17`, {
        about["appends"]
    } of each writer.
Each store is driven as its users do, with the settings that its documentation has for production, the
two in a file as in their quick starts ([`stores`](../benchmarks/stores/__init__.py)), in its own
environment. What is better than ours is in the tables like everything else.

{at_a_glance(results)}

{as_text(results)}

![Cold start, import and client](charts/cold-start.svg)

## How to read it, and what it leaves out

- A write unit is 1 KB written. An append of LangChain's, LangGraph's or a snapshot writes the whole
  conversation, so its price grows with it. LangChain's history has no other place for it, so it
  ends when DynamoDB's item is full (400 KB): "ends at". With `history_size=20` it doesn't end: in a
  trial of 450 messages each append took 2 calls and 17 to 21 write units, and the last 20 were read for
  3 read units. It forgets all others then, so it is no record, and not what is measured here.
- LangGraph's saver has `enable_checkpoint_compression` and `s3_offload_config`, and its graph is run
  with `durability="exit"`; Strands' snapshots have `compression="gzip"` and `s3_bucket`. What is larger
  than 350 and 380 KB lies in S3 then, for a PUT each time instead of its units, and a GET to read it{
        _in_s3(results["stores"])
    }.
  Both save at the end of a turn: a message is a turn here, and where a turn adds two, each costs half.
- LangGraph is measured with `MessagesState` in the first place: it is what its documentation starts from,
  and its channel isn't beta. With a `DeltaChannel` a checkpoint has only what is new, and every so many one
  has all; to read it is to walk back to that one, some four calls for each step. Here `snapshot_frequency` is 10; its
  reference's default is 100. In trials, a message up to the 100th took 7.4 write units and 27.5 calls with
  10, 5.9 and 168 with 50, and 5.9 and 368 with 100. The last 20 are read here where a tenth message has
  just brought a snapshot, so without a walk.
- Writers at once *fork* LangGraph's thread: each saves a checkpoint after the one that it knew. What
  is on other branches isn't lost: it is in `get_state_history`, but not in `get_state`, from which the
  next turn goes on. What the others lose is written over.
- Strands' repository is measured with its default, a write for each message. `write_mode="batched"` keeps
  messages in the process and writes several at once: fewer calls and as many units, and a crash loses
  what was kept.
- Calls and units of a race are of each message that was sent, whatever came of it, without those that were
  refused; what is read afterwards isn't counted.
- Casefile's own appends leave lists alone; following the stream costs 4 write units for each session
  and refresh ({
        scale.REFRESH_SECONDS:.0f} s by default): [what it costs](cost.md). The row above them is of one instance, that
  recorded the last message, too. *Two instances in turn* is the other end: neither has ever seen the
  newest record, so each puts, loses, pauses, looks and puts again.
- While it is timed, Casefile runs as on Lambda: imported before, and with a log line for each request.
- While it is measured, Casefile's table has its indexes, and no stream: this engine writes the stream with
  the item, and takes longer for each the more there are; DynamoDB writes it afterwards.
- Casefile's last 20 are read as DynamoDB's clients read by default, so that the newest may come a moment
  late; `consistent=true`, which its Python client asks for, takes twice the units.
- *A new instance* is a process that has just started: to Casefile it is one query more, to Strands'
  repository the whole session. Request ids are UUIDv7s, as Casefile's client makes them, and so tell that
  they are new. One that doesn't is looked for among the records of the last
  minutes{_random(results["stores"]["casefile"])}.
- A cold start gets ready for TLS, as it must on AWS: Casefile's function reads there and then whom to
  trust, boto3 when it is first used. The function is not what an agent loads: that is Casefile's client,
  or an adapter with the SDK that it is for. The client loads an operation's models with its first call: in
  a trial, its first message took a quarter of a start more.{_of_adapters(results["stores"])}
- The engine serialises transactions and never throttles; partitions, hot keys and concurrency at a
  scale that it can't show are in [At scale](scale.md).
- *Refused* is what a store asked its writer five times to send again, with a fresh session each time; the
  writer knows that it isn't stored.
- Chainlit and agno keep no order of their own between writers: a time tells it, so "lost" is all
  that is judged of them. The raw PutItem has neither order nor identity.
- Versions: {
        "; ".join(dict.fromkeys(s["version"] for s in results["stores"].values() if s["version"]))
    }.

## Run it

<!--- skip: next "it takes an hour" --->

```sh
make bench                  # all of it: an hour or so, once everything is installed
make bench ARGS=--quick     # less of everything: five minutes, twice that on a busy machine
make bench ARGS="--seconds 40"    # less time for each store, so shorter sessions
make bench ARGS="--only casefile raw agno"             # with --keep, in place of what is kept of them
make bench ARGS=--aws       # tables and buckets of its own on AWS, deleted after it; asks first
make bench-check            # calls and units alone, against what they are held to; part of make test
```
"""


def _of_s3(about: dict[str, Any]) -> str:
    """What S3 is, if it isn't S3."""
    if about["place"] == "AWS":
        return ""
    return "S3 is the local cloud's, ministack: what lives there isn't timed. "


def _of_adapters(stores: dict[str, Store]) -> str:
    """How adapters start beside the stores that come with the SDKs that they are for."""
    pairs = [
        (stores[ours], stores[theirs])
        for ours, theirs in ADAPTERS.items()
        if stores.get(ours, {}).get("start") and stores.get(theirs, {}).get("start")
    ]
    if not pairs:
        return ""
    slower = all(
        ours["start"]["cpu_ratio"] > theirs["start"]["cpu_ratio"] for ours, theirs in pairs
    )
    says = "starts slower" if slower else "doesn't always start faster"
    told = "; ".join(
        f"{ours['title']} {ours['start']['cpu_ratio']:.2f}, "
        f"{theirs['title']} {theirs['start']['cpu_ratio']:.2f}"
        for ours, theirs in pairs
    )
    return f"""
  **With an adapter an agent {says} than with the store that it replaces**, in processor time:
  {told}."""


def _shortened(about: dict[str, Any]) -> str:
    """What to say of a run that was given less time than is usual."""
    usual = measuring.FULL.seconds
    return f" (`make bench` gives {usual} and {usual // 4})" if about["seconds"] < usual else ""


def _anew(stores: dict[str, Store]) -> str:
    """Which stores were measured later than the rest, and how."""
    runs: dict[tuple[Any, ...], list[str]] = {}
    for store in stores.values():
        if "anew" in store:
            runs.setdefault(tuple(store["anew"].values()), []).append(store["title"])
    return "".join(
        f"\nMeasured anew on {at}, in {seconds} and {seconds // 4} seconds ({machine}):\n"
        f"{'; '.join(titles)}.\n"
        for (at, machine, seconds), titles in runs.items()
    )


def _in_s3(stores: dict[str, Store]) -> str:
    """From which message on a store's sessions lie in S3, of those that came to it."""
    told = [
        f"{store['title']} from message {to_s3(store)}" for store in stores.values() if to_s3(store)
    ]
    return f" ({'; '.join(told or ['neither came to that in its time'])})"


def to_s3(store: Store) -> int:
    """The message from which on a session lies in S3 instead of the table; 0 if there was none."""
    return store["to_s3"]["at"] + 1 if store.get("to_s3") else 0


def _random(store: Store) -> str:
    """What the first append of a new instance takes if its id is a random one."""
    told = [
        f"{found['calls']} calls, {found['read_units']:g} RRU with {int(many):,}"
        for many, found in store.get("random", {}).items()
    ]
    return f" ({'; '.join(told)} of them)" if told else ""


def at_a_glance(results: dict[str, Any]) -> str:
    """What a record of what agents did has to do, and which store does it."""
    stores = {
        name: store
        for name, store in results["stores"].items()
        if "8" in store["race"] and "again" in store and "large" in store
    }
    rows = [
        [store["title"], *("yes" if does else "no" for does in _does(store))]
        for store in stores.values()
    ]
    for row, store in zip(rows, stores.values(), strict=True):
        if store["race"]["8"].get("branched") and not store["race"]["8"]["lost"]:
            row[1] = "on branches"
    head = [
        "",
        "eight writers: has all that it acknowledged",
        "keeps a retry once",
        "takes 500 KB",
    ]
    there = {name: store for name, store in stores.items() if not _is_local(store)}
    alone = [name for name, store in there.items() if all(_does(store))] == ["casefile"]
    lines = ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]
    told = [
        f"Of these {len(there)} in DynamoDB or S3, Casefile alone does all three." if alone else "",
        _of_branches(stores),
        _of_pages(stores),
    ]
    return "\n".join(lines) + "\n\n" + "\n".join(filter(None, told))


def _does(store: Store) -> tuple[bool, ...]:
    """Whether a store keeps what racing writers were told, a retry once, and 500 KB."""
    race = store["race"]["8"]
    return (
        race["lost"] + race.get("branched", 0) == 0,
        store["again"]["copies"] == 1,
        bool(store["large"].get("is_whole")),
    )


def _of_branches(stores: dict[str, Store]) -> str:
    told = [store["title"] for store in stores.values() if store["race"]["8"].get("branched")]
    if not told:
        return ""
    return f"On branches that the newest state doesn't have, not lost: {'; '.join(told)}."


def _of_pages(stores: dict[str, Store]) -> str:
    """What it takes to read the newest of a thousand, of ours and of those that take the most."""
    units = {
        store["title"]: store["newest"]["1000"]["read_units"]
        for store in stores.values()
        if store["lives_in"] == "DynamoDB" and "1000" in store["newest"]
    }
    ours = units.pop("Casefile", None)
    if ours is None:
        return ""
    most = sorted(units.items(), key=lambda each: -each[1])[:2]
    others = ", ".join(f"{_number(each)} of {title}'s" for title, each in most)
    return f"The last 20 of 1,000 messages are {_number(ours)} read units of Casefile's, {others}."


def as_text(results: dict[str, Any]) -> str:
    """The tables."""
    stores: dict[str, Store] = results["stores"]
    if results["about"]["place"] != "AWS":  # What S3 is there takes other times.
        in_s3 = {name for name, store in stores.items() if store["lives_in"] == "S3"}
        stores = stores | {name: stores[name] | {"times": {}} for name in in_s3}
    return "\n\n".join(
        f"## {title}\n\n{_table(head, stores, of)}" for title, head, of in _TABLES
    ) + _failures(stores)


def _failures(stores: dict[str, Store]) -> str:
    told = [f"- {store['title']}: {why}" for store in stores.values() for why in store["failed"]]
    return "\n\n## Not measured\n\n" + "\n".join(told) if told else ""


def _table(head: list[str], stores: dict[str, Store], of: Callable[[Store], list[str]]) -> str:
    """Of all stores of which there is something to tell."""
    told = [(store["title"], of(store)) for store in stores.values()]
    rows = [[title, *cells] for title, cells in told if set(cells) != {"–"}]
    lines = [["store", *head], ["---", *["---:"] * len(head)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _is_local(store: Store) -> bool:
    return bool(store["lives_in"] == "a file")


def _reading(store: Store, reading: dict[str, float] | None) -> str:
    """The units of something, or the requests to S3 if it lives there."""
    if reading is None:
        return _ended(store)
    if _is_local(store):
        return "local"
    units = reading["write_units"] or reading["read_units"]
    parts = [_number(units)] if units or store["lives_in"] != "S3" else []
    parts += [
        f"{_number(reading[f'{kind}s'])} {kind.upper()}" for kind in _KINDS if reading[f"{kind}s"]
    ]
    return ", ".join(parts)


def _ended(store: Store) -> str:
    ended = store.get("ended") or {}
    return f"ends at {ended['ended']}" if "ended" in ended else "–"


def _calls(reading: dict[str, float]) -> float:
    return reading["calls"] + reading["puts"] + reading["gets"]


def _of_appends(store: Store) -> list[str]:
    appends = store.get("append", {})
    if not appends:
        return ["–"] * 7
    return [
        "local" if _is_local(store) else _number(_calls(appends["last"])),
        *(_reading(store, appends.get(point)) for point in POINTS),
        _reading(store, store["mean"]),
        _last(store),
    ]


def _last(store: Store) -> str:
    """How a store ends, or what the last message took that it came to."""
    if to_s3(store):
        return f"in S3 from {to_s3(store)}"
    if "ended" in (store["ended"] or {}) or _is_local(store):
        return _ended(store)
    last = store["append"]["last"]
    return f"{_reading(store, last)} at {last['at']:,}"


def _of_times(store: Store) -> list[str]:
    times = store["times"].get("append", {})

    def told(point: str) -> str:
        found = times.get(point)
        if found:
            return f"{found['ratio']:.2f} ({found['cpu_ratio']:.2f})"
        return _ended(store) if times else "–"

    return [told(point) for point in POINTS]


def _of_newest(store: Store) -> list[str]:
    newest, times = store.get("newest", {}), store["times"].get("newest", {})
    if "100" not in newest:
        return ["–"] * 6
    of_100 = newest["100"]
    there = ["local"] * 2
    if not _is_local(store):
        there = [_number(_calls(of_100)), f"{of_100['received'] / 1024:,.0f}"]
    return [
        *there,
        _number(times.get("100")),
        *(_reading(store, newest.get(point)) for point in POINTS[1:]),
    ]


def _of_races(store: Store) -> list[str]:
    races = store["race"]
    if "8" not in races:
        return ["–"] * 5
    eight = races["8"]

    def lost(writers: str) -> str:
        if writers not in races:
            return "–"
        race = races[writers]
        more = f", {race['gave_up']} refused" if race["gave_up"] else ""
        forked = race.get("branched", 0)
        more += f", {forked:,} on other branches" if forked else ""
        return f"{race['lost']:,} of {race['sent']:,}{more}"

    spent = ["local", "local"]
    if not _is_local(store):
        units = "–" if store["lives_in"] == "S3" else _number(eight["write_units"])
        spent = [_number(eight["calls"]), units]
    return [lost("2"), lost("8"), *spent, _number(eight["misplaced"])]


def _of_accidents(store: Store) -> list[str]:
    again, large, fresh = store.get("again"), store.get("large"), store.get("fresh", {})
    if again is None or large is None:
        return ["–"] * 5
    return [
        {1: "once", 2: "twice"}.get(again["copies"], str(again["copies"]))
        + (" (refused)" if "refused" in again else ""),
        "refused" if "refused" in large else "stored" if large["is_whole"] else "damaged",
        "–" if "refused" in large else _reading(store, large["written"]),
        *(_fresh(store, fresh.get(point)) for point in ("100", "1000")),
    ]


def _fresh(store: Store, reading: dict[str, float] | None) -> str:
    if reading is None:
        return _ended(store)
    if _is_local(store):
        return "local"
    read = f", {_number(reading['read_units'])} RRU" if reading["read_units"] else ""
    return f"{_number(_calls(reading))}{read}"


def _of_lists(store: Store) -> list[str]:
    if "list" not in store:
        return ["–"] * 3
    listed = store["list"]
    if listed is None:
        return ["none", "none", "–"]
    if _is_local(store):
        return ["local"] * 3
    page, each = listed["page"], listed["created"]["write_units"] / listed["sessions"]
    return [_number(_calls(page)), _number(page["read_units"]), _number(each)]


def _of_starts(store: Store) -> list[str]:
    start = store["start"]
    if not start:
        return ["–"] * 4
    ratios = [_number(start["ratio"]), _number(start["cpu_ratio"])]
    return [store["runs_in"], *ratios, f"{start['megabytes']:.0f}"]


_TABLES: Iterable[tuple[str, list[str], Callable[[Store], list[str]]]] = (
    (
        "Append one message: write units at the 10th, 100th …",
        ["calls", *(f"at {int(point):,}" for point in POINTS), "mean", "last"],
        _of_appends,
    ),
    (
        "The same in time, and in brackets processor time: times a bare PutItem",
        [f"at {int(point):,}" for point in POINTS],
        _of_times,
    ),
    (
        "The last 20 messages: of 100; and read units by how many there are",
        [
            *("calls", "KB received", "time, × a PutItem"),
            *(f"RRU of {int(point):,}" for point in POINTS[1:]),
        ],
        _of_newest,
    ),
    (
        "Writers at once: acknowledged, and lost or on other branches",
        ["2 writers", "8 writers", "8: calls a message", "8: WRU a message", "out of place"],
        _of_races,
    ),
    (
        "A retry, 500 KB, and an append by a new instance",
        ["retry is stored", "500 KB", "its WRU", "new instance, 100: calls", "1,000: calls"],
        _of_accidents,
    ),
    (
        "A page of 20 out of a user's sessions",
        ["calls", "read units", "WRU to create one"],
        _of_lists,
    ),
    (
        "Cold start: import and client, times those of bare boto3",
        ["runs in", "time", "processor", "MB"],
        _of_starts,
    ),
)
