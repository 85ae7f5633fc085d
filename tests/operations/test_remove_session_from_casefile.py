"""Taking a session out of a casefile: the count follows, and those who came through it are out."""

from typing import Any
from uuid import uuid4

import pytest

from casefile import dynamodb
from casefile.errors import NotFound
from tests.conftest import Invoke, overtake

BOB = "bob@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"])


@pytest.fixture
def session_id(invoke: Invoke, casefile_id: str) -> str:
    filed = {"casefile_id": casefile_id}
    return str(invoke("create_session", filed)["payload"]["session_id"])


def take_out(
    invoke: Invoke, casefile_id: str, session_id: str, user: str = "ann@example.com", **more: Any
) -> dict[str, Any]:
    asked = {"casefile_id": casefile_id, "session_id": session_id}
    return invoke("remove_session_from_casefile", asked, user=user, **more)


def count(invoke: Invoke, casefile_id: str) -> int:
    read = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert len(read["session_ids"]) == read["session_count"]
    return int(read["session_count"])


def test_it_is_taken_out_once_and_a_retry_is_told_the_same(
    invoke: Invoke, casefile_id: str, session_id: str
) -> None:
    invoke("create_chat_session", {"casefile_id": casefile_id})
    request_id = str(uuid4())
    first = take_out(invoke, casefile_id, session_id, request_id=request_id)
    assert first["payload"]["total_sessions"] == 1
    assert take_out(invoke, casefile_id, session_id, request_id=request_id) == first
    assert count(invoke, casefile_id) == 1
    with pytest.raises(NotFound, match="is not filed in casefile"):
        take_out(invoke, casefile_id, session_id)
    assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] is None


def test_a_late_retry_of_the_filing_files_it_no_more(invoke: Invoke, casefile_id: str) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    asked = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "tool"}
    request_id = str(uuid4())
    first = invoke("add_session_to_casefile", asked, request_id=request_id)
    take_out(invoke, casefile_id, session_id)
    assert invoke("add_session_to_casefile", asked, request_id=request_id) == first
    assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] is None
    invoke("add_session_to_casefile", asked)
    assert count(invoke, casefile_id) == 1


def test_who_came_through_the_casefile_is_out_at_once(
    invoke: Invoke, casefile_id: str, session_id: str
) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "editor"}
    invoke("grant_permission", asked)
    said = {"session_id": session_id, "tool_name": "t"}
    invoke("tool_execution", said, user=BOB)
    take_out(invoke, casefile_id, session_id)
    for operation, payload in (
        ("tool_execution", said),
        ("get_session", {"session_id": session_id}),
    ):
        with pytest.raises(NotFound):
            invoke(operation, payload, user=BOB)


def test_it_can_be_filed_elsewhere_then(invoke: Invoke, casefile_id: str, session_id: str) -> None:
    other = invoke("create_casefile", {"title": "Other"})["payload"]["casefile_id"]
    take_out(invoke, casefile_id, session_id)
    asked = {"casefile_id": other, "session_id": session_id, "session_type": "tool"}
    invoke("add_session_to_casefile", asked)
    assert (count(invoke, casefile_id), count(invoke, other)) == (0, 1)
    with pytest.raises(NotFound):
        take_out(invoke, casefile_id, session_id)


def test_taken_out_by_two_at_once_it_counts_once(
    invoke: Invoke, casefile_id: str, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake(monkeypatch, dynamodb, "transact", lambda: take_out(invoke, casefile_id, session_id))
    with pytest.raises(NotFound):
        take_out(invoke, casefile_id, session_id)
    assert count(invoke, casefile_id) == 0


def test_who_may_not_read_the_casefile_is_not_told_how_much_is_in_it(
    invoke: Invoke, casefile_id: str, session_id: str
) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "editor"}
    filed = []
    for _ in range(2):
        invoke("grant_permission", asked)
        answer = invoke("create_session", {"casefile_id": casefile_id}, user=BOB)
        filed.append(answer["payload"]["session_id"])
    told = take_out(invoke, casefile_id, filed[0], user=BOB)["payload"]
    assert told["total_sessions"] == 2
    del asked["permission"]
    invoke("revoke_permission", asked)
    told = take_out(invoke, casefile_id, filed[1], user=BOB)["payload"]
    assert told["total_sessions"] is None
    assert count(invoke, casefile_id) == 1
