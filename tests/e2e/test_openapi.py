"""The deployed API does what its OpenAPI document says, whatever it is sent."""

import json
import re
from typing import Any
from uuid import uuid4

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
    headers = {"Authorization": dora.http.headers["Authorization"]}
    response = case.call(base_url=stack.url, headers=headers, timeout=60)
    # Where no function was reached, only AWS's gateway answers in our shape.
    is_the_gateways_own = response.status_code in (401, 403) and "message" in response.json()
    if not is_the_gateways_own:
        case.validate_response(response, checks=CHECKS)
