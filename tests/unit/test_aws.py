"""What can be seen before a deployment begins is said before it begins."""

from pathlib import Path

import pytest

from dev import aws
from dev.console import Problem
from tests.conftest import OPERATIONS

LONG = "casefile-of-the-department-of-travel"


class Begun(Exception):
    pass


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def begin() -> Path:
        raise Begun

    monkeypatch.setattr(aws, "_ROOT", tmp_path)
    monkeypatch.setattr(aws, "_find_sam", begin)
    return tmp_path


def test_a_name_that_is_short_enough_leaves_room_for_every_operation() -> None:
    assert aws.LONGEST_NAME + 1 + max(map(len, OPERATIONS)) <= 64
    assert len(LONG) == aws.LONGEST_NAME + 1


@pytest.mark.parametrize("given", [["--stack-name", LONG], [f"--stack-name={LONG}"]])
def test_a_stack_name_that_is_too_long_is_refused(root: Path, given: list[str]) -> None:
    with pytest.raises(Problem, match="up to 35 characters"):
        aws.deploy(["--use-container", *given])


@pytest.mark.parametrize("section", ["deploy", "global"])
def test_a_saved_one_is_too_unless_another_is_given(root: Path, section: str) -> None:
    saved = f'[default.{section}.parameters]\nstack_name = "{LONG}"\n'
    (root / "samconfig.toml").write_text(saved)
    with pytest.raises(Problem, match=LONG):
        aws.deploy([])
    with pytest.raises(Begun):
        aws.deploy(["--stack-name", LONG[:-1]])


@pytest.mark.parametrize(
    ("given", "file"),
    [
        (["--config-env", "prod"], "samconfig.toml"),
        (["--config-env=prod", "--config-file=other.toml"], "other.toml"),
    ],
)
def test_answers_are_looked_for_where_sam_is_told_that_they_are(
    root: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], file: str
) -> None:
    (root / file).write_text(f'[prod.deploy.parameters]\nstack_name = "{LONG}"\n')
    with pytest.raises(Problem, match=LONG):
        aws.deploy(["--use-container", *given])
    with pytest.raises(Begun):
        aws.deploy(["--use-container"])
    (root / file).write_text('[prod.deploy.parameters]\nstack_name = "casefile"\n')
    assert asked(monkeypatch, given) == [["deploy", *given]]


def test_sam_asks_if_it_has_no_answers_and_the_limit_is_told_before(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "answers.yaml").write_text("default: {}\n")
    for given in ([], ["--guided"], ["--config-env", "prod"], ["--config-file", "answers.yaml"]):
        (done,) = asked(monkeypatch, given)
        assert sorted(done) == sorted({"deploy", "--guided", *given})
        assert "up to 35 characters" in capsys.readouterr().err


def asked(monkeypatch: pytest.MonkeyPatch, given: list[str]) -> list[list[str]]:
    """What SAM is asked to deploy, of what is built already and in a container."""
    done: list[list[str]] = []

    def run(sam: Path, arguments: list[str], python: Path | None) -> None:
        done.append(arguments)

    monkeypatch.setattr(aws, "_find_sam", lambda: Path("sam"))
    monkeypatch.setattr(aws, "_find_runtime", lambda: None)
    monkeypatch.setattr(aws, "_runtime", lambda: "python3.13")
    monkeypatch.setattr(aws, "_run", run)
    aws.deploy(["--use-container", *given])
    return done[1:]


def test_a_python_that_is_not_there_is_told_before_anything_is_installed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "template.yaml").write_text("  Runtime: python3.13\n")
    monkeypatch.setenv("PATH", str(root))
    monkeypatch.setenv("HOME", str(root))
    with pytest.raises(Problem, match=r"for python3\.13, which was not found"):
        aws.check_template()
    python = root / "python3.13"
    python.write_text("#!/bin/sh\necho python3.13\n")
    python.chmod(0o755)
    with pytest.raises(Begun):
        aws.check_template()


def test_one_that_sam_will_ask_for_is_left_to_it(root: Path) -> None:
    with pytest.raises(Begun):
        aws.deploy(["--guided"])
