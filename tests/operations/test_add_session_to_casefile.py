"""Filing: both must be there, both the caller's; once, in one casefile, with an exact total."""

from collections.abc import Iterator
from typing import Any

import pytest

from casefile import casefiles, dynamodb
from casefile.errors import AlreadyFiled, BadRequest, NotFound, Unavailable
from pydantic_models.operations import AddSessionToCasefileResponse
from tests.conftest import Invoke, stored


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"])


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session")["payload"]["session_id"])


def file(invoke: Invoke, casefile_id: str, session_id: str, **more: str) -> dict[str, Any]:
    payload = {
        "casefile_id": casefile_id,
        "session_id": session_id,
        "session_type": "chat" if session_id.startswith("cs_") else "tool",
    }
    return invoke("add_session_to_casefile", payload, **more)


def test_it_tells_the_total(invoke: Invoke, casefile_id: str) -> None:
    for total in range(1, 5):
        kind = "create_session" if total % 2 else "create_chat_session"
        session_id = invoke(kind)["payload"]["session_id"]
        answer = AddSessionToCasefileResponse.model_validate(file(invoke, casefile_id, session_id))
        assert answer.payload.total_sessions == total
        assert answer.payload.session_type == ("tool" if total % 2 else "chat")


def test_again_is_the_first_answer(invoke: Invoke, casefile_id: str, session_id: str) -> None:
    first = file(invoke, casefile_id, session_id)
    other = invoke("create_session")["payload"]["session_id"]
    file(invoke, casefile_id, other)
    again = file(invoke, casefile_id, session_id)
    assert (again["payload"], again["timestamp"]) == (first["payload"], first["timestamp"])
    read = invoke("get_casefile", {"casefile_id": casefile_id})
    assert read["payload"]["casefile"]["session_count"] == 2


def test_a_session_created_in_it_is_in_it(invoke: Invoke, casefile_id: str) -> None:
    session_id = invoke("create_session", {"casefile_id": casefile_id})["payload"]["session_id"]
    assert file(invoke, casefile_id, session_id)["payload"] == {
        "casefile_id": casefile_id,
        "session_id": session_id,
        "session_type": "tool",
        "total_sessions": 1,
    }


def test_a_second_casefile_is_refused(invoke: Invoke, casefile_id: str, session_id: str) -> None:
    file(invoke, casefile_id, session_id)
    other = invoke("create_casefile", {"title": "Porto"})["payload"]["casefile_id"]
    before = stored()
    with pytest.raises(AlreadyFiled, match=casefile_id):
        file(invoke, other, session_id)
    assert stored() == before


def test_a_closed_session_may_be_filed(invoke: Invoke, casefile_id: str, session_id: str) -> None:
    invoke("close_session", {"session_id": session_id})
    file(invoke, casefile_id, session_id)
    read = invoke("get_session", {"session_id": session_id})["payload"]
    assert (read["casefile_id"], read["active"]) == (casefile_id, False)


@pytest.mark.parametrize("missing", ["casefile", "session"])
@pytest.mark.parametrize("reason", ["absent", "another user's"])
def test_both_must_be_the_callers(
    invoke: Invoke, casefile_id: str, session_id: str, missing: str, reason: str
) -> None:
    bob = "bob@example.com"
    if missing == "casefile":
        casefile_id = (
            "cf_261121_none"
            if reason == "absent"
            else invoke("create_casefile", {"title": "Bob's"}, user=bob)["payload"]["casefile_id"]
        )
    else:
        session_id = (
            "ts_261121_none"
            if reason == "absent"
            else invoke("create_session", user=bob)["payload"]["session_id"]
        )
    before = stored()
    with pytest.raises(NotFound, match=f"no {missing} "):
        file(invoke, casefile_id, session_id)
    assert stored() == before


def test_the_type_must_fit_the_id(invoke: Invoke, casefile_id: str, session_id: str) -> None:
    payload = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "chat"}
    with pytest.raises(BadRequest, match="is a tool session"):
        invoke("add_session_to_casefile", payload)


def test_losing_a_race_is_tried_again_from_what_came_back(
    invoke: Invoke, casefile_id: str, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others file a session between our reading of the casefile and our transaction."""
    transact = dynamodb.transact
    rivals = [invoke("create_session")["payload"]["session_id"] for _ in range(3)]

    def overtaken(writes: Any) -> None:
        if rivals:
            file(invoke, casefile_id, rivals.pop())
        transact(writes)

    monkeypatch.setattr(dynamodb, "transact", overtaken)
    assert file(invoke, casefile_id, session_id)["payload"]["total_sessions"] == 4


def test_losing_every_race_is_unavailable_and_changes_nothing(
    invoke: Invoke, casefile_id: str, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conflict(writes: object) -> None:
        raise dynamodb.TransactionFailed([])

    monkeypatch.setattr(dynamodb, "transact", conflict)
    monkeypatch.setattr(casefiles, "attempts", lambda what: _two_attempts(what))
    before = stored()
    with pytest.raises(Unavailable):
        file(invoke, casefile_id, session_id)
    assert stored() == before


def _two_attempts(what: str) -> Iterator[int]:
    yield from range(2)
    raise Unavailable(what)
