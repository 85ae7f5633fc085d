"""Requests from other systems: by either queue or the bus, each is done once, or put aside."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from dev.local_stack import Stack
from tests.e2e.conftest import Caller
from tests.e2e.test_rights import assumed

Send = Callable[[dict[str, Any]], None]
SECONDS = 60


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def asking(operation: str, **payload: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid4()),
        "user_id": "ann@example.com",
        "operation": operation,
        "payload": payload,
    }


@pytest.fixture
def by_queue(stack: Stack) -> Send:
    def send(envelope: dict[str, Any]) -> None:
        stack.client("sqs").send_message(
            QueueUrl=stack.outputs["RequestsUrl"], MessageBody=json.dumps(envelope)
        )

    return send


@pytest.fixture
def in_order(stack: Stack) -> Send:
    def send(envelope: dict[str, Any]) -> None:
        stack.client("sqs").send_message(
            QueueUrl=stack.outputs["OrderedRequestsUrl"],
            MessageBody=json.dumps(envelope),
            MessageGroupId=envelope["payload"]["session_id"],
            MessageDeduplicationId=str(uuid4()),
        )

    return send


@pytest.fixture
def by_bus(stack: Stack) -> Send:
    def send(envelope: dict[str, Any]) -> None:
        entry = {
            "EventBusName": stack.outputs["BusName"],
            "Source": "example.agent",
            "DetailType": "casefile.request",
            "Detail": json.dumps(envelope),
        }
        assert stack.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    return send


@pytest.fixture(params=["by_queue", "in_order", "by_bus"])
def send(request: pytest.FixtureRequest) -> Send:
    chosen: Send = request.getfixturevalue(request.param)
    return chosen


def is_worked_off(stack: Stack, queue: str) -> bool:
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    told = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs[queue], AttributeNames=list(counts)
    )
    return all(told["Attributes"][count] == "0" for count in counts)


def test_a_chat_and_a_tool_session_are_written_and_closed_once_however_often_it_is_asked(
    stack: Stack, ann: Caller, send: Send
) -> None:
    chat_id = ann.do("POST", "/chat-sessions", {})["session_id"]
    tool_id = ann.do("POST", "/tool-sessions", {})["session_id"]
    chat = asking("chat", session_id=chat_id, message="hello")
    tool = asking("tool_execution", session_id=tool_id, tool_name="t", result={})
    for envelope in (chat, tool, chat, tool):
        send(envelope)
    wait_until(lambda: bool(ann.do("GET", f"/chat-sessions/{chat_id}")["message_count"]))
    wait_until(lambda: bool(ann.do("GET", f"/tool-sessions/{tool_id}")["request_count"]))
    closing = asking("close_session", session_id=tool_id)
    for _ in range(2):
        send(closing)
    wait_until(lambda: not ann.do("GET", f"/tool-sessions/{tool_id}")["active"])
    wait_until(lambda: is_worked_off(stack, "RequestsUrl"))
    wait_until(lambda: is_worked_off(stack, "OrderedRequestsUrl"))
    assert ann.do("GET", f"/chat-sessions/{chat_id}")["message_count"] == 1
    assert ann.do("GET", f"/tool-sessions/{tool_id}")["request_count"] == 1


def contents(ann: Caller, session_id: str) -> list[str]:
    messages = ann.do("GET", f"/chat-sessions/{session_id}/messages")["messages"]
    return [message["content"] for message in messages]


def test_what_is_sent_in_order_is_recorded_in_order(ann: Caller, in_order: Send) -> None:
    sessions = [ann.do("POST", "/chat-sessions", {"title": t})["session_id"] for t in ("a", "b")]
    sent = [f"Message {number}" for number in range(25)]
    for content in sent:
        for session_id in sessions:
            in_order(asking("chat", session_id=session_id, message=content))
    wait_until(lambda: all(len(contents(ann, each)) == len(sent) for each in sessions))
    assert [contents(ann, session_id) for session_id in sessions] == [sent, sent]


@pytest.mark.parametrize(
    ("queue", "failed", "group"),
    [
        ("RequestsUrl", "FailedRequestsUrl", {}),
        (
            "OrderedRequestsUrl",
            "FailedOrderedRequestsUrl",
            {"MessageGroupId": "bad", "MessageDeduplicationId": "bad"},
        ),
    ],
)
def test_what_cannot_be_done_ends_among_the_failed_and_holds_up_no_other(
    stack: Stack, ann: Caller, queue: str, failed: str, group: dict[str, str]
) -> None:
    sqs, url = stack.client("sqs"), stack.outputs[queue]
    patience = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "3"})
    try:
        session_id = ann.do("POST", "/chat-sessions", {"title": queue})["session_id"]
        bad = asking("on_session_record")
        good = asking("chat", session_id=session_id, message="after it")
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(bad), **group)
        if group:
            group = {"MessageGroupId": "bad", "MessageDeduplicationId": "good"}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(good), **group)
        found: list[str] = []

        def is_among_the_failed() -> bool:
            got = sqs.receive_message(QueueUrl=stack.outputs[failed], MaxNumberOfMessages=10)
            found.extend(message["Body"] for message in got.get("Messages", []))
            return bool(found)

        wait_until(is_among_the_failed)
        assert [json.loads(body) for body in found] == [bad]
        wait_until(lambda: contents(ann, session_id) == ["after it"])
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=patience["Attributes"])


def test_the_role_may_invoke_the_functions_of_operations_and_no_others(stack: Stack) -> None:
    invoke = assumed(stack, "on_request", "lambda").invoke
    assert invoke(FunctionName=stack.function("chat"), Payload=b"{}")["StatusCode"] == 200
    for other in ("on_session_record", "on_request"):
        with pytest.raises(ClientError, match="AccessDenied"):
            invoke(FunctionName=stack.function(other), Payload=b"{}")
