"""A file that says which process does something, and is true by construction.

The process keeps the file locked, and the operating system drops the lock when the process ends,
however it ends. So the process id in a locked file belongs to a living process of ours, never to
some other program that has been given the same number since.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from dev.console import Problem


def hold(path: Path) -> int | None:
    """Lock the file and return its descriptor; None if another process holds it.

    A child process that inherits the descriptor goes on holding the file when we close ours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    for _ in range(5):  # someone may just be asking is_held
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            os.ftruncate(descriptor, 0)
            return descriptor
    os.close(descriptor)
    return None


def write(descriptor: int, **facts: Any) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(facts).encode(), 0)


def is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read(path: Path) -> dict[str, Any] | None:
    """What the holder of the file wrote; None if nobody holds it."""
    deadline = time.monotonic() + 5
    while is_held(path):
        if text := path.read_text():
            facts: dict[str, Any] = json.loads(text)
            return facts
        if time.monotonic() > deadline:
            raise Problem(f"{path} is locked by a process that never said its id: end it by hand.")
        time.sleep(0.02)  # locked, not yet written
    return None


def wait_until_free(path: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_held(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
