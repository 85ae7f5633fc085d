"""The same work on each store, done by workers in the stores' own environments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from benchmarks import meter, race
from benchmarks.peers import YARDSTICK, Peer
from benchmarks.place import Place
from benchmarks.worker import POINTS
from dev.environments import CLIENT, DEVELOPMENT, ROOT, Environment

MEAN_OF = 1000
"""Of how many messages a mean is, from the first: as many as all stores reach that don't end."""

ELSEWHERE = (
    "AWS_CA_BUNDLE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_S3",
    "REQUESTS_CA_BUNDLE",
)
"""What a program is told that has its DynamoDB elsewhere. One that only starts is not, so that it
gets ready for TLS as it would on AWS."""

SIZES = (100, 1000)
"""Of sessions to which a new instance appends."""

SECONDS = 1800
"""How long any one worker may take."""


@dataclass(frozen=True)
class Plan:
    """How much of everything is done."""

    up_to: int
    timed_up_to: int
    runs: int
    appends: int
    sessions: int
    writers: tuple[int, ...]
    starts: int
    seconds: int
    """How long one store may take to grow while it is counted, and a quarter of it while timed:
    beyond the messages that all reach."""


FULL = Plan(
    up_to=5000,
    timed_up_to=5000,
    runs=3,
    appends=100,
    sessions=1000,
    writers=(2, 8),
    starts=3,
    seconds=120,
)
QUICK = Plan(
    up_to=400,
    timed_up_to=100,
    runs=1,
    appends=15,
    sessions=100,
    writers=(8,),
    starts=1,
    seconds=7,
)


def work(peer: Peer, variables: Mapping[str, str], *task: object) -> list[Any]:
    """Have a worker do a task, or several with a + between them, and return what it said."""
    done = subprocess.run(
        [str(peer.environment.python), "-m", "benchmarks.worker", peer.name, *map(str, task)],
        cwd=ROOT,
        env={**variables, **peer.variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{peer.title} could not {task[0]}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def counted(peer: Peer, place: Place, plan: Plan) -> dict[str, Any]:
    """What is exact: calls, units and bytes."""
    grown = work(peer, place.metered, "grow", plan.up_to, plan.seconds)
    appends = [line for line in grown if "append" in line]
    found: dict[str, Any] = {
        "append": _at_points(appends, _means),
        "mean": _means(appends[:MEAN_OF]),
        "ended": next((line for line in grown if "ended" in line or "stopped" in line), None),
        "to_s3": _to_s3(appends),
    }
    if "rest" not in peer.measured:
        return found
    found["newest"] = {str(line.pop("newest")): line for line in grown if "newest" in line}
    sizes = [size for size in SIZES if size <= plan.up_to]
    fill = [part for size in sizes for part in ("fill", size, "+")]
    *filled, found["again"], found["large"] = work(
        peer, place.metered, *fill, "again", "+", "large"
    )
    lister = {**place.metered, "BENCH_USER": "bob@example.com"}  # Who has no other sessions.
    (found["list"],) = work(peer, lister, "list", plan.sessions)
    found["fresh"], found["random"] = {}, {}
    for size, told in zip(sizes, filled, strict=True):
        if "ended" in told:
            found["ended"] = told
            break
        (found["fresh"][str(size)],) = work(peer, place.metered, "once", told["filled"])
        if peer.name == "casefile":  # To it alone it matters what ids tell.
            once = ("once", told["filled"], "random")
            (found["random"][str(size)],) = work(peer, place.metered, *once)
    return found


def raced(peer: Peer, place: Place, plan: Plan, writers: int) -> dict[str, Any]:
    """What comes of writers that know nothing of each other, and what it takes for each message.

    That is by those that were sent, whatever came of them, without those that were given up.
    """
    before = meter.read(place.metered["BENCH_METER"])
    outcome = race.run(
        peer.name,
        {**place.metered, **peer.variables},
        writers=writers,
        appends=plan.appends,
        repeats=0,
        python=str(peer.environment.python),
        readers={**place.direct, **peer.variables, "POWERTOOLS_LOG_LEVEL": "ERROR"},
    )
    spent = meter.read(place.metered["BENCH_METER"]).since(before)
    sent = writers * plan.appends
    taken = max(1, sent - len(outcome.gave_up))
    return {
        "sent": sent,
        "recorded": len(outcome.recorded),
        "lost": len(outcome.lost),
        "branched": len(outcome.branched),
        "misplaced": len(outcome.misplaced),
        "gave_up": len(outcome.gave_up),
        "calls": (spent.calls + spent.puts + spent.gets) / taken,
        "write_units": spent.write_units / taken,
        "read_units": spent.read_units / taken,
    }


def timed(peer: Peer, place: Place, plan: Plan) -> dict[str, Any]:
    """One run of appends, each beside a bare PutItem: ratios of the medians near each point."""
    told = work(peer, place.direct, "grow", plan.timed_up_to, plan.seconds // 4)
    appends = [line for line in told if "append" in line]
    looks = [line for line in told if "newest" in line]
    found = {"append": _at_points(appends, _ratios)}
    if "rest" in peer.measured:
        found["newest"] = {
            str(point): median(look["seconds"] for look in looks if look["newest"] == point)
            / _bare(appends[max(0, point - 20) : point])
            for point in sorted({look["newest"] for look in looks})
        }
    return found


def started(peer: Peer, place: Place, plan: Plan) -> dict[str, float]:
    """Fresh processes that import what they need and make a client, each beside one of bare boto3.

    One alone is off by a tenth and more; the median of three by less.
    """
    return {**in_the_middle([_started(peer, place) for _ in range(plan.starts)])}


def _started(peer: Peer, place: Place) -> dict[str, float]:
    on_aws = {name: value for name, value in place.direct.items() if name not in ELSEWHERE}
    bare = _process(peer, {**on_aws, **peer.variables}, YARDSTICK)
    own = _process(peer, {**on_aws, **peer.variables}, peer.start)
    return {
        "ratio": own["seconds"] / bare["seconds"],
        "cpu_ratio": own["cpu"] / bare["cpu"],
        "megabytes": own["megabytes"],
    }


_PEAK = """
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""
"""Tells the peak of a process's memory in KB; `wait4` tells its parent's, if that is more."""


def _process(peer: Peer, variables: Mapping[str, str], program: str) -> dict[str, float]:
    program += _PEAK if sys.platform == "linux" else ""
    at = time.perf_counter()
    with subprocess.Popen(
        [str(peer.environment.python), "-c", program],
        cwd=ROOT,
        env=dict(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        told = process.stdout.read().split() if process.stdout else []
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{peer.title} does not start: {program}")
    return {
        "seconds": time.perf_counter() - at,
        "cpu": used.ru_utime + used.ru_stime,
        "megabytes": (int(told[-1]) if told else used.ru_maxrss) / 1024,
    }


def make_yardstick(place: Place) -> None:
    """The table of the bare puts that everything is timed beside."""
    program = "from benchmarks.stores import create_table; create_table('yardstick', 'pk', 'sk')"
    python = str(DEVELOPMENT.python)
    subprocess.run([python, "-c", program], cwd=ROOT, env=dict(place.direct), check=True)


def version(peer: Peer) -> str:
    """What the store's environment has of what its requirements name."""
    program = "import importlib.metadata as m, sys; print(*(m.version(n) for n in sys.argv[1:]))"
    names = [peer.sdk] if peer.sdk else _required(peer.environment)
    if not names:
        return ""
    told = subprocess.run(
        [str(peer.environment.python), "-c", program, *names],
        capture_output=True,
        text=True,
        check=True,
    )
    return ", ".join(map(" ".join, zip(names, told.stdout.split(), strict=True)))


def _required(environment: Environment) -> list[str]:
    """What a file of requirements names; those of our own environments are no peers'."""
    if environment in (DEVELOPMENT, CLIENT):
        return []
    lines = environment.requirements[0].read_text().splitlines()
    return [re.split(r"[\[<>=]", line)[0] for line in lines if not line.startswith(("#", "boto3"))]


def in_the_middle(runs: list[Any]) -> Any:
    """The median of several runs, number by number; of none, nothing."""
    if not runs:
        return {}
    if isinstance(runs[0], Mapping):
        keys = [key for key in runs[0] if all(key in run for run in runs)]
        return {key: in_the_middle([run[key] for run in runs]) for key in keys}
    return median(runs)


def _at_points(appends: list[dict[str, Any]], of: Any) -> dict[str, Any]:
    """What is true near each point: of up to twenty appends that end there, and of the last."""
    found = {
        str(point): of(appends[max(0, point - 20) : point])
        for point in POINTS
        if point <= len(appends)
    }
    if appends:
        found["last"] = of(appends[-20:]) | {"at": len(appends)}
    return found


def _to_s3(appends: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last append whose session lies in the table, if the next ones lie in S3."""
    last = next((each["append"] for each in appends if each["puts"]), 1) - 1
    return _means(appends[max(0, last - 20) : last]) | {"at": last} if last else None


def _means(appends: list[dict[str, Any]]) -> dict[str, float]:
    names = [name for name in appends[0] if name != "append"] if appends else []
    return {name: round(fmean(each[name] for each in appends), 4) for name in names}


def _ratios(appends: list[dict[str, Any]]) -> dict[str, float]:
    return {
        "ratio": median(each["seconds"] for each in appends) / _bare(appends),
        "cpu_ratio": fmean(each["cpu"] for each in appends)
        / fmean(each["bare_cpu"] for each in appends if "bare_cpu" in each),
    }


def _bare(appends: list[dict[str, Any]]) -> float:
    """What a bare PutItem took meanwhile."""
    return float(median(each["bare"] for each in appends if "bare" in each))
