"""What comes in without a caller, and what goes out: queues, the bus, the schedule.

Requests from other systems are done once, or put aside; what happened reaches whoever listens; the
schedule runs what nobody asks for.
"""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from dev.local_stack import STACK, Stack
from pydantic_models.domain_events import ADAPTER
from tests.e2e.conftest import Caller
from tests.e2e.test_rights import assumed

Send = Callable[[dict[str, Any]], None]
SECONDS = 60


def wait_until(happened: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
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


def put_in_queue(stack: Stack, envelope: dict[str, Any]) -> None:
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["RequestsUrl"], MessageBody=json.dumps(envelope)
    )


def put_in_order(stack: Stack, envelope: dict[str, Any]) -> None:
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["OrderedRequestsUrl"],
        MessageBody=json.dumps(envelope),
        MessageGroupId=envelope["payload"]["session_id"],
        MessageDeduplicationId=str(uuid4()),
    )


def put_on_bus(stack: Stack, envelope: dict[str, Any]) -> None:
    entry = {
        "EventBusName": stack.outputs["BusName"],
        "Source": "example.agent",
        "DetailType": "casefile.request",
        "Detail": json.dumps(envelope),
    }
    assert stack.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


WAYS = [put_in_queue, put_in_order, put_on_bus]


@pytest.fixture
def in_order(stack: Stack) -> Send:
    return partial(put_in_order, stack)


@pytest.fixture(params=WAYS)
def send(stack: Stack, request: pytest.FixtureRequest) -> Send:
    return partial(request.param, stack)


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
    for other in ("on_news", "on_session_record", "on_request"):
        with pytest.raises(ClientError, match="AccessDenied"):
            invoke(FunctionName=stack.function(other), Payload=b"{}")


Listen = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def listen(stack: Stack) -> Iterator[Listen]:
    """What a rule's queue was told of a session: all events, as the bus carries them."""
    sqs, events, bus = stack.client("sqs"), stack.client("events"), stack.outputs["BusName"]
    rule = {"Rule": "listen", "EventBusName": bus}
    url = sqs.create_queue(QueueName="listen")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = asked["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    pattern = json.dumps({"source": ["casefile"]})
    events.put_rule(Name="listen", EventBusName=bus, EventPattern=pattern)
    events.put_targets(**rule, Targets=[{"Id": "listen", "Arn": arn}])
    told: list[dict[str, Any]] = []

    def of(session_id: str) -> list[dict[str, Any]]:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            told.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in told if event["detail"].get("session_id") == session_id]

    yield of
    events.remove_targets(**rule, Ids=["listen"])
    events.delete_rule(Name="listen", EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["detail-type"] for event in events]


def test_what_happens_to_a_session_reaches_a_rule_once(ann: Caller, listen: Listen) -> None:
    session_id = ann.do("POST", "/tool-sessions", {})["session_id"]
    requests = f"/tool-sessions/{session_id}/requests"
    waiting = ann.send("POST", requests, {"tool_name": "t"}).json()["request_id"]
    ann.do("POST", requests, {"tool_name": "t", "result": {}})
    closed = ann.do("POST", f"/tool-sessions/{session_id}/close", {"force": True})
    ann.do("POST", f"/tool-sessions/{session_id}/close", {"force": True})
    wait_until(lambda: "session.closed" in types(listen(session_id)))
    ann.do("DELETE", f"/tool-sessions/{session_id}?confirm=true")
    wait_until(lambda: "session.deleted" in types(listen(session_id)))
    told = listen(session_id)
    every = ["session.closed", "session.created", "session.deleted", "tool.failed"]
    assert sorted(types(told)) == every
    happened = {each["detail-type"]: each for each in told}
    closing = happened["session.closed"]
    assert (closing["source"], closing["detail"]["occurred_at"]) == (
        "casefile",
        closed["closed_at"],
    )
    assert (closing["detail"]["total_requests"], closing["detail"]["unfinished_requests"]) == (2, 1)
    assert happened["tool.failed"]["detail"]["request_id"] == waiting
    for event in happened.values():
        assert ADAPTER.validate_python(event["detail"]).event_type == event["detail-type"]


@pytest.fixture
def often(stack: Stack) -> Iterator[None]:
    """The schedule of what closes idle sessions, each minute instead of each hour."""
    events = stack.client("events")
    rule = stack.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="CloseIdleSessionsHourly"
    )["StackResourceDetail"]["PhysicalResourceId"]
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    assert events.describe_rule(Name=rule)["State"] == "ENABLED"
    assert events.describe_rule(Name=rule)["ScheduleExpression"] == "rate(1 hour)"
    assert json.loads(target["Input"]) == {"idle_hours": 720}
    idle_after = json.dumps({"idle_hours": 1 / 3600})
    events.put_targets(Rule=rule, Targets=[target | {"Input": idle_after}])
    events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)")
    yield
    events.put_rule(Name=rule, ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule=rule, Targets=[target])


def test_the_schedule_closes_what_is_idle_and_that_is_told(
    ann: Caller, listen: Listen, often: None
) -> None:
    session_id = ann.do("POST", "/chat-sessions", {"title": "Left alone"})["session_id"]
    ann.do("POST", f"/chat-sessions/{session_id}/messages", {"message": "Hello"})
    # The local cloud looks at its schedules each 10 seconds, and counts the minute from deployment.
    wait_until(lambda: not ann.do("GET", f"/chat-sessions/{session_id}")["active"], seconds=120)
    wait_until(lambda: "session.closed" in types(listen(session_id)))
    refused = ann.send("POST", f"/chat-sessions/{session_id}/messages", {"message": "Still there?"})
    assert refused.status_code == 409
