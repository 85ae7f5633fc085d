"""Casefile at a scale that no machine at home can show: docs/scale.md, by simulation.

The models are small, and each says what it leaves out. What can be measured is: the units that go
in are those that tests/cost holds, the model of writers who race is compared with races that were
run, and the model of the stream's follower with the follower itself (tests/cost/test_scale.py).
The limits of AWS's services are those that its guides publish.

Standard library only: the charts are drawn from here in an environment of their own.
"""

from __future__ import annotations

import heapq
import random
import tomllib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/scale.md"
HELD: dict[str, Any] = tomllib.loads((ROOT / "tests/cost/held.toml").read_text())

# AWS's limits. Sources: the developer guides of DynamoDB ("Quotas", "Designing partition keys",
# "On-demand capacity mode", "Global secondary indexes"), Lambda ("Quotas", "Function scaling",
# "DynamoDB streams as an event source") and API Gateway ("Quotas").
PARTITION_WRITES = 1_000
PARTITION_READS = 3_000
TABLE_WRITES = 40_000
"""Write units a second of one table, or of one index; raised on request."""
NEW_TABLE_WRITES = 4_000
"""Of an on-demand table that has seen no traffic; it grows to twice its last peak."""
CONCURRENCY = 1_000
"""Executions of an account at once; raised on request."""
REQUESTS_PER_INSTANCE = 10
"""A second, however short they are."""
SCALING = 1_000
"""Instances that a function may gain every ten seconds."""
API_REQUESTS = 10_000
"""A second, of an account in a region; raised on request."""
LARGEST_BATCH_BYTES = 6 * 1024 * 1024

# The template's settings.
REFRESH_SECONDS = 50.0
BATCH = 10_000
AT_ONCE = 8
"""Updates that the follower makes at the same time. It follows one batch of a shard at a time."""
STAGE_REQUESTS = 500

# What is assumed of AWS: round trips to DynamoDB of some milliseconds.
CALL = 0.005
APPEND_SECONDS = 0.015
REFRESH_CALL = 0.006
REFRESH_OWN = 0.0012
"""Of the processor that 512 MB get, a third of one: a third of a millisecond of a whole one."""

APPEND_UNITS = 1.15
"""Of a message of the benchmark's."""
REFRESH_UNITS = {"table": 1.0, "by activity": 2.0, "by creation": 1.0}
FILED_REFRESH_UNITS = 3.0
"""More, for the two lists of the casefile that a session is filed in."""
IMAGE_BYTES = 2_000
"""Of a record in the stream, spelled as JSON."""
TELL_OWN = 0.0003
"""Of the processor, to make an event of a change."""
PUBLISH_CALL = 0.015
BUCKET_CALL = 0.02
FULL_BATCH = min(BATCH, LARGEST_BATCH_BYTES // IMAGE_BYTES)


Wait = tuple[bool, float]
"""Whether it takes a processor, and how many seconds."""


@dataclass
class Race:
    """Writers who append to one session as fast as they can, and what came of it.

    Each puts at the slot after those that it has seen. If that is taken it looks, pauses as
    `casefile.attempts` does, and tries again. A call takes effect in the middle of its round trip.
    """

    call: float = CALL
    own: float = 0.002
    rounds: int = 1
    """Round trips that a put takes."""
    seconds: float = 0
    records: int = 0
    calls: int = 0
    puts: int = 0

    def run(self, writers: int, records: int, cores: int | None = None, seed: int = 0) -> Race:
        """Let them write so many records; with `cores`, they share these, else each has its own."""
        chance = random.Random(seed)
        free = [0.0] * (cores or writers)
        racing = [self._writer(chance) for _ in range(writers)]
        due = [(chance.random() * self.call, number) for number in range(writers)]
        heapq.heapify(due)
        while self.records < records:
            self.seconds, number = heapq.heappop(due)
            is_own, wait = next(racing[number])
            at = self.seconds
            if is_own:
                core = free.index(min(free)) if cores else number
                at = free[core] = max(at, free[core])
                free[core] += wait
            heapq.heappush(due, (at + wait, number))
        return self

    def _writer(self, chance: random.Random) -> Iterator[Wait]:
        seen = 0
        while True:
            for attempt in count():
                if attempt:
                    seen = yield from self._look(chance)
                    yield self._pause(chance, attempt)
                won = yield from self._put(chance, seen)
                seen += won
                if won:
                    break

    def _look(self, chance: random.Random) -> Generator[Wait, None, int]:
        yield from self._half(chance, own=True)
        seen = self.records
        yield from self._half(chance)
        return seen

    def _put(self, chance: random.Random, seen: int) -> Generator[Wait, None, bool]:
        yield from self._half(chance, self.rounds, own=True)
        self.puts += 1
        won = seen == self.records
        self.records += won
        yield from self._half(chance, self.rounds)
        return won

    def _pause(self, chance: random.Random, attempt: int) -> Wait:
        return False, chance.uniform(0, min(0.25, 0.005 * 2**attempt))

    def _half(self, chance: random.Random, rounds: int = 1, *, own: bool = False) -> Iterator[Wait]:
        """Half a call of so many round trips, and before the first what the writer does itself."""
        if own:
            self.calls += 1
            yield True, self.own * chance.uniform(0.7, 1.3)
        yield False, rounds * self.call / 2 * chance.uniform(0.7, 1.3)

    @property
    def per_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def calls_each(self) -> float:
        """Calls for a record."""
        return self.calls / self.records

    @property
    def units_each(self) -> float:
        """Write units for a record: a put that fails is charged, too."""
        return self.puts / self.records * APPEND_UNITS


@dataclass
class Filing(Race):
    """Writers who file sessions in one casefile: each looks at its head, then writes that, too.

    Nobody remembers the head, so each attempt begins with a look, and the pause is before that.
    """

    rounds: int = 2
    """A transaction is prepared, then committed."""

    def _writer(self, chance: random.Random) -> Iterator[Wait]:
        while True:
            for attempt in count():
                if attempt:
                    yield self._pause(chance, attempt)
                seen = yield from self._look(chance)
                if (yield from self._put(chance, seen)):
                    break


def refreshes(batch: list[str]) -> int:
    """How many heads the follower refreshes for a batch of records, each named by its session."""
    return len(set(batch))


@dataclass(frozen=True)
class Following:
    """How a shard of the stream is followed."""

    per_second: float
    refreshes_per_append: float
    busy: float
    """Of its time; above 1 the follower falls behind."""

    @property
    def keeps_up(self) -> bool:
        """Whether lists lag by no more than the window."""
        return self.busy <= 1


def follow(
    per_second: float,
    every: float,
    *,
    at_once: int = AT_ONCE,
    window: float = REFRESH_SECONDS,
    batches: int = 6,
    seed: int = 0,
) -> Following:
    """Follow a shard that gets so many records a second from sessions that write `every` so often.

    A batch ends when it is full (records, or bytes) or when the window is over. Its updates are made
    so many at once, or as fast as the processor allows.
    """
    chance = random.Random(seed)
    sessions = max(1, round(per_second * every))
    time = work = 0.0
    records = refreshed = 0
    for _ in range(batches):
        expected = per_second * window
        many = min(FULL_BATCH, max(1, round(chance.gauss(expected, expected**0.5))))
        # Each session writes at its own even pace, wherever in it the batch begins.
        lasts = many / per_second
        batch = [
            str(session)
            for session in range(sessions)
            for _ in range(int(lasts / every + chance.random()))
        ]
        time += lasts
        work += 0.02 + refreshes(batch) * max(REFRESH_CALL / at_once, REFRESH_OWN)
        records += max(len(batch), 1)
        refreshed += refreshes(batch)
    return Following(per_second, refreshed / records, work / time)


@dataclass(frozen=True)
class Limit:
    """Something that ends, and the appends a second at which it does."""

    what: str
    at: float
    then: str


def limits(every: float) -> list[Limit]:
    """What ends first, with AWS's defaults, for sessions that append `every` so many seconds."""
    shard, shown, table = full_shard(every)
    most = most_followed(every)
    busy = max(1 / REQUESTS_PER_INSTANCE, APPEND_SECONDS + shown * REFRESH_CALL)
    return sorted(
        [
            Limit(
                "RequestsPerSecond, the template's limit for a route",
                STAGE_REQUESTS,
                "429 with Retry-After; a parameter, raise it",
            ),
            Limit(
                "a new table's first minutes",
                NEW_TABLE_WRITES / table,
                "writes are throttled and retried; DynamoDB grows by itself, or warm it before",
            ),
            Limit(
                "Lambda: concurrency of the account, at ten requests a second for each instance",
                CONCURRENCY / busy,
                "5xx to callers; messages come again, at last as dead letters; a quota, raise it",
            ),
            Limit("API Gateway: the account's requests", API_REQUESTS, "429; a quota, raise it"),
            Limit(
                "the table's write units",
                TABLE_WRITES / table,
                "writes are throttled and retried; a quota, raise it",
            ),
            Limit(
                "the index by activity",
                TABLE_WRITES / (REFRESH_UNITS["by activity"] * shown),
                "refreshes are throttled: lists lag, appends don't; a quota, raise it",
            ),
            Limit(
                "the stream's follower, on the shards of a table of this size",
                float("inf") if most >= shard else most * TABLE_WRITES / PARTITION_WRITES,
                "lists lag; more memory, a longer window",
            ),
        ],
        key=lambda limit: limit.at,
    )


def refreshes_per_append(every: float, per_second: float = 0) -> float:
    """Refreshes for each append of a session that appends `every` so many seconds.

    The window ends when a batch is full, which the more appends there are on its shard is the
    sooner; on a quiet one it is as long as the template says.
    """
    return min(1.0, every / window_of(per_second))


def window_of(per_second: float) -> float:
    """The seconds between two refreshes on a shard that gets so many records a second."""
    is_filled = per_second * REFRESH_SECONDS > FULL_BATCH
    return FULL_BATCH / per_second if is_filled else REFRESH_SECONDS


class Shard(NamedTuple):
    """A full shard: its appends a second, and for each the refreshes and the table's write units."""

    per_second: float
    refreshes: float
    units: float


def full_shard(every: float) -> Shard:
    """What a shard carries when its partition is full: appends, and the refreshes that they bring.

    The more refreshes an append brings, the fewer appends fit; and the fewer there are, the longer
    a batch takes to fill, so the fewer refreshes. Between the two is one place where they agree.
    """
    low, high = PARTITION_WRITES / (APPEND_UNITS + REFRESH_UNITS["table"]), float(PARTITION_WRITES)
    for _ in range(50):
        middle = (low + high) / 2
        shown = refreshes_per_append(every, middle)
        units = APPEND_UNITS + REFRESH_UNITS["table"] * shown
        low, high = (middle, high) if middle * units < PARTITION_WRITES else (low, middle)
    return Shard(low, shown, units)


def most_followed(every: float, *, at_once: int = AT_ONCE) -> float:
    """The most records a second of one shard that the follower keeps up with."""
    low, high = 1.0, 20_000.0
    while high / low > 1.05:
        middle = (low * high) ** 0.5
        keeps_up = follow(middle, every, at_once=at_once).keeps_up
        low, high = (middle, high) if keeps_up else (low, middle)
    return low


def partitions(many: int, sessions: int, per_second: float) -> list[float]:
    """The write units a second of each partition: of records, and of refreshes of their sessions.

    Sessions lie anywhere; how much they write is spread as such things are, a few write most.
    """
    chance = random.Random(0)
    weights = [chance.lognormvariate(0, 1.5) for _ in range(sessions)]
    rate = per_second / sum(weights)
    window = window_of(per_second / many)
    load = [0.0] * many
    for weight in weights:
        refreshed = min(weight * rate, 1 / window) * REFRESH_UNITS["table"]
        load[chance.randrange(many)] += weight * rate * APPEND_UNITS + refreshed
    return load


def write(results: dict[str, Any]) -> None:
    """Write docs/scale.md."""
    PAGE.write_text(as_page(results))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _told(number: float) -> str:
    if number == float("inf"):
        return "never"
    digits = max(0, len(str(int(number))) - 2)
    return f"{round(number, -digits):,.0f}"


HOME_CALL, HOME_OWN, HOME_CORES = 0.002, 0.001, 2
"""Of the races that were run: a machine of two cores, an engine and a meter beside."""
AS_MEASURED = 0.25
"""By what share of what was measured the model may be off."""


def compared(results: dict[str, Any]) -> dict[int, tuple[float, float]]:
    """By writers: calls a record as they were measured, and as simulated."""
    return {
        int(writers): (
            measured["calls"],
            Race(HOME_CALL, HOME_OWN).run(int(writers), 4_000, HOME_CORES).calls_each,
        )
        for writers, measured in sorted(results["stores"]["casefile"]["race"].items())
    }


def races() -> dict[int, Race]:
    """What so many writers make of one session, on AWS."""
    return {writers: Race().run(writers, 2_000) for writers in (1, 2, 4, 8, 16, 32)}


def followings(every: float, at_once: int) -> dict[float, Following]:
    """The follower on a shard that gets more and more."""
    return {
        float(rate): follow(rate, every, at_once=at_once)
        for rate in (25, 50, 100, 200, 400, 600, 1_000)
    }


def as_page(results: dict[str, Any]) -> str:
    """docs/scale.md."""
    every = 10.0
    shard, shown, table = full_shard(every)
    load = 100_000
    shards = load / shard
    followed = follow(shard, every).busy * shards
    fills = FULL_BATCH / shard
    one, eight = Race().run(1, 2_000), Race().run(8, 2_000)
    files, eight_file = Filing().run(1, 2_000), Filing().run(8, 2_000)
    of_user = PARTITION_WRITES / REFRESH_UNITS["by activity"]
    batch = 25 * HELD["batch_units"]["held"] * APPEND_UNITS
    loads = partitions(200, 100_000, load)
    return f"""# At scale

What a hundred thousand appends a second do to this design, where it ends first, and what it does
about it. Nobody has run that; this page is a simulation, made by
[`benchmarks/scale.py`](../benchmarks/scale.py) (`make bench ARGS=--draw`), from units that are measured
and held ([`held.toml`](../tests/cost/held.toml)) and limits that AWS publishes. A round trip to DynamoDB
is taken as {CALL * 1000:.0f} ms, an append on Lambda as {APPEND_SECONDS * 1000:.0f} ms; a session
appends every {every:.0f} s unless it says otherwise, and is refreshed in lists every
{REFRESH_SECONDS:.0f} s, or when a batch of the stream is full.

## Where it ends first

{
        _table(
            ["what", "appends a second", "what happens then"],
            [[limit.what, _told(limit.at), limit.then] for limit in limits(every)],
        )
    }

None of these loses anything: whatever is refused is told to whoever sent it, with the advice to send
it again, and takes effect once. The first that ends the *design*, and not a number in somebody's
console, is one key: a session, a casefile's head, or a user's list. Those follow.

With all quotas raised, {load:,} appends a second take:

{
        _table(
            ["what", "how much"],
            [
                ["write units of the table", f"{load * table:,.0f} a second"],
                [
                    "write units of the index by activity",
                    f"{load * shown * REFRESH_UNITS['by activity']:,.0f} a second",
                ],
                ["partitions, and shards of the stream", f"{shards:,.0f}"],
                [
                    "concurrency of Lambda by time: appends",
                    f"{load * APPEND_SECONDS:,.0f}",
                ],
                [
                    "and the stream's follower, one batch of a shard at a time",
                    f"{followed:,.0f}, at most {shards:,.0f}",
                ],
                [
                    "concurrency of appends by ten requests a second each",
                    f"{load / REQUESTS_PER_INSTANCE:,.0f}",
                ],
                [
                    "time until Lambda has scaled to that, from nothing",
                    f"{load / REQUESTS_PER_INSTANCE / SCALING * 10:,.0f} s for one function",
                ],
                [
                    "sessions open, at one append every ten seconds each",
                    f"{load * every:,.0f}",
                ],
            ],
        )
    }

The quota that surprises is the second of Lambda's: an instance takes ten requests a second however
short they are, so {load:,} a second want {load // REQUESTS_PER_INSTANCE:,} instances that are idle
most of the time. Batches divide that, and everything else, by what is in them.

## Sessions over partitions

A record goes to its session's partition, and sessions are spread by a hash. With {load:,} appends a
second over a hundred thousand sessions of very different activity, the busiest of 200 partitions gets
{max(loads):,.0f} write units a second of its {
        PARTITION_WRITES:,}, refreshes of heads included; the mean
is {
        sum(loads)
        / len(loads):,.0f}. DynamoDB splits a partition that is hot, as long as its heat is of more
than one key.

## A hot session

![Writers on one session](charts/scale-race.svg)

A session is one key and one order: record n+1 is put by somebody who has seen record n. So it takes
about one record for each round trip, {
        one.per_second:.0f} a second here, from one writer or from many,
well below the {
        PARTITION_WRITES:,} write units of its partition. More writers make no more records, only
more attempts: {eight.calls_each:.1f} calls and {
        eight.units_each:.1f} write units for each with eight.
Whoever loses pauses, and the winner, who knows the log, goes on; that is why it stays this low.

{
        _table(
            ["writers", "records a second", "calls a record", "write units a record"],
            [
                [
                    str(writers),
                    _told(race.per_second),
                    f"{race.calls_each:.1f}",
                    f"{race.units_each:.1f}",
                ]
                for writers, race in races().items()
            ],
        )
    }

What to do: send batches. 25 messages are one record of {batch:.0f} write units, so a session takes
{min(one.per_second, PARTITION_WRITES / batch) * 25:,.0f} messages a second, and it is the partition
that ends it then. An agent that writes more than that wants more than one session.

## A casefile that many file in

A casefile tells how many sessions it holds. So whatever files one (a creation in it, a filing later) or
takes one out is a transaction with its head, on condition that the count is as it was seen: filings into
one casefile go one after another. Each is a look, of one round trip, and the transaction, taken as {
        files.rounds
    }: {files.per_second:.0f}
a second from one writer, and not many more from eight, {eight_file.per_second:.0f}, of {
        eight_file.calls_each:.1f} calls each, of which those
that are lost are charged, too. Appends to the sessions in it don't touch it, and go on.

If more come, whoever loses pauses and tries again, up to a hundred times while its function has time, then
answers 503: nothing was done, and sent again it takes effect once. What to do: file into several casefiles;
file only those sessions that somebody will look for there; or create them unfiled, and file them later, one
after another.

## One user with a million sessions

A million heads of one user are some 400 MB under one key of each index: room for more than twenty
times as many, as there are no local indexes. A page is a query of each list that it merges, however long
these are: one of fifty takes [5 to 8 read units](../tests/cost/test_lists.py) of ten thousand sessions, or
of a million, half a unit of ten, and more with long titles. A partition has {
        PARTITION_READS:,} a second.

Writing is what ends. Each refresh moves a session in its owner's list by activity, which costs
{REFRESH_UNITS["by activity"]:.0f} write units on one key. So a list takes {of_user:.0f} refreshes a
second, which is {of_user * REFRESH_SECONDS:,.0f} sessions of one user, or of one casefile, that are
being written *at the same time*, {
        of_user * max(fills, every):,.0f} if the shards are full. And a user's takes
{
        PARTITION_WRITES:,} creations a second ([fewer if they are filed](#a-casefile-that-many-file-in)), closings half as
many; all users together ten times that, by the ten shards of the list of open sessions.

Beyond that, DynamoDB throttles writes that touch that key. Appends don't: a record is in no index. Lists
of that user lag; and since the stream is followed in order, so do those of others on the same shards
until it is over. The alarm [ListsBehind](runbook.md#listsbehind) tells.

## The stream's follower

![The follower of one shard](charts/scale-follower.svg)

A shard of the stream carries what a partition takes: up to {
        PARTITION_WRITES:,} write units, that is
{shard:.0f} appends a second. They come in batches of what came in {
        REFRESH_SECONDS:.0f} s, or of the
{LARGEST_BATCH_BYTES // 1024**2} MB of an invocation, some {
        FULL_BATCH:,} records; and each session in a
batch costs one update. A shard that is full fills a batch in {
        fills:.0f} s, so its window is no longer
than that, whatever `RefreshSeconds` says: {shown:.2f} refreshes an append instead of {
        refreshes_per_append(every):.2f}.
A longer one helps shards with fewer than {FULL_BATCH / REFRESH_SECONDS:.0f} appends a second.

{
        _table(
            [
                "a session appends every",
                "most appends a second of a shard, one update at a time",
                f"{AT_ONCE} at a time",
                "refreshes an append, at 100 a second",
            ],
            [
                [
                    f"{each:g} s",
                    _told(most_followed(each, at_once=1)),
                    _told(most_followed(each)),
                    f"{follow(100, each).refreshes_per_append:.2f}",
                ]
                for each in (0.1, 1.0, 10.0, 60.0)
            ],
        )
    }

With one update at a time, of {
        REFRESH_CALL * 1000:.0f} ms, the follower would be the first part of the
design to end, at less than half of what a shard carries: almost each record is another session's. So it makes
{
        AT_ONCE
    } at a time, and keeps up with whatever a shard carries; what ends it then is its processor, of
which an update takes {
        REFRESH_OWN * 1000:.1f} ms with 512 MB. It does so within one batch of a shard at
a time. Lambda would follow ten of them at once (`ParallelizationFactor`), but keeps together what is of
one item: the records of a session, each an item, would be spread over all ten, and each of these
would refresh the head.

The bus is told by a function of its own, `OnNews`, which follows the stream beside it (a shard has two
readers at most) and is given only what is to be told, at once. Ten events are one call to the bus, of some
{PUBLISH_CALL * 1000:.0f} ms: with `MessageEvents=on` it tells {
        1 / (TELL_OWN + PUBLISH_CALL / 10):,.0f} messages a second of a
shard that carries {
        shard:.0f}. Which tool failed is read in what was recorded; of results that lie in the
bucket, {AT_ONCE} at a time, {AT_ONCE / BUCKET_CALL:,.0f} a second.

## How far the models hold

The follower's is compared with the follower itself by
[`tests/cost/test_scale.py`](../tests/cost/test_scale.py): as many updates for a batch as it says, each of
{
        sum(
            REFRESH_UNITS.values()
        ):.0f} write units; so is that of a casefile, with four writers who file, in calls for each. The one of a
hot session is compared with the races of the
[benchmarks](benchmarks.md), in calls for each record, and a test fails when it is off by more than
{AS_MEASURED:.0%}. That is of one race each: chance decides how often writers meet, and in a
shorter race it may be twice as often. Its two times are fitted to that machine, {
        HOME_CALL * 1000:.0f} ms for a call and {
        HOME_OWN * 1000:.0f} ms of its own; its shape is not:

{
        _table(
            ["writers", "measured", "simulated"],
            [
                [str(writers), f"{measured:.2f}", f"{simulated:.2f}"]
                for writers, (measured, simulated) in compared(results).items()
            ],
        )
    }

What nobody can measure at home: that DynamoDB splits in time, how long throttling lasts, what a
noisy neighbour does, and what AWS's quotas are on the day that you ask. Latencies are taken as even;
a slow one makes a hot session slower, and nothing else.
"""
