"""The deployed template on a local cloud of the tests' own, which evaluates IAM for real."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev import local_stack
from dev.local_cloud import LocalCloud, free_port
from dev.local_stack import Stack


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    http: httpx.Client

    def send(self, method: str, path: str, payload: Any = None, **more: Any) -> httpx.Response:
        """Send a request envelope, or none at all."""
        if payload is not None:
            more["json"] = {"payload": payload, **more.pop("envelope", {})}
        return self.http.request(method, path, **more)

    def do(self, method: str, path: str, payload: Any = None, **more: Any) -> dict[str, Any]:
        """Send a request that must succeed; return the response's payload."""
        response = self.send(method, path, payload, **more)
        assert response.is_success, response.text
        answered: dict[str, Any] = response.json()["payload"]
        return answered


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share one local cloud, so one process runs them all, while others run the rest."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("cloud"))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(state=tmp_path_factory.mktemp("cloud"), port=free_port()) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud) -> Stack:
    return local_stack.deploy(cloud, Path(__file__).parents[2])


SignIn = Callable[[str], Caller]


@pytest.fixture(scope="session")
def sign_in(stack: Stack) -> Iterator[SignIn]:
    """Sign in with an e-mail address."""
    opened: list[httpx.Client] = []

    def sign_in(email: str) -> Caller:
        headers = {"Authorization": f"Bearer {stack.token(email)}"}
        opened.append(httpx.Client(base_url=stack.url, headers=headers, timeout=60))
        return Caller(opened[-1])

    yield sign_in
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def ann(sign_in: SignIn) -> Caller:
    return sign_in("ann@example.com")


@pytest.fixture(scope="session")
def bob(sign_in: SignIn) -> Caller:
    return sign_in("bob@example.com")
