"""Pages of named origins call the deployed API; off unless origins are named."""

import itertools
from collections.abc import Iterator

import httpx
import pytest

from dev import local_stack
from dev.console import Problem
from dev.local_cloud import LocalCloud, free_port
from dev.local_stack import Stack
from tests.conftest import OPERATIONS, load
from tests.e2e.conftest import Caller
from tests.origins import ALLOWED, OTHERS

PATHS = sorted({load(operation).route.split()[1] for operation in OPERATIONS})


@pytest.fixture(scope="module")
def open_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(state=tmp_path_factory.mktemp("open"), port=free_port()) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def open_stack(open_cloud: LocalCloud) -> Stack:
    """A stack whose API pages of these origins may call."""
    return local_stack.deploy(open_cloud, AllowedOrigins=",".join(ALLOWED))


def preflight(stack: Stack, path: str, origin: str) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return httpx.options(stack.url + path, headers=headers, timeout=60)


def test_every_route_answers_pages_of_every_origin_named_by_that_name(open_stack: Stack) -> None:
    for path, origin in zip(PATHS, itertools.cycle(ALLOWED), strict=False):
        answer = preflight(open_stack, path, origin)
        assert answer.status_code == 204, path
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", OTHERS)
def test_pages_of_any_other_origin_are_told_nothing(open_stack: Stack, origin: str) -> None:
    answer = preflight(open_stack, PATHS[0], origin)
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_answer_and_a_failure_can_be_read_from_the_origins_named(open_stack: Stack) -> None:
    token = {"Authorization": f"Bearer {open_stack.token('ann@example.com')}"}
    for origin, told in [*((each, each) for each in ALLOWED), (OTHERS[0], None)]:
        headers = {**token, "Origin": origin}
        for body, status in (({"payload": {}}, 201), ({"payload": {"no": "field"}}, 400)):
            url = open_stack.url + "/tool-sessions"
            answer = httpx.post(url, headers=headers, json=body, timeout=60)
            assert answer.status_code == status
            assert answer.headers.get("Access-Control-Allow-Origin") == told
            assert answer.headers["Vary"] == "Origin"


def test_uploads_go_by_the_same_origins(open_stack: Stack) -> None:
    bucket = open_stack.outputs["BucketName"]
    (rule,) = open_stack.client("s3").get_bucket_cors(Bucket=bucket)["CORSRules"]
    assert rule["AllowedOrigins"] == ALLOWED


@pytest.mark.parametrize("origins", ["*", "https://app.example.com/", "https://a.example, *"])
def test_what_is_no_origin_is_not_deployed(open_cloud: LocalCloud, origins: str) -> None:
    with pytest.raises(Problem, match=r"AllowedOrigins.* must be origins as browsers send them"):
        local_stack.deploy(open_cloud, AllowedOrigins=origins)


def test_nobody_is_told_anything_unless_origins_are_named(stack: Stack, ann: Caller) -> None:
    refused = preflight(stack, "/tool-sessions", ALLOWED[0])
    answer = ann.send("POST", "/tool-sessions", {}, headers={"Origin": ALLOWED[0]})
    assert (refused.is_success, answer.is_success) == (False, True)
    for each in (refused, answer):
        assert not [name for name in each.headers if name.startswith("access-control-")]
