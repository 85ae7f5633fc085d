"""`test`: all that has to hold before a change is shared, the quickest first. And benchmarks."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from dev import dynoxide, environments, redocly, site
from dev.console import Problem, say

Steps = tuple[tuple[str, tuple[str, ...]], ...]

STEPS: Steps = (
    ("Style", ("ruff", "check")),
    ("Format", ("ruff", "format", "--check")),
    ("Types", ("mypy",)),
    ("Tests", ("pytest", "-n", "auto", "--dist", "loadgroup")),
)
# The client is a distribution of its own, whose package has the same name as the service's.
CLIENT_FOLDER = environments.ROOT / "client"
CLIENT_TYPES: Steps = (("Types of the client", ("mypy",)),)
# `test` runs these among its own, on the same local cloud: tests/e2e/test_client.py.
CLIENT_TESTS: Steps = (("Tests of the client", ("pytest",)),)


def test(pytest_arguments: Sequence[str]) -> None:
    environments.prepare(environments.DEVELOPMENT)
    environments.prepare(environments.CLOUD)
    dynoxide.prepare()
    redocly.prepare()
    environments.prepare(environments.CLIENT)
    _run(environments.CLIENT, CLIENT_TYPES, [], CLIENT_FOLDER)
    _run(environments.DEVELOPMENT, STEPS, pytest_arguments)
    say("\nEverything holds.")


def test_client(pytest_arguments: Sequence[str]) -> None:
    environments.prepare(environments.CLOUD)
    environments.prepare(environments.CLIENT)
    _run(environments.CLIENT, CLIENT_TYPES + CLIENT_TESTS, pytest_arguments, CLIENT_FOLDER)


def _run(
    environment: environments.Environment,
    steps: Steps,
    pytest_arguments: Sequence[str],
    folder: Path = environments.ROOT,
) -> None:
    for headline, command in steps:
        arguments = [*command, *pytest_arguments] if command[0] == "pytest" else [*command]
        say(f"\n== {headline}: {' '.join(arguments)}")
        # `python -m` finds the tool without the environment being active.
        python = str(environment.python)
        if subprocess.run([python, "-m", *arguments], cwd=folder).returncode:
            raise Problem(f"{headline}: {' '.join(command)} found something, see above.")


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


def write_client() -> None:
    python = str(environments.prepare(environments.DEVELOPMENT))
    subprocess.run([python, "-m", "dev.unasync"], cwd=environments.ROOT, check=True)


def make_site() -> None:
    print(site.build(environments.prepare(environments.DEVELOPMENT)))
