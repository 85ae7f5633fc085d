"""Refreshing lists: whatever comes late, twice or not at all, heads show what the log says."""

import contextlib
import json
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import sessions
from casefile.attempts import time_limit
from casefile.stream import Batch
from pydantic_models.base.times import now_text
from pydantic_models.canonical.record import Record
from tests.conftest import Context, Invoke, Lines, load, restore, stored
from tests.stream import let_through, stream
from tests.unit.test_faults import Faults, Killed


def changes() -> list[dict[str, Any]]:
    """What the table's stream tells of records, as Lambda gets it."""
    return let_through("on_session_record")


def follow(batch: list[dict[str, Any]]) -> Any:
    handler: Any = load("on_session_record")
    return handler({"Records": batch}, Context())["batchItemFailures"]


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_chat_session", {"title": "Talk"})["payload"]["session_id"])


def say(invoke: Invoke, session_id: str, times: int = 1) -> None:
    for number in range(times):
        invoke("chat", {"session_id": session_id, "message": f"Message {number}"})


def line(invoke: Invoke, **asked: Any) -> Any:
    (found,) = invoke("list_chat_sessions", asked)["payload"]["sessions"]
    return found


def head(session_id: str) -> dict[str, Any]:
    (found,) = (
        item
        for item in stored()
        if item["pk"]["S"].endswith(session_id) and item["sk"]["S"] == "HEAD"
    )
    return found


def test_lists_come_to_show_what_was_recorded(invoke: Invoke, session_id: str) -> None:
    other = invoke("create_chat_session", {"title": "Later"})["payload"]["session_id"]
    say(invoke, session_id, 3)
    assert invoke("list_chat_sessions")["payload"]["sessions"][0]["session_id"] == other
    assert follow(changes()) == []
    first, second = invoke("list_chat_sessions")["payload"]["sessions"]
    assert (first["session_id"], first["message_count"]) == (session_id, 3)
    read = invoke("get_chat_session", {"session_id": session_id})["payload"]
    assert first["updated_at"] == read["updated_at"]
    assert (second["session_id"], second["message_count"]) == (other, 0)


def test_what_is_left_of_a_deleted_session_is_nothing_new(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    """Though it is sent by hand, past the trigger's filter."""
    say(invoke, session_id)
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    dead = [each for each in stream() if "dead" in str(each["dynamodb"]["NewImage"].get("kind"))]
    assert len(dead) > 1
    lines()
    assert follow(dead) == []
    assert [each["level"] for each in lines()] == ["INFO"]


def test_several_records_of_a_session_are_one_write(
    invoke: Invoke, session_id: str, calls: list[str]
) -> None:
    say(invoke, session_id, 5)
    batch = changes()
    calls.clear()
    follow(batch)
    assert calls == ["UpdateItem"]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_suffix_in_any_batches_ends_in_the_same_head(
    invoke: Invoke, data: st.DataObject
) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    say(invoke, session_id, data.draw(st.integers(1, 5)))
    told = [
        change for change in changes() if change["dynamodb"]["Keys"]["pk"]["S"][8:] == session_id
    ]
    follow(told)
    expected = head(session_id)
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(told) - 1))
        end = data.draw(st.integers(begin, len(told)))
        follow(data.draw(st.permutations(told[begin:end])))
        assert head(session_id) == expected


def test_it_shows_no_less_than_before(invoke: Invoke, session_id: str) -> None:
    say(invoke, session_id, 2)
    early = changes()
    say(invoke, session_id)
    follow(changes())
    follow(early)
    assert line(invoke)["message_count"] == 3


def test_a_later_change_of_the_title_keeps_its_time(invoke: Invoke, session_id: str) -> None:
    say(invoke, session_id)
    changed = invoke("update_chat_session", {"session_id": session_id, "title": "New"})
    follow(changes())
    assert line(invoke)["message_count"] == 1
    assert line(invoke)["updated_at"] == changed["payload"]["updated_at"]


def test_a_retry_of_a_change_tells_what_came_since(invoke: Invoke, session_id: str) -> None:
    change = {"session_id": session_id, "title": "New"}
    same = {"request_id": str(uuid4()), "timestamp": now_text()}
    first = invoke("update_chat_session", change, **same)
    say(invoke, session_id)
    follow(changes())
    again = invoke("update_chat_session", change, **same)
    read = invoke("get_chat_session", {"session_id": session_id})["payload"]
    assert again["payload"] == first["payload"] | {"updated_at": read["updated_at"]}
    assert again["timestamp"] == first["timestamp"]
    assert read["updated_at"] > first["payload"]["updated_at"]


def test_a_closing_that_is_shown_late_takes_no_time_back(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "mark_closed", lambda *_: None)
        invoke("close_chat_session", {"session_id": session_id})
    changed = invoke("update_chat_session", {"session_id": session_id, "title": "New"})
    invoke("close_chat_session", {"session_id": session_id})
    shown = line(invoke, active_only=False)
    assert (shown["active"], shown["title"]) == (False, "New")
    assert shown["updated_at"] == changed["payload"]["updated_at"]


def test_what_is_closed_stays_as_it_was_closed(invoke: Invoke, session_id: str) -> None:
    say(invoke, session_id)
    early = changes()
    invoke("close_chat_session", {"session_id": session_id})
    expected = head(session_id)
    follow(early)
    follow(changes())
    assert head(session_id) == expected


def test_a_closing_that_its_own_call_could_not_show_is_shown(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "mark_closed", lambda *_: None)
        closing = invoke("close_chat_session", {"session_id": session_id})
    assert line(invoke)["active"] is True
    follow(changes())
    assert line(invoke, active_only=False)["active"] is False
    assert line(invoke, active_only=False)["updated_at"] == closing["payload"]["closed_at"]
    assert invoke("list_chat_sessions")["payload"]["sessions"] == []


def test_what_is_deleted_stays_deleted(invoke: Invoke, session_id: str) -> None:
    say(invoke, session_id)
    late = changes()
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    expected = head(session_id)
    assert follow(late) == []
    assert head(session_id) == expected


def test_a_record_that_nobody_understands_stops_no_other(
    invoke: Invoke, session_id: str, lines: Lines
) -> None:
    say(invoke, session_id, 2)
    batch = changes()
    del batch[0]["dynamodb"]["NewImage"]["totals"]
    number = batch[0]["dynamodb"]["SequenceNumber"]
    assert follow(batch) == [{"itemIdentifier": number}]
    assert next(told for told in lines() if told["message"] == "bug")["sequence_numbers"] == [
        number
    ]
    assert line(invoke)["message_count"] == 2
    batch[0]["dynamodb"]["SequenceNumber"] = "secret words"
    assert follow(batch) == [{"itemIdentifier": "secret words"}]
    assert "secret" not in str(lines())


def test_sessions_are_followed_several_at_the_same_time(invoke: Invoke) -> None:
    """One at a time, quiet sessions would be too many for a full shard's follower."""
    opened = [invoke("create_chat_session")["payload"]["session_id"] for _ in range(2)]
    for session_id in opened:
        say(invoke, session_id, 2)
    both_are_at_it = threading.Barrier(2, timeout=10)
    followed: dict[str, int] = {}

    def follow_one(session_id: str, newest: Record) -> None:
        both_are_at_it.wait()
        followed[session_id] = newest.number

    batch = Batch()
    batch.read({"Records": changes()})
    batch.follow_records(follow_one)
    assert followed == dict.fromkeys(opened, 2)
    assert not batch.failed


def test_what_there_was_no_time_for_is_reported_and_logged_once(
    invoke: Invoke, lines: Lines
) -> None:
    """A line with its traceback for each would take more than the time that is left."""
    opened = [invoke("create_chat_session")["payload"]["session_id"] for _ in range(3)]
    for session_id in opened:
        say(invoke, session_id)
    batch = Batch()
    batch.read({"Records": changes()})
    lines()
    with time_limit(0):
        batch.follow_records(sessions.refresh)
    assert len(batch.failed) == 3
    (told,) = lines()
    assert (told["message"], told["exception_name"]) == ("bug", "Unavailable")


def test_what_is_shown_already_is_one_write(
    invoke: Invoke, session_id: str, calls: list[str]
) -> None:
    say(invoke, session_id, 2)
    assert follow(changes()) == []
    calls.clear()
    assert follow(changes()) == []
    assert calls == ["UpdateItem"]


def test_what_fails_is_reported_from_its_first_record(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = invoke("create_chat_session")["payload"]["session_id"]
    say(invoke, session_id, 2)
    say(invoke, other)
    batch, refresh = changes(), sessions.refresh

    def fail(found: str, newest: Any) -> None:
        if found == session_id:
            raise RuntimeError("broken")
        refresh(found, newest)

    with monkeypatch.context() as broken:
        broken.setattr(sessions, "refresh", fail)
        first = next(each for each in batch if session_id in each["dynamodb"]["Keys"]["pk"]["S"])
        assert follow(batch) == [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]
    counts = {
        found["session_id"]: found["message_count"]
        for found in invoke("list_chat_sessions")["payload"]["sessions"]
    }
    assert counts == {session_id: 0, other: 1}
    follow(batch)
    assert invoke("list_chat_sessions")["payload"]["sessions"][0]["message_count"] in (1, 2)


def test_the_event_file_is_understood(invoke: Invoke) -> None:
    path = Path(__file__).parents[1] / "events/on_session_record/stream.json"
    assert follow(json.loads(path.read_text())["Records"]) == []


def test_a_session_is_refreshed_by_hand_with_its_newest_record(
    invoke: Invoke, session_id: str
) -> None:
    """As docs/runbook.md says: nothing is asked for but the record, and a name for it."""
    say(invoke, session_id, 2)
    newest = changes()[-1]["dynamodb"]["NewImage"]
    assert follow([{"dynamodb": {"SequenceNumber": "by hand", "NewImage": newest}}]) == []
    assert line(invoke)["message_count"] == 2


@pytest.mark.parametrize("way", Faults.WAYS)
def test_whatever_call_fails_all_is_shown_when_the_batch_comes_again(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for _ in range(2):
        say(invoke, str(invoke("create_chat_session")["payload"]["session_id"]))
    batch, before = changes(), stored()
    assert follow(batch) == []
    shown = stored()
    assert shown != before
    for number in range(1, 30):
        restore(before)
        with monkeypatch.context() as patched:
            faults = Faults(patched, number, way)
            comes_again = True
            with contextlib.suppress(Killed):
                comes_again = bool(follow(batch))
        if faults.calls < number:
            assert number > 2
            return
        if comes_again:
            assert follow(batch) == []
        assert stored() == shown
    raise AssertionError("no batch makes that many calls")
