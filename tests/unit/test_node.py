"""A package from npm is installed once, and whole."""

import subprocess
from pathlib import Path

import pytest

from dev import environments, node
from dev.console import Problem


class Npm:
    """Makes a package's folder before its files, as npm does; may be interrupted between."""

    def __init__(self) -> None:
        self.runs = 0
        self.error: BaseException | None = None
        self.status = 0

    def __call__(self, command: list[str], _node: Path) -> subprocess.CompletedProcess[str]:
        self.runs += 1
        folder = Path(command[command.index("--prefix") + 1], "node_modules/@some/linter")
        folder.mkdir(parents=True)
        if self.error:
            raise self.error
        (folder / "cli.js").touch()
        return subprocess.CompletedProcess(command, self.status, "", "no network")


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Npm:
    made = Npm()
    monkeypatch.setattr(environments, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(node, "_commands", lambda: (Path("node"), ["npm"]))
    monkeypatch.setattr(node, "_run", made)
    return made


def install() -> Path:
    return node.install("@some/linter", "1.0.0", "a linter")


def test_a_package_is_installed_once(npm: Npm) -> None:
    assert (install() / "cli.js").exists()
    assert (install() / "cli.js").exists()
    assert npm.runs == 1


def test_an_install_that_was_interrupted_is_done_anew(npm: Npm) -> None:
    npm.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        install()
    npm.error = None
    assert (install() / "cli.js").exists()


def test_one_that_failed_is_done_anew(npm: Npm) -> None:
    npm.status = 1
    with pytest.raises(Problem, match=r"no network\n\nnpm could not install @some/linter"):
        install()
    npm.status = 0
    assert (install() / "cli.js").exists()
    assert [path.name for path in environments.LOCAL.iterdir()] == ["some-linter-1.0.0"]
