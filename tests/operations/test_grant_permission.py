"""Sharing a casefile: with somebody, with everybody, and handing it over."""

from typing import Any
from uuid import uuid4

import pytest

from casefile import dynamodb
from casefile.errors import BadRequest, Forbidden, NotFound
from tests.conftest import Invoke, Lines, overtake, stored
from tests.replicas import lagging

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"])


def grant(
    invoke: Invoke, casefile_id: str, target: str, level: str, user: str = ANN, **more: Any
) -> dict[str, Any]:
    request = {name: more.pop(name) for name in ("request_id",) if name in more}
    asked = {"casefile_id": casefile_id, "target_user_id": target, "permission": level, **more}
    told: dict[str, Any] = invoke("grant_permission", asked, user=user, **request)["payload"]
    return told


def level(invoke: Invoke, casefile_id: str, who: str) -> str:
    asked = {"casefile_id": casefile_id, "user_id": who, "required_permission": "viewer"}
    try:
        return str(invoke("check_permission", asked, user=who)["payload"]["permission"])
    except NotFound:
        return "none"


def test_who_was_granted_reads_and_writes_what_is_filed(invoke: Invoke, casefile_id: str) -> None:
    filed = {"casefile_id": casefile_id}
    session_id = invoke("create_chat_session", filed)["payload"]["session_id"]
    said = {"session_id": session_id, "message": "hello"}
    with pytest.raises(NotFound):
        invoke("chat", said, user=BOB)
    told = grant(invoke, casefile_id, "Bob@Example.com", "viewer", notes="for a look")
    assert (told["target_user_id"], told["granted_by"]) == (BOB, ANN)
    with pytest.raises(Forbidden, match="You are viewer of this session"):
        invoke("chat", said, user=BOB)
    grant(invoke, casefile_id, BOB, "editor")
    invoke("chat", said)
    answer = invoke("chat", said, user=BOB)["payload"]
    assert (answer["record"], answer["message"]["user_id"]) == (2, BOB)
    read = invoke("list_chat_messages", {"session_id": session_id}, user=BOB)["payload"]
    assert [message["user_id"] for message in read["messages"]] == [ANN, BOB]


def test_empty_notes_are_none(invoke: Invoke, casefile_id: str) -> None:
    for who, notes in ((BOB, ""), (EVE, "for a look")):
        grant(invoke, casefile_id, who, "viewer", notes=notes)
    listed = invoke("list_permissions", {"casefile_id": casefile_id})["payload"]["permissions"]
    assert [entry["notes"] for entry in listed] == [None, "for a look"]


def test_what_is_revoked_ends_at_once_also_for_a_warm_instance_and_though_replicas_lag(
    invoke: Invoke, casefile_id: str
) -> None:
    filed = {"casefile_id": casefile_id}
    session_id = invoke("create_chat_session", filed)["payload"]["session_id"]
    grant(invoke, casefile_id, BOB, "editor")
    said = {"session_id": session_id, "message": "hello"}
    invoke("chat", said, user=BOB)
    slot = f"GRANT#{BOB}"
    (granted,) = [item for item in stored() if item["sk"]["S"] == slot]
    invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": BOB})
    with lagging(lambda _: False, {slot: granted}), pytest.raises(NotFound):
        invoke("chat", said, user=BOB)


def test_a_grant_that_was_seen_before_a_session_left_and_came_back_counts_no_more(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items that are read together need not be of one moment: Bob's is read first."""
    filed = {"casefile_id": casefile_id}
    session = {"session_id": invoke("create_chat_session", filed)["payload"]["session_id"]}
    grant(invoke, casefile_id, BOB, "editor")
    said = session | {"message": "hello"}
    invoke("chat", said, user=BOB)
    get_many = dynamodb.get_many

    def torn(keys: Any) -> Any:
        monkeypatch.setattr(dynamodb, "get_many", get_many)
        asked = list(keys)
        granted = [item for item in get_many(asked) if item["pk"].startswith("CASEFILE#")]
        invoke("remove_session_from_casefile", session | filed)
        invoke("revoke_permission", filed | {"target_user_id": BOB})
        invoke("add_session_to_casefile", session | filed | {"session_type": "chat"})
        return granted + [item for item in get_many(asked) if item["pk"].startswith("SESSION#")]

    monkeypatch.setattr(dynamodb, "get_many", torn)
    with pytest.raises(NotFound):
        invoke("chat", said, user=BOB)


def test_a_grant_ends_with_the_second_in_which_it_expires(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = grant(invoke, casefile_id, BOB, "editor", expires_at="2999-12-31T23:59:59Z")
    assert level(invoke, casefile_id, BOB) == "editor"
    key = {"pk": f"CASEFILE#{casefile_id}", "sk": f"GRANT#{BOB}"}
    expiry = {":then": 1_000_000}
    dynamodb.update(key, "SET expires_at = :then", condition="attribute_exists(pk)", values=expiry)
    assert level(invoke, casefile_id, BOB) == "none"
    listed = invoke("list_permissions", {"casefile_id": casefile_id})["payload"]
    assert (listed["permissions"], listed["total_users"]) == ([], 1)
    assert told["permission"] == "editor"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"expires_at": "2001-01-01T00:00:00Z"}, "has passed already"),
        ({"permission": "none"}, "revoke it"),
        ({"permission": "king"}, "permission"),
        ({"target_user_id": "b"}, "target_user_id"),
        ({"target_user_id": "*", "permission": "admin"}, "viewer or editor"),
        ({"target_user_id": "*", "permission": "owner"}, "viewer or editor"),
        ({"permission": "owner", "expires_at": "2999-01-01T00:00:00Z"}, "for good"),
    ],
)
def test_what_makes_no_sense_is_refused(
    invoke: Invoke, casefile_id: str, wrong: dict[str, str], told: str
) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "viewer", **wrong}
    with pytest.raises(BadRequest, match=told):
        invoke("grant_permission", asked)


def test_everybody_signed_in_may_be_let_in_and_out(invoke: Invoke, casefile_id: str) -> None:
    grant(invoke, casefile_id, "*", "viewer")
    assert level(invoke, casefile_id, EVE) == "viewer"
    acl = invoke("get_casefile", {"casefile_id": casefile_id}, user=EVE)["payload"]["casefile"]
    assert acl["acl"]["public_access"] == "viewer"
    assert acl["acl"]["permissions"] == []
    invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": "*"})
    assert level(invoke, casefile_id, EVE) == "none"


def test_handing_over_leaves_the_former_owner_an_admin(invoke: Invoke, casefile_id: str) -> None:
    request_id = str(uuid4())
    grant(invoke, casefile_id, BOB, "viewer")
    first = grant(invoke, casefile_id, BOB, "owner", request_id=request_id)
    assert (level(invoke, casefile_id, BOB), level(invoke, casefile_id, ANN)) == ("owner", "admin")
    assert grant(invoke, casefile_id, BOB, "owner", request_id=request_id) == first
    read = invoke("get_casefile", {"casefile_id": casefile_id}, user=BOB)["payload"]["casefile"]
    assert read["acl"]["owner_id"] == BOB
    assert read["metadata"]["created_by"] == ANN
    assert [entry["user_id"] for entry in read["acl"]["permissions"]] == [ANN]
    with pytest.raises(Forbidden, match="can't be removed"):
        invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": BOB})
    grant(invoke, casefile_id, ANN, "owner", user=BOB)
    assert (level(invoke, casefile_id, BOB), level(invoke, casefile_id, ANN)) == ("admin", "owner")


def test_an_admin_shares_up_to_admin_and_not_with_the_owner(
    invoke: Invoke, casefile_id: str
) -> None:
    grant(invoke, casefile_id, BOB, "admin")
    grant(invoke, casefile_id, EVE, "admin", user=BOB)
    for target, level_, told in (
        (EVE, "owner", "can't grant more"),
        (EVE, "viewer", "what an admin has"),
        (EVE, "admin", "what an admin has"),
        (BOB, "viewer", "what an admin has"),
        (ANN, "viewer", "can't be removed"),
    ):
        with pytest.raises(Forbidden, match=told):
            grant(invoke, casefile_id, target, level_, user=BOB)
    with pytest.raises(Forbidden):
        invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": EVE}, user=BOB)


def test_a_giver_who_is_stopped_meanwhile_gives_nothing(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob looks, is revoked, and only then writes."""
    grant(invoke, casefile_id, BOB, "admin")
    asked = {"casefile_id": casefile_id, "target_user_id": BOB}
    overtake(monkeypatch, dynamodb, "transact", lambda: invoke("revoke_permission", asked))
    with pytest.raises(NotFound):
        grant(invoke, casefile_id, EVE, "editor", user=BOB)
    assert level(invoke, casefile_id, EVE) == "none"


def test_who_is_given_more_meanwhile_keeps_it(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob looks, Ann makes Eve his equal, and only then he writes."""
    grant(invoke, casefile_id, BOB, "admin")
    overtake(monkeypatch, dynamodb, "transact", lambda: grant(invoke, casefile_id, EVE, "admin"))
    with pytest.raises(Forbidden, match="what an admin has"):
        grant(invoke, casefile_id, EVE, "viewer", user=BOB)
    assert level(invoke, casefile_id, EVE) == "admin"


def test_a_change_of_access_leaves_a_line(invoke: Invoke, casefile_id: str, lines: Lines) -> None:
    grant(invoke, casefile_id, BOB, "editor", notes="secret reasons")
    (told,) = [line for line in lines() if line["message"] == "access changed"]
    assert (told["user_id"], told["target_user_id"]) == (ANN, BOB)
    assert (told["before"], told["after"], told["casefile_id"]) == ("none", "editor", casefile_id)
    assert "secret" not in str(told)


def test_nobody_prolongs_their_own_grant(invoke: Invoke, casefile_id: str) -> None:
    grant(invoke, casefile_id, BOB, "admin", expires_at="2999-01-01T00:00:00Z")
    with pytest.raises(Forbidden, match="what an admin has"):
        grant(invoke, casefile_id, BOB, "admin", user=BOB)
    listed = invoke("list_permissions", {"casefile_id": casefile_id})["payload"]["permissions"]
    assert [entry["expires_at"] for entry in listed] == ["2999-01-01T00:00:00.000+00:00"]


def test_a_hand_over_that_was_seen_in_part_is_looked_at_again(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items that are read together need not be of one moment."""
    get_many = dynamodb.get_many

    def torn(keys: Any) -> Any:
        monkeypatch.setattr(dynamodb, "get_many", get_many)
        (head,) = (item for item in get_many(keys) if item["sk"] == "HEAD")
        grant(invoke, casefile_id, BOB, "owner")
        return [item for item in get_many(keys) if item["sk"] != "HEAD"] + [head]

    monkeypatch.setattr(dynamodb, "get_many", torn)
    with pytest.raises(Forbidden, match="can't be removed"):
        grant(invoke, casefile_id, BOB, "viewer")
    assert level(invoke, casefile_id, BOB) == "owner"


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("add_session_to_casefile", {"session_type": "tool"}),
        ("create_session", {}),
        ("grant_permission", {"target_user_id": EVE, "permission": "viewer"}),
        ("revoke_permission", {"target_user_id": EVE}),
        ("set_legal_hold", {"hold": True}),
        ("update_casefile", {"title": "Mine still"}),
    ],
)
def test_who_gave_a_casefile_away_and_was_let_out_changes_nothing_in_it(
    invoke: Invoke,
    casefile_id: str,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    asked: dict[str, Any],
) -> None:
    """Ann looks, then gives it to Bob, who lets her out; only then she writes."""
    if operation == "add_session_to_casefile":
        asked = asked | {"session_id": invoke("create_session")["payload"]["session_id"]}
    if operation == "revoke_permission":
        grant(invoke, casefile_id, EVE, "viewer")
    left: list[Any] = []

    def give_away() -> None:
        grant(invoke, casefile_id, BOB, "owner")
        let_out = {"casefile_id": casefile_id, "target_user_id": ANN}
        invoke("revoke_permission", let_out, user=BOB)
        left.extend(stored())

    overtake(monkeypatch, dynamodb, "transact", give_away)
    with pytest.raises(NotFound):
        invoke(operation, asked | {"casefile_id": casefile_id})
    assert stored() == left
