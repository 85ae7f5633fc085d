"""What a request came to is in its log line, as CloudWatch reads metrics; what was said is not."""

import json
import secrets
from datetime import timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest

from casefile import api, metrics, session_log
from casefile.errors import SessionClosed
from pydantic_models.base.times import now, to_text
from pydantic_models.canonical.record import Totals
from tests.conftest import Context, Invoke, Lines, load, objects
from tests.events import event

SECRET = "the treasure is under the oak"


@pytest.fixture
def session_id(invoke: Invoke, lines: Lines) -> str:
    opened = str(invoke("create_chat_session")["payload"]["session_id"])
    lines()
    return opened


def counted(line: dict[str, Any]) -> dict[str, int]:
    """The metrics of a line, as the embedded metric format defines them."""
    if "_aws" not in line:
        assert not set(metrics.UNITS) & set(line)
        return {}
    assert set(line["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
    assert abs(line["_aws"]["Timestamp"] - now().timestamp() * 1000) < 60_000
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    assert directive["Namespace"] == "Casefile"
    assert directive["Dimensions"] == [["operation"]]
    assert isinstance(line["operation"], str)
    assert directive["Metrics"]
    for metric in directive["Metrics"]:
        assert metric == {"Name": metric["Name"], "Unit": metrics.UNITS[metric["Name"]]}
        assert isinstance(line[metric["Name"]], int)
    return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def say(invoke: Invoke, session_id: str, text: str = SECRET, **more: Any) -> None:
    invoke("chat", {"session_id": session_id, "message": text}, **more)


def say_elsewhere(session_id: str, kind: Any = "chat") -> None:
    """Record something through another execution environment."""
    entry = session_log.Entry(kind, uuid4(), now(), "{}", Totals())
    session_log.append(session_id, "ann@example.com", entry, memories=session_log.Memories())


def test_an_append_is_counted(invoke: Invoke, session_id: str, lines: Lines) -> None:
    say(invoke, session_id)
    (line,) = lines()
    assert (line["message"], line["operation"]) == ("done", "chat")
    assert counted(line) == {"Appends": 1}


def test_a_lost_race_is_counted(invoke: Invoke, session_id: str, lines: Lines) -> None:
    say(invoke, session_id)
    say_elsewhere(session_id)
    say(invoke, session_id)
    assert counted(lines()[-1]) == {"Conflicts": 1, "Appends": 1}


def test_a_replay_is_counted(invoke: Invoke, session_id: str, lines: Lines) -> None:
    again = {"request_id": str(uuid4()), "timestamp": to_text(now())}
    say(invoke, session_id, **again)
    say(invoke, session_id, **again)
    assert [counted(line) for line in lines()] == [{"Appends": 1}, {"Replays": 1}]


def test_a_replay_that_meets_itself_in_the_slot_is_counted(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    again = {"request_id": str(uuid4()), "timestamp": to_text(now())}
    memory = session_log._look(session_id)
    say(invoke, session_id, **again)
    session_log._memories.keep(session_id, memory)
    say(invoke, session_id, **again)
    assert counted(lines()[-1]) == {"Replays": 1}


def test_looking_back_is_counted(invoke: Invoke, session_id: str, lines: Lines) -> None:
    for _ in range(session_log.FIRST_PAGE):
        say(invoke, session_id)
    session_log._memories.clear()
    say(invoke, session_id, timestamp=to_text(now() - timedelta(minutes=1)))
    assert counted(lines()[-1]) == {"LookBacks": 1, "Appends": 1}


def test_bytes_put_in_the_bucket_are_counted(invoke: Invoke, session_id: str, lines: Lines) -> None:
    say(invoke, session_id, secrets.token_hex(100_000))
    (line,) = lines()
    assert len(objects()) == 1
    found = counted(line)
    assert found == {"Appends": 1, "OffloadedBytes": found["OffloadedBytes"]}
    assert 200_000 < found["OffloadedBytes"] < 201_000


def test_a_refused_request_tells_what_it_counted(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    say(invoke, session_id)
    say_elsewhere(session_id, "closed")
    with pytest.raises(SessionClosed):
        say(invoke, session_id)
    line = lines()[-1]
    assert (line["message"], line["outcome"]) == ("refused", "session_closed")
    assert counted(line) == {"Conflicts": 1}


def test_an_answer_made_again_with_links_counts_once(
    invoke: Invoke, session_id: str, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([api.MAX_CARRIED_BYTES + 1, 1])
    monkeypatch.setattr(api, "_carried_bytes", lambda answered: next(sizes))
    say(invoke, session_id)
    assert [counted(line) for line in lines()] == [{"Appends": 1}, {}]


def test_each_message_of_a_batch_is_counted_by_itself(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    batch = event("chat", "sqs")
    (model,) = batch["Records"]
    body = {
        "user_id": "ann@example.com",
        "operation": "chat",
        "payload": {"session_id": session_id, "message": SECRET},
    }
    batch["Records"] = [
        {**model, "messageId": str(uuid4()), "body": json.dumps(body), "attributes": {}}
        for _ in range(2)
    ]
    assert load("chat")(batch, Context()) == {"batchItemFailures": []}
    assert [counted(line) for line in lines()] == [{"Appends": 1}, {"Appends": 1}]


def test_what_counts_nothing_is_logged_plainly(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    invoke("get_chat_session", {"session_id": session_id})
    assert [counted(line) for line in lines()] == [{}]


@pytest.mark.parametrize("door", ["api", "direct", "eventbridge", "sqs"])
def test_a_bug_is_logged_as_one_at_each_door(
    aws: None, lines: Lines, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    def fail(session_id: str, entry: session_log.Entry) -> session_log.Memory:
        raise RuntimeError

    monkeypatch.setattr(session_log, "_look", fail)
    try:
        load("chat")(event("chat", door), Context())
    except RuntimeError:
        assert door in ("direct", "eventbridge")
    assert {(line["message"], line["service"], line["level"]) for line in lines()} == {
        ("bug", "casefile", "ERROR")  # which the template's filter counts
    }


def test_nothing_that_was_said_and_nobody_is_in_a_metric(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    say(invoke, session_id)
    (line,) = lines()
    assert SECRET not in json.dumps(line)
    metric = json.dumps(line["_aws"])
    assert session_id not in metric
    assert "ann@example.com" not in metric


def test_every_metric_has_a_unit() -> None:
    assert set(metrics.UNITS) == set(get_args(metrics.Metric))
