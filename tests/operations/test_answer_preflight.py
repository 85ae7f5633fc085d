"""A page is told that it may call the API if its origin is named, by that very name."""

from typing import Any

import pytest

from tests.conftest import OPERATIONS, Context, load
from tests.events import event
from tests.origins import ALLOWED, OTHERS, Allow


def preflight(origin: str | None, header: str = "Origin") -> dict[str, Any]:
    asked = event("answer_preflight", "api")
    del asked["headers"]["Origin"]
    if origin is not None:
        asked["headers"][header] = origin
    handler: Any = load("answer_preflight")
    answer: dict[str, Any] = handler(asked, Context())
    assert answer["statusCode"] == 204
    assert answer["body"] == ""
    return answer


@pytest.mark.parametrize("origin", ALLOWED)
@pytest.mark.parametrize("header", ["Origin", "origin"])
def test_a_page_of_an_allowed_origin_may_call(allow: Allow, origin: str, header: str) -> None:
    allow(*ALLOWED)
    told = preflight(origin, header)["headers"]
    assert told.pop("Access-Control-Allow-Origin") == origin
    assert told.pop("Vary") == "Origin"
    methods = told.pop("Access-Control-Allow-Methods").split(", ")
    assert set(methods) == {load(name).route.split()[0] for name in OPERATIONS}
    headers = told.pop("Access-Control-Allow-Headers").lower().split(", ")
    assert set(headers) == {"authorization", "content-type", "idempotency-key", "x-api-key"}
    assert int(told.pop("Access-Control-Max-Age")) > 0
    assert told == {}, "credentials, above all"


@pytest.mark.parametrize("origin", [*OTHERS, None])
def test_a_page_of_any_other_origin_is_told_nothing(allow: Allow, origin: str | None) -> None:
    allow(*ALLOWED)
    assert preflight(origin)["headers"] == {"Vary": "Origin"}


@pytest.mark.parametrize("origin", [*ALLOWED, *OTHERS, None])
def test_no_page_may_call_unless_origins_are_named(allow: Allow, origin: str | None) -> None:
    allow()
    assert preflight(origin)["headers"] == {}
