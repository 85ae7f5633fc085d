"""The sessions of a casefile, both kinds together."""

from typing import Any

import pytest

from casefile.errors import NotFound
from pydantic_models.operations import ListCasefileSessionsResponse
from tests.conftest import Invoke


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"])


def fill(invoke: Invoke, casefile_id: str, number: int) -> list[str]:
    kinds = ("create_session", "create_chat_session")
    asked = {"casefile_id": casefile_id}
    return [invoke(kinds[n % 2], asked)["payload"]["session_id"] for n in range(number)]


def walked(invoke: Invoke, operation: str, name: str, **asked: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        payload = invoke(operation, asked | {"cursor": cursor})["payload"]
        found += payload["casefile"][name] if operation == "get_casefile" else payload[name]
        cursor = payload["cursor"]
        if cursor is None:
            return found


def test_both_kinds_and_states_in_one_order(invoke: Invoke, casefile_id: str) -> None:
    made = fill(invoke, casefile_id, 6)
    invoke("create_session", {"title": "elsewhere"})
    invoke("close_session", {"session_id": made[0]})
    answer = invoke("list_casefile_sessions", {"casefile_id": casefile_id})
    payload = ListCasefileSessionsResponse.model_validate(answer).payload
    assert [line.session_id for line in payload.sessions] == [made[0], *reversed(made[1:])]
    assert {line.session_type for line in payload.sessions} == {"tool", "chat"}
    assert (payload.total_count, payload.total_is_exact, payload.cursor) == (6, True, None)
    active = {"casefile_id": casefile_id, "active_only": True}
    assert len(invoke("list_casefile_sessions", active)["payload"]["sessions"]) == 5


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_lines_and_of_ids_make_up_the_casefile(
    invoke: Invoke, casefile_id: str, limit: int
) -> None:
    made = fill(invoke, casefile_id, 7)
    invoke("close_chat_session", {"session_id": made[3]})
    asked = {"casefile_id": casefile_id, "limit": limit}
    lines = walked(invoke, "list_casefile_sessions", "sessions", order="creation", **asked)
    ids = walked(invoke, "get_casefile", "session_ids", **asked)
    assert [line["session_id"] for line in lines] == ids == [*reversed(made)]


def test_strangers_are_told_nothing(invoke: Invoke, casefile_id: str) -> None:
    fill(invoke, casefile_id, 1)
    with pytest.raises(NotFound):
        invoke("list_casefile_sessions", {"casefile_id": casefile_id}, user="eve@example.com")
