"""`test`: all that has to hold before a change is shared, the quickest first. And benchmarks."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from dev import dynoxide, environments
from dev.console import Problem, say

STEPS = (
    ("Style", ("ruff", "check")),
    ("Format", ("ruff", "format", "--check")),
    ("Types", ("mypy",)),
    ("Tests", ("pytest", "-n", "auto", "--dist", "loadgroup")),
)


def test(pytest_arguments: Sequence[str]) -> None:
    environments.prepare(environments.DEVELOPMENT)
    environments.prepare(environments.CLOUD)
    dynoxide.prepare()
    for headline, command in STEPS:
        arguments = [*command, *pytest_arguments] if command[0] == "pytest" else [*command]
        say(f"\n== {headline}: {' '.join(arguments)}")
        # `python -m` finds the tool without the environment being active.
        python = str(environments.DEVELOPMENT.python)
        if subprocess.run([python, "-m", *arguments], cwd=environments.ROOT).returncode:
            raise Problem(f"{headline}: {' '.join(command)} found something, see above.")
    say("\nEverything holds.")


def write_openapi() -> None:
    python = str(environments.prepare(environments.DEVELOPMENT))
    subprocess.run([python, "-m", "dev.openapi"], cwd=environments.ROOT, check=True)


def bench(arguments: Sequence[str]) -> None:
    for environment in (environments.DEVELOPMENT, environments.CLOUD):
        environments.prepare(environment)
    python = str(environments.DEVELOPMENT.python)
    command = [python, "-m", "benchmarks", *arguments]
    if subprocess.run(command, cwd=environments.ROOT).returncode:
        raise Problem("The benchmark failed, see above.")


def bench_check() -> None:
    """The tests of what things cost, alone, with their figures."""
    environments.prepare(environments.DEVELOPMENT)
    if dynoxide.prepare() is None:
        return say(f"Nothing was checked: {dynoxide.NOT_HERE}")
    command = [str(environments.DEVELOPMENT.python), "-m", "pytest", "-q", "tests/cost"]
    if subprocess.run(command, cwd=environments.ROOT).returncode:
        raise Problem("Something costs more than it did, see above.")
    return None
