"""What was interrupted and is asked for no more comes to its end all the same."""

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casefile import attempts, contents, deletion, dynamodb, erasure, records
from casefile.errors import NotFound, Unavailable
from pydantic_models.base.times import now
from tests.conftest import BUCKET, Context, Invoke, account, days_left, load, objects, stored

DONE = {"seen": 1, "done": 1, "failed": 0, "is_complete": True}


LATER = timedelta(minutes=16)


def run(event: Any = None, after: timedelta = LATER) -> dict[str, Any]:
    handler: Any = load("finish_deletions")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(erasure, "now", lambda: now() + after)
        done: dict[str, Any] = handler(event or {}, Context(seconds=900))
    return done


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    session_id = str(invoke("create_chat_session", {"title": "Secret"})["payload"]["session_id"])
    for text in ("secret", "secret" * 100_000):
        invoke("chat", {"session_id": session_id, "message": text})
    return session_id


@pytest.mark.parametrize("step", [(records, "slots"), (contents, "delete_all")])
def test_a_deletion_that_was_interrupted_is_finished(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(*step, interrupt)
        with pytest.raises(Unavailable):
            invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
        assert run()["sessions"] == {**DONE, "done": 0, "failed": 1}
    assert len(objects()) == 1
    assert run()["sessions"] == DONE
    assert objects() == []
    assert "ecret" not in str(stored()).replace(session_id, "")  # It may spell anything.
    assert all(item["kind"] == {"S": "dead"} for item in stored() if item["sk"]["S"].isdigit())
    assert run()["sessions"]["seen"] == 0


@pytest.mark.parametrize("with_sessions", [False, True])
def test_a_casefile_that_is_half_deleted_goes_as_it_was_asked_for(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, with_sessions: bool
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Secret"})["payload"]["casefile_id"]
    session_id = invoke("create_session", {"casefile_id": casefile_id})["payload"]["session_id"]
    asked = {"casefile_id": casefile_id, "confirm": True, "delete_sessions": with_sessions}

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_let_go", interrupt)
        with pytest.raises(Unavailable):
            invoke("delete_casefile", asked)
        assert run(after=timedelta(minutes=14))["casefiles"]["seen"] == 0
        assert run()["casefiles"] == {**DONE, "done": 0, "failed": 1}
    assert run()["casefiles"] == DONE
    (head,) = [
        item
        for item in stored()
        if item["pk"]["S"] == f"CASEFILE#{casefile_id}" and item["sk"]["S"] == "HEAD"
    ]
    assert "deleted_at" in head
    if with_sessions:
        with pytest.raises(NotFound):
            invoke("get_session", {"session_id": session_id})
    else:
        read = invoke("get_session", {"session_id": session_id})["payload"]
        assert read["casefile_id"] is None
    assert run()["casefiles"]["seen"] == 0
    assert invoke("delete_casefile", asked)["payload"]["title"] == "Secret"


def test_what_somebody_left_who_was_at_work_then_goes_when_he_must_be_done(
    invoke: Invoke, session_id: str
) -> None:
    invoke("close_chat_session", {"session_id": session_id})
    load("archive_sessions")({"keep_days": 0}, Context())
    written = objects()
    assert [key.partition("/")[0] for key in written] == ["archive", "archive", "content"]
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    for key in written:
        account("s3").put_object(Bucket=BUCKET, Key=key, Body=b"left")
    assert run(after=timedelta(minutes=14))["sessions"]["seen"] == 0
    assert objects() == written
    assert run()["sessions"] == DONE
    assert objects() == []


def test_where_all_is_done_there_is_nothing_to_do(invoke: Invoke, session_id: str) -> None:
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    assert run()["sessions"] == DONE
    before = stored()
    assert run()["sessions"]["seen"] == 0
    assert stored() == before
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    assert stored() == before


def test_what_is_left_then_tells_of_nobody(invoke: Invoke, session_id: str) -> None:
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    run()
    (head,) = [item for item in stored() if item["sk"]["S"] == "HEAD" and "owner" in item]
    assert head.keys() == {"pk", "sk", "owner", "deleted_at"}


def test_several_are_finished_at_once(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casefile.lists.STAGE_SHARDS", 1)
    for _ in range(3):
        created = invoke("create_session")["payload"]["session_id"]
        invoke("delete_session", {"session_id": created, "confirm": True})
    clear, together = deletion._clear, threading.Barrier(3, timeout=10)

    def meet(session_id: str) -> None:
        together.wait()
        clear(session_id)

    monkeypatch.setattr(deletion, "_clear", meet)
    assert run()["sessions"] == {"seen": 3, "done": 3, "failed": 0, "is_complete": True}


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """How many seconds have gone by beside those that did."""
    clock = SimpleNamespace(seconds=0.0)
    monotonic = SimpleNamespace(
        monotonic=lambda: time.monotonic() + clock.seconds, sleep=time.sleep
    )
    monkeypatch.setattr(attempts, "time", monotonic)
    return clock


def interrupt(*_: Any, **__: Any) -> Any:
    raise Unavailable("the function was stopped")


def begin_erasure(user: str) -> None:
    envelope = {"user_id": user, "payload": {"user_id": user, "confirm": True}}
    handler: Any = load("erase_user")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(erasure, "_go_on", interrupt)
        assert handler(envelope, Context())["status"] == "processing"


def owners() -> set[str]:
    """Whose sessions there are."""
    heads = [each for each in stored() if each["pk"]["S"].startswith("SESSION#")]
    return {each["user_id"]["S"] for each in heads if "user_id" in each}


def test_a_casefile_that_takes_whole_runs_holds_up_nothing_else(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, late: SimpleNamespace
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Large"})["payload"]["casefile_id"]
    for _ in range(9):
        invoke("create_session", {"casefile_id": casefile_id})
    session_id = invoke("create_session", user="bob@example.com")["payload"]["session_id"]
    invoke("create_session", user="carl@example.com")
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_let_go", interrupt)
        patched.setattr(deletion, "_clear", interrupt)
        with pytest.raises(Unavailable):
            invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
        asked = {"session_id": session_id, "confirm": True}
        with pytest.raises(Unavailable):
            invoke("delete_session", asked, user="bob@example.com")
    begin_erasure("carl@example.com")
    let_go = deletion._let_go

    def slowly(*asked: Any, **more: Any) -> None:
        let_go(*asked, **more)
        late.seconds += 98

    monkeypatch.setattr(deletion, "_let_go", slowly)
    done = run()
    assert (done["casefiles"]["done"], done["casefiles"]["failed"]) == (0, 1)
    assert (done["sessions"], done["users"]) == (DONE, DONE)
    assert owners() == {"ann@example.com"}
    runs = [run()["casefiles"]["done"] for _ in range(5)]
    assert sum(runs) == 1


def test_a_user_who_takes_whole_runs_holds_up_no_other_on_the_same_page(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, late: SimpleNamespace
) -> None:
    monkeypatch.setattr("casefile.lists.STAGE_SHARDS", 1)
    invoke("create_session", user="ann@example.com")
    for _ in range(8):
        invoke("create_session", user="bob@example.com")
    begin_erasure("ann@example.com")
    time.sleep(0.002)
    begin_erasure("bob@example.com")
    delete = deletion.delete

    def slowly(*asked: Any, **more: Any) -> int:
        late.seconds += 297.5
        return delete(*asked, **more)

    monkeypatch.setattr(deletion, "delete", slowly)
    run(after=timedelta())
    assert owners() == {"ann@example.com", "bob@example.com"}
    run(after=timedelta())
    assert owners() == {"bob@example.com"}
    for _ in range(4):
        run(after=timedelta())
    assert owners() == set()


def test_a_title_is_told_to_who_repeats_and_to_nobody_later(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Secret"})["payload"]["casefile_id"]
    asked = {"casefile_id": casefile_id, "confirm": True}
    assert invoke("delete_casefile", asked)["payload"]["title"] == "Secret"
    assert invoke("delete_casefile", asked)["payload"]["title"] == "Secret"
    (named,) = [item for item in stored() if "title" in item]
    assert 14.9 < days_left(named) < 16
    dynamodb.delete_many([{"pk": named["pk"]["S"], "sk": named["sk"]["S"]}])
    assert invoke("delete_casefile", asked)["payload"]["title"] == ""
    assert deletion.TITLE_SECONDS >= 15 * 24 * 60 * 60


def test_the_event_file_is_understood(invoke: Invoke, session_id: str) -> None:
    path = Path(__file__).parents[1] / "events/finish_deletions/schedule.json"
    assert run(json.loads(path.read_text()))["users"]["is_complete"]
