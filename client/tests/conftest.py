"""The deployed template on a local cloud, and clients of it.

The cloud is one that is running, if CASEFILE_TEST_CLOUD says where, or else these tests' own.
"""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

import casefile
from casefile import cli
from dev import local_stack
from dev.local_cloud import LocalCloud, free_port
from dev.local_stack import Stack

# How long an example takes is a matter of the machine, and of what else it has to do.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if running := os.environ.get("CASEFILE_TEST_CLOUD"):
        yield local_stack.find(running)
        return
    with LocalCloud(state=tmp_path_factory.mktemp("cloud"), port=free_port()) as cloud:
        yield local_stack.deploy(cloud, ROOT)


SignIn = Callable[[str], str]


@pytest.fixture(scope="session")
def sign_in(stack: Stack) -> SignIn:
    """Get a token by an e-mail address, the same each time."""
    tokens: dict[str, str] = {}

    def sign_in(email: str) -> str:
        if email not in tokens:
            tokens[email] = stack.token(email)
        return tokens[email]

    return sign_in


@pytest.fixture(scope="session")
def ann(stack: Stack, sign_in: SignIn) -> Iterator[casefile.Client]:
    with casefile.Client(stack.url, sign_in("ann@client.example")) as client:
        yield client


@pytest.fixture(scope="session")
def bob(stack: Stack, sign_in: SignIn) -> Iterator[casefile.Client]:
    with casefile.Client(stack.url, sign_in("bob@client.example")) as client:
        yield client


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("CASEFILE_URL", "CASEFILE_TOKEN", "CASEFILE_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, stdin: str | bytes | None = "") -> Ran:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        reading = None if given is None else io.TextIOWrapper(io.BytesIO(given), "ascii")
        monkeypatch.setattr("sys.argv", ["casefile", *arguments])
        monkeypatch.setattr("sys.stdin", reading)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture
def ann_runs(run: Run, stack: Stack, sign_in: SignIn) -> Run:
    assert run("login", stack.url, "--token", sign_in("ann@client.example")).code == 0
    return run
