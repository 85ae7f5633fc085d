"""How to wait, asynchronously."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Wait so many seconds."""
    await anyio.sleep(seconds)


async def run(function: Callable[..., T], *arguments: object) -> T:
    """What a function returns that may take a while, such as reading from a disk."""
    return await anyio.to_thread.run_sync(function, *arguments)
