"""How to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait so many seconds."""
    time.sleep(seconds)


def run(function: Callable[..., T], *arguments: object) -> T:
    """What a function returns that may take a while."""
    return function(*arguments)
