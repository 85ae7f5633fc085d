"""Writes the client's synchronous half anew, from its asynchronous one: `make client`.

So a method is written once, and both halves always do the same.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

from dev.console import Problem
from dev.environments import ROOT

PACKAGE = ROOT / "client/casefile"
BY_HAND = {"waiting.py"}
"""How to wait differs by nature."""

_NAMES = {
    "AsyncGenerator": "Generator",
    "aclose": "close",
    "asynccontextmanager": "contextmanager",
}


def write(target: Path) -> None:
    """Write the synchronous modules into a folder."""
    sources = [path for path in (PACKAGE / "_async").glob("*.py") if path.name not in BY_HAND]
    names = {name: name.removeprefix("Async") for name in _async_names(sources)} | _NAMES
    rule = unasync.Rule(f"{PACKAGE}/_async/", f"{target}/", additional_replacements=names)
    unasync.unasync_files([str(path) for path in sources], [rule])
    for path in target.glob("*.py"):
        text = path.read_text().replace("Callable[P, Awaitable[T]]", "Callable[P, T]")
        path.write_text(text.replace("Awaitable, ", ""))
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "client/pyproject.toml"), str(target)]
    subprocess.run([*ruff, "check", "--quiet", "--select", "I", "--fix", *config], check=True)
    subprocess.run([*ruff, "format", "--quiet", *config], check=True)


def _async_names(sources: list[Path]) -> set[str]:
    words = {word for path in sources for word in _words(path.read_text())}
    return {word for word in words if word.startswith("Async")}


def _words(text: str) -> list[str]:
    return "".join(each if each.isidentifier() or each.isdigit() else " " for each in text).split()


def check() -> None:
    """Raise Problem unless the synchronous half is what would be written now."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        write(target)
        for path in target.glob("*.py"):
            if path.read_text() != (PACKAGE / "_sync" / path.name).read_text():
                raise Problem(f"client/casefile/_sync/{path.name} is out of date: make client")


if __name__ == "__main__":
    write(PACKAGE / "_sync")
