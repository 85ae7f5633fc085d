"""What is deployed is compiled for the runtime, and holds nothing that nobody runs."""

import os
import py_compile
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dev import aws, build_output
from dev.console import Problem

PYTHON = Path(sys.executable)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A layer and a function as `sam build` leaves them."""
    for name, text in {
        "Models/python/casefile/__init__.py": "",
        "Models/python/casefile/log.py": "print(__file__)",
        "Models/python/casefile/py.typed": "",
        "Models/python/library/stub.pyi": "",
        "Models/python/library/tests/test_it.py": "assert False",
        "Chat/handler.py": "import casefile.log",
        "template.yaml": "",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def files(build: Path) -> set[str]:
    return {path.relative_to(build).as_posix() for path in build.rglob("*") if path.is_file()}


def test_what_was_built_is_compiled_and_holds_no_stubs_and_tests(build: Path) -> None:
    with pytest.raises(Problem, match="not compiled"):
        build_output.check(build, PYTHON)
    for _ in range(2):  # A build from the cache may be finished already.
        build_output.finish(build, PYTHON)
        build_output.check(build, PYTHON)
    tag = sys.implementation.cache_tag
    assert files(build) == {
        "Models/python/casefile/__init__.py",
        "Models/python/casefile/log.py",
        f"Models/python/casefile/__pycache__/__init__.{tag}.pyc",
        f"Models/python/casefile/__pycache__/log.{tag}.pyc",
        "Chat/handler.py",
        f"Chat/__pycache__/handler.{tag}.pyc",
        "template.yaml",
    }
    compiled = build / f"Models/python/casefile/__pycache__/log.{tag}.pyc"
    assert b"/opt/python/casefile/log.py" in compiled.read_bytes()
    assert str(build).encode() not in compiled.read_bytes()


def remove(build: Path, compiled: Path) -> None:
    compiled.unlink()


def date(build: Path, compiled: Path) -> None:
    """As Python itself compiles: to be used while the source keeps its date."""
    py_compile.compile(str(build / "Chat/handler.py"), str(compiled))


def age(build: Path, compiled: Path) -> None:
    """Another Python's."""
    compiled.write_bytes(b"\0\0\0\0" + compiled.read_bytes()[4:])


def grow(build: Path, compiled: Path) -> None:
    with (build / "Models/python/large").open("wb") as file:
        os.truncate(file.fileno(), build_output.MAX_LAYER_BYTES)


@pytest.mark.parametrize("spoil", [remove, date, age, grow])
def test_what_is_not_fit_is_found(build: Path, spoil: Callable[[Path, Path], None]) -> None:
    build_output.finish(build, PYTHON)
    spoil(build, build / f"Chat/__pycache__/handler.{sys.implementation.cache_tag}.pyc")
    with pytest.raises(Problem):
        build_output.check(build, PYTHON)


def test_an_empty_build_is_none(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="nothing"):
        build_output.check(tmp_path, PYTHON)


def test_what_does_not_compile_is_told(build: Path) -> None:
    (build / "Chat/handler.py").write_text("def")
    with pytest.raises(Problem, match="Chat does not compile"):
        build_output.finish(build, PYTHON)


@pytest.mark.parametrize("fits", [True, False])
def test_what_is_not_fit_is_not_deployed(
    build: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    fits: bool,
) -> None:
    tools = tmp_path_factory.mktemp("tools")
    sam, asked = tools / "sam", tools / "asked"
    sam.write_text(f'#!/bin/sh\necho "$1" >> {asked}\n')
    sam.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(aws, "_BUILD", build)
    monkeypatch.setattr(aws, "_find_runtime", lambda: PYTHON)
    if fits:
        aws.deploy([])
        assert asked.read_text().split() == ["build", "deploy"]
        return
    grow(build, build)
    with pytest.raises(Problem, match="MB unpacked"):
        aws.deploy([])
    assert asked.read_text().split() == ["build"]
