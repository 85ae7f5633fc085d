"""What a casefile says of itself: title, description, tags, and notes."""

from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest

from casefile import casefiles, dynamodb
from casefile.errors import BadRequest, NotFound
from pydantic_models.base.times import now
from tests.conftest import Invoke

BOB = "bob@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    asked = {"title": "Old", "description": "As it was", "tags": ["a"]}
    return str(invoke("create_casefile", asked)["payload"]["casefile_id"])


def test_what_is_given_changes_and_the_rest_stays(invoke: Invoke, casefile_id: str) -> None:
    asked = {"casefile_id": casefile_id, "title": "New", "notes": "Call the hotel."}
    request_id = str(uuid4())
    told = invoke("update_casefile", asked, request_id=request_id)["payload"]
    assert told["updated_fields"] == ["notes", "title"]
    read = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert told["casefile"] == read
    assert (read["metadata"]["title"], read["notes"]) == ("New", "Call the hotel.")
    assert (read["metadata"]["description"], read["metadata"]["tags"]) == ("As it was", ["a"])
    again = invoke("update_casefile", asked, request_id=request_id)["payload"]
    assert again == told


@pytest.mark.parametrize(
    "wrong", [{}, {"title": ""}, {"notes": "x" * 5001}, {"description": "x" * 2001}]
)
def test_bounds_are_kept(invoke: Invoke, casefile_id: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        invoke("update_casefile", {"casefile_id": casefile_id, **wrong})


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("create_session", {}),
        ("set_legal_hold", {"hold": True}),
        ("update_casefile", {"title": "New"}),
    ],
)
def test_the_time_of_its_last_change_never_goes_back(
    invoke: Invoke, casefile_id: str, operation: str, asked: dict[str, Any]
) -> None:
    """Whichever clock is behind."""

    def updated_at() -> str:
        read = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
        return str(read["metadata"]["updated_at"])

    before = updated_at()
    with mock.patch.object(casefiles, "now", return_value=now() - timedelta(hours=1)):
        invoke(operation, asked | {"casefile_id": casefile_id})
    assert updated_at() >= before


def test_who_loses_access_just_then_is_told_what_was_done(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted = {"casefile_id": casefile_id, "target_user_id": BOB}
    invoke("grant_permission", granted | {"permission": "editor"})
    transact = dynamodb.transact

    def overtaken(writes: Any) -> None:
        monkeypatch.setattr(dynamodb, "transact", transact)
        transact(writes)
        invoke("revoke_permission", granted)
        invoke("update_casefile", {"casefile_id": casefile_id, "notes": "Not for Bob"})
        invoke("create_session", {"casefile_id": casefile_id})

    monkeypatch.setattr(dynamodb, "transact", overtaken)
    asked = {"casefile_id": casefile_id, "title": "New"}
    told = invoke("update_casefile", asked, user=BOB)["payload"]["casefile"]
    assert (told["metadata"]["title"], told["notes"], told["session_ids"]) == ("New", None, [])
    assert [entry["user_id"] for entry in told["acl"]["permissions"]] == [BOB]
    with pytest.raises(NotFound):
        invoke("update_casefile", asked, user=BOB)


def test_what_is_deleted_just_then_was_changed(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact = dynamodb.transact

    def overtaken(writes: Any) -> None:
        monkeypatch.setattr(dynamodb, "transact", transact)
        transact(writes)
        invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})

    monkeypatch.setattr(dynamodb, "transact", overtaken)
    told = invoke("update_casefile", {"casefile_id": casefile_id, "notes": "Kept."})["payload"]
    assert (told["casefile"]["metadata"]["title"], told["casefile"]["notes"]) == ("Old", "Kept.")
