"""Deleting for good: in any state, in steps that can be repeated, and nothing revives it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from casefile import deletion, dynamodb, session_log
from casefile.errors import BadRequest, NotFound, Unavailable
from casefile.session_log import Entry, Memories
from pydantic_models.canonical.record import Totals
from tests.conftest import Context, Invoke, days_left, forget, load, overtake, stored
from tests.replicas import lagging


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    session_id = str(invoke("create_session", {"title": "Secret plans"})["payload"]["session_id"])
    for number in range(3):
        asked = {"session_id": session_id, "tool_name": f"secret {number}", "result": {}}
        invoke("tool_execution", asked)
    return session_id


def delete(invoke: Invoke, session_id: str, **more: Any) -> dict[str, Any]:
    return invoke("delete_session", {"session_id": session_id, "confirm": True}, **more)


def every_use(session_id: str) -> dict[str, dict[str, Any]]:
    named = {"session_id": session_id}
    return {
        "get_session": named,
        "list_tool_requests": named,
        "list_tool_events": named,
        "export_session": named,
        "tool_execution": named | {"tool_name": "late"},
        "tool_result": named | {"request_id": str(uuid4()), "result": {}},
        "close_session": named,
    }


def assert_gone(invoke: Invoke, session_id: str) -> None:
    before = stored()
    for operation, payload in every_use(session_id).items():
        with pytest.raises(NotFound, match=f"no session {session_id}"):
            invoke(operation, payload)
    assert stored() == before
    left = str([item for item in before if session_id in item["pk"]["S"]])
    left = left.replace(session_id, "")  # It may spell anything.
    assert "ann@example.com" not in left
    assert "ecret" not in left


@pytest.mark.parametrize("state", ["open", "closed", "pending", "empty"])
def test_nothing_of_it_is_left_and_nothing_finds_it(
    invoke: Invoke, session_id: str, state: str
) -> None:
    if state == "empty":
        session_id = invoke("create_session", {"title": "Secret"})["payload"]["session_id"]
        first = next(iter({item["pk"]["S"] for item in stored()} - {f"SESSION#{session_id}"}))
        delete(invoke, first.partition("#")[2])
    if state == "pending":
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x"})
    if state == "closed":
        invoke("close_session", {"session_id": session_id})
    deleted = delete(invoke, session_id)["payload"]
    assert deleted["session_id"] == session_id
    assert deleted["deleted_at"].endswith("+00:00")
    assert_gone(invoke, session_id)
    forget()
    assert_gone(invoke, session_id)


def test_again_is_the_first_answer(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid4())
    first = delete(invoke, session_id, request_id=request_id)
    assert delete(invoke, session_id, request_id=request_id) == first
    assert delete(invoke, session_id)["payload"] == first["payload"]


def test_it_must_be_meant_and_ones_own(invoke: Invoke, session_id: str) -> None:
    before = stored()
    for confirm in ({}, {"confirm": False}, {"confirm": "yes"}, {"confirm": None}):
        with pytest.raises(BadRequest, match="confirm"):
            invoke("delete_session", {"session_id": session_id, **confirm})
    for asked, user in ((session_id, "bob@example.com"), ("ts_261121_none", "ann@example.com")):
        with pytest.raises(NotFound):
            delete(invoke, asked, user=user)
    assert stored() == before
    delete(invoke, session_id)
    with pytest.raises(NotFound):
        delete(invoke, session_id, user="bob@example.com")


def test_its_casefile_counts_one_less(invoke: Invoke, session_id: str) -> None:
    casefile_id = invoke("create_casefile", {"title": "Plans"})["payload"]["casefile_id"]
    other = invoke("create_session", {"casefile_id": casefile_id})["payload"]["session_id"]
    filing = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "tool"}
    invoke("add_session_to_casefile", filing)
    for _ in range(2):
        delete(invoke, session_id)
        casefile = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
        assert (casefile["session_count"], casefile["session_ids"]) == (1, [other])
    with pytest.raises(NotFound):
        invoke("add_session_to_casefile", filing)


def test_a_late_retry_of_the_creation_revives_nothing(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Plans"})["payload"]["casefile_id"]
    for payload in ({}, {"casefile_id": casefile_id}):
        request = {"request_id": str(uuid4())}
        created = invoke("create_session", payload, **request)
        delete(invoke, created["payload"]["session_id"])
        with pytest.raises(NotFound, match="was deleted"):
            invoke("create_session", payload, **request)
    casefile = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert casefile["session_count"] == 0


def test_an_instance_with_an_old_memory_revives_nothing(invoke: Invoke, session_id: str) -> None:
    """Its memory may end anywhere in the log, also where the stubs are."""
    old = Memories()

    def late() -> Entry:
        now = datetime.now(UTC)
        return Entry("tool", uuid4(), now, '{"tool_name":"x","result":{}}', Totals(1, 0, 4))

    session_log.append(session_id, "ann@example.com", late(), memories=old)
    for _ in range(5):
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x", "result": {}})
    delete(invoke, session_id)
    before = stored()
    for _ in range(2):
        with pytest.raises(NotFound):
            session_log.append(session_id, "ann@example.com", late(), memories=old)
    assert stored() == before


def test_an_append_during_the_deletion_is_deleted_or_refused(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = {"session_id": session_id, "tool_name": "secret late"}
    overtake(monkeypatch, deletion, "_end", lambda: invoke("tool_execution", late))
    delete(invoke, session_id)
    assert_gone(invoke, session_id)


def test_being_filed_during_the_deletion_leaves_the_count_right(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Plans"})["payload"]["casefile_id"]
    filing = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "tool"}
    overtake(monkeypatch, deletion, "_end", lambda: invoke("add_session_to_casefile", filing))
    delete(invoke, session_id)
    assert_gone(invoke, session_id)
    casefile = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert casefile["session_count"] == 0


@pytest.mark.parametrize("calls", range(1, 7))
def test_interrupted_anywhere_it_goes_on(invoke: Invoke, session_id: str, calls: int) -> None:
    for _ in range(60):
        invoke("tool_execution", {"session_id": session_id, "tool_name": "secret", "result": {}})
    made: list[str] = []

    def interrupt(model: Any, **_: Any) -> None:
        made.append(model.name)
        if len(made) == calls:
            raise Unavailable("the function was stopped")

    dynamodb.client().meta.events.register("before-call.dynamodb", interrupt)
    try:
        delete(invoke, session_id)
    except Unavailable:
        assert len(made) == calls
    delete(invoke, session_id)
    assert_gone(invoke, session_id)
    stubs = [item for item in stored() if item["sk"]["S"] != "HEAD"]
    assert len(stubs) == 64
    assert all(item["kind"] == {"S": "dead"} for item in stubs)


def test_no_record_is_missed_though_replicas_lag(invoke: Invoke, session_id: str) -> None:
    with lagging(str.isdigit):
        delete(invoke, session_id)
    assert_gone(invoke, session_id)


def test_a_stub_outlasts_all_memories_of_the_session_and_then_goes(
    invoke: Invoke, session_id: str
) -> None:
    delete(invoke, session_id)
    stubs = [item for item in stored() if item["sk"]["S"] != "HEAD"]
    assert all(0.99 < days_left(stub) < 1.01 for stub in stubs)
    assert deletion.STUB_SECONDS > 2 * session_log.MEMORY_SECONDS


def test_it_stops_when_there_is_no_time_left(invoke: Invoke, session_id: str) -> None:
    envelope = {
        "user_id": "ann@example.com",
        "payload": {"session_id": session_id, "confirm": True},
    }
    with pytest.raises(Unavailable):
        load("delete_session")(envelope, Context(seconds=1))
    delete(invoke, session_id)
    assert_gone(invoke, session_id)
