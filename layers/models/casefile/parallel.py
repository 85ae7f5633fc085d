"""Several things at the same time, within the same deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

AT_ONCE = 8

Thing = TypeVar("Thing")
Made = TypeVar("Made")


def in_parallel(do: Callable[[Thing], Made], things: Sequence[Thing]) -> list[Made]:
    """What is made of each thing, in their order. The first failure is raised.

    A client that they use should have been made before, or each thread makes one of its own.
    """
    if len(things) < 2:
        return [do(thing) for thing in things]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Each in a context of its own: they share the deadline.
        waiting: list[Any] = [pool.submit(copy_context().run, do, thing) for thing in things]
        try:
            return [each.result() for each in waiting]
        finally:  # After a failure, nobody waits for what has not begun.
            pool.shutdown(cancel_futures=True)
