"""What a session costs to write, its place in the lists included."""

from typing import Any

import pytest

from benchmarks.meter import Meter
from casefile import records, sessions
from tests.conftest import Context, load


def do(name: str, **payload: Any) -> Any:
    envelope = {"user_id": "ann@example.com", "operation": name, "payload": payload}
    return load(name)(envelope, Context())["payload"]


def measured(meter: Meter, name: str, **payload: Any) -> tuple[Any, list[tuple[str, float]]]:
    meter.calls.clear()
    return do(name, **payload), meter.costs


def refreshed(meter: Meter, session_id: str) -> list[tuple[str, float]]:
    _, (newest, *_) = records.query(session_id, 2, strong=True)
    meter.calls.clear()
    sessions.refresh(session_id, newest)
    return meter.costs


@pytest.mark.parametrize(
    ("is_filed", "refresh", "closing"), [(False, 4.0, 7.0), (True, 7.0, 11.0)], ids=["own", "filed"]
)
def test_a_session_from_its_creation_to_its_end(
    meter: Meter, is_filed: bool, refresh: float, closing: float
) -> None:
    session, calls = measured(meter, "create_chat_session", title="Flights to Lisbon")
    assert calls == [("PutItem", 4.0)]  # Itself, and its place in two lists and among those open.
    session_id = session["session_id"]
    if is_filed:
        casefile_id = do("create_casefile", title="Lisbon")["casefile_id"]
        filing = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "chat"}
        _, calls = measured(meter, "add_session_to_casefile", **filing)
        assert [name for name, _ in calls] == ["GetItem", "GetItem", "TransactWriteItems"]
    for number in range(3):
        said = {"session_id": session_id, "message": "x" * 600}
        _, calls = measured(meter, "chat", **said)
        assert calls[-1] == ("PutItem", 1.0)
        assert len(calls) == (1 if number else 2)
    assert refreshed(meter, session_id) == [("UpdateItem", refresh)]
    _, calls = measured(meter, "close_chat_session", session_id=session_id)
    assert calls == [("PutItem", 1.0), ("UpdateItem", closing)]
