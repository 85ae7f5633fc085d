"""How to wait, asynchronously."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")

Place = tuple[int, asyncio.AbstractEventLoop | None]
"""A process, and an event loop of it, if one runs there."""

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


def place() -> Place:
    """Where connections that are opened now belong."""
    try:
        return os.getpid(), asyncio.get_running_loop()
    except RuntimeError:
        return os.getpid(), None


def is_gone(place: Place) -> bool:
    """Whether nothing can run there any more that this process knows of."""
    process, loop = place
    return process != os.getpid() or (loop is not None and loop.is_closed())


def check_kind(function: Callable[..., Any]) -> None:
    """Raise TypeError unless a function is asynchronous, or wraps one that is."""
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise TypeError(f"{function!r} is a generator: record what goes on with it by `recording`.")
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise TypeError(f"{function!r} is not asynchronous: record it by a Client.")
