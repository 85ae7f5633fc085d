"""The targets of the Makefile hand on what they are given, as one word each."""

import os
import subprocess

import pytest

from tests.template import ROOT

FOLDER = "a  folder/of mine"


@pytest.mark.parametrize(
    ("target", "given", "asked"),
    [
        ("invoke", {"OPERATION": "chat"}, ["chat"]),
        ("invoke", {"OPERATION": "chat", "EVENT": FOLDER}, ["chat", "--event", FOLDER]),
        ("invoke", {}, [""]),
        ("token", {"EMAIL": "a b@c.example"}, ["--email", "a b@c.example"]),
        ("token", {}, []),
        ("start", {"PORT": "4600"}, ["--port", "4600"]),
        ("test", {"ARGS": "-k 'close or chat' -x"}, ["-k", "close or chat", "-x"]),
    ],
)
def test_make_hands_on_its_variables(target: str, given: dict[str, str], asked: list[str]) -> None:
    variables = [f"{name}={value}" for name, value in given.items()]
    outside = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    shown = subprocess.run(
        ["make", "PYTHON=printf '%s\\n'", target, *variables],
        cwd=ROOT,
        env=outside,  # Of the make, that is, which may run the tests.
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines() == ["-m", "dev", target, *asked]
