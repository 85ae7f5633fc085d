"""Erasing a user: nothing of theirs is left, nothing of others is touched, all is counted."""

import contextlib
import gzip
import itertools
import json
import time
from datetime import timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from casefile import archives, contents, deletion, dynamodb, erasure, grants, lists
from casefile.attempts import RESERVE
from casefile.erasure import ANSWER_SECONDS
from casefile.errors import BadRequest, Forbidden, NotFound, Unavailable
from pydantic_models.base.times import now, to_milliseconds
from tests.conftest import (
    BUCKET,
    Context,
    Invoke,
    account,
    days_left,
    forget,
    load,
    objects,
    overtake,
    restore,
    stored,
)
from tests.unit.test_faults import Faults, Killed

ANN, BOB, CARL = "ann@example.com", "bob@example.com", "carl@example.com"
SECRET = "the treasure is under the oak"

SETTLING = erasure.SETTLING_SECONDS
"""As it is deployed: the `aws` fixture sets none."""


def erase(user: str = ANN, **more: Any) -> dict[str, Any]:
    envelope = {"user_id": user, "payload": {"user_id": user, "confirm": True}, **more}
    handler: Any = load("erase_user")
    answer: dict[str, Any] = handler(envelope, Context(seconds=900))
    return answer


def finish(seconds: float = 900) -> dict[str, Any]:
    handler: Any = load("finish_deletions")
    done: dict[str, Any] = handler({}, Context(seconds=seconds))
    return done


def share(invoke: Invoke, casefile_id: str, by: str, to: str, level: str = "admin") -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": to, "permission": level}
    invoke("grant_permission", asked, user=by)


def upload(user: str, body: bytes) -> None:
    key = f"incoming/{sha256(user.encode()).hexdigest()}/{sha256(body).hexdigest()}"
    account("s3").put_object(Bucket=BUCKET, Key=key, Body=body)


def everything() -> str:
    """All that is stored anywhere, in words."""
    bucket = account("s3")
    bodies = [bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in objects()]
    texts = [gzip.decompress(b) if b[:2] == b"\x1f\x8b" else b for b in bodies]
    return str(stored()) + str(objects()) + str(texts)


@pytest.fixture
def world(invoke: Invoke) -> dict[str, str]:
    """What Ann has, and what has to do with others."""
    made: dict[str, str] = {}

    def casefile(title: str, user: str) -> str:
        answer = invoke("create_casefile", {"title": title}, user=user)
        return str(answer["payload"]["casefile_id"])

    def chat(user: str, *said: str, **filed: str) -> str:
        created = invoke("create_chat_session", {"title": said[0][:50], **filed}, user=user)
        session_id = str(created["payload"]["session_id"])
        for message in said:
            invoke("chat", {"session_id": session_id, "message": message}, user=user)
        return session_id

    made["archived"] = chat(ANN, SECRET, SECRET * 20_000)
    invoke("close_chat_session", {"session_id": made["archived"]})
    handler: Any = load("archive_sessions")
    handler({"keep_days": 0}, Context(seconds=900))
    made["open"] = chat(ANN, SECRET)
    made["closed"] = chat(ANN, SECRET, "two", "three")
    invoke("close_chat_session", {"session_id": made["closed"]})
    tool = invoke("create_session", {"title": SECRET})["payload"]["session_id"]
    invoke("tool_execution", {"session_id": tool, "tool_name": SECRET, "result": {}})

    made["anns"], made["bobs"] = casefile(SECRET, ANN), casefile("Bob's own", BOB)
    made["carls"], gone = casefile("Carl's own", CARL), casefile(SECRET, ANN)
    share(invoke, made["anns"], ANN, BOB, "editor")
    share(invoke, made["bobs"], BOB, ANN, "editor")
    share(invoke, made["carls"], CARL, ANN)
    share(invoke, made["carls"], ANN, BOB, "viewer")
    former = casefile("Once shared", CARL)
    share(invoke, former, CARL, ANN)
    asked = {"casefile_id": former, "target_user_id": ANN}
    invoke("revoke_permission", asked, user=CARL)
    invoke("delete_casefile", {"casefile_id": gone, "confirm": True})
    made["bob's in ann's"] = chat(BOB, "Bob was here", casefile_id=made["anns"])
    made["ann's in bob's"] = chat(ANN, SECRET, casefile_id=made["bobs"])
    upload(ANN, SECRET.encode())
    upload(BOB, b"Bob's")
    return made


REMOVED = {"sessions": 5, "records": 10, "casefiles": 1, "grants": 2, "uploads": 1}


def assert_erased(invoke: Invoke, world: dict[str, str]) -> None:
    """Nothing is left of Ann; what Bob and Carl have is what they had, less her."""
    left = everything()
    assert ANN not in left
    assert SECRET[:20] not in left
    bobs = invoke("get_casefile", {"casefile_id": world["bobs"]}, user=BOB)["payload"]["casefile"]
    assert (bobs["session_count"], bobs["session_ids"]) == (0, [])
    his = invoke("get_chat_session", {"session_id": world["bob's in ann's"]}, user=BOB)["payload"]
    assert (his["message_count"], his["casefile_id"]) == (1, None)
    carls = invoke("list_permissions", {"casefile_id": world["carls"]}, user=CARL)["payload"]
    assert [(each["user_id"], each["permission"]) for each in carls["permissions"]] == [
        (BOB, "viewer")
    ]
    assert len([key for key in objects() if key.startswith("incoming/")]) == 1


def test_nothing_is_left_and_the_receipt_says_what_there_was(
    invoke: Invoke, world: dict[str, str]
) -> None:
    answer = erase()
    assert answer["status"] == "completed"
    told = answer["payload"]
    assert told["user_id"] == ANN
    assert told["started_at"] <= told["completed_at"]
    assert {name: told[name] for name in REMOVED} == REMOVED
    assert (told["held_sessions"], told["held_casefiles"]) == (0, 0)
    assert_erased(invoke, world)


def test_again_is_the_same_receipt_and_a_new_request_erases_what_came_since(
    invoke: Invoke, world: dict[str, str]
) -> None:
    request_id = str(uuid4())
    first = erase(request_id=request_id)
    invoke("create_session", {"title": SECRET})
    assert erase(request_id=request_id) == first
    assert SECRET in everything()
    second = erase()["payload"]
    assert {name: second[name] for name in REMOVED} == dict.fromkeys(REMOVED, 0) | {"sessions": 1}
    assert_erased(invoke, world)


def test_it_must_be_meant_and_oneself(invoke: Invoke, world: dict[str, str]) -> None:
    before = everything()
    with pytest.raises(Forbidden, match="yourself"):
        invoke("erase_user", {"user_id": ANN, "confirm": True}, user=BOB)
    with pytest.raises(BadRequest, match="confirm"):
        invoke("erase_user", {"user_id": ANN})
    assert everything() == before


def test_what_is_under_hold_stays_and_is_counted(invoke: Invoke, world: dict[str, str]) -> None:
    for casefile_id, user in ((world["anns"], ANN), (world["bobs"], BOB)):
        invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": True}, user=user)
    told = erase()["payload"]
    assert (told["held_sessions"], told["held_casefiles"]) == (1, 1)
    assert (told["sessions"], told["casefiles"]) == (4, 0)
    held = invoke("get_chat_session", {"session_id": world["ann's in bob's"]})["payload"]
    assert held["message_count"] == 1
    for casefile_id, user in ((world["anns"], ANN), (world["bobs"], BOB)):
        invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": False}, user=user)
    told = erase()["payload"]
    assert (told["sessions"], told["casefiles"], told["held_sessions"]) == (1, 1, 0)
    assert_erased(invoke, world)


def test_who_placed_a_hold_is_named_by_it_no_more(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Claim"}, user=BOB)["payload"]["casefile_id"]
    share(invoke, casefile_id, BOB, ANN)
    invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": True})
    erase()
    read = invoke("get_casefile", {"casefile_id": casefile_id}, user=BOB)["payload"]["casefile"]
    assert read["legal_hold"]["placed_by"] == grants.ERASED
    assert ANN not in str(stored())


def test_without_time_it_goes_on_by_itself(invoke: Invoke, world: dict[str, str]) -> None:
    request_id = str(uuid4())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deletion, "delete", dawdle)
        answer = erase(request_id=request_id)
        assert (answer["status"], answer["payload"]["completed_at"]) == ("processing", None)
        assert finish()["users"] == {"seen": 1, "done": 0, "failed": 1, "is_complete": True}
    assert finish()["users"] == {"seen": 1, "done": 1, "failed": 0, "is_complete": True}
    forget()
    answer = erase(request_id=request_id)
    assert answer["status"] == "completed"
    assert {name: answer["payload"][name] for name in REMOVED} == REMOVED
    assert_erased(invoke, world)
    assert finish()["users"]["seen"] == 0


@pytest.mark.parametrize("is_taken_away", [False, True])
def test_a_casefile_that_is_handed_over_while_in_hand_is_anothers_and_not_counted(
    invoke: Invoke, world: dict[str, str], is_taken_away: bool
) -> None:
    request_id, asked = str(uuid4()), {"casefile_id": world["anns"]}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deletion, "delete_casefile", dawdle)
        erase(request_id=request_id)
    share(invoke, world["anns"], ANN, BOB, "owner")
    if is_taken_away:
        invoke("revoke_permission", asked | {"target_user_id": ANN}, user=BOB)
    assert finish()["users"]["done"] == 1
    told = erase(request_id=request_id)["payload"]
    left = 0 if is_taken_away else 1  # As who handed it over, Ann was its admin.
    assert (told["casefiles"], told["grants"]) == (0, REMOVED["grants"] + left)
    shown = invoke("get_casefile", asked, user=BOB)["payload"]["casefile"]
    assert shown["acl"]["owner_id"] == BOB
    assert ANN not in str(shown)


def test_there_is_time_left_to_answer_when_there_is_none_to_go_on(
    invoke: Invoke, world: dict[str, str]
) -> None:
    """Time for the note that it began, and for no step."""
    envelope = {"user_id": ANN, "payload": {"user_id": ANN, "confirm": True}}
    handler: Any = load("erase_user")
    answer = handler(envelope, Context(seconds=RESERVE + ANSWER_SECONDS - 0.5))
    assert answer["status"] == "processing"
    assert {name: answer["payload"][name] for name in REMOVED} == dict.fromkeys(REMOVED, 0)


@pytest.mark.parametrize("part", range(2))
def test_interrupted_at_any_call_it_goes_on_and_counts_each_thing_once(
    invoke: Invoke, world: dict[str, str], part: int
) -> None:
    bucket, items = account("s3"), stored()
    kept = {key: bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in objects()}
    request_id = str(uuid4())
    ways = itertools.cycle(["and the function was killed", "after it took effect"])
    for number, way in zip(range(1 + 4 * part, 400, 9), ways, strict=False):
        with pytest.MonkeyPatch.context() as patched:
            faults = Faults(patched, number, way)
            with contextlib.suppress(Killed, Unavailable):
                erase(request_id=request_id)
        forget()
        finish()
        told = erase(request_id=request_id)["payload"]
        assert {name: told[name] for name in REMOVED} == REMOVED
        assert_erased(invoke, world)
        if faults.calls < number:
            assert number > 60
            return
        restore(items, kept)
    raise AssertionError("it does not make that many calls")


def test_two_at_once_count_each_thing_once(
    invoke: Invoke, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, others = deletion.delete, iter([True, False, True])

    def overtaken(session_id: str, user_id: str, **more: Any) -> int:
        if next(others, False):
            finish()
        return delete(session_id, user_id, **more)

    monkeypatch.setattr(deletion, "delete", overtaken)
    told = erase()["payload"]
    assert {name: told[name] for name in REMOVED} == REMOVED
    assert_erased(invoke, world)


def test_an_upload_too_many_for_one_look_goes_too(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.contents.MAX_DELETED", 2)
    for number in range(5):
        upload(ANN, bytes([number]))
    assert erase()["payload"]["uploads"] == 5
    assert objects() == []


def dawdle(*_: Any, **__: Any) -> Any:
    raise Unavailable("no time left")


def begin(request_id: str, user: str = ANN) -> dict[str, Any]:
    """Ask for an erasure for which there is no time now."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(erasure, "_go_on", dawdle)
        answer = erase(user, request_id=request_id)
    assert answer["status"] == "processing"
    return answer


def create(invoke: Invoke, **payload: Any) -> str:
    return str(invoke("create_session", payload)["payload"]["session_id"])


def is_there(invoke: Invoke, session_id: str) -> bool:
    try:
        invoke("get_session", {"session_id": session_id})
    except NotFound:
        return False
    return True


def test_what_the_user_makes_after_the_request_stays(invoke: Invoke, world: dict[str, str]) -> None:
    request_id = str(uuid4())
    begin(request_id)
    time.sleep(0.002)
    session_id = create(invoke)
    casefile_id = invoke("create_casefile", {"title": "New"})["payload"]["casefile_id"]
    assert finish()["users"]["done"] == 1
    told = erase(request_id=request_id)["payload"]
    assert {name: told[name] for name in REMOVED} == REMOVED
    assert is_there(invoke, session_id)
    assert invoke("get_casefile", {"casefile_id": casefile_id})["status"] == "completed"


def test_what_the_user_uploads_after_the_request_stays(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.contents.MAX_DELETED", 2)
    for number in range(5):
        upload(ANN, bytes([number]))
    before = objects()
    with monkeypatch.context() as patched:
        patched.setattr(erasure, "now", lambda: now() - timedelta(minutes=1))
        assert erase()["payload"]["uploads"] == 0
    assert objects() == before
    assert erase()["payload"]["uploads"] == 5


def test_each_request_is_told_its_own_receipt_whatever_came_since(
    invoke: Invoke, world: dict[str, str]
) -> None:
    first, joined, later = (str(uuid4()) for _ in range(3))
    asked_at = now().isoformat()
    begin(first)
    begin(joined)
    finish()
    create(invoke)
    told = erase(request_id=first, timestamp=asked_at)["payload"]
    assert {name: told[name] for name in REMOVED} == REMOVED
    assert erase(request_id=joined)["payload"] == told
    assert erase(request_id=later)["payload"]["sessions"] == 1
    session_id = create(invoke)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("casefile.creation.now", lambda: now() + timedelta(days=60))
        for request_id in (first, joined, first):
            assert erase(request_id=request_id, timestamp=asked_at)["payload"] == told
    assert erase(request_id=later)["payload"]["sessions"] == 1
    assert is_there(invoke, session_id)


@pytest.mark.parametrize("days", [-400, -16, 1, 400])
def test_a_request_dated_too_early_or_too_late_erases_nothing(invoke: Invoke, days: int) -> None:
    session_id = create(invoke)
    with pytest.raises(BadRequest, match="is dated"):
        erase(timestamp=(now() + timedelta(days=days)).isoformat())
    assert is_there(invoke, session_id)
    assert finish()["users"]["seen"] == 0


def test_who_asks_again_meanwhile_loses_what_was_made_until_then(invoke: Invoke) -> None:
    first, second = str(uuid4()), str(uuid4())
    begin(first)
    time.sleep(0.002)
    between = create(invoke)
    begin(second)
    time.sleep(0.002)
    after = create(invoke)
    assert finish()["users"]["done"] == 1
    assert not is_there(invoke, between)
    assert is_there(invoke, after)
    assert erase(request_id=first)["payload"] == erase(request_id=second)["payload"]


def test_who_joins_by_a_clock_that_is_behind_keeps_nothing_from_the_first(invoke: Invoke) -> None:
    session_id, behind = create(invoke), iter([timedelta(minutes=1)])
    begin(str(uuid4()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(erasure, "now", lambda: now() - next(behind, timedelta(0)))
        begin(str(uuid4()))
    assert finish()["users"]["done"] == 1
    assert not is_there(invoke, session_id)


def test_who_asks_just_when_another_erasure_ends_begins_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was seen to be under way, and is over when it is to be joined."""
    first, second = str(uuid4()), str(uuid4())
    begin(first)
    transact, others = dynamodb.transact, iter([True])

    def crossed(writes: Any) -> None:
        if next(others, False):
            assert finish()["users"]["done"] == 1
            create(invoke)
        transact(writes)

    monkeypatch.setattr(dynamodb, "transact", crossed)
    assert erase(request_id=second)["payload"]["sessions"] == 1
    assert erase(request_id=first)["payload"]["sessions"] == 0


@pytest.mark.parametrize("at", ["the beginning", "the end"])
def test_requests_that_cross_are_one_erasure(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Before the first one's transaction, or its last, another comes."""
    first, other, made = str(uuid4()), str(uuid4()), [create(invoke)]
    transact, crossing = dynamodb.transact, "completed_at" if at == "the end" else "started_at"

    def crossed(writes: Any) -> None:
        if len(made) == 1 and crossing in str(writes):
            time.sleep(0.002)
            made.append(create(invoke))
            begin(other)
        transact(writes)

    monkeypatch.setattr(dynamodb, "transact", crossed)
    told = erase(request_id=first)
    assert told["status"] == "completed"
    assert told["payload"]["sessions"] == 2
    assert not any(is_there(invoke, session_id) for session_id in made)
    assert erase(request_id=other)["payload"] == told["payload"]


def test_two_at_once_count_each_upload_once(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lists them all, then the other removes them, and is stopped before the end."""
    for number in range(5):
        upload(ANN, bytes([number]))
    request_id = str(uuid4())

    def remove_them() -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(erasure, "_end", dawdle)
            assert finish()["users"]["failed"] == 1

    overtake(monkeypatch, contents, "delete", remove_them)
    assert erase(request_id=request_id)["payload"]["uploads"] == 5
    finish()
    told = erase(request_id=request_id)
    assert (told["status"], told["payload"]["uploads"]) == ("completed", 5)


def test_what_a_casefile_was_called_goes_though_no_index_shows_it(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("create_casefile", {"title": SECRET})
    everything_of, titles = lists.everything, lists.name(deletion.TITLE, ANN)
    monkeypatch.setattr(
        lists, "everything", lambda of: () if titles in of.names else everything_of(of)
    )
    assert erase()["payload"]["casefiles"] == 1
    assert SECRET not in everything()
    assert ANN not in everything()


def test_what_the_last_step_left_is_found_though_indexes_lag(
    invoke: Invoke, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A casefile is handed over in a run long after the request; the grant shows a second later."""
    assert SETTLING >= 5
    monkeypatch.setattr(erasure, "SETTLING_SECONDS", SETTLING)
    clock, handed_over = SimpleNamespace(slept=0.0), iter([True])

    def sleep(seconds: float) -> None:
        clock.slept += seconds

    def shown(of: lists.Lists) -> Any:
        until = to_milliseconds(now()) + (clock.slept - 1) * 1000
        for entry in everything_of(of):
            if int(entry["creation"].partition("#")[0]) < until or of.names != grants_of_ann:
                yield entry

    def hand_over(casefile_id: str, *asked: Any, **more: Any) -> Any:
        if next(handed_over, False):
            share(invoke, casefile_id, ANN, BOB, "owner")
        return delete(casefile_id, *asked, **more)

    everything_of, delete = lists.everything, deletion.delete_casefile
    grants_of_ann = [lists.name("grant", ANN)]
    request_id = str(uuid4())
    begin(request_id)
    monkeypatch.setattr(erasure, "now", lambda: now() + timedelta(seconds=600 + clock.slept))
    monkeypatch.setattr(erasure, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(lists, "everything", shown)
    monkeypatch.setattr(deletion, "delete_casefile", hand_over)
    assert finish()["users"]["done"] == 1
    told = erase(request_id=request_id)["payload"]
    assert (told["casefiles"], told["grants"]) == (0, REMOVED["grants"] + 1)
    assert ANN not in everything()


def test_what_a_casefile_was_called_does_not_come_back(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion is about to end while an erasure ends it first, and is over."""
    casefile_id = invoke("create_casefile", {"title": SECRET})["payload"]["casefile_id"]
    forget_all, others = grants.forget_all, iter([True])

    def overtaken(casefile: dynamodb.Item) -> None:
        forget_all(casefile)
        if next(others, False):
            assert erase()["payload"]["casefiles"] == 1

    monkeypatch.setattr(grants, "forget_all", overtaken)
    told = invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})["payload"]
    assert told["title"] == SECRET
    assert SECRET not in everything()
    assert ANN not in everything()


def test_a_casefile_whose_deletion_was_interrupted_goes_and_what_it_was_called(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the clock would end the deletion after the erasure, and name its owner anew."""
    casefile_id = invoke("create_casefile", {"title": SECRET})["payload"]["casefile_id"]
    with monkeypatch.context() as patched:
        patched.setattr(grants, "forget_all", dawdle)
        with pytest.raises(Unavailable):
            invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
    assert erase()["payload"]["casefiles"] == 1
    assert SECRET not in everything()
    assert ANN not in everything()


def test_what_is_left_of_sessions_that_the_user_deleted_goes_first(
    invoke: Invoke, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of Ann's and one of Bob's are half deleted."""
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_clear", dawdle)
        for session_id, user in ((world["archived"], ANN), (world["bob's in ann's"], BOB)):
            with pytest.raises(Unavailable):
                invoke(
                    "delete_chat_session", {"session_id": session_id, "confirm": True}, user=user
                )
    request_id = str(uuid4())
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "finish_of", dawdle)
        assert erase(request_id=request_id)["status"] == "processing"
    clear, cleared = deletion._clear, []

    def noted(session_id: str) -> None:
        cleared.append(session_id)
        clear(session_id)

    monkeypatch.setattr(deletion, "_clear", noted)
    assert erase(request_id=request_id)["status"] == "completed"
    assert cleared == [world["archived"]]
    left = everything()
    assert SECRET[:20] not in left
    assert ANN not in left
    assert "Bob was here" in left


def test_it_is_not_over_before_what_the_user_deletes_meanwhile_is_gone(
    invoke: Invoke, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = str(uuid4())
    begin(request_id)
    time.sleep(0.002)
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_clear", dawdle)
        with pytest.raises(Unavailable):
            invoke("delete_chat_session", {"session_id": world["archived"], "confirm": True})
    assert erase(request_id=request_id)["status"] == "completed"
    assert SECRET[:20] not in everything()


def test_it_takes_no_more_calls_whatever_others_deleted(invoke: Invoke, calls: list[str]) -> None:
    def made() -> list[str]:
        calls.clear()
        assert erase()["status"] == "completed"
        return [*calls]

    before = made()
    for _ in range(3):
        session_id = invoke("create_session", user=BOB)["payload"]["session_id"]
        invoke("delete_session", {"session_id": session_id, "confirm": True}, user=BOB)
    assert made() == before


def test_what_it_deleted_itself_it_deletes_once(
    invoke: Invoke, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clear, cleared = deletion._clear, []

    def noted(session_id: str) -> None:
        cleared.append(session_id)
        clear(session_id)

    monkeypatch.setattr(deletion, "_clear", noted)
    erase()
    assert len(cleared) == len(set(cleared)) == REMOVED["sessions"]


def test_a_clock_that_is_ahead_keeps_nobody_waiting_for_long(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who removed the last thing is two minutes ahead of who waits for it to be over."""
    monkeypatch.setattr(erasure, "SETTLING_SECONDS", 5)
    create(invoke)
    slept: list[float] = []
    ahead = timedelta()
    put_down = erasure._put_down

    def put_down_ahead(*asked: Any) -> None:
        nonlocal ahead
        ahead = timedelta(minutes=2)
        put_down(*asked)
        ahead = timedelta()

    monkeypatch.setattr(erasure, "now", lambda: now() + timedelta(seconds=sum(slept)) + ahead)
    monkeypatch.setattr(erasure, "time", SimpleNamespace(sleep=slept.append))
    monkeypatch.setattr(erasure, "_put_down", put_down_ahead)
    assert erase()["status"] == "completed"
    assert max(slept) <= 5
    assert sum(slept) > 120


def test_who_asks_again_by_a_clock_that_is_behind_joins_all_the_same(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, session_id = str(uuid4()), str(uuid4()), create(invoke)
    begin(first)
    with monkeypatch.context() as patched:
        patched.setattr("casefile.attempts.MAX_ATTEMPTS", 3)
        patched.setattr(erasure, "now", lambda: now() - timedelta(minutes=2))
        begin(second)
    assert finish()["users"]["done"] == 1
    assert not is_there(invoke, session_id)
    assert erase(request_id=first)["payload"] == erase(request_id=second)["payload"]


@pytest.mark.parametrize("step", ["delete", "delete_casefile"])
def test_what_is_held_counts_once_after_an_interruption(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Claim"})["payload"]["casefile_id"]
    create(invoke, casefile_id=casefile_id)
    invoke("set_legal_hold", {"casefile_id": casefile_id, "hold": True})
    request_id = str(uuid4())

    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(deletion, step, killed)
        with pytest.raises(Killed):
            erase(request_id=request_id)
    finish()
    told = erase(request_id=request_id)["payload"]
    assert (told["held_sessions"], told["held_casefiles"]) == (1, 1)


def test_what_others_win_again_and_again_holds_up_nothing_else(
    invoke: Invoke, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id, hot = str(uuid4()), world["open"]
    delete = deletion.delete

    def lose(session_id: str, user_id: str, **more: Any) -> int:
        if session_id == hot:
            raise Unavailable("is being written by many at once")
        return delete(session_id, user_id, **more)

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "delete", lose)
        answer = erase(request_id=request_id)
        assert answer["status"] == "processing"
        counted = {name: answer["payload"][name] for name in REMOVED}
        assert counted == REMOVED | {"sessions": 4, "records": 9}
        assert finish()["users"] == {"seen": 1, "done": 0, "failed": 1, "is_complete": True}
    assert finish()["users"]["done"] == 1
    told = erase(request_id=request_id)["payload"]
    assert {name: told[name] for name in REMOVED} == REMOVED
    assert_erased(invoke, world)


def test_where_nothing_can_be_removed_a_look_is_given_up(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        create(invoke)
    tried: list[str] = []

    def fail(session_id: str, _: str, **more: Any) -> Any:
        tried.append(session_id)
        return dawdle()

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "MAX_STUCK", 3)
        patched.setattr(deletion, "delete", fail)
        assert erase()["status"] == "processing"
        assert len(set(tried)) == 3
        finish()
        assert len(set(tried)) == 3
    assert finish()["users"]["done"] == 1
    assert not [item for item in stored() if "user_id" in item]


def test_nothing_names_who_was_erased_and_all_expires(
    invoke: Invoke, world: dict[str, str]
) -> None:
    first, second = str(uuid4()), str(uuid4())
    begin(first)
    begin(second)
    finish()
    kept = [item for item in stored() if item["pk"]["S"].startswith("ERASURE#")]
    assert sorted(item["sk"]["S"] for item in kept) == sorted(["HEAD", first, second])
    for item in kept:
        assert {"user_id", "in_hand", "stage_list", "since"}.isdisjoint(item)
        assert 89 < days_left(item) < 91
        assert ANN not in json.dumps(dynamodb.from_attributes(item), default=str)
    assert archives.metadata() == {}
