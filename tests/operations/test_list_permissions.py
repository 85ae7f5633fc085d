"""The access list: admins see everybody, in pages, others themselves."""

from typing import Any

import pytest

from casefile import dynamodb, grants
from casefile.errors import BadRequest
from pydantic_models.operations import ListPermissionsResponse, PermissionListPayload
from tests.conftest import Invoke
from tests.replicas import lagging

MANY = 203
LONGEST = f"zz{chr(0x1F9F3) * 252}"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"])


def share(invoke: Invoke, casefile_id: str, user: str, level: str, **more: Any) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": user, "permission": level, **more}
    invoke("grant_permission", asked)


def share_with_many(casefile_id: str, **more: Any) -> list[str]:
    """Let many view it, without as many requests; returns who they are, by name."""
    names = [f"user{number:04}@example.com" for number in range(MANY)]
    given: dict[str, Any] = {
        "level": "viewer",
        "granted_by": "ann@example.com",
        "at": 1,
        "request_id": b"x",
    }
    pk = f"CASEFILE#{casefile_id}"
    dynamodb.put_many([{"pk": pk, "sk": f"GRANT#{name}", **given, **more} for name in names])
    return names


def listed(
    invoke: Invoke, casefile_id: str, user: str = "ann@example.com", **asked: Any
) -> PermissionListPayload:
    answer = invoke("list_permissions", {"casefile_id": casefile_id, **asked}, user=user)
    return ListPermissionsResponse.model_validate(answer).payload


def names(page: PermissionListPayload) -> list[str]:
    return [entry.user_id for entry in page.permissions]


def test_each_sees_what_is_theirs_to_see(invoke: Invoke, casefile_id: str) -> None:
    for name, level in (("adam", "admin"), ("vera", "viewer"), ("eve", "editor")):
        share(invoke, casefile_id, f"{name}@example.com", level, notes=f"for {name}")

    def seen(user: str) -> tuple[list[str], bool]:
        told = listed(invoke, casefile_id, f"{user}@example.com")
        assert told.owner_id == "ann@example.com"
        assert told.total_users == 1 + len(told.permissions)
        assert told.cursor is None
        return [name.partition("@")[0] for name in names(told)], told.total_is_exact

    assert seen("ann") == seen("adam") == (["adam", "eve", "vera"], True)
    assert seen("vera") == (["vera"], False)
    assert seen("eve") == (["eve"], False)
    share(invoke, casefile_id, "*", "viewer")
    assert seen("stranger") == ([], False)
    assert seen("ann") == (["adam", "eve", "vera"], True)


def test_pages_make_up_the_whole_list_however_long(invoke: Invoke, casefile_id: str) -> None:
    everybody = share_with_many(casefile_id)
    share(invoke, casefile_id, "*", "viewer")
    first = listed(invoke, casefile_id)
    assert len(first.permissions) == 100
    page, found, totals = first, names(first), [first.total_users]
    while page.cursor is not None:
        assert not page.total_is_exact
        page = listed(invoke, casefile_id, cursor=page.cursor)
        found += names(page)
        totals.append(page.total_users)
    assert found == everybody
    assert totals == [101, 201, MANY + 1]
    assert page.total_is_exact


def test_a_casefile_is_read_with_the_first_page_and_where_it_goes_on(
    invoke: Invoke, casefile_id: str
) -> None:
    everybody = share_with_many(casefile_id)
    acl = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]["acl"]
    assert [entry["user_id"] for entry in acl["permissions"]] == everybody[:100]
    assert names(listed(invoke, casefile_id, cursor=acl["cursor"])) == everybody[100:200]


@pytest.mark.parametrize("operation", ["list_permissions", "get_casefile"])
def test_who_comes_late_in_a_long_list_sees_their_own_grant_and_reads_no_other(
    invoke: Invoke, casefile_id: str, calls: list[str], operation: str
) -> None:
    last = share_with_many(casefile_id)[-1]
    calls.clear()
    told = invoke(operation, {"casefile_id": casefile_id}, user=last)["payload"]
    acl = told["casefile"]["acl"] if operation == "get_casefile" else told
    assert [entry["user_id"] for entry in acl["permissions"]] == [last]
    assert acl["cursor"] is None
    of_sessions = 4 if operation == "get_casefile" else 0
    assert calls.count("Query") == of_sessions


def test_what_changes_between_two_pages_hides_and_repeats_nobody(
    invoke: Invoke, casefile_id: str
) -> None:
    for name in ("bob", "cat", "dan", "eve"):
        share(invoke, casefile_id, f"{name}@example.com", "viewer")
    first = listed(invoke, casefile_id, limit=2)
    assert names(first) == ["bob@example.com", "cat@example.com"]
    for name in ("bob", "dan"):  # The one that the next page would begin with, too.
        gone = {"casefile_id": casefile_id, "target_user_id": f"{name}@example.com"}
        invoke("revoke_permission", gone)
    share(invoke, casefile_id, "adam@example.com", "viewer")
    second = listed(invoke, casefile_id, limit=2, cursor=first.cursor)
    assert (names(second), second.cursor) == (["eve@example.com"], None)


def test_a_page_is_full_and_has_no_cursor_if_nobody_follows(
    invoke: Invoke, casefile_id: str
) -> None:
    for name in ("bob", "cat", "dan"):
        share(invoke, casefile_id, f"{name}@example.com", "viewer")
    gone = {"casefile_id": casefile_id, "target_user_id": "dan@example.com"}
    invoke("revoke_permission", gone)
    page = listed(invoke, casefile_id, limit=2)
    assert (len(page.permissions), page.cursor, page.total_is_exact) == (2, None, True)


def test_many_grants_that_are_worth_nothing_do_not_keep_a_page_long(
    invoke: Invoke, casefile_id: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MAX_LOOKED_AT", 120)
    share_with_many(casefile_id, expires_at=2)
    share(invoke, casefile_id, "zoe@example.com", "viewer")
    calls.clear()
    page = listed(invoke, casefile_id)
    assert (names(page), page.total_is_exact) == ([], False)
    assert calls.count("Query") == 2
    while page.cursor is not None:
        page = listed(invoke, casefile_id, cursor=page.cursor)
    assert (names(page), page.total_users) == (["zoe@example.com"], 2)


def test_any_name_can_begin_a_page(invoke: Invoke, casefile_id: str) -> None:
    share(invoke, casefile_id, "bob@example.com", "viewer")
    share(invoke, casefile_id, LONGEST, "viewer")
    first = listed(invoke, casefile_id, limit=1)
    assert names(listed(invoke, casefile_id, limit=1, cursor=first.cursor)) == [LONGEST]


def test_a_cursor_is_of_one_list(invoke: Invoke, casefile_id: str) -> None:
    for name in ("adam", "bob"):
        share(invoke, casefile_id, f"{name}@example.com", "admin")
    cursor = listed(invoke, casefile_id, limit=1).cursor
    other = invoke("create_casefile", {"title": "Other"})["payload"]["casefile_id"]
    for casefile, user in ((other, "ann@example.com"), (casefile_id, "adam@example.com")):
        with pytest.raises(BadRequest, match="not one of this list"):
            listed(invoke, casefile, user, cursor=cursor)


def test_who_was_just_let_in_is_listed_though_replicas_lag(
    invoke: Invoke, casefile_id: str
) -> None:
    share(invoke, casefile_id, "bob@example.com", "viewer")
    with lagging(lambda slot: slot.startswith("GRANT#")):
        assert names(listed(invoke, casefile_id)) == ["bob@example.com"]
