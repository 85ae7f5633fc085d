"""What `sam build` made, made fit for a cold start: without what nobody runs, and compiled.

Lambda can't write beside the code, so what is not compiled here is compiled at every cold start;
and its dates are those of the build, so the bytecode is told not to look at them (PEP 552).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dev.console import Problem

MAX_LAYER_BYTES = 25 * 2**20
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of bytecode that is used whatever its source says."""

_NOT_RUN = ("*.pyi", "py.typed", "ruff.toml", "test_cases.py", "tests", "*.egg-info", "__pycache__")


_COMPILE = """
import compileall, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for place, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    if not compileall.compile_dir(
        folder, quiet=1, invalidation_mode=mode, stripdir=folder, prependdir=place
    ):
        sys.exit(folder)
"""


def finish(build: Path, python: Path) -> None:
    """Leave out stubs and tests, and compile the rest with the Python that it will run on."""
    for pattern in _NOT_RUN:
        for path in list(build.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    places = [(_place(folder), str(folder)) for folder in _parts(build)]
    command = [str(python), "-c", _COMPILE, *(argument for each in places for argument in each)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{done.stdout}\n{done.stderr.strip()} does not compile.")


def check(build: Path, python: Path) -> None:
    """Raise Problem unless everything is compiled for this Python, and the layer is small."""
    question = (
        "import sys, importlib.util as util; "
        "print(util.MAGIC_NUMBER.hex(), sys.implementation.cache_tag)"
    )
    asked = subprocess.run(
        [str(python), "-c", question], capture_output=True, text=True, check=True
    )
    magic, tag = asked.stdout.split()
    sources = [source for folder in _parts(build) for source in folder.rglob("*.py")]
    if not sources:
        raise Problem(f"There is nothing in {build}.")
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        header = compiled.read_bytes()[:8] if compiled.exists() else b""
        if header != bytes.fromhex(magic) + UNCHECKED_HASH:
            raise Problem(f"{source} is not compiled for {tag}, to be used whatever its date.")
    for folder in filter(_is_layer, _parts(build)):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size > MAX_LAYER_BYTES:
            raise Problem(f"The layer {folder.name} has {size // 2**20} MB unpacked.")


def _parts(build: Path) -> Iterator[Path]:
    """The folders of functions and layers."""
    return (path for path in sorted(build.iterdir()) if path.is_dir())


def _place(folder: Path) -> str:
    """Where it will lie on Lambda; stack traces name it so."""
    return "/opt" if _is_layer(folder) else "/var/task"


def _is_layer(folder: Path) -> bool:
    return (folder / "python").is_dir()
