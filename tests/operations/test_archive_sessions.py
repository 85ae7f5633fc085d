"""The archive: what it has is what the table had, whatever is left there, and nothing is lost."""

import contextlib
import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from casefile import (
    archives,
    attempts,
    contents,
    dynamodb,
    records,
    retention,
    session_log,
    sessions,
)
from casefile.errors import CasefileError, LegalHold, NotFound, SessionClosed
from casefile.parallel import AT_ONCE
from pydantic_models.base.times import now, to_text
from pydantic_models.export import verify
from tests.conftest import (
    BUCKET,
    Context,
    Invoke,
    Lines,
    account,
    forget,
    load,
    objects,
    restore,
    stored,
    uuid7,
)
from tests.unit.test_faults import OF_ITS_TIME, Faults, Killed

LONG_AGO = timedelta(days=3)
DONE = {"seen": 1, "done": 1, "failed": 0, "is_complete": True}
NONE = {"seen": 0, "done": 0, "failed": 0, "is_complete": True}


def run(keep_days: int = 0, seconds: float = 900) -> dict[str, Any]:
    handler: Any = load("archive_sessions")
    done: dict[str, Any] = handler({"keep_days": keep_days}, Context(seconds=seconds))
    return done


@contextlib.contextmanager
def long_ago() -> Iterator[None]:
    """The service's clock as it was three days ago."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (sessions, session_log):
            patched.setattr(module, "now", lambda: now() - LONG_AGO)
        yield


@pytest.fixture
def asked() -> dict[str, str]:
    """The ids of some requests of the tool session."""
    return {name: str(uuid4()) for name in ("whole", "pending", "result", "large", "forced")}


@pytest.fixture
def tool(invoke: Invoke, asked: dict[str, str]) -> str:
    """A closed tool session with requests of every kind, in and out of the bucket."""
    with long_ago():
        session_id = str(invoke("create_session", {"title": "Flights"})["payload"]["session_id"])

        def record(operation: str, name: str, **payload: Any) -> None:
            named = {"session_id": session_id, **payload}
            invoke(operation, named, request_id=asked[name])

        record(
            "tool_execution", "whole", tool_name="search", parameters={"q": "é\u2028"}, result={}
        )
        record("tool_execution", "pending", tool_name="book")
        record("tool_execution", "large", tool_name="read", result={"text": "x" * 300_000})
        record("tool_result", "result", request_id=asked["pending"], result={"ok": 1.0})
        for number in range(12):
            told = {"tool_name": f"t{number}", "result": {"n": number}}
            invoke("tool_execution", {"session_id": session_id, **told})
        record("tool_execution", "forced", tool_name="never")
        invoke("close_session", {"session_id": session_id, "force": True})
    return session_id


@pytest.fixture
def chat(invoke: Invoke) -> str:
    """A closed chat session."""
    with long_ago():
        session_id = str(invoke("create_chat_session", {"title": "Talk"})["payload"]["session_id"])
        for number in range(12):
            said = [{"content": f"{number}/{each}", "message_type": "user"} for each in range(2)]
            invoke("chat", {"session_id": session_id, "messages": said})
            if number % 3 == 2:
                invoke("rewind_chat_session", {"session_id": session_id, "count": number % 2 + 1})
        invoke("close_chat_session", {"session_id": session_id})
    return session_id


def leave_table(session_id: str, numbers: set[int] | None = None) -> None:
    """Let records leave the table, but for the closing."""
    kinds = {number: kind for page in records.slots(session_id) for number, kind in page}
    leaving = {number for number, kind in kinds.items() if kind not in retention.STAYING}
    chosen = leaving if numbers is None else leaving & numbers
    dynamodb.delete_many([records.slot_key(session_id, number) for number in chosen])
    forget()


def told(invoke: Invoke, operation: str, payload: dict[str, Any], **more: Any) -> Any:
    """An answer, or the error, less what tells of the archive and of this very request."""
    try:
        answer = invoke(operation, payload, **more)
    except CasefileError as error:
        return type(error), str(error)
    answer["payload"].pop("archived_at", None)
    return _unsigned(answer["payload"]), answer["status"]


def _unsigned(told: Any) -> Any:
    """Without the signatures of links, which are made anew."""
    if isinstance(told, dict):
        return {
            name: value.partition("?")[0] if name == "url" else _unsigned(value)
            for name, value in told.items()
            if name != "expires_at"
        }
    return [_unsigned(each) for each in told] if isinstance(told, list) else told


def reading(session_id: str, asked: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Every way to read a session."""
    of: dict[str, Any] = {"session_id": session_id}
    pages: list[dict[str, Any]] = [{}, {"order": "newest"}, {"after": 7, "limit": 3}]
    pages += [{"order": "newest", "before": 14, "limit": 4}, {"after": 10_000}]
    if session_id.startswith("cs_"):
        ways = [("get_chat_session", of), ("get_chat_session", of | {"include_messages": True})]
        ways += [
            (f"list_chat_{what}", of | page) for what in ("messages", "events") for page in pages
        ]
        return [*ways, ("export_chat_session", of), ("export_chat_session", of | {"after": 5})]
    ways = [("get_session", of), ("get_session", of | {"include_requests": True})]
    ways += [(f"list_tool_{what}", of | page) for what in ("requests", "events") for page in pages]
    ways += [("get_tool_request", of | {"request_id": each}) for each in asked.values()]
    return [*ways, ("export_session", of), ("export_session", of | {"after": 5})]


def test_whatever_is_read_is_what_was_read_before(
    invoke: Invoke, tool: str, chat: str, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PART_CHARACTERS", 2_000)
    ways = [*reading(tool, asked), *reading(chat, asked)]
    before = [told(invoke, *way) for way in ways]
    assert run()["archived"] == {**DONE, "seen": 2, "done": 2}
    assert [told(invoke, *way) for way in ways] == before
    assert run(keep_days=1)["expired"] == {**DONE, "seen": 2, "done": 2}
    left = [item for item in stored() if item["sk"]["S"].isdigit()]
    assert {item["kind"]["S"] for item in left} == {"closed", "rewind"}
    forget()
    assert [told(invoke, *way) for way in ways] == before


@pytest.mark.parametrize("kind", ["tool", "chat"])
@given(st.data())
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_also_while_they_are_leaving_the_table(
    invoke: Invoke, request: pytest.FixtureRequest, kind: str, data: st.DataObject
) -> None:
    session_id = request.getfixturevalue(kind)
    items = [item for item in stored() if item["pk"]["S"] == f"SESSION#{session_id}"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(archives, "PART_CHARACTERS", 1_500)
        run()
    page: dict[str, Any] = {
        "session_id": session_id,
        "after": data.draw(st.integers(0, 20)),
        "order": data.draw(st.sampled_from(["oldest", "newest"])),
        "limit": data.draw(st.integers(1, 12)),
    }
    if data.draw(st.booleans()):
        page["before"] = data.draw(st.integers(1, 24))
    after = {"session_id": session_id, "after": page["after"]}
    if kind == "tool":
        ways = [("list_tool_requests", page), ("list_tool_events", page), ("export_session", after)]
    else:
        ways = [("list_chat_messages", page), ("list_chat_events", page)]
        ways += [("export_chat_session", after)]
    before = [told(invoke, *way) for way in ways]
    leave_table(session_id, data.draw(st.sets(st.integers(1, len(items)))))
    assert [told(invoke, *way) for way in ways] == before
    for item in items:
        if item["sk"]["S"].isdigit():
            account("dynamodb").put_item(TableName="casefile-test", Item=item)


def test_an_answer_says_where_it_was_read(invoke: Invoke, tool: str) -> None:
    assert invoke("get_session", {"session_id": tool})["payload"]["archived_at"] is None
    run()
    answer = invoke("list_tool_requests", {"session_id": tool})
    assert "read_from" not in answer["metadata"]
    assert invoke("get_session", {"session_id": tool})["payload"]["archived_at"] is not None
    leave_table(tool)
    answer = invoke("list_tool_requests", {"session_id": tool})
    assert answer["metadata"]["read_from"] == "archive"
    assert "read_from" not in invoke("get_session", {"session_id": tool})["metadata"]


def test_the_object_alone_verifies_and_the_manifest_tells_of_it(
    invoke: Invoke, tool: str, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PART_CHARACTERS", 2_000)
    run()
    day = f"created=20{tool[3:5]}-{tool[5:7]}-{tool[7:9]}"
    body = account("s3").get_object
    for session_id, read in ((tool, "get_session"), (chat, "get_chat_session")):
        key = f"archive/sessions/{day}/{session_id}.jsonl.gz"
        packed = body(Bucket=BUCKET, Key=key)["Body"].read()
        seal = invoke(read, {"session_id": session_id})["payload"]["seal"]
        verified = verify(gzip.decompress(packed).decode().split("\n"), seal)
        manifest_key = f"archive/manifests/{day}/{session_id}.json"
        manifest = json.loads(body(Bucket=BUCKET, Key=manifest_key)["Body"].read())
        assert len(manifest["parts"]) > 2
        assert (manifest["seal"], manifest["records"], manifest["size"]) == (
            seal,
            verified.records,
            len(packed),
        )
        assert manifest["contents"] == sorted(set(verified.linked.values()))
        assert manifest["sha256"] == sha256(packed).hexdigest()
        shown = invoke(read, {"session_id": session_id})["payload"]
        about = ("user_id", "casefile_id", "title", "created_at", "closed_at")
        assert {name: manifest[name] for name in about} == {name: shown[name] for name in about}
        for begin in (0, *(byte for _, byte in manifest["parts"])):
            assert packed[begin + 4 : begin + 8] == bytes(4), "a time"
        assert {f"content/{session_id}/{digest}" for digest in manifest["contents"]} <= set(
            objects()
        )


def test_an_archive_written_again_is_the_same(invoke: Invoke, tool: str) -> None:
    run()
    before = {item["Key"]: item["ETag"] for item in listed()}
    dynamodb.update(
        {"pk": f"SESSION#{tool}", "sk": "HEAD"},
        "SET stage_list = :closed REMOVE archived_at",
        condition="attribute_exists(pk)",
        values={":closed": "closed#0"},
    )
    assert run()["archived"] == DONE
    assert {item["Key"]: item["ETag"] for item in listed()} == before


def listed() -> list[Any]:
    found = account("s3").list_objects_v2(Bucket=BUCKET, Prefix="archive/")
    return list(found["Contents"])


def test_what_another_run_archived_meanwhile_is_done(
    invoke: Invoke, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on a page that one run held while others archived it and took it from the table."""
    closed = retention._closed

    def overtaken(session_id: str) -> Any:
        with monkeypatch.context() as others:
            others.setattr(retention, "_closed", closed)
            assert run(1)["archived"] == DONE
            assert run(1)["expired"] == DONE
        return closed(session_id)

    with monkeypatch.context() as patched:
        patched.setattr(retention, "_closed", overtaken)
        assert run(1)["archived"] == {**DONE, "done": 0}
    assert run(1) == {"archived": NONE, "expired": NONE}
    assert invoke("get_session", {"session_id": tool})["payload"]["request_count"] == 16


def test_what_is_sent_late_gets_the_answer_that_it_got_before(
    invoke: Invoke, tool: str, chat: str, asked: dict[str, str]
) -> None:
    sent = (now() - LONG_AGO).isoformat()
    late: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (
            "tool_execution",
            {"tool_name": "search", "parameters": {"q": "é\u2028"}, "result": {}},
            {"request_id": asked["whole"], "timestamp": sent},
        ),
        (
            "tool_result",
            {"request_id": asked["pending"], "result": {"ok": 1.0}},
            {"request_id": asked["result"], "timestamp": sent},
        ),
        ("tool_result", {"request_id": asked["pending"], "result": {"ok": 1.0}}, {}),
        ("tool_execution", {"tool_name": "new"}, {"request_id": str(uuid4()), "timestamp": sent}),
        ("close_session", {}, {"request_id": str(uuid4())}),
        ("close_session", {}, {"request_id": str(uuid4()), "timestamp": sent}),
    ]
    ways = [(name, {"session_id": tool, **payload}, more) for name, payload, more in late]
    before = [told(invoke, name, payload, **more) for name, payload, more in ways]
    run()
    leave_table(tool)
    for way, first in zip(ways, before, strict=True):
        forget()
        assert told(invoke, way[0], way[1], **way[2]) == first
    assert before[3][0] is SessionClosed


def test_what_is_sent_late_to_a_chat_gets_the_answer_that_it_got_before(invoke: Invoke) -> None:
    sent = (now() - LONG_AGO).isoformat()
    with long_ago():
        session_id = invoke("create_chat_session")["payload"]["session_id"]
        for number in range(12):
            invoke("chat", {"session_id": session_id, "message": f"Message {number}"})
        late: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            (
                operation,
                {"session_id": session_id, **payload},
                {"request_id": str(uuid4()), "timestamp": sent},
            )
            for operation, payload in (
                ("chat", {"message": "hello"}),
                ("rewind_chat_session", {"count": 2}),
                ("chat", {"message": "hello again"}),
                ("close_chat_session", {}),
            )
        ]
        before = [told(invoke, name, payload, **more) for name, payload, more in late]
    for name, payload, _ in late[1:]:
        more = {"request_id": str(uuid4()), "timestamp": sent}
        late.append((name, payload, more))
        before.append(told(invoke, name, payload, **more))
    run()
    leave_table(session_id)
    for (name, payload, more), first in zip(late, before, strict=True):
        forget()
        assert told(invoke, name, payload, **more) == first
    assert [each[0] is SessionClosed for each in before[4:]] == [True, True, False]


@pytest.mark.parametrize("keep_days", [0, 1, 2, 4])
def test_records_leave_the_table_when_their_days_are_over(
    invoke: Invoke, tool: str, keep_days: int
) -> None:
    """It was closed three days ago; one that was closed just now stays."""
    fresh = invoke("create_session")["payload"]["session_id"]
    invoke("tool_execution", {"session_id": fresh, "tool_name": "x", "result": {}})
    invoke("close_session", {"session_id": fresh})
    run(keep_days)
    run(keep_days)
    left = {item["pk"]["S"]: 0 for item in stored()}
    for item in stored():
        left[item["pk"]["S"]] += item["sk"]["S"].isdigit()
    assert (left[f"SESSION#{tool}"] == 1) is (keep_days in (1, 2))
    assert left[f"SESSION#{fresh}"] == 2


def test_what_is_open_is_left_alone(invoke: Invoke) -> None:
    with long_ago():
        session_id = invoke("create_session")["payload"]["session_id"]
        invoke("tool_execution", {"session_id": session_id, "tool_name": "x", "result": {}})
    before = stored()
    assert run(1) == {"archived": NONE, "expired": NONE}
    assert (stored(), objects()) == (before, [])


def test_a_hold_keeps_it_in_the_table_until_it_is_lifted(invoke: Invoke, tool: str) -> None:
    casefile_id = invoke("create_casefile", {"title": "Claim"})["payload"]["casefile_id"]
    filing = {"casefile_id": casefile_id, "session_id": tool, "session_type": "tool"}
    invoke("add_session_to_casefile", filing)
    invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": True})
    count = len(stored())
    assert run(1)["archived"] == DONE
    assert run(1)["expired"] == {**DONE, "done": 0}
    assert len([item for item in stored() if item["sk"]["S"].isdigit()]) > 15
    invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": False})
    assert run(1)["expired"] == DONE
    assert len(stored()) < count - 12


@pytest.mark.parametrize("version", [4, 7])
def test_what_was_recorded_is_known_when_it_is_sent_again(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(session_log, "LOOK_BACK_PAGE", 5)
    with long_ago():
        session_id = invoke("create_chat_session")["payload"]["session_id"]
    made_at = now() - LONG_AGO
    ids = [str(uuid4() if version == 4 else uuid7(made_at, number)) for number in range(20)]
    asked = {each: {"session_id": session_id, "message": each} for each in ids}

    def send() -> list[dict[str, Any]]:
        return [
            invoke("chat", each, request_id=request_id, timestamp=to_text(made_at))
            for request_id, each in asked.items()
        ]

    with long_ago():
        answers = send()
        invoke("close_chat_session", {"session_id": session_id})
    assert run()["archived"] == DONE
    leave_table(session_id)
    assert [answer["payload"] for answer in send()] == [answer["payload"] for answer in answers]


@pytest.mark.parametrize("filed_last", [False, True])
def test_what_comes_under_hold_while_it_leaves_stays_from_then_on(
    invoke: Invoke, tool: str, monkeypatch: pytest.MonkeyPatch, filed_last: bool
) -> None:
    """It is in a casefile that is put under hold, or is filed in one that was."""
    casefile_id = invoke("create_casefile", {"title": "Claim"})["payload"]["casefile_id"]
    filing = {"casefile_id": casefile_id, "session_id": tool, "session_type": "tool"}
    steps: list[Any] = [("set_legal_hold", {"casefile_id": casefile_id, "hold": True})]
    steps.insert(filed_last, ("add_session_to_casefile", filing))
    invoke(*steps[0])
    run()
    slots, rest = records.slots, iter(steps[1:])

    def in_small_pages(session_id: str) -> Iterator[list[tuple[int, str]]]:
        numbers = [each for page in slots(session_id) for each in page]
        for begin in range(0, len(numbers), 5):
            yield numbers[begin : begin + 5]
            for step in rest:
                invoke(*step)

    def left() -> int:
        return len([item for item in stored() if item["sk"]["S"].isdigit()])

    before, read = left(), told(invoke, "list_tool_requests", {"session_id": tool})
    monkeypatch.setattr(records, "slots", in_small_pages)
    for _ in range(2):
        assert run(1)["expired"] == {**DONE, "done": 0}
        assert left() == before - 5
    assert told(invoke, "list_tool_requests", {"session_id": tool}) == read
    invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": False})
    assert run(1)["expired"] == DONE
    assert left() == 1


@pytest.mark.parametrize("keep", [0, 1], ids=["in the table", "left it"])
def test_deleted_it_leaves_no_archive(invoke: Invoke, tool: str, keep: int) -> None:
    run(keep)
    run(keep)
    assert len(objects()) == 3
    invoke("delete_session", {"session_id": tool, "confirm": True})
    assert objects() == []
    with pytest.raises(NotFound):
        invoke("list_tool_requests", {"session_id": tool})
    assert run(1) == {"archived": NONE, "expired": NONE}


def test_deleted_while_it_is_archived_it_leaves_nothing(
    invoke: Invoke, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = archives.write

    def overtaken(*arguments: Any) -> Any:
        read = list(arguments[1])
        invoke("delete_session", {"session_id": tool, "confirm": True})
        return write(arguments[0], read)

    monkeypatch.setattr(archives, "write", overtaken)
    assert run()["archived"] == {**DONE, "done": 0}
    assert objects() == []


def test_deleted_while_it_leaves_the_table_it_is_gone(
    invoke: Invoke, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    slots = records.slots

    def overtaken(session_id: str) -> Any:
        with monkeypatch.context() as once:
            once.setattr(records, "slots", slots)
            invoke("delete_session", {"session_id": session_id, "confirm": True})
        return slots(session_id)

    with monkeypatch.context() as patched:
        patched.setattr(records, "slots", overtaken)
        run(1)
    assert objects() == []
    for operation in ("get_session", "export_session", "list_tool_events"):
        with pytest.raises(NotFound):
            invoke(operation, {"session_id": tool})


@pytest.mark.parametrize("harm", ["no object", "no manifest", "cut short", "another seal"])
def test_what_the_archive_has_not_whole_stays_in_the_table(
    invoke: Invoke, tool: str, harm: str
) -> None:
    run()
    client = account("s3")
    manifest_key, key = objects()[0], objects()[1]
    assert (manifest_key[:18], key[:17]) == ("archive/manifests/", "archive/sessions/")
    if harm.startswith("no"):
        client.delete_object(Bucket=BUCKET, Key=key if harm == "no object" else manifest_key)
    else:
        chosen = key if harm == "cut short" else manifest_key
        body = client.get_object(Bucket=BUCKET, Key=chosen)["Body"].read()
        manifest = {} if harm == "cut short" else json.loads(body)
        changed = body[:-1] if harm == "cut short" else json.dumps(manifest | {"seal": "0" * 64})
        client.put_object(Bucket=BUCKET, Key=chosen, Body=changed)
    before = stored()
    assert run(1)["expired"] == {**DONE, "done": 0, "failed": 1}
    kept = [item for item in stored() if item["sk"]["S"].isdigit()]
    assert kept == [item for item in before if item["sk"]["S"].isdigit()]


def test_what_does_not_verify_is_not_archived_and_stops_no_other(
    invoke: Invoke, tool: str, chat: str
) -> None:
    dynamodb.update(
        records.slot_key(tool, 6),
        "SET content = :other",
        condition="attribute_exists(pk)",
        values={":other": '{"tool_name":"forged","result":{}}'},
    )
    assert run()["archived"] == {**DONE, "seen": 2, "failed": 1}
    assert [key for key in objects() if key.startswith("archive/") and tool in key] == []


def test_it_tells_how_far_behind_it_is(
    invoke: Invoke, tool: str, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    just_now = invoke("create_session")["payload"]["session_id"]
    invoke("close_session", {"session_id": just_now})

    def fail(head: Any, stored: Any) -> Any:
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(archives, "write", fail)
        run()
    run()
    run()
    *behind, caught_up = (line["ArchiveLag"] for line in lines() if "ArchiveLag" in line)
    assert len(behind) == 2  # As a run begins.
    assert LONG_AGO.total_seconds() <= min(behind) <= max(behind) < LONG_AGO.total_seconds() + 600
    assert caught_up == 0


def test_neither_what_is_archived_nor_what_leaves_waits_for_the_other(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    def close_some() -> None:
        with long_ago():
            for _ in range(20):
                session_id = invoke("create_chat_session")["payload"]["session_id"]
                invoke("close_chat_session", {"session_id": session_id})

    clock, is_whole, write = [0.0], archives.is_whole, archives.write

    def whole_after_a_while(*asked: Any) -> bool:
        clock[0] += 20  # All eight of a time may have waited before the first goes on.
        return is_whole(*asked)

    def written_after_a_while(*asked: Any) -> Any:
        clock[0] += 40
        return write(*asked)

    monkeypatch.setattr("casefile.lists.STAGE_SHARDS", 1)  # Eight, eight, and four at a time.
    close_some()
    run()
    close_some()
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(archives, "is_whole", whole_after_a_while)
    monkeypatch.setattr(archives, "write", written_after_a_while)
    lines()
    done = run(1)
    assert any(line.get("ArchiveLag", 0) >= LONG_AGO.total_seconds() for line in lines())
    for part in (done["expired"], done["archived"]):
        assert part["done"] > 0
        assert not part["is_complete"]


def state() -> tuple[list[dict[str, Any]], list[str]]:
    """What is stored, less what depends on the time of day, and the note of the place."""
    items = [
        {name: value for name, value in item.items() if name not in {*OF_ITS_TIME, "archived_at"}}
        for item in stored()
        if not item["pk"]["S"].startswith("PLACE#")
    ]
    return items, objects()


@pytest.mark.parametrize("way", Faults.WAYS)
def test_whatever_call_fails_the_next_run_ends_in_the_same_state(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("casefile.lists.STAGE_SHARDS", 1)
    with long_ago():
        made = [invoke("create_chat_session")["payload"]["session_id"] for _ in range(2)]
        for session_id in made:
            invoke("chat", {"session_id": session_id, "message": "hello"})
            invoke("close_chat_session", {"session_id": session_id})
    before = [
        item | {"stage_list": {"S": "closed#0"}} if "stage_list" in item else item
        for item in stored()
    ]
    restore(before)
    run(1)
    run(1)
    expected = state()
    assert len(expected[1]) == 4
    for number in range(1 + Faults.WAYS.index(way) % 2, 80, 2):
        restore(before)
        with monkeypatch.context() as patched:
            faults = Faults(patched, number, way)
            with contextlib.suppress(Killed):
                run(1)
        if faults.calls < number:
            assert number > 15
            return
        forget()
        for session_id in made:
            (message,) = invoke("list_chat_messages", {"session_id": session_id})["payload"][
                "messages"
            ]
            assert message["content"] == "hello"
        for _ in range(2):
            assert run(1)["archived"]["is_complete"]
        assert state() == expected
    raise AssertionError("no run here makes that many calls")


def test_nothing_is_begun_without_time(invoke: Invoke, tool: str) -> None:
    before = stored()
    run(1, seconds=1)
    assert (stored(), len(objects())) == (before, 1)


@pytest.mark.parametrize("event", [{}, {"keep_days": -1}, {"keep_days": 1.5}, {"days": 1}])
def test_a_wrong_input_does_nothing(invoke: Invoke, tool: str, event: dict[str, Any]) -> None:
    handler: Any = load("archive_sessions")
    with pytest.raises(ValidationError):
        handler(event, Context())
    assert len(objects()) == 1


def test_the_event_file_is_understood(
    invoke: Invoke, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).parents[1] / "events/archive_sessions/schedule.json"
    handler: Any = load("archive_sessions")
    assert handler(json.loads(path.read_text()), Context())["archived"] == DONE
    monkeypatch.setattr(retention, "now", lambda: now() + timedelta(days=31))
    assert handler(json.loads(path.read_text()), Context())["expired"] == DONE
    assert invoke("get_session", {"session_id": tool})["payload"]["request_count"] == 16


def test_a_session_under_hold_is_not_deleted_from_the_archive(invoke: Invoke, tool: str) -> None:
    casefile_id = invoke("create_casefile", {"title": "Claim"})["payload"]["casefile_id"]
    filing = {"casefile_id": casefile_id, "session_id": tool, "session_type": "tool"}
    invoke("add_session_to_casefile", filing)
    run()
    leave_table(tool)
    invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": True})
    with pytest.raises(LegalHold):
        invoke("delete_session", {"session_id": tool, "confirm": True})
    assert len(objects()) == 3


@pytest.mark.parametrize(
    ("operation", "after"), [("list_tool_requests", 0), ("export_session", 20)]
)
def test_no_more_of_large_contents_is_fetched_than_from_the_table(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, operation: str, after: int
) -> None:
    """Twenty requests and their results, of half a megabyte each; an answer holds a few."""
    fetched, fetch = [0], contents._get

    def counting(*asked: Any) -> str:
        fetched[0] += 1
        return fetch(*asked)

    monkeypatch.setattr(contents, "_get", counting)
    with long_ago():
        session_id = invoke("create_session")["payload"]["session_id"]
        ids = [str(uuid4()) for _ in range(20)]
        for each in ids:
            asked = {"session_id": session_id, "tool_name": "read"}
            invoke("tool_execution", asked, request_id=each)
        for each in ids:
            result = {"text": f"{each}{token_hex(250_000)}"}
            asked = {"session_id": session_id, "request_id": each, "result": result}
            invoke("tool_result", asked)
        invoke("close_session", {"session_id": session_id})

    def read() -> tuple[Any, int]:
        fetched[0] = 0
        return told(invoke, operation, {"session_id": session_id, "after": after}), fetched[0]

    before, at_most = read()
    run()
    leave_table(session_id)
    assert read()[0] == before
    assert fetched[0] < at_most + AT_ONCE


@pytest.mark.parametrize("kind", ["tool", "chat"])
def test_deleted_while_it_is_read_it_is_told_whole_or_not_at_all(
    invoke: Invoke,
    request: pytest.FixtureRequest,
    asked: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Before each call to the table that reads it, when its records have left that."""
    session_id = request.getfixturevalue(kind)
    for name, size in (("PAGE", 4), ("LEAN_PAGE", 5)):
        monkeypatch.setattr(f"casefile.reading.{name}", size)
    run()
    leave_table(session_id)
    items, bucket = stored(), account("s3")
    kept = {key: bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in objects()}
    delete = "delete_session" if kind == "tool" else "delete_chat_session"

    def read(way: tuple[str, dict[str, Any]], number: int) -> Any:
        """What is told if it is deleted before a call; None if there are not so many calls."""
        made: list[str] = []

        def overtaken(model: Any, **_: Any) -> None:
            made.append(model.name)
            if len(made) == number:
                invoke(delete, {"session_id": session_id, "confirm": True})

        restore(items, kept)
        dynamodb.client().meta.events.register("before-call.dynamodb", overtaken)
        answer = told(invoke, *way)
        return answer if len(made) >= number else None

    of: dict[str, Any] = {"session_id": session_id}
    newest = of | {"order": "newest"}
    if kind == "tool":
        ways = [("get_session", of | {"include_events": True}), ("list_tool_requests", newest)]
        ways += [("list_tool_events", of | {"after": 3, "limit": 2}), ("export_session", of)]
        ways.append(("get_tool_request", of | {"request_id": asked["pending"]}))
    else:
        ways = [("get_chat_session", of | {"include_messages": True})]
        ways += [("list_chat_messages", of), ("list_chat_messages", newest)]
    for way in ways:
        whole = told(invoke, *way)
        for number in range(2, 30):
            answer = read(way, number)
            if answer is None:
                break
            assert answer == whole or answer[0] is NotFound, (way, number)
