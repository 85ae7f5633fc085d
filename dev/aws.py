"""`deploy` to AWS, and `check-template`, which proves that the template builds, without an account.

Both use the SAM command line, which builds with the very Python that the functions run on in AWS.
"""

from __future__ import annotations

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


def deploy(arguments: Sequence[str]) -> None:
    """Build and deploy. The first time SAM asks its questions, and remembers the answers."""
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
    guided = [] if _has_saved_answers() or "--guided" in rest else ["--guided"]
    _run(sam, ["deploy", *guided, *rest], python)


def check_template() -> None:
    sam = _find_sam()
    python = _find_runtime()
    if python is None:
        raise Problem(
            f"The template is for {_runtime()}, which was not found on the PATH or in ~/.pyenv."
        )
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


def _has_saved_answers() -> bool:
    file = _ROOT / "samconfig.toml"
    if not file.exists():
        return False
    saved = tomllib.loads(file.read_text()).get("default", {})
    return any(
        "stack_name" in saved.get(section, {}).get("parameters", {})
        for section in ("deploy", "global")
    )
