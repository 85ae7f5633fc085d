"""What is uploaded: a zip for each function and one for the layer.

The same sources give the same bytes, or at least the same name, so what has not changed is
neither uploaded nor deployed again.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from dev.console import Problem, step
from dev.environments import LOCAL, digest, interpreter_tag, move_into_place, run_pip

_NOT_PACKAGED = {"__pycache__", "ruff.toml", ".DS_Store"}


@dataclass(frozen=True)
class Package:
    """A zip that need not be made unless nobody has one of this name."""

    name: str
    make: Callable[[], bytes]


def of_function(folder: Path) -> Package:
    files = list(_files(folder))
    return Package(f"function-{_digest(files)}.zip", partial(_zip, files))


def of_layer(folder: Path, python: Path) -> Package:
    """Our own packages, and what they depend on."""
    files = [
        (f"{package.name}/{name}", path)
        for package in _packages(folder)
        for name, path in _files(package)
    ]
    name = f"{_dependencies_name(folder)}-{_digest(files)}.zip"
    return Package(name, partial(_zip_layer, folder, python))


def _zip_layer(folder: Path, python: Path) -> bytes:
    """All compiled, because importing is what a cold start pays for."""
    dependencies = install_dependencies(folder, python)
    with tempfile.TemporaryDirectory() as scratch:
        for package in _packages(folder):
            ignored = shutil.ignore_patterns(*_NOT_PACKAGED)
            shutil.copytree(package, Path(scratch, "python", package.name), ignore=ignored)
        _compile(python, Path(scratch), must_compile=True)
        return _zip([*_tree(dependencies), *_tree(Path(scratch))])


def install_dependencies(folder: Path, python: Path) -> Path:
    """Install the layer's requirements once for each content of the file, and return where."""
    installed = LOCAL / "build" / _dependencies_name(folder)
    if not installed.exists():
        installed.parent.mkdir(parents=True, exist_ok=True)
        with (
            step("Installing the packages that the functions use"),
            tempfile.TemporaryDirectory(dir=installed.parent) as scratch,
        ):
            target = Path(scratch, "layer")
            requirements = str(folder / "requirements.txt")
            arguments = ["--no-compile", "-r", requirements, "--target", str(target / "python")]
            run_pip(python, arguments, LOCAL / "logs" / "install-layer.log")
            _compile(python, target, must_compile=False)
            move_into_place(target, installed)
    return installed


def _dependencies_name(folder: Path) -> str:
    return f"layer-{interpreter_tag()}-{digest((folder / 'requirements.txt',))}"


def _packages(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/__init__.py"))


def _compile(python: Path, folder: Path, *, must_compile: bool) -> None:
    command = [str(python), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", "/opt", str(folder)]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode and must_compile:
        raise Problem(f"{compiled.stdout}\nThe layer does not compile.")


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    total = sha256()
    for name, path in files:
        total.update(f"\0{name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files to package, each with its name there."""
    for name, path in _tree(folder):
        if not _NOT_PACKAGED.intersection(Path(name).parts):
            yield name, path


def _tree(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _zip(files: Iterable[tuple[str, Path]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in files:
            entry = zipfile.ZipInfo(name)  # dated 1980, whatever the date of the file
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()
