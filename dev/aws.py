"""`deploy` to AWS, and `check-template`, which proves that the template builds, without an account.

Both use the SAM command line, which builds with the very Python that the functions run on in AWS.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dev import build_output, environments
from dev.console import Problem, say

_ROOT = environments.ROOT
_BUILD = _ROOT / ".aws-sam/build"

LONGEST_NAME = 35
"""Of a stack: functions are called after it and their operation, in 64 characters."""


def deploy(arguments: Sequence[str]) -> None:
    """Build and deploy. The first time SAM asks its questions, and remembers the answers."""
    given = _read(arguments)
    saved = _saved_name(_ROOT / given.config_file, given.config_env)
    name = given.stack_name or saved
    if name is not None and len(name) > LONGEST_NAME:
        raise Problem(f"A stack's name may have up to {LONGEST_NAME} characters: {name} has more.")
    sam = _find_sam()
    python = _find_runtime()
    in_container = "--use-container" in arguments
    if python is None and not in_container:
        raise Problem(
            f"Building for AWS needs {_runtime()}, which was not found. Install it, or, if you "
            "have Docker: make deploy ARGS=--use-container"
        )
    build = ["build", "--cached", "--parallel", *(["--use-container"] if in_container else [])]
    _run(sam, build, python)
    if python is None:
        say(f"Without {_runtime()} here, nothing is compiled: each cold start takes longer.")
    else:
        build_output.finish(_BUILD, python)
        build_output.check(_BUILD, python)
    rest = [argument for argument in arguments if argument != "--use-container"]
    guided = [] if saved or "--guided" in rest else ["--guided"]
    if guided or "--guided" in rest:
        say(f"\nSAM will ask for the stack's name. It may have up to {LONGEST_NAME} characters.")
    _run(sam, ["deploy", *guided, *rest], python)


def check_template() -> None:
    python = _find_runtime()
    if python is None:
        raise Problem(
            f"The template is for {_runtime()}, which was not found on the PATH or in ~/.pyenv."
        )
    sam = _find_sam()
    _run(sam, ["validate", "--lint"], python)
    _run(sam, ["build", "--cached", "--parallel"], python)
    build_output.finish(_BUILD, python)
    build_output.check(_BUILD, python)


def _run(sam: Path, arguments: Sequence[str], python: Path | None) -> None:
    say(f"\n== sam {' '.join(arguments)}")
    first = [str(python.parent)] if python else []
    variables = {
        **os.environ,
        "PATH": os.pathsep.join([*first, os.environ.get("PATH", os.defpath)]),
        "SAM_CLI_TELEMETRY": "0",
    }
    if arguments[0] == "validate":
        variables.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    if subprocess.run([str(sam), *arguments], cwd=_ROOT, env=variables).returncode:
        raise Problem(f"sam {arguments[0]} failed, see above.")


def _find_sam() -> Path:
    if found := shutil.which("sam"):
        return Path(found)
    environments.prepare(environments.SAM)
    return environments.SAM.bin / "sam"


def _runtime() -> str:
    """The Python that the functions run on, such as python3.13: the template says it."""
    found = re.search(r"^\s*Runtime:\s*(python3\.\d+)", (_ROOT / "template.yaml").read_text(), re.M)
    if found is None:
        raise Problem("template.yaml does not say which Python the functions run on (Runtime).")
    return found[1]


def _find_runtime() -> Path | None:
    name = _runtime()
    return next((python for python in _candidates(name) if _is(python, name)), None)


def _candidates(name: str) -> Iterator[Path]:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield Path(folder, name)
    versions = Path.home() / ".pyenv/versions"
    yield from _newest_first(versions.glob(f"{name.removeprefix('python')}*/bin/{name}"))


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])[::-1]


def _is(python: Path, name: str) -> bool:
    """Whether it really runs: what is on the PATH may be a shim that leads nowhere."""
    if not os.access(python, os.X_OK):
        return False
    question = "import sys, pip; print('python%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([str(python), "-c", question], capture_output=True, text=True)
    return asked.stdout.strip() == name


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    """What arguments for SAM tell of the stack's name, and of where it saved its answers."""
    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    known.add_argument("--stack-name")
    known.add_argument("--config-env", default="default")
    known.add_argument("--config-file", default="samconfig.toml")
    return known.parse_known_args(arguments)[0]


def _saved_name(file: Path, environment: str) -> str | None:
    """The stack's name among the answers that SAM saved, if it did, as TOML."""
    if file.suffix != ".toml" or not file.exists():
        return None
    saved = tomllib.loads(file.read_text()).get(environment, {})
    for section in ("deploy", "global"):
        if name := saved.get(section, {}).get("parameters", {}).get("stack_name"):
            return str(name)
    return None
