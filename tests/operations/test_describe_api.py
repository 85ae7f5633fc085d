"""describe_api: what there is to read about the API, for anybody."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from casefile.web_pages import Pages
from dev import openapi
from tests.conftest import Context
from tests.events import event

Get = Callable[..., dict[str, Any]]


@pytest.fixture
def get(aws: None) -> Get:
    """Ask for a page as API Gateway passes it on: by its route, with nobody signed in."""
    from functions.describe_api.handler import handle

    def get(resource: str, headers: dict[str, str] | None = None, **path: str) -> dict[str, Any]:
        asked = event("describe_api", "api") | {
            "resource": resource,
            "pathParameters": path or None,
        }
        return handle(asked | {"headers": headers or {}}, Context())

    return get


def test_the_document_is_the_one_in_the_repository(get: Get) -> None:
    answer = get("/openapi.json")
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["body"] == openapi.FILE.read_text()


def test_the_page_and_all_it_loads_are_served_here_and_nothing_else_is_loaded(get: Get) -> None:
    page = get("/docs")["body"]
    loaded = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page)
    assert len(loaded) == 4
    for link in loaded:  # As a browser resolves it at /docs.
        name = link.removeprefix("docs/")
        found = get("/docs/{file}", file=name) if name != link else get(f"/{link}")
        assert found["statusCode"] == 200
        assert found["body"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page)
    assert "SwaggerUIBundle" in get("/docs/{file}", file="viewer.js")["body"]


def test_a_browser_is_told_to_talk_to_this_api_alone(get: Get) -> None:
    headers = get("/docs")["headers"]
    said = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
    assert said.pop("default-src") == "'none'"
    assert said["script-src"] == said["connect-src"] == said["style-src"] == "'self'"
    assert not {word for each in said.values() for word in each.split()} - {
        *("'none'", "'self'", "data:")
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    started = get("/docs/{file}", file="docs.js")["body"]
    assert "validatorUrl: null" in started
    assert "persistAuthorization: false" in started


def test_a_copy_that_still_holds_is_not_sent_again(get: Get) -> None:
    first = get("/docs")
    again = get("/docs", {"If-None-Match": f'"other", W/{first["headers"]["ETag"]}'})
    assert (again["statusCode"], again["body"]) == (304, "")
    assert again["headers"]["ETag"] == first["headers"]["ETag"]
    assert get("/docs", {"If-None-Match": '"other"'})["statusCode"] == 200
    assert get("/openapi.json")["headers"]["ETag"] != first["headers"]["ETag"]


@pytest.mark.parametrize("name", ["handler.py", "../handler.py", "openapi.json", "", "{file}"])
def test_nothing_else_is_served(get: Get, name: str) -> None:
    answer = get("/docs/{file}", file=name)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["metadata"] == {"error_code": "not_found"}


def test_a_function_url_serves_the_same(aws: None) -> None:
    from functions.describe_api.handler import handle

    assert isinstance(handle, Pages)
    asked = {"rawPath": "/docs/docs.js", "requestContext": {"http": {"method": "GET"}}}
    assert handle(asked, Context())["headers"]["Content-Type"].startswith("text/javascript")


def test_its_event_asks_for_a_file(get: Get, aws: None) -> None:
    from functions.describe_api.handler import handle

    assert handle(event("describe_api", "api"), Context())["statusCode"] == 200
