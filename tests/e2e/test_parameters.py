"""What the template's parameters make of the API, as SAM's own translator writes it for AWS.

The local cloud gives the translator no parameters, so these are looked at before they get there.
"""

import copy
import json
import os
import re
import subprocess
from typing import Any

import pytest

from dev import environments
from tests.template import template

TRANSLATE = """
import json, sys
from samtranslator.translator.transform import transform
loader = type("Loader", (), {"load": lambda self: {}})()
document, parameters = json.load(sys.stdin)
made = transform(document, parameters, loader)
print("\\n" + json.dumps(made["Resources"]))
"""


def resources(**parameters: str) -> dict[str, Any]:
    """The resources that are deployed with some parameters."""
    document = copy.deepcopy(template())
    for resource in document["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://code/package"
    done = subprocess.run(
        [str(environments.prepare(environments.CLOUD)), "-c", TRANSLATE],
        input=json.dumps([document, parameters]),
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    made: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return made


def api(**parameters: str) -> dict[str, Any]:
    """The OpenAPI document of the API that is deployed with some parameters."""
    document: dict[str, Any] = resources(**parameters)["Api"]["Properties"]["Body"]
    return document


def methods(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


@pytest.mark.parametrize("is_required", [False, True])
def test_api_keys_are_needed_where_they_are_asked_for(is_required: bool) -> None:
    for route, operation in methods(api(ApiKeys="required" if is_required else "")).items():
        needed = {name for each in operation.get("security", []) for name in each}
        if not route.startswith("OPTIONS"):
            who = "NONE" if re.match("GET /(docs|openapi.json)", route) else "Cognito"
            assert needed == ({who, "api_key"} if is_required else {who})


def test_bodies_are_validated() -> None:
    found = methods(api())
    validated = [route for route, each in found.items() if "requestBody" in each]
    assert "POST /chat-sessions/{session_id}/messages" in validated
    for route in validated:
        assert "x-amazon-apigateway-request-validator" in found[route]


def test_browsers_are_answered_by_a_function_if_origins_are_named_and_else_by_nothing() -> None:
    made = resources(AllowedOrigins="https://a.example,https://b.example")
    assert made["AnswerPreflight"]["Condition"] == "HasOrigins"
    found = methods(made["Api"]["Properties"]["Body"])
    asked = {route for route in found if route.startswith("OPTIONS")}
    paths = {route.partition(" ")[2] for route in found}
    own = {path for path in paths if re.match("/(docs|openapi.json)", path)}  # Its own pages.
    assert asked == {f"OPTIONS {path}" for path in paths - own}
    for route in asked:
        condition, operation, otherwise = found[route]["Fn::If"]
        assert (condition, otherwise) == ("HasOrigins", {"Ref": "AWS::NoValue"})
        integration = operation["x-amazon-apigateway-integration"]
        assert (integration["type"], "security" in operation) == ("aws_proxy", False)
        assert "AnswerPreflight" in json.dumps(integration["uri"])


def test_what_the_gateway_answers_itself_is_for_the_first_origin_or_nobody() -> None:
    """It can't choose by who asks, and a header that names everybody is for nobody to have."""
    first = {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "AllowedOrigins"}]}]}
    for response in api()["x-amazon-apigateway-gateway-responses"].values():
        origin = response["responseParameters"][
            "gatewayresponse.header.Access-Control-Allow-Origin"
        ]
        condition, named, otherwise = origin["Fn::If"]
        assert (condition, otherwise) == ("HasOrigins", {"Ref": "AWS::NoValue"})
        assert named == {"Fn::Sub": ["'${First}'", {"First": first}]}


@pytest.mark.parametrize("is_traced", [True, False])
def test_functions_trace_and_may_do_so_unless_that_is_turned_off(is_traced: bool) -> None:
    made = resources(Tracing="Active" if is_traced else "Disabled")
    functions = [each for each in made.values() if each["Type"] == "AWS::Lambda::Function"]
    roles = [
        each
        for each in made.values()
        if each["Type"] == "AWS::IAM::Role" and "lambda.amazonaws.com" in json.dumps(each)
    ]
    assert len(functions) == len(roles) > 30
    assert all(("TracingConfig" in each["Properties"]) == is_traced for each in functions)
    assert all(("xray" in json.dumps(each).lower()) == is_traced for each in roles)


def test_alarms_know_the_api_by_its_name() -> None:
    assert api()["info"]["title"] == {"Ref": "AWS::StackName"}
