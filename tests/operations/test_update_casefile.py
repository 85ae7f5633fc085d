"""What a casefile says of itself: title, description, tags, and notes."""

from typing import Any
from uuid import uuid4

import pytest

from casefile.errors import BadRequest
from tests.conftest import Invoke


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
