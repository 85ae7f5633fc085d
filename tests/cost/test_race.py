"""Eight processes, each with a memory of its own, write one session as fast as they can.

This engine is fast, so they meet more often than on the local cloud.
"""

import multiprocessing
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from multiprocessing.synchronize import Barrier
from typing import Any
from uuid import uuid4

from benchmarks import race
from benchmarks.meter import Meter
from benchmarks.stores import casefile, casefile_turns

WRITERS, APPENDS = 8, 50
SECONDS = 120
"""After which somebody must have died."""

MOST = 3.0
"""Calls, and write units, for a message: some 1.5 and 1.2, and 6 and 3.5 if nobody paused.

How often writers meet is a matter of chance and of the machine, so this is no figure to be held.
"""

_all_are_there: Barrier


def begin(variables: Mapping[str, str], barrier: Barrier) -> None:
    global _all_are_there
    os.environ.update(variables)
    _all_are_there = barrier


def write(session: str, writer: int) -> list[dict[str, Any]]:
    """Be one of those who race, and tell where each message is."""
    store = casefile.open_store(session)
    contents = [f"{writer}/{number}" for number in range(APPENDS)]
    _all_are_there.wait(SECONDS)
    return [
        {
            "content": content,
            "place": store.append(str(uuid4()), datetime.now(UTC).isoformat(), content),
        }
        for content in contents
    ]


def test_eight_writers_take_a_few_calls_and_units_for_a_message(meter: Meter) -> None:
    session = casefile.new_session()
    # Neither forked from a process that has threads, nor each started by itself, which takes long.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["functions.chat.handler", __name__])
    meter.calls.clear()
    started = begin, (dict(os.environ), context.Barrier(WRITERS))
    with context.Pool(WRITERS, *started) as writers:
        racing = [(session, number) for number in range(WRITERS)]
        told = writers.starmap_async(write, racing, 1).get(SECONDS)
    spent = meter.reading
    outcome = race.judge(chain(*told), list(casefile.open_store(session).read()))
    assert outcome.is_flawless, outcome
    assert len(outcome.recorded) == WRITERS * APPENDS
    assert spent.calls / len(outcome.recorded) <= MOST
    assert spent.write_units / len(outcome.recorded) <= MOST


def test_two_instances_in_turn_find_each_time_that_the_other_was_there(meter: Meter) -> None:
    session = casefile.new_session()
    store = casefile_turns.open_store(session)
    spent = []
    for number in range(6):
        meter.calls.clear()
        store.append(str(uuid4()), datetime.now(UTC).isoformat(), f"0/{number}")
        spent.append(meter.reading.calls)
    assert spent[2:] == [3] * 4
    assert store.read() == [f"0/{number}" for number in range(6)]


def test_what_was_acknowledged_is_there_once_in_order_and_nothing_after_the_closing(
    meter: Meter,
) -> None:
    """Three in ten requests are sent twice, and one of the writers closes in the middle."""
    appends = 200
    variables = {**os.environ, "PYTHONPATH": "layers/models", "POWERTOOLS_LOG_LEVEL": "ERROR"}
    outcome = race.run("casefile", variables, writers=WRITERS, appends=appends, closes=True)
    assert outcome.is_flawless, outcome
    assert outcome.refused
    assert len(outcome.recorded) + len(outcome.refused) == WRITERS * appends
