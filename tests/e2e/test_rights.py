"""Each function does its work with the rights of its own role, and could do no more with them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dev import local_cloud
from dev.local_stack import STACK, Stack
from tests.conftest import OPERATIONS
from tests.e2e.conftest import Caller
from tests.events import event
from tests.template import resources

FUNCTIONS = {
    properties["CodeUri"].removeprefix("functions/"): (name, properties)
    for name, properties in resources("AWS::Serverless::Function").items()
}
KEY = {"pk": {"S": "SESSION#ts_000000_probe"}, "sk": {"S": "HEAD"}}
CALLS: dict[str, dict[str, Any]] = {
    "GetItem": {"Key": KEY},
    "BatchGetItem": {},
    "BatchWriteItem": {},
    "PutItem": {"Item": KEY},
    "DeleteItem": {"Key": KEY},
    "UpdateItem": {
        "Key": KEY,
        "UpdateExpression": "SET probe = :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    },
    "Query": {
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": KEY["pk"]},
    },
    "Scan": {},
    "ConditionCheckItem": {},
}


PLACES = ("archive", "content", "incoming", "other")
"""Of the bucket."""

HELD = "6f4f6c1e-5d0a-4f35-9a55-1f5f3f0c9b11"
"""The request that lifts the hold."""


def physical_id(stack: Stack, name: str) -> str:
    found = stack.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId=name
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


@pytest.fixture(scope="module")
def things(stack: Stack) -> None:
    for creation in ("create_session", "create_chat_session", "create_casefile"):
        invoke(stack, creation, event(creation, "direct"))
    invoke(stack, "tool_execution", event("tool_execution", "eventbridge"))


def invoke(stack: Stack, operation: str, sent: Any) -> tuple[bool, Any]:
    """Invoke a deployed function; tell whether it failed, and what it returned."""
    answer = stack.client("lambda").invoke(
        FunctionName=physical_id(stack, FUNCTIONS[operation][0]), Payload=json.dumps(sent)
    )
    return "FunctionError" in answer, json.load(answer["Payload"])


@pytest.mark.parametrize(
    "operation",
    sorted(
        OPERATIONS,
        key=lambda name: (
            str(name).startswith(("delete_", "erase_")),
            str(name).startswith(("close_", "remove_", "revoke_")),
        ),
    ),
)
def test_a_function_can_do_its_work(stack: Stack, things: None, operation: str) -> None:
    failed, answer = invoke(stack, operation, event(operation, "direct"))
    assert not failed, answer
    assert answer["status"] == "completed"
    if operation in (
        "revoke_permission",
        "remove_session_from_casefile",
    ):  # What is taken can be taken once.
        return
    assert invoke(stack, operation, event(operation, "sqs")) == (False, {"batchItemFailures": []})
    assert not invoke(stack, operation, event(operation, "eventbridge"))[0]
    if operation == "set_legal_hold":  # What is held can't be taken from the others.
        asked = event(operation, "direct")
        lifted = asked["payload"] | {"hold": False}
        assert not invoke(stack, operation, asked | {"payload": lifted, "request_id": HELD})[0]


def test_requests_are_listed_with_outcomes_that_are_far_away(ann: Caller) -> None:
    session_id = ann.do("POST", "/tool-sessions", {})["session_id"]
    url = f"/tool-sessions/{session_id}/requests"
    for key in ("one", "two", "three"):
        ann.do("POST", url, {"tool_name": "t"}, headers={"Idempotency-Key": key})
    first = ann.do("GET", f"{url}?limit=1")["requests"][0]["request_id"]
    ann.do("POST", f"{url}/{first}/result", {"result": {"large": "x" * 400_000}})
    assert ann.do("GET", f"{url}?limit=1")["requests"][0]["status"] == "completed"
    assert len(ann.do("GET", f"/tool-sessions/{session_id}/events?after=3")["events"]) == 2


def test_who_was_let_in_by_a_casefile_can_use_each_function_that_they_may(
    ann: Caller, bob: Caller
) -> None:
    """Whoever is not the owner takes another way through each function, with rights of its own."""
    casefile_id = ann.do("POST", "/casefiles", {"title": "Shared"})["casefile_id"]
    granted = {"target_user_id": "bob@example.com", "permission": "editor"}
    ann.do("POST", f"/casefiles/{casefile_id}/permissions", granted)
    filed = {"casefile_id": casefile_id}
    tool = f"/tool-sessions/{ann.do('POST', '/tool-sessions', filed)['session_id']}"
    chat = f"/chat-sessions/{ann.do('POST', '/chat-sessions', filed)['session_id']}"
    key = {"Idempotency-Key": "0192f0c1-0000-4000-8000-00000000c0de"}
    bob.do("POST", f"{tool}/requests", {"tool_name": "t"}, headers=key)
    request = f"{tool}/requests/{key['Idempotency-Key']}"
    bob.do("POST", f"{request}/result", {"result": {}})
    bob.do("POST", f"{chat}/messages", {"message": "hello"})
    for path in (tool, f"{tool}/requests", request, f"{tool}/events"):
        bob.do("GET", path)
    for path in (chat, f"{chat}/messages", f"{chat}/events", f"/casefiles/{casefile_id}"):
        bob.do("GET", path)
    for path in (tool, chat):
        assert bob.send("GET", f"{path}/export").status_code == 200
        bob.do("POST", f"{path}/close")
        assert bob.send("DELETE", f"{path}?confirm=true").status_code == 403
    bob.do("POST", "/tool-sessions", filed)
    bob.do("POST", "/chat-sessions", filed)
    own = bob.do("POST", "/tool-sessions", {})["session_id"]
    bob.do(
        "POST", f"/casefiles/{casefile_id}/sessions", {"session_id": own, "session_type": "tool"}
    )
    bob.do("GET", f"/casefiles/{casefile_id}/permissions")
    asked = f"/casefiles/{casefile_id}/access/bob%40example.com?required_permission=editor"
    assert bob.do("GET", asked)["has_required_permission"] is True
    ann.do("DELETE", f"/casefiles/{casefile_id}/permissions/bob%40example.com")
    assert bob.send("GET", tool).status_code == 404


def test_a_direct_caller_is_told_by_an_error(stack: Stack) -> None:
    sent = event("get_session", "direct")
    failed, answer = invoke(stack, "get_session", sent | {"user_id": "nobody@example.com"})
    assert failed
    assert "you may not see it" in answer["errorMessage"]


def statements(properties: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        statement
        for policy in properties["Policies"]
        for statement in (
            policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        )
    ]


def assumed(stack: Stack, operation: str, service: str) -> Any:
    """A client with the rights of a function's role."""
    role = physical_id(stack, f"{FUNCTIONS[operation][0]}Role")
    credentials = stack.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::000000000000:role/{role}", RoleSessionName="probe"
    )["Credentials"]
    return local_cloud.client(stack.endpoint, service, credentials)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_functions_role_may_do_with_the_table_what_the_template_says_and_no_more(
    stack: Stack, operation: str
) -> None:
    dynamodb = assumed(stack, operation, "dynamodb")
    stated = {
        action.removeprefix("dynamodb:")
        for statement in statements(FUNCTIONS[operation][1])
        if statement["Resource"] == {"Fn::GetAtt": ["Table", "Arn"]}
        for action in statement["Action"]
    }
    assert stated < set(CALLS)
    for action, arguments in CALLS.items():
        if action == "BatchGetItem":
            arguments = {"RequestItems": {stack.outputs["TableName"]: {"Keys": [KEY]}}}
        elif action == "BatchWriteItem":
            puts = [{"PutRequest": {"Item": KEY}}]
            arguments = {"RequestItems": {stack.outputs["TableName"]: puts}}
        else:
            arguments = {"TableName": stack.outputs["TableName"], **arguments}
        if action == "ConditionCheckItem":
            check = arguments | {"Key": KEY, "ConditionExpression": "attribute_exists(pk)"}
            arguments = {"TransactItems": [{"ConditionCheck": check}]}
            method = "transact_write_items"
        else:
            method = "".join(f"_{c.lower()}" if c.isupper() else c for c in action)[1:]
        call = getattr(dynamodb, method)
        if action in stated:
            call(**arguments)
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                call(**arguments)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_functions_role_may_do_with_the_bucket_what_the_template_says_and_no_more(
    stack: Stack, operation: str
) -> None:
    s3, bucket = assumed(stack, operation, "s3"), physical_id(stack, "Contents")
    stated = {
        (action.removeprefix("s3:"), place)
        for statement in statements(FUNCTIONS[operation][1])
        for place in PLACES
        if f"/{place}/" in str(statement["Resource"])
        for action in statement["Action"]
    }
    for place in PLACES:
        key = {"Bucket": bucket, "Key": f"{place}/probe/probe"}
        stack.client("s3").put_object(**key, Body=b"")
        for action, method, more in (
            ("GetObject", s3.get_object, {}),
            ("PutObject", s3.put_object, {"Body": b""}),
            ("DeleteObject", s3.delete_object, {}),
        ):
            if (action, place) in stated:
                method(**key, **more)
            else:
                with pytest.raises(ClientError, match="AccessDenied"):
                    method(**key, **more)
        stack.client("s3").delete_object(**key)
