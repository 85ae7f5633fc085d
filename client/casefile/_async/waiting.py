"""How to wait, asynchronously."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")

LAST_SECONDS = 10.0
"""How long who is cancelled may still wait."""


async def sleep(seconds: float) -> None:
    """Wait so many seconds."""
    await anyio.sleep(seconds)


async def run(function: Callable[..., T], *arguments: object) -> T:
    """What a function returns that may take a while, such as reading from a disk."""
    return await anyio.to_thread.run_sync(function, *arguments)


def allowed() -> AbstractContextManager[Any]:
    """Where one can wait, for a last few seconds if what is around it was cancelled."""
    is_cancelled = anyio.current_effective_deadline() == -math.inf
    return anyio.fail_after(LAST_SECONDS, shield=True) if is_cancelled else nullcontext()


def check_kind(function: Callable[..., Any]) -> None:
    """Raise TypeError unless a function is asynchronous, or wraps one that is."""
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise TypeError(f"{function!r} is a generator: record what goes on with it by `recording`.")
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise TypeError(f"{function!r} is not asynchronous: record it by a Client.")
