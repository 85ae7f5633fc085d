"""SQS: one poison message never blocks the others, and order holds where the queue has one."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from casefile.errors import BadRequest
from pydantic_models.base.times import to_milliseconds
from tests.conftest import Context, Invoke, Lines, load, uuid7
from tests.events import event


def batch(bodies: list[Any], *, fifo: bool = False, sent: str | None = None) -> dict[str, Any]:
    """An SQS batch with one message per body; dicts are sent as JSON, text as it is."""
    (model,) = event("chat", "sqs")["Records"]
    records = []
    for number, body in enumerate(bodies):
        record = copy.deepcopy(model)
        record["messageId"] = str(uuid4())
        record["body"] = body if isinstance(body, str) else json.dumps(body)
        if sent:
            record["attributes"]["SentTimestamp"] = sent
        if fifo:
            record["eventSourceARN"] += ".fifo"
            record["attributes"] |= {"MessageGroupId": "one", "SequenceNumber": str(number)}
        records.append(record)
    return {"Records": records}


def message(session_id: str, content: str) -> dict[str, Any]:
    return {
        "user_id": "ann@example.com",
        "operation": "chat",
        "payload": {"session_id": session_id, "message": content},
    }


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_chat_session")["payload"]["session_id"])


def contents(invoke: Invoke, session_id: str) -> list[str]:
    read = invoke("get_chat_session", {"session_id": session_id, "include_messages": True})
    return [message["content"] for message in read["payload"]["messages"]]


@pytest.mark.parametrize(
    "poison",
    [
        "not json",
        "half a pair: \ud83e",
        "[]",
        "{}",
        '{"user_id": "ann@example.com", "payload": {"session_id": "cs_none", "message": "x"}}',
        '{"user_id": "ann@example.com", "operation": "close_session", "payload": {}}',
    ],
)
def test_a_poison_message_fails_alone(
    invoke: Invoke, session_id: str, poison: str, lines: Lines
) -> None:
    asked = batch([message(session_id, "one"), poison, message(session_id, "two")])
    answer = load("chat")(asked, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": asked["Records"][1]["messageId"]}]}
    assert len([line for line in lines() if line["message"] == "not done"]) == 1  # And no bug.
    assert contents(invoke, session_id) == ["one", "two"]


def test_a_batch_of_nothing_but_poison_is_reported_message_by_message(aws: None) -> None:
    asked = batch(["no", "never"])
    answer = load("chat")(asked, Context())
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [
        record["messageId"] for record in asked["Records"]
    ]


def test_in_an_ordered_queue_nothing_overtakes_a_failed_message(
    invoke: Invoke, session_id: str
) -> None:
    asked = batch([message(session_id, "one"), "poison", message(session_id, "two")], fifo=True)
    answer = load("chat")(asked, Context())
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [
        record["messageId"] for record in asked["Records"][1:]
    ]
    assert contents(invoke, session_id) == ["one"]


def test_a_message_without_an_id_of_its_own_is_recorded_once(
    invoke: Invoke, session_id: str
) -> None:
    asked = batch([message(session_id, "once")])
    for _ in range(3):
        load("chat")(asked, Context())
    assert contents(invoke, session_id) == ["once"]


def test_the_queue_dates_a_message_that_has_no_date(invoke: Invoke, session_id: str) -> None:
    long_ago = batch([message(session_id, "stale")], sent="1600000000000")
    answer = load("chat")(long_ago, Context())
    assert len(answer["batchItemFailures"]) == 1
    assert contents(invoke, session_id) == []


def test_what_is_null_in_a_message_its_carrier_fills(invoke: Invoke) -> None:
    """Delivered again, it is the same request, made when it was sent."""
    asked = {
        "user_id": "ann@example.com",
        "operation": "create_session",
        "payload": {"title": "Trip"},
        **dict.fromkeys(["request_id", "timestamp", "metadata", "session_id", "hooks"]),
    }
    sent = to_milliseconds(datetime(2026, 11, 21, 12, tzinfo=UTC))
    messages = batch([asked], sent=str(sent))
    told = {"detail-type": "x", "id": str(uuid4()), "time": "2026-11-20T12:00:00Z"}
    for _ in range(2):
        assert load("create_session")(messages, Context()) == {"batchItemFailures": []}
        load("create_session")(told | {"detail": asked}, Context())
    sessions = invoke("list_sessions")["payload"]["sessions"]
    dates = sorted(session["session_id"][:10] for session in sessions)
    assert dates == ["ts_261120_", "ts_261121_"]


def test_an_id_that_tells_its_time_dates_a_message_whenever_it_was_sent(invoke: Invoke) -> None:
    """Sent twice, around midnight, by one whose clock is a second ahead of the queue's."""
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    asked = {
        "request_id": str(uuid7(midnight, 0)),
        "user_id": "ann@example.com",
        "operation": "create_session",
        "payload": {"title": "Trip"},
    }
    for late in (-1, 4):
        sent = str(to_milliseconds(midnight + timedelta(seconds=late)))
        assert load("create_session")(batch([asked], sent=sent), Context()) == {
            "batchItemFailures": []
        }
    (session,) = invoke("list_sessions")["payload"]["sessions"]
    assert session["session_id"].startswith("ts_261122_")


@pytest.mark.parametrize("envelope", [None, [], "chat", 7])
def test_a_direct_event_that_is_no_envelope_is_refused(aws: None, envelope: Any) -> None:
    with pytest.raises(BadRequest, match="must be a request envelope"):
        load("chat")(envelope, Context())
