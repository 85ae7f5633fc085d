"""Eight processes, each with a memory of its own, write one session as fast as they can."""

import os

import pytest

from benchmarks import race
from dev.local_stack import Stack

WRITERS, APPENDS = 8, 50


@pytest.mark.parametrize("closes", [True, False])
def test_what_was_acknowledged_is_there_once_in_order_and_nothing_after_the_closing(
    stack: Stack, closes: bool
) -> None:
    outcome = race.run(
        "casefile",
        {"PATH": os.defpath, "PYTHONPATH": "layers/models", **stack.variables},
        writers=WRITERS,
        appends=APPENDS,
        closes=closes,
    )
    assert outcome.is_flawless, outcome
    assert bool(outcome.refused) == closes
    assert len(outcome.recorded) + len(outcome.refused) == WRITERS * APPENDS
