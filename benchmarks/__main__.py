"""`make bench`: the same work on Casefile and on what people use today, and what came of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from benchmarks import costs, measuring, place, report
from benchmarks.measuring import FULL, QUICK, Plan
from benchmarks.peers import PEERS, Peer
from benchmarks.place import Place
from dev import dynoxide, environments
from dev.console import Problem, say, step

HERE = environments.ROOT / "benchmarks"
RESULTS = HERE / "results.json"


def main(arguments: Sequence[str]) -> None:
    """Measure, print the tables; keep them, and draw them, if all was measured."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="less of everything, in minutes")
    options.add_argument("--only", nargs="+", metavar="STORE", choices=[p.name for p in PEERS])
    options.add_argument("--seconds", type=int, help="how long one store may take to grow")
    options.add_argument("--aws", action="store_true", help="on AWS, with your credentials")
    options.add_argument("--yes", action="store_true", help="don't ask what it may cost")
    options.add_argument(
        "--keep", action="store_true", help="keep results of a quick run, or of some stores, too"
    )
    options.add_argument(
        "--draw", action="store_true", help="measure nothing; write the pages anew"
    )
    chosen = options.parse_args(arguments)
    if chosen.keep and chosen.only and (chosen.quick or chosen.aws):
        options.error("some stores' results are kept beside the others' if measured as those were")
    if not chosen.draw:
        plan = QUICK if chosen.quick else FULL
        if chosen.seconds:
            plan = replace(plan, seconds=chosen.seconds)
        peers = [peer for peer in PEERS if not chosen.only or peer.name in chosen.only]
        for peer in peers:
            environments.prepare(peer.environment)
        with _place(chosen, plan, peers) as where:
            results = measure(peers, where, plan)
        results["about"]["place"] = "AWS" if chosen.aws else "at home"
        print(report.as_text(results))
        if not chosen.keep and (chosen.quick or chosen.only or chosen.aws):
            return
        if chosen.only:
            results = merged(json.loads(RESULTS.read_text()), results)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report.write(json.loads(RESULTS.read_text()))
    _draw()


@contextlib.contextmanager
def _place(chosen: argparse.Namespace, plan: Plan, peers: list[Peer]) -> Iterator[Place]:
    if not chosen.aws:
        with place.at_home() as where:
            yield where
        return
    dollars = costs.of_run(plan, [peer.name for peer in _of(peers, "appends")])
    say(
        f"On AWS, this run costs about ${dollars:.2f}: its tables and buckets are deleted after it."
    )
    if not chosen.yes and (not sys.stdin.isatty() or input("Go on? (yes/no) ") != "yes"):
        raise Problem("Nothing was done. To go on without being asked: --yes")
    with place.on_aws(f"casefile-bench-{int(time.time())}-") as where:
        yield where


def measure(peers: list[Peer], where: Place, plan: Plan) -> dict[str, Any]:
    """All of it, store by store; what is timed goes round all of them several times.

    That is first, while little is stored. What a store can't do is told in its place, and stops no
    other.
    """
    measuring.make_yardstick(where)
    found: dict[str, dict[str, Any]] = {
        peer.name: {
            "title": peer.title,
            "lives_in": peer.lives_in,
            "runs_in": peer.runs_in,
            "version": measuring.version(peer),
            "race": {},
            "failed": [],
        }
        for peer in peers
    }
    for peer in _of(peers, "appends"):
        with _attempting(peer, "preparing", found):
            measuring.work(peer, where.metered, "prepare")
    times: dict[str, list[Any]] = {peer.name: [] for peer in peers}
    starts: dict[str, list[Any]] = {peer.name: [] for peer in peers}
    for run in range(1, plan.runs + 1):
        for peer in _of(peers, "appends"):
            with _attempting(peer, f"timing, run {run} of {plan.runs}", found):
                times[peer.name].append(measuring.timed(peer, where, plan))
        for peer in _of(peers, "start"):
            with _attempting(peer, f"starting, run {run} of {plan.runs}", found):
                starts[peer.name].append(measuring.started(peer, where, plan))
    for peer in peers:
        found[peer.name]["times"] = measuring.in_the_middle(times[peer.name])
        found[peer.name]["start"] = measuring.in_the_middle(starts[peer.name])
    for peer in _of(peers, "appends"):
        with _attempting(peer, "counting", found):
            found[peer.name] |= measuring.counted(peer, where, plan)
        for writers in plan.writers if "rest" in peer.measured else ():
            with _attempting(peer, f"{writers} at once", found):
                found[peer.name]["race"][str(writers)] = measuring.raced(peer, where, plan, writers)
    return {"about": _about(plan), "stores": found}


def _of(peers: list[Peer], what: str) -> list[Peer]:
    """Those of which it is measured."""
    return [peer for peer in peers if what in peer.measured]


def merged(kept: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """What is kept, with the stores that were measured anew in their places, and how they were."""
    anew = {name: results["about"][name] for name in ("at", "machine", "seconds")}
    stores = {name: store | {"anew": anew} for name, store in results["stores"].items()}
    stores = kept["stores"] | stores
    order = [peer.name for peer in PEERS]
    return kept | {"stores": dict(sorted(stores.items(), key=lambda each: order.index(each[0])))}


@contextlib.contextmanager
def _attempting(peer: Peer, what: str, found: dict[str, dict[str, Any]]) -> Iterator[None]:
    try:
        with step(f"{peer.title}: {what}"):
            yield
    except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
        say(str(error))
        found[peer.name]["failed"].append(f"{what}: {error}"[:500])


def _about(plan: Plan) -> dict[str, Any]:
    told = {"dynoxide": dynoxide.VERSION, "python": platform.python_version()}
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[2]:.0f}"
    )
    return {"at": datetime.now(UTC).date().isoformat(), "machine": machine, **told, **asdict(plan)}


def _draw() -> None:
    """Matplotlib has an environment of its own."""
    python = str(environments.prepare(environments.CHARTS))
    command = [python, "-m", "benchmarks.charts"]
    if subprocess.run(command, cwd=environments.ROOT).returncode:
        raise Problem("The charts could not be drawn, see above.")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
