"""What the bus is told: each thing that happened once, or again under the same id."""

import contextlib
import functools
import json
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from casefile import attempts, bus, domain_events, news, records
from casefile.dynamodb import Item
from casefile.stream import Batch, Change
from dev import openapi
from pydantic_models.domain_events import ADAPTER, DomainEvent, SessionDeleted
from tests.conftest import Context, Invoke, load, stored
from tests.stream import is_let_through, let_through, stream
from tests.template import ROOT
from tests.unit.test_faults import Faults, Faulty, Killed


class Bus:
    """A bus that keeps what it is sent, and refuses what it is told to."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refuses: list[str] = []
        self.sizes: list[int] = []

    def put_events(self, **asked: list[dict[str, Any]]) -> dict[str, Any]:
        self.sizes.append(len(asked["Entries"]))
        results: list[dict[str, str]] = []
        for entry in asked["Entries"]:
            if entry["DetailType"] in self.refuses:
                results.append({"ErrorCode": "ThrottlingException"})
            else:
                results.append({"EventId": "1"})
                self.taken.append(entry)
        return {"Entries": results}

    @property
    def details(self) -> list[dict[str, Any]]:
        return [json.loads(entry["Detail"]) for entry in self.taken]


@pytest.fixture
def told(aws: None, monkeypatch: pytest.MonkeyPatch) -> Bus:
    listening = Bus()
    monkeypatch.setattr(bus, "client", functools.cache(lambda: listening))
    monkeypatch.setattr(bus, "PAUSE", 0.001)
    return listening


def follow(batch: list[dict[str, Any]] | None = None) -> list[dict[str, str]]:
    handler: Any = load("on_news")
    batch = batch or let_through("on_news")
    failures: list[dict[str, str]] = handler({"Records": batch}, Context())["batchItemFailures"]
    return failures


@pytest.fixture
def story(invoke: Invoke) -> dict[str, str]:
    """Everything that can happen, once."""
    casefile_id = invoke("create_casefile", {"title": "Secret title"})["payload"]["casefile_id"]
    tool = invoke("create_session", {"title": "Secret title"})["payload"]["session_id"]
    chat = invoke("create_chat_session", {"casefile_id": casefile_id})["payload"]["session_id"]
    filed = {"casefile_id": casefile_id, "session_id": tool}
    invoke("add_session_to_casefile", filed | {"session_type": "tool"})
    failed = {"session_id": tool, "tool_name": "search", "error_message": "secret reason"}
    invoke("tool_execution", failed)
    invoke("tool_execution", {"session_id": tool, "tool_name": "book", "result": {}})
    invoke("tool_execution", {"session_id": tool, "tool_name": "wait"})
    invoke("chat", {"session_id": chat, "message": "Secret words"})
    invoke("update_session", {"session_id": tool, "title": "Secret title, too"})
    grant = {"casefile_id": casefile_id, "target_user_id": "bob@example.com"}
    invoke("grant_permission", grant | {"permission": "viewer"})
    invoke("revoke_permission", grant)
    invoke("close_session", {"session_id": tool, "force": True})
    invoke("remove_session_from_casefile", filed)
    invoke("delete_chat_session", {"session_id": chat, "confirm": True})
    invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
    return {"casefile_id": casefile_id, "tool": tool, "chat": chat}


STORY = [
    ("casefile.created", "casefile_id"),
    ("session.created", "tool"),
    ("session.created", "chat", "casefile_id"),
    ("session.linked", "chat", "casefile_id"),
    ("session.linked", "tool", "casefile_id"),
    ("tool.failed", "tool"),
    ("casefile.shared", "casefile_id"),
    ("casefile.unshared", "casefile_id"),
    ("tool.failed", "tool"),
    ("session.closed", "tool"),
    ("session.unlinked", "tool", "casefile_id"),
    ("session.deleted", "chat"),
    ("casefile.deleted", "casefile_id"),
]
"""What happened, and what each event names."""

HAPPENED = [event_type for event_type, *_ in STORY]


def test_what_happened_is_told_once_in_its_order(story: dict[str, str], told: Bus) -> None:
    assert follow() == []
    assert told.sizes == [10, 3]  # PutEvents takes ten.
    events = [ADAPTER.validate_python(detail) for detail in told.details]
    assert [event.event_type for event in events] == HAPPENED
    assert [entry["DetailType"] for entry in told.taken] == HAPPENED
    assert {entry["Source"] for entry in told.taken} == {"casefile"}
    assert len({detail["event_id"] for detail in told.details}) == len(HAPPENED)
    for event, detail in zip(events, told.details, strict=True):
        assert str(event.event_id) == detail["event_id"]
    by_type = {detail["event_type"]: detail for detail in told.details}
    assert failures(told)[0]["tool_name"] == "search"
    assert by_type["session.closed"]["unfinished_requests"] == 1
    assert by_type["session.closed"]["total_requests"] == 3
    assert by_type["session.linked"]["total_sessions"] == 2
    assert by_type["casefile.shared"]["target_user_id"] == "bob@example.com"
    assert by_type["casefile.shared"]["granted_by"] == "ann@example.com"
    assert by_type["casefile.unshared"]["target_user_id"] == "bob@example.com"
    assert by_type["casefile.unshared"]["revoked_by"] == "ann@example.com"
    assert by_type["casefile.created"]["user_id"] == "ann@example.com"
    created = [each["user_id"] for each in told.details if each["event_type"] == "session.created"]
    assert created == ["ann@example.com"] * 2
    names = {identifier: name for name, identifier in story.items()}
    for detail, (_, *about) in zip(told.details, STORY, strict=True):
        named = (detail.get("session_id"), detail.get("casefile_id"))
        assert [names[each] for each in named if each is not None] == about, detail


@pytest.mark.parametrize("number", [1, bus.MAX_EVENTS, bus.MAX_EVENTS + 1])
def test_all_is_told_however_much_happened_at_once(invoke: Invoke, told: Bus, number: int) -> None:
    """Also what is left when as many were sent as are sent at once."""
    for _ in range(number):
        invoke("create_session")
    assert follow() == []
    assert sum(told.sizes) == number


def test_handing_a_casefile_over_is_told_of_both(invoke: Invoke, told: Bus) -> None:
    casefile_id = invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"]
    grant = {"casefile_id": casefile_id, "target_user_id": "bob@example.com"}
    invoke("grant_permission", grant | {"permission": "owner"})
    assert follow() == []
    _, *shared = told.details
    assert {(each["target_user_id"], each["permission"]) for each in shared} == {
        ("bob@example.com", "owner"),
        ("ann@example.com", "admin"),
    }
    changed = [change for change in stream() if change["dynamodb"].get("OldImage")]
    assert not [change for change in changed if is_let_through(change, "on_news")]


def test_nothing_that_was_said_is_told(story: dict[str, str], told: Bus) -> None:
    follow()
    assert "secret" not in json.dumps(told.taken, default=str).lower()


def test_what_is_told_again_has_the_same_ids(story: dict[str, str], told: Bus) -> None:
    follow()
    first = [detail["event_id"] for detail in told.details]
    follow()
    assert [detail["event_id"] for detail in told.details] == first * 2


def failures(told: Bus) -> list[dict[str, Any]]:
    return [detail for detail in told.details if detail["event_type"] == "tool.failed"]


def ask_for(session_id: str, tools: int, invoke: Invoke) -> list[str]:
    """Record tool requests whose result is still to come; return their request ids."""
    asked = {"session_id": session_id, "tool_name": "wait"}
    return [str(invoke("tool_execution", asked)["request_id"]) for _ in range(tools)]


def test_each_request_that_a_closing_fails_is_told_once_by_its_id(
    invoke: Invoke, told: Bus
) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    first, second, third, fourth = ask_for(session_id, 4, invoke)
    done = {"session_id": session_id, "request_id": second}
    invoke("tool_result", done | {"result": {}})
    invoke("tool_result", {**done, "request_id": third, "error_message": "no"})
    closed = invoke("close_session", {"session_id": session_id, "force": True})["payload"]
    assert follow() == follow() == []
    expected = [(third, 6), (first, 7), (fourth, 7)]
    assert [(each["request_id"], each["record"]) for each in failures(told)] == expected * 2
    assert len({each["event_id"] for each in failures(told)}) == 3
    for each in failures(told)[1:3]:
        assert (each["session_id"], each["tool_name"]) == (session_id, None)
        assert each["occurred_at"] == closed["closed_at"]
    assert told.details[-1]["unfinished_requests"] == 2


def test_of_very_many_requests_that_a_closing_fails_the_first_are_told(
    invoke: Invoke, told: Bus, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    monkeypatch.setattr(domain_events, "MAX_UNFINISHED", 3)
    session_id = invoke("create_session")["payload"]["session_id"]
    asked = ask_for(session_id, 5, invoke)
    invoke("close_session", {"session_id": session_id, "force": True})
    calls.clear()
    assert follow() == []
    assert [each["request_id"] for each in failures(told)] == asked[:3]
    assert told.details[-1]["unfinished_requests"] == 5
    assert calls.count("BatchGetItem") == 1


def test_what_a_closing_failed_is_not_told_of_a_session_that_was_deleted_since(
    invoke: Invoke, told: Bus
) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    ask_for(session_id, 2, invoke)
    invoke("close_session", {"session_id": session_id, "force": True})
    invoke("delete_session", {"session_id": session_id, "confirm": True})
    assert follow() == []
    types = ["session.created", "session.closed", "session.deleted"]
    assert [detail["event_type"] for detail in told.details] == types


@pytest.mark.parametrize("chosen", ["on", "off"])
def test_messages_are_told_on_demand_and_that_they_were_taken_back(
    invoke: Invoke, told: Bus, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setenv("MESSAGE_EVENTS", chosen)
    chat = {"session_id": invoke("create_chat_session")["payload"]["session_id"]}
    invoke("chat", chat | {"message": "Hello"})
    invoke("rewind_chat_session", chat | {"count": 1})
    assert follow() == []
    created, *others = told.details
    assert created["event_type"] == "session.created"
    assert {each["session_id"] for each in told.details} == {*chat.values()}
    on_demand = [("chat.message_recorded", 1), ("chat.rewound", 0)]
    assert [(each["event_type"], each["total_messages"]) for each in others] == (
        on_demand if chosen == "on" else []
    )


def test_what_the_bus_refuses_for_a_moment_is_sent_again(
    story: dict[str, str], told: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.refuses = ["session.created"]

    def recovered(_: float) -> None:
        told.refuses = []

    monkeypatch.setattr("time.sleep", recovered)
    assert follow() == []
    assert sorted(detail["event_type"] for detail in told.details) == sorted(HAPPENED)


def test_what_the_bus_goes_on_refusing_comes_again_and_the_rest_is_told(
    story: dict[str, str], told: Bus
) -> None:
    told.refuses = ["session.closed"]
    batch = let_through("on_news")
    (closing,) = (
        change["dynamodb"]["SequenceNumber"]
        for change in batch
        if change["dynamodb"]["NewImage"].get("kind") == {"S": "closed"}
    )
    assert follow(batch) == [{"itemIdentifier": closing}]
    others = [each for each in HAPPENED if each != "session.closed"]
    assert [detail["event_type"] for detail in told.details] == others


def test_what_a_bus_that_does_not_answer_should_have_been_told_comes_again(
    story: dict[str, str], told: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no bus")

    batch = let_through("on_news")
    with monkeypatch.context() as broken:
        broken.setattr(told, "put_events", fail)
        assert {"itemIdentifier": batch[0]["dynamodb"]["SequenceNumber"]} in follow(batch)
    assert follow(batch) == []
    assert [detail["event_type"] for detail in told.details] == HAPPENED


def test_changes_are_read_several_at_the_same_time_and_told_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lies in the bucket is read for it, and one at a time would be too slow."""
    both_are_at_it = threading.Barrier(2, timeout=10)
    sent: list[str] = []

    def event_of(_: object, new: Item) -> list[DomainEvent]:
        both_are_at_it.wait()
        return [SessionDeleted(session_id=new["pk"], session_type="chat", occurred_at="now")]

    def publish(events: Sequence[DomainEvent]) -> list[int]:
        assert len(events) <= bus.MAX_EVENTS
        sent.extend(event.session_id for event in events if isinstance(event, SessionDeleted))
        return []

    batch = Batch([Change(str(each), None, {"pk": f"cs_{each}"}) for each in range(124)])
    monkeypatch.setattr(domain_events, "of_change", event_of)
    monkeypatch.setattr(bus, "publish", publish)
    news.tell(batch)
    assert sent == [f"cs_{each}" for each in range(124)]
    assert not batch.failed


def follow_until_done(batch: list[dict[str, Any]]) -> int:
    """Deliver a batch as Lambda does, from the first that failed on; how often it took."""
    for times in range(1, 20):
        failed = {failure["itemIdentifier"] for failure in follow(batch)}
        if not failed:
            return times
        numbers = [change["dynamodb"]["SequenceNumber"] for change in batch]
        batch = batch[min(numbers.index(number) for number in failed) :]
    raise AssertionError("it comes to no end")


@pytest.fixture
def failed(aws: None, invoke: Invoke) -> list[dict[str, Any]]:
    """A batch of forty tool executions that failed."""
    session_id = invoke("create_session")["payload"]["session_id"]
    asked = {"session_id": session_id, "tool_name": "search", "error_message": "no"}
    for _ in range(40):
        invoke("tool_execution", asked)
    told = let_through("on_news")
    return [change for change in told if change["dynamodb"]["Keys"]["sk"]["S"].isdigit()]


def test_a_throttled_bus_is_told_more_each_time(
    failed: list[dict[str, Any]], told: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, left = told.put_events, [0]

    def throttled(**asked: Any) -> dict[str, Any]:
        left[0] -= 1
        if left[0] < 0:
            left[0] = 1
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents")
        return take(**asked)

    monkeypatch.setattr(told, "put_events", throttled)
    assert follow_until_done(failed) == 5
    assert told.sizes == [10] * 4
    assert len({detail["event_id"] for detail in told.details}) == 40


def test_what_was_told_before_the_time_was_up_is_not_told_again(
    failed: list[dict[str, Any]], told: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, read = [0.0], records.whole

    def slowly(*asked: Any) -> Any:
        clock[0] += 40
        attempts.check_time()
        return read(*asked)

    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(records, "whole", slowly)
    assert follow_until_done(failed) > 1
    assert len(told.details) == len({detail["event_id"] for detail in told.details}) == 40


@pytest.mark.parametrize("way", Faults.WAYS)
def test_whatever_call_fails_all_is_told_when_the_batch_comes_again(
    story: dict[str, str], told: Bus, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    batch, before = let_through("on_news"), stored()
    assert follow(batch) == []
    happened = {detail["event_id"] for detail in told.details}
    assert len(happened) == len(HAPPENED)
    for number in range(1, 30):
        told.taken.clear()
        with monkeypatch.context() as patched:
            faults = Faults(patched, number, way)
            patched.setattr(bus, "client", functools.cache(lambda on=faults: Faulty(told, on)))
            comes_again = True
            with contextlib.suppress(Killed):
                comes_again = bool(follow(batch))
        if faults.calls < number:
            assert number > 3
            return
        if comes_again:
            assert follow(batch) == []
        assert stored() == before
        assert {detail["event_id"] for detail in told.details} == happened
    raise AssertionError("no batch makes that many calls")


def test_refreshing_a_head_makes_no_news(invoke: Invoke, told: Bus) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    refresh: Any = load("on_session_record")
    for number in range(3):
        invoke("chat", {"session_id": session_id, "message": str(number)})
        refresh({"Records": let_through("on_session_record")}, Context())
    assert invoke("list_chat_sessions")["payload"]["sessions"][0]["message_count"] == 3
    invoke("update_chat_session", {"session_id": session_id, "title": "New"})
    invoke("chat", {"session_id": session_id, "message": "Late"})
    casefile_id = invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"]
    filed = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "chat"}
    invoke("add_session_to_casefile", filed)
    refresh({"Records": let_through("on_session_record")}, Context())
    assert invoke("list_chat_sessions")["payload"]["sessions"][0]["message_count"] == 4
    heads = [
        change["eventName"]
        for change in let_through("on_news")
        if change["dynamodb"]["Keys"]["pk"]["S"].endswith(session_id)
    ]
    assert heads == ["INSERT", "MODIFY"], "that it was opened, and filed"


def test_the_schema_in_the_repository_is_current() -> None:
    assert openapi.EVENTS_FILE.read_text() == openapi.events_text(), "make openapi writes it anew"


def test_the_event_file_is_understood(told: Bus) -> None:
    path = ROOT / "tests/events/on_news/stream.json"
    assert follow(json.loads(path.read_text())["Records"]) == []
    assert [detail["event_type"] for detail in told.details] == ["session.created"]


def test_what_is_no_news_tells_nothing(invoke: Invoke, told: Bus) -> None:
    """Though it is sent by hand, past the trigger's filter."""
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    invoke("chat", {"session_id": session_id, "message": "Hello"})
    invoke("update_chat_session", {"session_id": session_id, "title": "New"})
    assert follow(stream()) == []
    assert [detail["event_type"] for detail in told.details] == ["session.created"]
