"""Requests by queue and bus: each goes to its operation's function, and takes effect once."""

import copy
import io
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from casefile import dispatch
from casefile.errors import CasefileError
from tests.conftest import OPERATIONS, Context, Invoke, Lines, load
from tests.events import event


class Functions:
    """Stands in for Lambda: invokes the handlers here, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fault: Exception | None = None

    def invoke(self, **asked: str) -> dict[str, Any]:
        if self.fault:
            raise self.fault
        name, envelope = asked["FunctionName"], json.loads(asked["Payload"])
        self.asked.append((name, envelope))
        try:
            returned = load(name.removeprefix("casefile-test_"))(envelope, Context())
        except CasefileError as error:
            raised = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {
                "FunctionError": "Unhandled",
                "Payload": io.BytesIO(json.dumps(raised).encode()),
            }
        return {"Payload": io.BytesIO(json.dumps(returned).encode())}


@pytest.fixture
def deployed(aws: None, monkeypatch: pytest.MonkeyPatch) -> Functions:
    fake = Functions()
    monkeypatch.setattr(dispatch, "client", lambda: fake)
    return fake


def batch(bodies: list[Any], groups: list[str] | None = None) -> dict[str, Any]:
    """One message per body, of a FIFO queue if they have groups; text is sent as it is."""
    model = event("on_request", "fifo" if groups else "sqs")["Records"][0]
    records = []
    for number, body in enumerate(bodies):
        record = copy.deepcopy(model)
        record["messageId"] = str(uuid4())
        record["body"] = body if isinstance(body, str) else json.dumps(body)
        if groups:
            record["attributes"]["MessageGroupId"] = groups[number]
        records.append(record)
    return {"Records": records}


def deliver(asked: dict[str, Any], seconds: float = 66) -> list[int]:
    """Deliver a batch; return the places of the messages that were reported failed."""
    handler: Any = load("on_request")
    answer = handler(asked, Context(seconds=seconds))
    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    return [n for n, record in enumerate(asked["Records"]) if record["messageId"] in failed]


def saying(session_id: str, content: str, **more: Any) -> dict[str, Any]:
    payload = {"session_id": session_id, "message": content}
    return {"user_id": "ann@example.com", "operation": "chat", "payload": payload, **more}


def said(invoke: Invoke, session_id: str) -> list[str]:
    read = invoke("get_chat_session", {"session_id": session_id, "include_messages": True})
    return [message["content"] for message in read["payload"]["messages"]]


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_chat_session")["payload"]["session_id"])


def test_the_operations_that_can_be_asked_for_are_the_functions_there_are() -> None:
    assert sorted(dispatch.OPERATIONS) == OPERATIONS


@pytest.mark.parametrize("source", ["sqs", "fifo", "eventbridge"])
def test_a_request_is_done_by_its_operations_function_once_however_often_it_is_delivered(
    deployed: Functions, invoke: Invoke, source: str
) -> None:
    for creation in ("create_session", "create_chat_session"):
        load(creation)(event(creation, "direct"), Context())
    asked = event("on_request", source)
    assert [deliver(asked) for _ in range(3)] == [[], [], []]
    names = [name for name, _ in deployed.asked]
    done = ["tool_execution", "chat", "close_session"] if source != "eventbridge" else ["chat"]
    assert names == [f"casefile-test_{operation}" for operation in done] * 3
    chat = event("chat", "direct")["payload"]
    assert said(invoke, chat["session_id"]) == [each["content"] for each in chat["messages"]]


def test_a_message_without_an_id_of_its_own_takes_effect_once(
    deployed: Functions, invoke: Invoke, session_id: str
) -> None:
    asked = batch([saying(session_id, "once")])
    for _ in range(3):
        assert deliver(asked) == []
    assert said(invoke, session_id) == ["once"]


def test_what_an_envelope_leaves_out_its_carrier_fills(
    deployed: Functions, session_id: str
) -> None:
    by_queue = batch([saying(session_id, "by queue")])
    by_queue["Records"][0]["attributes"]["SentTimestamp"] = "1768469400000"
    deliver(by_queue)
    told = {"id": str(uuid4()), "time": "2026-01-15T10:00:00Z", "detail-type": "casefile.request"}
    deliver(batch([told | {"detail": saying(session_id, "by bus")}]))
    filled = [(envelope["request_id"], envelope["timestamp"]) for _, envelope in deployed.asked]
    assert filled == [
        (by_queue["Records"][0]["messageId"], "2026-01-15T09:30:00.000+00:00"),
        (told["id"], told["time"]),
    ]


def test_what_an_envelope_says_itself_counts(deployed: Functions, session_id: str) -> None:
    own = {"request_id": str(uuid4()), "timestamp": "2026-01-15T10:00:00Z"}
    deliver(batch([saying(session_id, "x", **own)]))
    ((_, envelope),) = deployed.asked
    assert envelope == saying(session_id, "x", **own)


@pytest.mark.parametrize(
    "poison",
    [
        "not json",
        "[]",
        "{}",
        *(
            json.dumps({"operation": operation, "user_id": "ann@example.com", "payload": {}})
            for operation in (
                "on_request",
                "on_news",
                "on_session_record",
                "chat:1",
                "",
                "Chat",
                None,
                ["chat"],
            )
        ),
        '{"operation": "chat", "payload": {"message": 1e999}}',
        '{"detail-type": "casefile.request", "detail": "chat"}',
    ],
)
def test_a_message_that_asks_for_no_operation_fails_alone_and_reaches_no_function(
    deployed: Functions, invoke: Invoke, session_id: str, poison: str
) -> None:
    assert deliver(batch([saying(session_id, "one"), poison, saying(session_id, "two")])) == [1]
    assert len(deployed.asked) == 2
    assert said(invoke, session_id) == ["one", "two"]


def test_a_request_that_its_operation_refuses_fails_alone(
    deployed: Functions, invoke: Invoke, session_id: str
) -> None:
    nowhere = saying("cs_260115_p2hksij2jxowo2jn", "lost")
    assert deliver(batch([nowhere, saying(session_id, "kept"), nowhere])) == [0, 2]
    assert said(invoke, session_id) == ["kept"]


def test_in_a_fifo_queue_nothing_overtakes_a_failed_message_of_its_group(
    deployed: Functions, invoke: Invoke, session_id: str
) -> None:
    other = str(invoke("create_chat_session", {"title": "Other"})["payload"]["session_id"])
    asked = batch(
        [
            saying(session_id, "one"),
            "poison",
            saying(other, "first"),
            saying(session_id, "two"),
            saying(other, "second"),
        ],
        [session_id, session_id, other, session_id, other],
    )
    assert deliver(asked) == [1, 3]
    assert (said(invoke, session_id), said(invoke, other)) == (["one"], ["first", "second"])


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Invoke"),
        ReadTimeoutError(endpoint_url="https://lambda"),
    ],
)
def test_a_message_whose_function_can_not_be_reached_comes_again(
    deployed: Functions, invoke: Invoke, session_id: str, fault: Exception
) -> None:
    asked = batch([saying(session_id, "late")])
    deployed.fault = fault
    assert deliver(asked) == [0]
    deployed.fault = None
    assert deliver(asked) == []
    assert said(invoke, session_id) == ["late"]


def test_what_there_is_no_time_for_is_not_begun(deployed: Functions, session_id: str) -> None:
    assert deliver(batch([saying(session_id, "x")] * 2), seconds=dispatch.LONGEST_CALL) == [0, 1]
    assert deployed.asked == []


def test_the_log_tells_why_a_message_failed_and_not_what_it_said(
    deployed: Functions, session_id: str, lines: Lines
) -> None:
    deliver(batch([saying("cs_260115_p2hksij2jxowo2jn", "secret"), "secret"]))
    told = lines()
    assert [line["outcome"] for line in told if line["message"] == "not done"] == [
        "not_found",
        "invalid_request",
    ]
    assert "secret" not in str(told)


def test_ids_that_are_none_are_not_logged(
    deployed: Functions, session_id: str, lines: Lines
) -> None:
    asked = batch([saying(session_id, "x", request_id="secret"), "poison"])
    asked["Records"][1]["messageId"] = "secret words"
    lines()
    deployed.fault = RuntimeError("broken")
    assert deliver(asked) == [0, 1]
    bug, not_done = lines()
    assert UUID(bug["request_id"])
    assert UUID(not_done["message_id"])
    assert "secret" not in str([bug, not_done])
