"""Who may read an answer in a browser: pages of the origins that are named, and no other page."""

import json
import re
from typing import Any

import pytest

from casefile import config, sessions
from tests.conftest import OPERATIONS, Context, Invoke, load
from tests.events import event
from tests.origins import ALLOWED, OTHERS, Allow
from tests.template import template


def ask(operation: str, origin: str | None, door: str = "api", **more: Any) -> dict[str, Any]:
    asked = event(operation, door) | more
    asked["headers"] = {**asked["headers"], **({} if origin is None else {"Origin": origin})}
    answer: dict[str, Any] = load(operation)(asked, Context())
    return answer


def told(answer: dict[str, Any]) -> dict[str, str]:
    """What an answer tells browsers."""
    return {
        name: value
        for name, value in answer["headers"].items()
        if name.startswith("Access-Control-") or name == "Vary"
    }


def readable(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Casefile-Next-After, Retry-After",
        "Vary": "Origin",
    }


@pytest.mark.parametrize("door", ["api", "http_api"])
def test_pages_of_every_allowed_origin_may_read_every_answer(
    aws: None, allow: Allow, door: str
) -> None:
    allow(*ALLOWED)
    for operation in OPERATIONS:
        for origin in ALLOWED:
            assert told(ask(operation, origin, door)) == readable(origin), operation
        assert told(ask(operation, OTHERS[0], door)) == {"Vary": "Origin"}, operation


def test_an_export_can_be_read_like_any_answer(invoke: Invoke, allow: Allow) -> None:
    allow(*ALLOWED)
    session_id = invoke("create_session")["payload"]["session_id"]
    answer = ask("export_session", ALLOWED[1], pathParameters={"session_id": session_id})
    assert answer["headers"]["Content-Type"] == "application/x-ndjson"
    assert told(answer) == readable(ALLOWED[1])


def test_a_page_of_any_other_origin_may_read_none(aws: None, allow: Allow) -> None:
    allow(*ALLOWED)
    for origin in [*OTHERS, None]:
        answer = ask("create_session", origin)
        assert answer["statusCode"] == 201
        assert told(answer) == {"Vary": "Origin"}, origin


def test_a_failure_can_be_read_like_any_answer(
    aws: None, allow: Allow, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(*ALLOWED)

    def fail(_: Any) -> None:
        raise RuntimeError("a bug")

    unknown = event("create_session", "api")["requestContext"] | {"authorizer": None}
    failures = [
        ask("create_session", ALLOWED[0], body="{"),
        ask("create_session", ALLOWED[0], requestContext=unknown),
        ask("get_session", ALLOWED[0]),
        ask("create_session", ALLOWED[0], httpMethod="PUT"),
    ]
    monkeypatch.setattr(sessions, "create", fail)
    failures.append(ask("create_session", ALLOWED[0]))
    assert [answer["statusCode"] for answer in failures] == [400, 401, 404, 405, 500]
    for answer in failures:
        assert told(answer) == readable(ALLOWED[0])


def test_no_answer_is_for_pages_unless_origins_are_named(aws: None, allow: Allow) -> None:
    allow()
    for origin in [*ALLOWED, *OTHERS, None]:
        assert told(ask("create_session", origin)) == {}, origin


NO_ORIGINS = [
    "*",
    "null",
    "https://*.example.com",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://app.example.com?query",
    "https://user@app.example.com",
    "https://App.example.com",
    "https://app.example.com:443",
    "http://localhost:80",
    "http://localhost:",
    "http://localhost:port",
    "http://localhost:0",
    "http://localhost:123456",
    "app.example.com",
    "//app.example.com",
    "https://",
    "https:app.example.com",
    " https://app.example.com",
    "https://app.example.com\n",
    "https://app.example.com https://b.example.com",
]


@pytest.mark.parametrize("wrong", NO_ORIGINS)
@pytest.mark.parametrize("among", [[], ALLOWED])
def test_what_is_no_origin_is_refused_at_the_start(
    allow: Allow, wrong: str, among: list[str]
) -> None:
    allow(*among, wrong)
    with pytest.raises(config.Misconfigured) as refused:
        config.configuration()
    assert repr(wrong) in str(refused.value)
    assert "https://app.example.com" in str(refused.value)


LISTS = [[], ALLOWED, ["https://a.example:8443", "http://a.example:443"]]
WRONG_LISTS = [[*ALLOWED, "*"], ["*", *ALLOWED], ["", ALLOWED[0]], [ALLOWED[0], ""]]


@pytest.mark.parametrize(
    "listed",
    [*LISTS, *WRONG_LISTS, *([each] for each in [*ALLOWED, *NO_ORIGINS])],
    ids=json.dumps,
)
def test_the_template_takes_just_the_origins_that_the_functions_take(
    allow: Allow, listed: list[str]
) -> None:
    allow(*listed)
    try:
        is_taken = config.configuration().allowed_origins == frozenset(listed)
    except config.Misconfigured:
        is_taken = False
    pattern = template()["Parameters"]["AllowedOrigins"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, ",".join(listed))) == is_taken
