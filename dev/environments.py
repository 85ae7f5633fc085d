"""The virtual environments, made when first needed and again when their requirements change.

Each has a stamp, written last: it names the interpreter, the place, and the content of the
requirement files. So an install that was interrupted is redone, as is one that was copied or moved,
which would lead to where it was; and one that is up to date costs a few milliseconds.
Standard library only: this runs under whatever python3 the newcomer has.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.console import Problem, step

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"


@dataclass(frozen=True)
class Environment:
    purpose: str
    folder: Path
    requirements: tuple[Path, ...]
    install: tuple[str, ...]

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def stamp(self) -> Path:
        return self.folder / "complete"


def _from_file(purpose: str, name: str, file: Path) -> Environment:
    return Environment(purpose, LOCAL / name, (file,), ("-r", str(file)))


CLOUD = _from_file("the local cloud", "cloud-env", ROOT / "dev/requirements-cloud.txt")
SAM = _from_file("the SAM command line", "sam-env", ROOT / "dev/requirements-sam.txt")
NODE = _from_file("Node.js", "node-env", ROOT / "dev/requirements-node.txt")
CHARTS = _from_file("what draws charts", "charts-env", ROOT / "benchmarks/requirements/charts.txt")
DEVELOPMENT = Environment(
    "the development tools",
    ROOT / ".venv",
    (ROOT / "pyproject.toml", ROOT / "layers/models/requirements.txt"),
    ("-e", f"{ROOT}[dev]"),
)
CLIENT = Environment(
    "the client and its tests",
    LOCAL / "client-env",
    (ROOT / "client/pyproject.toml",),
    ("-e", f"{ROOT / 'client'}[aws,cli,dev,langchain,openai-agents,pydantic-ai,strands-agents]"),
)


def of_peer(name: str) -> Environment:
    """The environment of something that Casefile is compared with."""
    file = ROOT / f"benchmarks/requirements/{name}.txt"
    return _from_file(f"{name}, to compare with", f"peer-{name}", file)


def prepare(environment: Environment) -> Path:
    """Make sure that the environment is complete and up to date; return its interpreter."""
    place = hashlib.sha256(str(environment.folder).encode()).hexdigest()[:16]
    wanted = [interpreter_tag(), place, digest(environment.requirements)]
    if not _is(environment, wanted):
        with _alone(environment):
            if not _is(environment, wanted):
                _make(environment, wanted)
    return environment.python


def interpreter_tag() -> str:
    """Packages installed for one interpreter fit every other with the same tag."""
    return f"{sys.implementation.cache_tag}-{platform.machine()}"


def digest(files: tuple[Path, ...]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def run_pip(python: Path, arguments: list[str], log: Path) -> None:
    """Run `pip install`; a failure shows the end of what pip had to say."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    # A user's own pip settings count (index, proxy, certificates), except that --user makes no
    # sense in an environment of its own.
    variables = {**os.environ, "PIP_USER": "0"}
    with log.open("wb") as output:
        pip = subprocess.run(
            [*command, *arguments], stdout=output, stderr=subprocess.STDOUT, env=variables
        )
    if pip.returncode:
        tail = log.read_text(errors="replace").strip().splitlines()[-15:]
        raise Problem("\n".join([*tail, "", f"pip could not install (all it said is in {log})."]))


def move_into_place(made: Path, place: Path) -> None:
    """Put a folder that is complete where others look for it."""
    try:
        made.rename(place)
    except OSError:
        if not place.exists():  # otherwise another process was faster, with the same content
            raise


def _is(environment: Environment, wanted: list[str]) -> bool:
    return environment.python.exists() and _stamped(environment) == wanted


def _stamped(environment: Environment) -> list[str]:
    return environment.stamp.read_text().split() if environment.stamp.exists() else []


def _make(environment: Environment, wanted: list[str]) -> None:
    fits = environment.python.exists() and _stamped(environment)[:2] == wanted[:2]
    environment.stamp.unlink(missing_ok=True)
    with step(f"{'Updating' if fits else 'Installing'} {environment.purpose}"):
        if not fits:
            _create(environment.folder)
        log = LOCAL / "logs" / f"install-{environment.folder.name.lstrip('.')}.log"
        run_pip(environment.python, ["--upgrade", *environment.install], log)
    environment.stamp.write_text("\n".join(wanted))


def _create(folder: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise Problem(
            "This Python cannot make virtual environments. On Debian or Ubuntu: "
            "sudo apt install python3-venv"
        )
    # The base interpreter, so that it works from within any other virtual environment too.
    python: str = getattr(sys, "_base_executable", None) or sys.executable
    made = subprocess.run(
        [python, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        raise Problem(f"{made.stdout}{made.stderr}\nCould not make the environment {folder}.")


@contextmanager
def _alone(environment: Environment) -> Iterator[None]:
    """Two commands may find the same environment missing: one makes it, the other waits."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / f"{environment.folder.name.lstrip('.')}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
