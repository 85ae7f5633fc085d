"""The deployed template on a local cloud of these tests' own, and clients of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import casefile
from dev import local_stack
from dev.local_cloud import LocalCloud, free_port
from dev.local_stack import Stack

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(state=tmp_path_factory.mktemp("cloud"), port=free_port()) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud) -> Stack:
    return local_stack.deploy(cloud, ROOT)


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
    with casefile.Client(stack.url, sign_in("ann@example.com")) as client:
        yield client


@pytest.fixture(scope="session")
def bob(stack: Stack, sign_in: SignIn) -> Iterator[casefile.Client]:
    with casefile.Client(stack.url, sign_in("bob@example.com")) as client:
        yield client
