"""How to wait."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")

Place = int
"""A process."""


def sleep(seconds: float) -> None:
    """Wait so many seconds."""
    time.sleep(seconds)


def run(function: Callable[..., T], *arguments: object) -> T:
    """What a function returns that may take a while."""
    return function(*arguments)


def allowed() -> AbstractContextManager[Any]:
    """Where one can wait: anywhere."""
    return nullcontext()


def place() -> Place:
    """Where connections that are opened now belong."""
    return os.getpid()


def is_gone(place: Place) -> bool:
    """Whether nothing runs there that this process knows of."""
    return place != os.getpid()


def check_kind(function: Callable[..., Any]) -> None:
    """Raise TypeError for an asynchronous function, whose call is only its beginning."""
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function!r} is asynchronous: record it by an AsyncClient.")
