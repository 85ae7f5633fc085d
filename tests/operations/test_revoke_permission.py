"""Taking away what was granted."""

from uuid import uuid4

import pytest

from casefile.errors import Forbidden, NotFound
from tests.conftest import Invoke, days_left, stored

BOB = "bob@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    casefile_id = str(invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"])
    asked = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "viewer"}
    invoke("grant_permission", asked)
    return casefile_id


def test_it_is_taken_once_and_a_retry_is_told_the_same(invoke: Invoke, casefile_id: str) -> None:
    asked, request_id = {"casefile_id": casefile_id, "target_user_id": BOB}, str(uuid4())
    first = invoke("revoke_permission", asked, request_id=request_id)
    assert invoke("revoke_permission", asked, request_id=request_id) == first
    with pytest.raises(NotFound, match="Nothing is granted"):
        invoke("revoke_permission", asked)
    with pytest.raises(NotFound, match="no casefile"):
        invoke("get_casefile", {"casefile_id": casefile_id}, user=BOB)


def test_it_can_be_granted_again(invoke: Invoke, casefile_id: str) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": BOB}
    invoke("revoke_permission", asked)
    invoke("grant_permission", asked | {"permission": "editor"})
    listed = invoke("list_permissions", {"casefile_id": casefile_id})["payload"]["permissions"]
    assert [(entry["user_id"], entry["permission"]) for entry in listed] == [(BOB, "editor")]


@pytest.mark.parametrize("level", ["viewer", "editor", "admin"])
def test_whoever_was_let_in_may_leave_and_is_told_the_same_again(
    invoke: Invoke, casefile_id: str, level: str
) -> None:
    asked, request_id = {"casefile_id": casefile_id, "target_user_id": BOB}, str(uuid4())
    invoke("grant_permission", asked | {"permission": level})
    first = invoke("revoke_permission", asked, user=BOB, request_id=request_id)
    with pytest.raises(NotFound):
        invoke("get_casefile", {"casefile_id": casefile_id}, user=BOB)
    shared = invoke("list_casefiles", {"scope": "shared"}, user=BOB)["payload"]["casefiles"]
    assert shared == []
    assert invoke("revoke_permission", asked, user=BOB, request_id=request_id) == first


def test_the_owner_stays(invoke: Invoke, casefile_id: str) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": "ann@example.com"}
    with pytest.raises(Forbidden, match="hand it over"):
        invoke("revoke_permission", asked)


def test_it_is_remembered_for_a_day(invoke: Invoke, casefile_id: str) -> None:
    invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": BOB})
    (revoked,) = [item for item in stored() if item["sk"]["S"].startswith("GRANT#")]
    assert 0.99 < days_left(revoked) < 1.01
    invoke(
        "grant_permission",
        {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "viewer"},
    )
    (granted,) = [item for item in stored() if item["sk"]["S"].startswith("GRANT#")]
    assert "ttl" not in granted
