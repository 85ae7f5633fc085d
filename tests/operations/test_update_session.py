"""What a session says of itself can change, at any time; what was recorded can't."""

import time
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest

from casefile import dynamodb, sessions
from casefile.errors import BadRequest
from pydantic_models.base.times import now
from pydantic_models.export import verify
from tests.conftest import Invoke, overtake


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    made = invoke("create_session", {"title": "Old"}, metadata={"kept": True})
    return str(made["payload"]["session_id"])


def change(invoke: Invoke, session_id: str, **asked: Any) -> dict[str, Any]:
    request = {name: asked.pop(name) for name in ("request_id",) if name in asked}
    return invoke("update_session", {"session_id": session_id, **asked}, **request)


def test_what_is_given_changes_and_the_rest_stays(invoke: Invoke, session_id: str) -> None:
    told = change(invoke, session_id, title="New", tags=["a", "b"])["payload"]
    assert told["updated_fields"] == ["tags", "title"]
    read = invoke("get_session", {"session_id": session_id})["payload"]
    for answer in (told, read):
        assert (answer["title"], answer["tags"]) == ("New", ["a", "b"])
        assert answer["metadata"] == {"kept": True}
    assert read["updated_at"] == told["updated_at"]
    change(invoke, session_id, tags=[], metadata={"other": 1.5})
    read = invoke("get_session", {"session_id": session_id})["payload"]
    assert (read["title"], read["tags"], read["metadata"]) == ("New", [], {"other": 1.5})


def test_a_retry_changes_nothing(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid4())
    first = change(invoke, session_id, title="New", request_id=request_id)
    assert change(invoke, session_id, title="New", request_id=request_id) == first


def test_a_retry_is_answered_with_what_is_there_then(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid4())
    first = change(invoke, session_id, title="New", request_id=request_id)
    time.sleep(0.005)
    change(invoke, session_id, title="Newer")
    again = change(invoke, session_id, title="New", request_id=request_id)
    read = invoke("get_session", {"session_id": session_id})["payload"]
    for name in ("title", "updated_at"):
        assert again["payload"][name] == read[name] != first["payload"][name]
    assert again["timestamp"] == first["timestamp"]


def test_a_closed_session_keeps_its_seal(invoke: Invoke, session_id: str) -> None:
    invoke("tool_execution", {"session_id": session_id, "tool_name": "t", "result": {}})
    seal = invoke("close_session", {"session_id": session_id})["metadata"]["seal"]
    change(invoke, session_id, title="After all")
    lines = invoke("export_session", {"session_id": session_id})["payload"]["lines"]
    assert verify(lines.splitlines(), seal).is_closed


def test_the_time_of_its_last_change_never_goes_back(invoke: Invoke, session_id: str) -> None:
    """Whichever clock is behind: else the change would be refused until it has caught up."""
    before = invoke("get_session", {"session_id": session_id})["payload"]["updated_at"]
    with mock.patch.object(sessions, "now", return_value=now() - timedelta(hours=1)):
        told = change(invoke, session_id, title="New")["payload"]
    assert (told["title"], told["updated_at"] >= before) == ("New", True)


def test_what_another_changed_meanwhile_is_told(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that is behind, so that nothing shows that there was another."""

    def tag() -> None:
        with mock.patch.object(sessions, "now", return_value=now() - timedelta(hours=1)):
            change(invoke, session_id, tags=["other"])

    overtake(monkeypatch, dynamodb, "transact", tag)
    told = change(invoke, session_id, title="New")["payload"]
    assert (told["title"], told["tags"]) == ("New", ["other"])


@pytest.mark.parametrize(
    "wrong", [{}, {"title": ""}, {"title": "x" * 201}, {"tags": [""]}, {"casefile_id": "cf_1"}]
)
def test_bounds_are_kept(invoke: Invoke, session_id: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        change(invoke, session_id, **wrong)
