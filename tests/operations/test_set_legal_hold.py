"""A legal hold: while it lasts, nothing of the casefile or filed in it is deleted or taken out."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from casefile import casefiles, dynamodb
from casefile.errors import BadRequest, LegalHold, Outdated
from pydantic_models.base.times import now, to_text
from tests.conftest import Invoke, Lines, overtake, stored

BOB = "bob@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Claim"})["payload"]["casefile_id"])


@pytest.fixture
def session_id(invoke: Invoke, casefile_id: str) -> str:
    created = invoke("create_chat_session", {"casefile_id": casefile_id})["payload"]
    invoke("chat", {"session_id": created["session_id"], "message": "hello"})
    return str(created["session_id"])


def hold(invoke: Invoke, casefile_id: str, is_held: bool = True, **more: Any) -> Any:
    asked = {"casefile_id": casefile_id, "hold": is_held, **more}
    return invoke("set_legal_hold", asked)["payload"]["legal_hold"]


def hold_late(invoke: Invoke, casefile_id: str, is_held: bool, age: timedelta) -> None:
    """By a request that was made so long ago, and comes now."""
    asked = {"casefile_id": casefile_id, "hold": is_held}
    at = to_text(now() - age)
    invoke("set_legal_hold", asked, request_id=str(uuid4()), timestamp=at)


def shown(invoke: Invoke, casefile_id: str) -> Any:
    return invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]["legal_hold"]


def taking(casefile_id: str, session_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Whatever would take something away."""
    filing = {"casefile_id": casefile_id, "session_id": session_id}
    return [
        ("remove_session_from_casefile", filing),
        ("delete_chat_session", {"session_id": session_id, "confirm": True}),
        ("delete_casefile", {"casefile_id": casefile_id, "confirm": True}),
        ("delete_casefile", {"casefile_id": casefile_id, "confirm": True, "delete_sessions": True}),
    ]


@pytest.mark.parametrize("number", range(4))
def test_nothing_is_taken_away_until_it_is_lifted(
    invoke: Invoke, casefile_id: str, session_id: str, number: int
) -> None:
    operation, payload = taking(casefile_id, session_id)[number]
    hold(invoke, casefile_id)
    before = stored()
    with pytest.raises(LegalHold, match="under legal hold"):
        invoke(operation, payload)
    assert stored() == before
    hold(invoke, casefile_id, is_held=False)
    assert invoke(operation, payload)["status"] == "completed"


def test_everything_else_goes_on(invoke: Invoke, casefile_id: str, session_id: str) -> None:
    hold(invoke, casefile_id)
    invoke("chat", {"session_id": session_id, "message": "still here"})
    invoke("create_session", {"casefile_id": casefile_id})
    invoke("update_casefile", {"casefile_id": casefile_id, "title": "Claim 2"})
    invoke("close_chat_session", {"session_id": session_id})
    told = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert (told["session_count"], told["metadata"]["title"]) == (2, "Claim 2")
    loose = invoke("create_session")["payload"]["session_id"]
    invoke("delete_session", {"session_id": loose, "confirm": True})


def test_it_says_who_placed_it_when_and_why(invoke: Invoke, casefile_id: str) -> None:
    assert shown(invoke, casefile_id) is None
    placed = hold(invoke, casefile_id, reason="Claim 4711")
    assert (placed["placed_by"], placed["reason"]) == ("ann@example.com", "Claim 4711")
    assert shown(invoke, casefile_id) == placed
    assert hold(invoke, casefile_id, reason="Another") == placed
    assert hold(invoke, casefile_id, is_held=False) is None
    assert hold(invoke, casefile_id, is_held=False) is None
    assert shown(invoke, casefile_id) is None
    assert not any(name.startswith("held") for item in stored() for name in item)
    assert hold(invoke, casefile_id)["reason"] is None


@pytest.mark.parametrize("is_held_already", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_sent_again_late_it_changes_nothing_and_gets_the_first_answer(
    invoke: Invoke, casefile_id: str, first: bool, is_held_already: bool
) -> None:
    """What somebody else asked for since stands, whether the first time changed anything or not."""
    share = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "admin"}
    invoke("grant_permission", share)
    if is_held_already:
        hold(invoke, casefile_id, reason="Claim 4711")
    request_id = str(uuid4())
    asked = {"casefile_id": casefile_id, "hold": first, "reason": "Claim 4712" if first else None}

    def ask() -> Any:
        return invoke("set_legal_hold", asked, user=BOB, request_id=request_id)

    answer = ask()
    for _ in range(3):
        hold(invoke, casefile_id, is_held=not first)
        hold(invoke, casefile_id, is_held=first)
    hold(invoke, casefile_id, is_held=not first)
    before = stored()
    assert ask() == answer
    assert stored() == before
    assert (shown(invoke, casefile_id) is None) is first
    told = answer["payload"]["legal_hold"]
    if told is not None:
        assert answer["timestamp"] == told["placed_at"]
    if not first:
        assert told is None
    elif is_held_already:
        assert (told["placed_by"], told["reason"]) == ("ann@example.com", "Claim 4711")
    else:
        assert (told["placed_by"], told["reason"]) == (BOB, "Claim 4712")
    hold(invoke, casefile_id, is_held=False)
    invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
    assert ask() == answer


@pytest.mark.parametrize("wrong", [{}, {"hold": "yes please"}, {"hold": True, "reason": ""}])
def test_it_must_be_said_clearly(invoke: Invoke, casefile_id: str, wrong: dict[str, Any]) -> None:
    before = stored()
    with pytest.raises(BadRequest):
        invoke("set_legal_hold", {"casefile_id": casefile_id, **wrong})
    assert stored() == before


@pytest.mark.parametrize("number", range(4))
def test_placed_at_the_last_moment_it_holds(
    invoke: Invoke,
    casefile_id: str,
    session_id: str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Right before the write that would take something away, and after every look."""
    operation, payload = taking(casefile_id, session_id)[number]
    client = dynamodb.client()
    changing = {"TransactWriteItems", "UpdateItem"}

    def place(model: Any, **_: Any) -> None:
        if model.name in changing:
            client.meta.events.unregister("before-call.dynamodb", place)
            hold(invoke, casefile_id)

    client.meta.events.register("before-call.dynamodb", place)
    with pytest.raises(LegalHold):
        invoke(operation, payload)
    assert casefiles.authorize(casefile_id, "ann@example.com").session_count == 1
    assert invoke("get_chat_session", {"session_id": session_id})["payload"]["message_count"] == 1


@pytest.mark.parametrize("is_held", [True, False])
def test_of_two_who_ask_for_the_same_at_once_only_the_first_changes_it(
    invoke: Invoke,
    casefile_id: str,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
    is_held: bool,
) -> None:
    """Who placed it, when and why, is told as it was placed first."""
    share = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "admin"}
    invoke("grant_permission", share)
    if not is_held:
        hold(invoke, casefile_id)
    first: list[Any] = []
    asked = {"casefile_id": casefile_id, "hold": is_held, "reason": "Claim 1" if is_held else None}

    def overtaking() -> None:
        lines()
        first.append(invoke("set_legal_hold", asked, user=BOB))

    overtake(monkeypatch, dynamodb, "transact", overtaking)
    more = {"reason": "Claim 2"} if is_held else {}
    assert hold(invoke, casefile_id, is_held, **more) == first[0]["payload"]["legal_hold"]
    assert shown(invoke, casefile_id) == first[0]["payload"]["legal_hold"]
    (told,) = [line for line in lines() if line["message"] == "legal hold changed"]
    assert told["user_id"] == BOB


def test_a_change_of_it_is_logged(invoke: Invoke, casefile_id: str, lines: Lines) -> None:
    request_id = str(uuid4())
    asked = {"casefile_id": casefile_id, "hold": True, "reason": "secret"}
    invoke("set_legal_hold", asked, request_id=request_id)
    invoke("set_legal_hold", asked)
    (told,) = [line for line in lines() if line["message"] == "legal hold changed"]
    assert (told["casefile_id"], told["user_id"]) == (casefile_id, "ann@example.com")
    assert (told["is_held"], told["request_id"]) == (True, request_id)
    assert "secret" not in str(told)


@pytest.mark.parametrize("is_held", [True, False])
def test_what_was_asked_for_before_what_is_there_comes_too_late(
    invoke: Invoke, casefile_id: str, lines: Lines, is_held: bool
) -> None:
    """A request of nine days ago comes out of dead letters; the hold was changed since."""
    hold(invoke, casefile_id)
    if not is_held:
        hold(invoke, casefile_id, is_held=False)
    before, _ = stored(), lines()
    for _ in range(2):
        with pytest.raises(Outdated, match="under legal hold"):
            hold_late(invoke, casefile_id, not is_held, timedelta(days=9))
    assert stored() == before
    assert [line for line in lines() if line["message"] == "legal hold changed"] == []
    assert (shown(invoke, casefile_id) is not None) is is_held
    hold(invoke, casefile_id, is_held=not is_held)
    assert (shown(invoke, casefile_id) is None) is is_held


def test_who_asks_once_more_for_the_hold_that_is_there_keeps_it_from_requests_before(
    invoke: Invoke, casefile_id: str
) -> None:
    hold_late(invoke, casefile_id, True, timedelta(days=9))
    hold_late(invoke, casefile_id, True, timedelta(days=5))
    with pytest.raises(Outdated):
        hold_late(invoke, casefile_id, False, timedelta(days=7))
    hold_late(invoke, casefile_id, False, timedelta(days=3))
    assert shown(invoke, casefile_id) is None


def test_requests_that_come_late_together_take_effect_in_the_order_in_which_they_come(
    invoke: Invoke, casefile_id: str
) -> None:
    """They waited for an hour; the clocks of those who sent them are minutes apart."""
    for is_held, minutes in ((True, 60), (False, 63), (True, 59), (False, 58)):
        hold_late(invoke, casefile_id, is_held, timedelta(minutes=minutes))
        assert (shown(invoke, casefile_id) is not None) is is_held


def test_one_that_comes_just_in_time_lets_no_older_one_in(invoke: Invoke, casefile_id: str) -> None:
    hold_late(invoke, casefile_id, True, timedelta(minutes=60))
    hold_late(invoke, casefile_id, False, timedelta(minutes=63))
    with pytest.raises(Outdated):
        hold_late(invoke, casefile_id, True, timedelta(minutes=67))
    assert shown(invoke, casefile_id) is None


def test_a_lift_does_not_take_a_hold_that_was_placed_meanwhile(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was lifted and placed anew between the look and the write of one that comes late."""
    hold_late(invoke, casefile_id, True, timedelta(days=9))

    def place_anew() -> None:
        hold(invoke, casefile_id, is_held=False)
        hold(invoke, casefile_id, reason="Claim 2")

    overtake(monkeypatch, dynamodb, "transact", place_anew)
    with pytest.raises(Outdated):
        hold_late(invoke, casefile_id, False, timedelta(days=8))
    assert shown(invoke, casefile_id)["reason"] == "Claim 2"
