"""Deleting a casefile: its sessions stay with their owners, or go if told so."""

import contextlib
import json
import random
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest

from casefile import casefile_heads, casefiles, deletion, dynamodb, sessions
from casefile.errors import BadRequest, Forbidden, NotFound, Unavailable
from tests.conftest import Context, Invoke, forget, load, overtake, stored
from tests.replicas import lagging
from tests.unit.test_faults import Faults, Killed

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    casefile_id = str(invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"])
    asked = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "editor"}
    invoke("grant_permission", asked)
    return casefile_id


def file(invoke: Invoke, casefile_id: str, user: str = ANN) -> str:
    made = invoke("create_session", {"casefile_id": casefile_id}, user=user)["payload"]
    invoke("tool_execution", {"session_id": made["session_id"], "tool_name": "t"}, user=user)
    return str(made["session_id"])


def delete(invoke: Invoke, casefile_id: str, **more: Any) -> dict[str, Any]:
    request = {name: more.pop(name) for name in ("user", "request_id") if name in more}
    asked = {"casefile_id": casefile_id, "confirm": True, **more}
    return invoke("delete_casefile", asked, **request)


def of_casefile(casefile_id: str) -> list[dict[str, Any]]:
    """What is stored of it, but for what expires."""
    pk = f"CASEFILE#{casefile_id}"
    return [item for item in stored() if item["pk"]["S"] == pk and "ttl" not in item]


def test_sessions_stay_with_their_owners(invoke: Invoke, casefile_id: str) -> None:
    own, bobs = file(invoke, casefile_id), file(invoke, casefile_id, BOB)
    first = delete(invoke, casefile_id)
    assert first["payload"]["title"] == "Work"
    assert delete(invoke, casefile_id, request_id=first["request_id"]) == first
    for session_id, owner, other in ((own, ANN, BOB), (bobs, BOB, ANN)):
        read = invoke("get_session", {"session_id": session_id}, user=owner)["payload"]
        assert (read["casefile_id"], read["request_count"]) == (None, 1)
        with pytest.raises(NotFound):
            invoke("get_session", {"session_id": session_id}, user=other)
    assert len(of_casefile(casefile_id)) == 1
    for user in (ANN, BOB):
        with pytest.raises(NotFound):
            invoke("get_casefile", {"casefile_id": casefile_id}, user=user)


def test_the_owners_sessions_go_if_told_so(invoke: Invoke, casefile_id: str) -> None:
    own, bobs = file(invoke, casefile_id), file(invoke, casefile_id, BOB)
    delete(invoke, casefile_id, delete_sessions=True)
    with pytest.raises(NotFound):
        invoke("get_session", {"session_id": own})
    assert invoke("get_session", {"session_id": bobs}, user=BOB)["payload"]["casefile_id"] is None


@pytest.mark.parametrize("with_sessions", [False, True])
def test_interrupted_anywhere_it_goes_on(
    invoke: Invoke, casefile_id: str, with_sessions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [file(invoke, casefile_id) for _ in range(3)]
    client: Any = dynamodb.client()
    chance, interrupted = random.Random(7), list[str]()

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            def call(**arguments: Any) -> Any:
                if chance.random() < 0.12:
                    interrupted.append(name)
                    raise Unavailable("interrupted")
                return getattr(client, name)(**arguments)

            return call

    asked = {"casefile_id": casefile_id, "confirm": True, "delete_sessions": with_sessions}
    with monkeypatch.context() as patched:
        patched.setattr(dynamodb, "client", Interrupted)
        for _ in range(100):
            with contextlib.suppress(Unavailable):
                invoke("delete_casefile", asked)
                break
    assert len(interrupted) > 3
    left = of_casefile(casefile_id)
    assert len(left) == 1
    assert "deleted_at" in left[0]
    assert "user_id" not in left[0]
    heads = {item["pk"]["S"]: item for item in stored() if item["sk"]["S"] == "HEAD"}
    for session_id in sessions:
        assert ("deleted_at" in heads[f"SESSION#{session_id}"]) is with_sessions
        if with_sessions:
            of_session = [i for i in stored() if i["pk"]["S"] == f"SESSION#{session_id}"]
            assert [item["kind"]["S"] for item in of_session[:-1]] == ["dead", "dead"]
            with pytest.raises(NotFound):
                invoke("get_session", {"session_id": session_id})
        else:
            read = invoke("get_session", {"session_id": session_id})["payload"]
            assert read["casefile_id"] is None


@pytest.mark.parametrize("with_sessions", [False, True])
def test_it_goes_on_as_it_was_asked_for_first(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch, with_sessions: bool
) -> None:
    filed = invoke("create_session", {"casefile_id": casefile_id})["payload"]
    asked = {"casefile_id": casefile_id, "confirm": True}

    def stop(*_: Any, **__: Any) -> None:
        raise Unavailable("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_let_go", stop)
        with pytest.raises(Unavailable):
            invoke("delete_casefile", asked | {"delete_sessions": with_sessions})
    invoke("delete_casefile", asked | {"delete_sessions": not with_sessions})
    refusal = pytest.raises(NotFound) if with_sessions else contextlib.nullcontext()
    with refusal:
        invoke("get_session", {"session_id": filed["session_id"]})


def test_an_index_that_lags_is_waited_for(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = file(invoke, casefile_id)
    seen = casefiles.session_ids
    looks: list[str] = []

    def lagging(casefile_id: str) -> Iterable[str]:
        looks.append(casefile_id)
        return seen(casefile_id) if len(looks) > 2 else []

    monkeypatch.setattr(casefiles, "session_ids", lagging)
    delete(invoke, casefile_id)
    assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] is None


def test_every_grant_is_forgotten_though_replicas_lag(invoke: Invoke, casefile_id: str) -> None:
    with lagging(lambda slot: slot.startswith("GRANT#")):
        delete(invoke, casefile_id)
    assert BOB not in str(stored())


def test_a_late_retry_of_the_creation_revives_nothing(invoke: Invoke) -> None:
    envelope = {
        "request_id": str(uuid4()),
        "user_id": ANN,
        "operation": "create_casefile",
        "payload": {"title": "Work"},
    }
    made = load("create_casefile")(envelope, Context())["payload"]["casefile_id"]
    delete(invoke, made)
    forget()
    with pytest.raises(NotFound, match="stays deleted"):
        load("create_casefile")(envelope, Context())


def test_only_its_owner_may_and_must_mean_it(invoke: Invoke, casefile_id: str) -> None:
    with pytest.raises(Forbidden):
        delete(invoke, casefile_id, user=BOB)
    with pytest.raises(BadRequest, match="confirm"):
        invoke("delete_casefile", {"casefile_id": casefile_id})
    delete(invoke, casefile_id)
    with pytest.raises(NotFound):
        delete(invoke, casefile_id, user=BOB)


@pytest.mark.parametrize("operation", ["remove_session_from_casefile", "delete_session"])
def test_who_takes_a_session_out_while_the_casefile_goes_is_told_what_is_true(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    filed = {"casefile_id": casefile_id}
    session_id = invoke("create_session", filed)["payload"]["session_id"]
    overtake(monkeypatch, casefiles, "release_session", lambda: delete(invoke, casefile_id))
    asked = {"session_id": session_id}
    if operation == "delete_session":
        invoke(operation, asked | {"confirm": True})
        with pytest.raises(NotFound):
            invoke("get_session", asked)
    else:
        with pytest.raises(NotFound, match="not filed"):
            invoke(operation, asked | filed)
        assert invoke("get_session", asked)["payload"]["casefile_id"] is None


def interrupted(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, casefile_id: str, after: int
) -> None:
    """Delete a casefile and its session, until the function ends after so many writes."""
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        faults = Faults(patched, after, "and the function was killed", only_writes=True)
        delete(invoke, casefile_id, delete_sessions=True)
    assert faults.calls == after
    forget()


MARKED, IN_HAND, BURIED = 1, 2, 3
"""The writes of a deletion until it comes to the records of the first session."""


@pytest.mark.parametrize("is_interrupted", [False, True])
@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("add_session_to_casefile", {"session_type": "tool"}),
        ("create_session", {}),
        ("grant_permission", {"target_user_id": EVE, "permission": "viewer"}),
        ("grant_permission", {"target_user_id": BOB, "permission": "owner"}),
        ("revoke_permission", {"target_user_id": BOB}),
        ("set_legal_hold", {"hold": True}),
        ("update_casefile", {"title": "Not work"}),
    ],
)
def test_nothing_is_filed_shared_or_changed_once_it_began(
    invoke: Invoke,
    casefile_id: str,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    asked: dict[str, Any],
    is_interrupted: bool,
) -> None:
    """Right before the write, and after every look: else it would stay when all else is gone."""
    if operation == "add_session_to_casefile":
        asked = asked | {"session_id": invoke("create_session")["payload"]["session_id"]}
    left: list[Any] = []

    def begin() -> None:
        if is_interrupted:
            interrupted(invoke, monkeypatch, casefile_id, after=MARKED)
        else:
            delete(invoke, casefile_id)
        left.extend(stored())

    overtake(monkeypatch, dynamodb, "transact", begin)
    with pytest.raises(NotFound):
        invoke(operation, asked | {"casefile_id": casefile_id})
    assert stored() == left
    assert delete(invoke, casefile_id)["payload"]["title"] == "Work"


def test_handed_over_just_before_it_is_not_the_former_owners_to_delete(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "owner"}
    overtake(monkeypatch, dynamodb, "update", lambda: invoke("grant_permission", asked))
    with pytest.raises(Forbidden):
        delete(invoke, casefile_id)
    read = invoke("get_casefile", {"casefile_id": casefile_id}, user=BOB)["payload"]["casefile"]
    assert read["acl"]["owner_id"] == BOB


@pytest.mark.parametrize("place", ["nowhere", "elsewhere", "under hold"])
def test_a_session_that_leaves_while_it_is_interrupted_stays(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, casefile_id: str, place: str
) -> None:
    session_id, second = file(invoke, casefile_id), file(invoke, casefile_id)
    interrupted(invoke, monkeypatch, casefile_id, after=IN_HAND)
    left = dynamodb.get(casefile_heads.key(casefile_id)) or {}
    assert left["session_in_hand"] in (session_id, second)
    session = {"session_id": left["session_in_hand"]}
    invoke("remove_session_from_casefile", session | {"casefile_id": casefile_id})
    other = None
    if place != "nowhere":
        other = invoke("create_casefile", {"title": "Other"})["payload"]["casefile_id"]
        filing = session | {"casefile_id": other, "session_type": "tool"}
        invoke("add_session_to_casefile", filing)
    if place == "under hold":
        invoke("set_legal_hold", {"casefile_id": other, "hold": True})
    assert deletion.finish_casefile(casefile_id)
    assert len(of_casefile(casefile_id)) == 1
    read = invoke("get_session", session)["payload"]
    assert (read["casefile_id"], read["request_count"]) == (other, 1)
    with pytest.raises(NotFound):
        invoke("get_session", {"session_id": ({session_id, second} - {*session.values()}).pop()})


@pytest.mark.parametrize("after", [MARKED, IN_HAND, BURIED])
def test_a_session_whose_deletion_was_interrupted_is_deleted_to_the_end(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, casefile_id: str, after: int
) -> None:
    session_id = file(invoke, casefile_id)
    interrupted(invoke, monkeypatch, casefile_id, after)
    records = [item for item in stored() if item["sk"]["S"].isdigit()]
    assert [item["kind"]["S"] for item in records] == ["request"] + ["dead"] * (after == BURIED)
    assert deletion.finish_casefile(casefile_id)
    of_session = [item for item in stored() if item["pk"]["S"] == f"SESSION#{session_id}"]
    assert [item["kind"]["S"] for item in of_session[:-1]] == ["dead", "dead"]
    assert len(of_casefile(casefile_id)) == 1


@pytest.mark.parametrize(
    ("module", "step", "with_sessions"),
    [
        (deletion, "_let_go", False),
        (deletion, "_let_go", True),
        (casefiles, "release_session", False),
        (deletion, "delete", True),
    ],
)
def test_a_session_that_is_filed_elsewhere_at_the_last_moment_stays_there(
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    casefile_id: str,
    module: Any,
    step: str,
    with_sessions: bool,
) -> None:
    """After the index was asked where it is, or after the last look at it, and before its end."""
    session_id = file(invoke, casefile_id)
    other = invoke("create_casefile", {"title": "Other"})["payload"]["casefile_id"]

    def move() -> None:
        session = {"session_id": session_id}
        invoke("remove_session_from_casefile", session | {"casefile_id": casefile_id})
        filing = session | {"casefile_id": other, "session_type": "tool"}
        invoke("add_session_to_casefile", filing)

    overtake(monkeypatch, module, step, move)
    delete(invoke, casefile_id, delete_sessions=with_sessions)
    read = invoke("get_casefile", {"casefile_id": other})["payload"]["casefile"]
    assert (read["session_ids"], read["session_count"]) == ([session_id], 1)


@pytest.mark.parametrize("at", ["authorize", "leave"])
def test_two_deletions_at_once_are_both_told_that_it_is_deleted(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    invoke("create_session", {"casefile_id": casefile_id})
    module = casefiles if at == "authorize" else sessions
    overtake(monkeypatch, module, at, lambda: delete(invoke, casefile_id))
    assert delete(invoke, casefile_id)["payload"]["title"] == "Lisbon"


def test_each_change_of_access_is_logged(
    invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    asked = {"casefile_id": casefile_id, "target_user_id": BOB}
    until = "2100-01-01T00:00:00.000+00:00"
    invoke("grant_permission", asked | {"permission": "viewer", "expires_at": until})
    invoke("grant_permission", asked | {"permission": "owner"})
    invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True}, user=BOB)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line for line in lines if line["message"] == "access changed"]
    assert [
        (line["target_user_id"], line["before"], line["after"], line["expires_at"]) for line in told
    ] == [
        (BOB, "none", "viewer", until),
        (BOB, "viewer", "owner", None),
        (ANN, "owner", "admin", None),
        (BOB, "owner", "none", None),
        (ANN, "admin", "none", None),
    ]
    assert all(line["casefile_id"] == casefile_id for line in told)
    assert lines[-1]["casefile_id"] == casefile_id
