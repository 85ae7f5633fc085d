"""What the user sees. Progress goes to stderr, so stdout holds only what a command answers."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator


class Problem(Exception):
    """Something the user can put right; its text says how. Shown without a traceback."""


def say(text: str = "", end: str = "\n") -> None:
    with contextlib.suppress(OSError):  # the terminal may be closed: what we do counts more
        print(text, end=end, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(doing: str) -> Iterator[None]:
    """Say what takes a while, then how long it took."""
    began = time.monotonic()
    say(f"{doing} ...", end="")
    try:
        yield
    except BaseException:
        say()
        raise
    say(f" {time.monotonic() - began:.1f} s")
