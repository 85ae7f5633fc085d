"""The model of the stream's follower, beside the follower itself."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks import scale
from benchmarks.meter import Meter
from casefile import dynamodb, parallel, records, sessions, transport
from casefile.stream import Batch
from tests.conftest import Context, load
from tests.template import resources, template

WRITERS, FILED = 4, 120


@pytest.mark.parametrize(("many", "of"), [(200, 1), (200, 20), (60, 60)])
def test_a_batch_takes_as_many_refreshes_as_the_model_says(
    meter: Meter, many: int, of: int
) -> None:
    chance = random.Random(many)
    opened = [create(f"{many} {of} {number}") for number in range(of)]
    batch = [chance.choice(opened) for _ in range(many)]
    event = {"Records": [change(number, session_id) for number, session_id in enumerate(batch, 1)]}
    following = Batch()
    following.read(event)
    meter.calls.clear()
    following.follow_records(sessions.refresh)
    assert not following.failed
    assert meter.names == ["UpdateItem"] * scale.refreshes(batch)
    assert meter.units == scale.refreshes(batch) * sum(scale.REFRESH_UNITS.values())


def create(title: str, casefile_id: str | None = None) -> str:
    payload = {"title": title, "casefile_id": casefile_id}
    envelope = {"user_id": "ann@example.com", "payload": payload}
    session_id: str = load("create_chat_session")(envelope, Context())["payload"]["session_id"]
    return session_id


def change(number: int, session_id: str) -> dict[str, Any]:
    """What the stream tells of a record, as if it had been put."""
    image = dynamodb.to_attributes(
        {
            **records.slot_key(session_id, number),
            "kind": "chat",
            "request": None,
            "at": 4_000_000_000_000 + number,
            "totals": [number, 0, 0, number],
            "content": "{}",
        }
    )
    image["request"], image["seal"] = {"B": "A" * 22 + "=="}, {"B": "A" * 43 + "="}
    return {"dynamodb": {"SequenceNumber": str(number), "NewImage": image}}


def test_filings_take_as_many_calls_as_the_model_says(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, ask = 0.025, transport.Client._ask

    def ask_from_afar(*asked: Any) -> Any:
        time.sleep(far / 2)
        answered = ask(*asked)
        time.sleep(far / 2)
        return answered

    envelope = {"user_id": "ann@example.com", "payload": {"title": "Work"}}
    casefile_id = load("create_casefile")(envelope, Context())["payload"]["casefile_id"]
    monkeypatch.setattr(transport.Client, "_ask", ask_from_afar)
    meter.calls.clear()
    with ThreadPoolExecutor(WRITERS) as writers:
        filed = list(writers.map(lambda title: create(str(title), casefile_id), range(FILED)))
    assert len(set(filed)) == FILED
    model = scale.Filing(call=far, rounds=1).run(WRITERS, 2_000)
    assert 0.5 < len(meter.calls) / FILED / model.calls_each < 1.4  # Chance decides.


def test_the_model_has_the_settings_of_the_template() -> None:
    follower = resources("AWS::Serverless::Function")["OnSessionRecord"]
    source = follower["Events"]["Records"]["Properties"]
    assert source["BatchSize"] == scale.BATCH
    assert source["ParallelizationFactor"] == 1  # More would spread a session's records.
    assert scale.AT_ONCE == parallel.AT_ONCE
    parameters = template()["Parameters"]
    assert int(parameters["RefreshSeconds"]["Default"]) == scale.REFRESH_SECONDS
    assert int(parameters["RequestsPerSecond"]["Default"]) == scale.STAGE_REQUESTS


def test_a_session_that_is_filed_takes_two_lists_more(meter: Meter) -> None:
    envelope = {"user_id": "ann@example.com", "payload": {"title": "Work"}}
    casefile_id = load("create_casefile")(envelope, Context())["payload"]["casefile_id"]
    envelope["payload"] = {"casefile_id": casefile_id}
    session_id = load("create_chat_session")(envelope, Context())["payload"]["session_id"]
    following = Batch()
    following.read({"Records": [change(1, session_id)]})
    meter.calls.clear()
    following.follow_records(sessions.refresh)
    assert meter.units == sum(scale.REFRESH_UNITS.values()) + scale.FILED_REFRESH_UNITS
