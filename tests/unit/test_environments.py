"""An environment is made when it isn't there, or isn't what is wanted; else it is left alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dev import environments
from dev.console import Problem
from dev.environments import Environment


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was done: folders that were created, and what was installed."""
    done: list[str] = []

    def create(folder: Path) -> None:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin/python").touch()
        done.append(f"created {folder.name}")

    def install(python: Path, arguments: list[str], log: Path) -> None:
        done.append(f"installed in {python.parents[1].name}")

    monkeypatch.setattr(environments, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(environments, "_create", create)
    monkeypatch.setattr(environments, "run_pip", install)
    return done


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / "requirements.txt").write_text("one\n")
    return Environment("a test", tmp_path / "first", (tmp_path / "requirements.txt",), ())


def test_it_is_made_once(environment: Environment, made: list[str]) -> None:
    for _ in range(2):
        assert environments.prepare(environment) == environment.python
        assert made == ["created first", "installed in first"]


def test_other_requirements_are_installed_in_it(environment: Environment, made: list[str]) -> None:
    environments.prepare(environment)
    environment.requirements[0].write_text("two\n")
    made.clear()
    environments.prepare(environment)
    assert made == ["installed in first"]


def test_a_copy_is_made_anew_and_the_first_is_left_alone(
    environment: Environment, made: list[str], tmp_path: Path
) -> None:
    environments.prepare(environment)
    shutil.copytree(environment.folder, tmp_path / "the copy")
    made.clear()
    environments.prepare(replace(environment, folder=tmp_path / "the copy"))
    environments.prepare(environment)
    assert made == ["created the copy", "installed in the copy"]


def test_an_install_that_failed_is_done_again(
    environment: Environment, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Problem("no network")

    with monkeypatch.context() as patched:
        patched.setattr(environments, "run_pip", fail)
        with pytest.raises(Problem, match="no network"):
            environments.prepare(environment)
    made.clear()
    environments.prepare(environment)
    assert made == ["created first", "installed in first"]
