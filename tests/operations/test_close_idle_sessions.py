"""Closing idle sessions: all that are idle by their logs, none that is active, whatever fails."""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from casefile import dynamodb, idle, lists, records, session_log, sessions
from casefile.errors import NotFound
from pydantic_models.base.times import now, to_milliseconds
from pydantic_models.export import verify
from tests.conftest import Context, Invoke, forget, load, restore, stored
from tests.unit.test_faults import OF_ITS_TIME, Faults, Killed

HOURS = 24
LONG_AGO = timedelta(days=2)


@contextlib.contextmanager
def at(ago: timedelta) -> Iterator[None]:
    """The service's clock as it was."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (sessions, session_log):
            patched.setattr(module, "now", lambda: now() - ago)
        yield


def run(seconds: float = 900) -> dict[str, Any]:
    handler: Any = load("close_idle_sessions")
    done: dict[str, Any] = handler({"idle_hours": HOURS}, Context(seconds=seconds))
    return done


def create(invoke: Invoke, kind: str = "chat", **payload: Any) -> str:
    operation = "create_session" if kind == "tool" else "create_chat_session"
    return str(invoke(operation, payload)["payload"]["session_id"])


def say(invoke: Invoke, session_id: str) -> None:
    if session_id.startswith("cs_"):
        invoke("chat", {"session_id": session_id, "message": "hello"})
    else:
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x", "result": {}})


def read(invoke: Invoke, session_id: str) -> dict[str, Any]:
    operation = "get_chat_session" if session_id.startswith("cs_") else "get_session"
    answer: dict[str, Any] = invoke(operation, {"session_id": session_id})["payload"]
    return answer


def newest(session_id: str) -> Any:
    return records.query(session_id, 2, strong=True, with_content=True)[1][0]


def listed_as_open() -> set[str]:
    return {
        item["pk"]["S"][8:]
        for item in stored()
        if item.get("stage_list", {"S": ""})["S"].startswith("open#")
    }


@pytest.fixture
def idle_ones(invoke: Invoke) -> list[str]:
    """Sessions in which nothing happened for two days."""
    with at(LONG_AGO):
        casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
        found = [
            create(invoke, kind, **filed)
            for kind in ("tool", "chat")
            for filed in ({}, {"casefile_id": casefile_id}, {"title": "Empty"})
        ]
        for session_id in found[:2] + found[3:5]:
            say(invoke, session_id)
        invoke("tool_execution", {"session_id": found[0], "tool_name": "pending"})
    return found


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
def test_what_is_idle_is_closed_of_both_kinds_filed_or_not(
    invoke: Invoke, idle_ones: list[str], is_cold: bool
) -> None:
    if is_cold:
        forget()
    assert run() == {"seen": 6, "done": 6, "failed": 0, "is_complete": True}
    for session_id in idle_ones:
        told = read(invoke, session_id)
        assert told["active"] is False
        assert told["seal"] == newest(session_id).seal.hex()
    for operation in ("list_sessions", "list_chat_sessions"):
        assert invoke(operation)["payload"]["sessions"] == []
        assert len(invoke(operation, {"active_only": False})["payload"]["sessions"]) == 3
    assert listed_as_open() == set()


@pytest.mark.parametrize("kind", ["tool", "chat"])
def test_what_was_created_to_stay_open_is_not_closed(invoke: Invoke, kind: str) -> None:
    with at(LONG_AGO):
        casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
        kept = [
            create(invoke, kind, stays_open=True),
            create(invoke, kind, stays_open=True, casefile_id=casefile_id),
        ]
        idle_one = create(invoke, kind)
        say(invoke, kept[0])
    assert run() == {"seen": 1, "done": 1, "failed": 0, "is_complete": True}
    assert [read(invoke, each)["active"] for each in (*kept, idle_one)] == [True, True, False]
    say(invoke, kept[0])
    for session_id in kept:  # It is closed by who asks for that, and goes on as any other.
        invoke(
            "close_session" if kind == "tool" else "close_chat_session", {"session_id": session_id}
        )
        assert read(invoke, session_id)["active"] is False
    staged = [each["stage_list"]["S"] for each in stored() if "stage_list" in each]
    assert {each.partition("#")[0] for each in staged} == {"closed"}
    assert len(staged) == 3


def test_a_closing_tells_that_it_was_for_idleness(invoke: Invoke, idle_ones: list[str]) -> None:
    run()
    for session_id in idle_ones:
        closing = newest(session_id)
        assert closing.kind == "closed"
        told = json.loads(closing.content)
        assert (told["metadata"], told["user_id"]) == ({"reason": "idle"}, "ann@example.com")


def test_pending_requests_fail_with_it(invoke: Invoke, idle_ones: list[str]) -> None:
    run()
    asked = invoke("list_tool_requests", {"session_id": idle_ones[0]})["payload"]["requests"]
    assert [each["status"] for each in asked] == ["completed", "failed"]


def test_a_log_with_an_idle_closing_can_be_verified_like_any_other(
    invoke: Invoke, idle_ones: list[str]
) -> None:
    run()
    for session_id in idle_ones:
        kind = "export_session" if session_id.startswith("ts_") else "export_chat_session"
        lines = invoke(kind, {"session_id": session_id})["payload"]["lines"]
        assert verify(lines.splitlines()).is_closed


def test_who_is_active_by_the_log_stays_open_though_the_head_says_otherwise(
    invoke: Invoke, idle_ones: list[str]
) -> None:
    say(invoke, idle_ones[0])
    say(invoke, idle_ones[5])
    assert run()["done"] == 4
    assert [each for each in idle_ones if read(invoke, each)["active"]] == [
        idle_ones[0],
        idle_ones[5],
    ]
    say(invoke, idle_ones[0])


def test_who_is_active_by_the_head_is_not_even_looked_at(invoke: Invoke, calls: list[str]) -> None:
    with at(LONG_AGO):
        session_id = create(invoke)
    invoke("update_chat_session", {"session_id": session_id, "title": "Still mine"})
    calls.clear()
    assert run() == {"seen": 1, "done": 0, "failed": 0, "is_complete": True}
    queries = ["Query"] * lists.STAGE_SHARDS
    assert sorted(calls) == ["BatchGetItem", "GetItem", "PutItem", *queries]


def test_a_session_that_is_young_is_not_even_found(invoke: Invoke, calls: list[str]) -> None:
    create(invoke)
    calls.clear()
    assert run() == {"seen": 0, "done": 0, "failed": 0, "is_complete": True}
    assert set(calls) == {"GetItem", "Query"}


@pytest.mark.parametrize("is_known", [False, True], ids=["put first", "seen first"])
def test_what_is_recorded_between_the_look_and_the_closing_keeps_the_session_open(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    chosen, glance = idle_ones[1], session_log.glance

    def overtaken(session_id: str) -> Any:
        looked = glance(session_id)
        if session_id == chosen:
            ours = session_log._memories.pop(chosen)
            say(invoke, chosen)
            if not is_known:
                session_log._memories.keep(chosen, ours)
        return looked

    with monkeypatch.context() as patched:
        patched.setattr(session_log, "glance", overtaken)
        assert run() == {"seen": 6, "done": 5, "failed": 0, "is_complete": True}
    told = read(invoke, chosen)
    assert (told["active"], told["request_count"]) == (True, 2)
    assert listed_as_open() == {chosen}


def test_what_is_changed_after_the_look_at_many_heads_keeps_the_session_open(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, glance = idle_ones[1], session_log.glance

    def overtaken(session_id: str) -> Any:
        if session_id == chosen:
            invoke("update_session", {"session_id": chosen, "tags": ["still in use"]})
        return glance(session_id)

    with monkeypatch.context() as patched:
        patched.setattr(session_log, "glance", overtaken)
        assert run() == {"seen": 6, "done": 5, "failed": 0, "is_complete": True}
    assert listed_as_open() == {chosen}


def test_what_is_deleted_between_the_look_and_the_closing_stays_deleted(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, glance = idle_ones[4], session_log.glance

    def overtaken(session_id: str) -> Any:
        looked = glance(session_id)
        if session_id == chosen:
            invoke("delete_chat_session", {"session_id": chosen, "confirm": True})
        return looked

    with monkeypatch.context() as patched:
        patched.setattr(session_log, "glance", overtaken)
        assert run()["done"] == 5
    assert listed_as_open() == set()
    with pytest.raises(NotFound):
        read(invoke, chosen)


def test_two_runs_at_once_close_each_session_once(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    glance, others = session_log.glance, iter([True])

    def overtaken(session_id: str) -> Any:
        looked = glance(session_id)
        if next(others, False):
            ours = session_log._memories
            monkeypatch.setattr(session_log, "_memories", session_log.Memories())
            assert run()["done"] == 6
            monkeypatch.setattr(session_log, "_memories", ours)
        return looked

    with monkeypatch.context() as patched:
        patched.setattr(session_log, "glance", overtaken)
        assert run()["failed"] == 0
    closings = [item for item in stored() if item.get("kind") == {"S": "closed"}]
    assert len(closings) == 6


def test_a_second_run_changes_nothing(invoke: Invoke, idle_ones: list[str]) -> None:
    run()
    before = stored()
    assert run() == {"seen": 0, "done": 0, "failed": 0, "is_complete": True}
    assert stored() == before


def test_a_closing_that_no_head_shows_is_shown(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "mark_closed", lambda *_: None)
        assert run()["done"] == 6
    logs = [item for item in stored() if item["sk"]["S"].isdigit()]
    assert len(listed_as_open()) == 6
    assert run()["done"] == 0
    assert listed_as_open() == set()
    assert logs == [item for item in stored() if item["sk"]["S"].isdigit()]


def test_a_session_that_cannot_be_closed_stops_no_other(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    close = session_log.close

    def fail(session_id: str, *more: Any) -> Any:
        if session_id == idle_ones[2]:
            raise RuntimeError("broken")
        return close(session_id, *more)

    with monkeypatch.context() as broken:
        broken.setattr(session_log, "close", fail)
        assert run() == {"seen": 6, "done": 5, "failed": 1, "is_complete": True}
    assert listed_as_open() == {idle_ones[2]}
    assert run()["done"] == 1


def kept() -> list[dict[str, Any]]:
    """What is stored, less what depends on the time of day, and the note of the place."""
    return [
        {name: value for name, value in item.items() if name not in OF_ITS_TIME}
        for item in stored()
        if not item["pk"]["S"].startswith("PLACE#")
    ]


@pytest.mark.parametrize("way", Faults.WAYS)
def test_whatever_call_fails_the_next_run_ends_in_the_same_state(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(lists, "STAGE_SHARDS", 1)
    monkeypatch.setattr(lists, "STAGE_AT_ONCE", 2)
    pending, filed, active = idle_ones[0], idle_ones[4], idle_ones[5]
    say(invoke, active)
    before = [
        item | {"stage_list": {"S": "open#0"}} if "stage_list" in item else item
        for item in stored()
        if item["pk"]["S"][8:] in (pending, filed, active)
    ]
    restore(before)
    run()
    expected = kept()
    for number in range(1, 60):
        restore(before)
        with monkeypatch.context() as patched:
            faults = Faults(patched, number, way)
            with contextlib.suppress(Killed):
                run()
        if faults.calls < number:
            assert number > 12
            return
        forget()
        assert run()["is_complete"]
        assert kept() == expected
        assert listed_as_open() == {active}
    raise AssertionError("no run here makes that many calls")


def test_out_of_time_it_stops_and_the_next_run_goes_on_and_comes_round(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of each three sessions is idle; the time is up at the second idle one."""
    monkeypatch.setattr(lists, "STAGE_AT_ONCE", 3)
    with at(LONG_AGO):
        all_of_them = [create(invoke) for _ in range(30)]
    for session_id in all_of_them[::2]:
        say(invoke, session_id)
    opened: list[str] = []
    glance = session_log.glance

    def watched(session_id: str) -> Any:
        opened.append(session_id)
        if len(opened) % 10 == 0:
            faults.late += 900
        return glance(session_id)

    runs = []
    for _ in range(8):
        with monkeypatch.context() as patched:
            faults = Faults(patched, 0, "none")
            patched.setattr(session_log, "glance", watched)
            runs.append(run())
        if len(opened) >= 20 and runs[-1]["is_complete"]:
            break
    assert not runs[0]["is_complete"]
    assert len(set(opened)) == 30
    # Nobody was looked at again before everybody else had been looked at, but for a page or two.
    assert len(set(opened[:30])) >= 24
    assert listed_as_open() == set(all_of_them[::2])


def test_what_takes_all_the_time_there_is_holds_up_no_other(
    invoke: Invoke, idle_ones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "STAGE_AT_ONCE", 1)
    glance = session_log.glance

    def dawdle(session_id: str) -> Any:
        if session_id == idle_ones[3]:
            faults.late = 900
        return glance(session_id)

    for _ in range(2):
        with monkeypatch.context() as patched:
            faults = Faults(patched, 0, "none")
            patched.setattr(session_log, "glance", dawdle)
            run()
    assert listed_as_open() == {idle_ones[3]}


def test_a_round_begins_behind_the_place_that_was_noted(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "STAGE_SHARDS", 2)
    monkeypatch.setattr(lists, "STAGE_AT_ONCE", 1)
    with at(LONG_AGO):
        idle_ones = [create(invoke) for _ in range(5)]
    before = to_milliseconds(now())
    places = [each for each in lists.in_stage("open", before, lists.StagePlace()) if each[0]]
    assert {session_id for [session_id], _ in places} == set(idle_ones)
    for [session_id], after in places:
        pages = lists.in_stage("open", before, after)
        order = [each for page, _ in pages for each in page]
        assert sorted(order) == sorted(idle_ones)
        assert order[-1] == session_id


def test_nothing_is_begun_without_time(invoke: Invoke, idle_ones: list[str]) -> None:
    before = stored()
    assert run(seconds=1) == {"seen": 0, "done": 0, "failed": 0, "is_complete": False}
    assert stored() == before


@pytest.mark.parametrize("event", [{}, {"idle_hours": 0}, {"idle_hours": -1}, {"hours": 1}])
def test_a_wrong_input_closes_nothing(
    invoke: Invoke, idle_ones: list[str], event: dict[str, Any]
) -> None:
    handler: Any = load("close_idle_sessions")
    with pytest.raises(ValidationError):
        handler(event, Context())
    assert listed_as_open() == set(idle_ones)


def test_the_event_file_is_understood(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = create(invoke)
    monkeypatch.setattr(idle, "now", lambda: now() + timedelta(days=31))
    path = Path(__file__).parents[1] / "events/close_idle_sessions/schedule.json"
    handler: Any = load("close_idle_sessions")
    assert handler(json.loads(path.read_text()), Context())["done"] == 1
    assert read(invoke, session_id)["active"] is False
    assert dynamodb.get({"pk": "PLACE#open", "sk": "HEAD"}) is not None
