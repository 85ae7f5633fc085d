"""The start of a function: what its first request needn't wait for, and what a restore renews.

Whatever a start makes is there to stay. So nobody looks for garbage in it later.

With SnapStart, Lambda starts a function once and then copies its memory. Copies share what was made
before: the ends of connections, which work for nobody any more, and the state of `random`, so that
all would pause for the same time and meet again. So both are made anew in each copy.

Source: the AWS Lambda developer guide, "Lambda SnapStart runtime hooks for Python".
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from .config import configuration, is_from_snapshot, is_lambda


class Client(Protocol):
    """What keeps connections."""

    def close(self) -> None:
        """End the connections; the next call makes new ones."""


def start(*make: Callable[[], Client]) -> None:
    """In Lambda, read the configuration and make these clients now, to be renewed by a restore.

    Each function ends its start with this.
    """
    if not is_lambda():
        return
    configuration()
    clients = [make_one() for make_one in make]
    gc.freeze()

    def renew() -> None:
        random.seed()
        for client in clients:
            client.close()

    if is_from_snapshot():
        import_module("snapshot_restore_py").register_after_restore(renew)  # Of the runtime.
