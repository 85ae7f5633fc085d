"""Opening a casefile: once per request."""

from uuid import uuid4

import pytest

from casefile.errors import BadRequest, RequestIdReused
from pydantic_models.operations import CreateCasefileResponse
from tests.conftest import Invoke, stored


def test_it_answers_as_the_contract_says(invoke: Invoke) -> None:
    asked = invoke("create_casefile", {"title": "Lisbon"}, timestamp="2026-03-04T05:06:07Z")
    answer = CreateCasefileResponse.model_validate(asked).payload
    assert answer.casefile_id.startswith("cf_260304_")
    assert (answer.title, answer.created_by) == ("Lisbon", "ann@example.com")


def test_a_retry_opens_no_second_casefile(invoke: Invoke) -> None:
    request_id = str(uuid4())
    first = invoke("create_casefile", {"title": "Lisbon"}, request_id=request_id)
    assert invoke("create_casefile", {"title": "Lisbon"}, request_id=request_id) == first
    assert len(stored()) == 1
    with pytest.raises(RequestIdReused):
        invoke("create_casefile", {"title": "Porto"}, request_id=request_id)


def test_a_retry_gets_its_answer_though_the_casefile_was_handed_over(invoke: Invoke) -> None:
    request_id = str(uuid4())
    first = invoke("create_casefile", {"title": "Lisbon"}, request_id=request_id)
    handing_over = {
        "casefile_id": first["payload"]["casefile_id"],
        "target_user_id": "bob@example.com",
        "permission": "owner",
    }
    invoke("grant_permission", handing_over)
    assert invoke("create_casefile", {"title": "Lisbon"}, request_id=request_id) == first


def test_metadata_is_kept(invoke: Invoke) -> None:
    asked = invoke("create_casefile", {"title": "Lisbon"}, metadata={"cost_center": [7, 1.5]})
    read = invoke("get_casefile", {"casefile_id": asked["payload"]["casefile_id"]})
    metadata = read["payload"]["casefile"]["metadata"]
    assert metadata["request_metadata"] == {"cost_center": [7, 1.5]}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"title": ""},
        {"title": "x" * 201},
        {"title": "x", "description": "x" * 2001},
        {"title": "x", "tags": "travel"},
        {"title": "x", "tags": [""]},
        {"title": "x", "tags": ["tag"] * 51},
        {"title": "x", "owner": "bob@example.com"},
        {"title": "half \ud800"},
    ],
)
def test_bounds_are_kept(invoke: Invoke, payload: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match=r"payload\."):
        invoke("create_casefile", payload)
    assert stored() == []
