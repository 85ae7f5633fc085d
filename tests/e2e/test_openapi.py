"""The deployed API serves its OpenAPI document, and does what it says, whatever it is sent."""

import json
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dev.local_stack import Stack
from dev.openapi import FILE
from tests.e2e.conftest import Caller, SignIn

schema = schemathesis.openapi.from_dict(json.loads(FILE.read_text()))
# Not among them: that whatever fits the schema is accepted (rules between fields are not in it),
# 405 for other methods (API Gateway answers 403), and what takes several calls (our own tests do).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    ignored_auth,
]


@pytest.fixture(scope="module")
def dora(sign_in: SignIn) -> Caller:
    """Somebody with whom no other test has to do."""
    return sign_in("dora@example.com")


@pytest.fixture(scope="module")
def things(dora: Caller) -> dict[str, str]:
    """What there is of Dora's, by what its ids look like."""
    casefile_id = dora.do("POST", "/casefiles", {"title": "Described"})["casefile_id"]
    filed = {"casefile_id": casefile_id}
    tool = dora.do("POST", "/tool-sessions", filed)["session_id"]
    request = str(uuid4())
    key = {"Idempotency-Key": request}
    dora.do("POST", f"/tool-sessions/{tool}/requests", {"tool_name": "search"}, headers=key)
    return {
        r"cf_[0-9]{6}_[a-z0-9]+": casefile_id,
        r"ts_[0-9]{6}_[a-z0-9]+": tool,
        r"cs_[a-z0-9_]+": dora.do("POST", "/chat-sessions", filed)["session_id"],
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": request,
    }


@schema.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_it_answers_as_described(
    case: Any, stack: Stack, dora: Caller, things: dict[str, str]
) -> None:
    if case.method != "DELETE":  # What is well-formed is there: else most answers were 404.
        for beginning, thing in things.items():
            for name, value in case.path_parameters.items():
                if re.fullmatch(beginning, str(value)):
                    case.path_parameters[name] = thing
    token = dora.http.headers["Authorization"]
    response = case.call(base_url=stack.url, headers={"Authorization": token}, timeout=60)
    # Where no function was reached, only AWS's gateway answers in our shape.
    is_the_gateways_own = response.status_code in (401, 403) and "message" in response.json()
    if is_the_gateways_own:  # By another method, or without Dora's token.
        sent = response.request
        asked = (sent.method, sent.headers.get("Authorization"))
        assert asked != (case.operation.method.upper(), token)
    else:
        case.validate_response(response, checks=CHECKS)


def test_it_is_served_to_anybody_with_a_page_to_read_it(stack: Stack) -> None:
    with httpx.Client(timeout=60) as anybody:
        assert anybody.get(f"{stack.url}/openapi.json").text == FILE.read_text()
        page = anybody.get(f"{stack.url}/docs")
        assert page.headers["Content-Type"].startswith("text/html")
        loaded = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
        assert len(loaded) == 3
        for link in loaded:
            assert anybody.get(page.url.join(link)).status_code == 200
        again = anybody.get(f"{stack.url}/docs", headers={"If-None-Match": page.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert anybody.get(f"{stack.url}/docs/else").json()["metadata"] == {
            "error_code": "not_found"
        }
        assert anybody.get(f"{stack.url}/tool-sessions").status_code == 401


OPERATIONS = {
    method["operationId"]: (verb.upper(), path, method)
    for path, item in json.loads(FILE.read_text())["paths"].items()
    for verb, method in item.items()
}
ENDING = ("erase_", "delete_", "revoke_", "remove_", "close_")  # the last first


@pytest.fixture(scope="module")
def own(sign_in: SignIn) -> tuple[Caller, dict[str, Any]]:
    """Somebody who has one thing of each kind, and their ids as paths and bodies name them."""
    eve = sign_in("eve@example.com")
    tool = eve.do("POST", "/tool-sessions", {})["session_id"]
    chat = eve.do("POST", "/chat-sessions", {})["session_id"]
    request = str(uuid4())
    key = {"Idempotency-Key": request}
    eve.do("POST", f"/tool-sessions/{tool}/requests", {"tool_name": "search"}, headers=key)
    casefile_id = eve.do("POST", "/casefiles", {"title": "Pasted"})["casefile_id"]
    held = eve.do("POST", "/casefiles", {"title": "Held"})["casefile_id"]
    return eve, {
        "ts": tool,
        "cs": chat,
        "casefile_id": casefile_id,
        "request_id": request,
        "held": held,
    }


@pytest.mark.parametrize(
    "operation",
    sorted(OPERATIONS, key=lambda name: [str(name).startswith(each) for each in ENDING]),
)
def test_its_examples_work_when_they_are_pasted(
    own: tuple[Caller, dict[str, Any]], operation: str
) -> None:
    """As they are, in an address and a body where only ids are replaced by one's own."""
    eve, ids = own
    verb, path, described = OPERATIONS[operation]
    mine = ids | {"session_id": ids["cs" if path.startswith("/chat-sessions") else "ts"]}
    if operation == "set_legal_hold":  # It would hinder what is to be deleted.
        mine["casefile_id"] = ids["held"]
    given = {each["name"]: each["example"] for each in described["parameters"] if "example" in each}
    if operation == "erase_user":
        given["user_id"] = "eve@example.com"
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", given.pop(name, None) or mine[name])
    body = described.get("requestBody", {}).get("content", {}).get("application/json")
    sent = None
    if body:
        sent = json.loads(json.dumps(body["example"]))
        sent["payload"] |= {name: mine[name] for name in mine if name in sent["payload"]}
    answer = eve.http.request(verb, path, params=given, json=sent)
    assert answer.is_success, answer.text
    assert str(answer.status_code) in described["responses"]
