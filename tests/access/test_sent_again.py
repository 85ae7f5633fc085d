"""Requests that change something are done once, whatever came since and whoever repeats them."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import casefiles, receipts
from casefile.errors import (
    AlreadyFiled,
    BadRequest,
    CasefileError,
    Forbidden,
    NotFound,
    RequestIdReused,
)
from pydantic_models.base.times import now, to_text
from tests.conftest import Invoke, days_left, overtake, stored

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
def casefile_id(invoke: Invoke) -> str:
    return str(invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"])


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session", {"title": "Trip"})["payload"]["session_id"])


Asked = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(invoke: Invoke) -> Asked:
    """Do an operation under the name of a request: `ask("first", "chat", …)`."""
    names: dict[str, str] = {}

    def do(name: str, operation: str, payload: dict[str, Any], user: str = ANN) -> dict[str, Any]:
        request_id = names.setdefault(name, str(uuid4()))
        return invoke(operation, payload, user=user, request_id=request_id)

    return do


def level(invoke: Invoke, casefile_id: str, user: str) -> str:
    asked = {"casefile_id": casefile_id, "user_id": user, "required_permission": "viewer"}
    return str(invoke("check_permission", asked)["payload"]["permission"])


def grant(casefile_id: str, user: str, level: str, **more: Any) -> tuple[str, dict[str, Any]]:
    asked = {"casefile_id": casefile_id, "target_user_id": user, "permission": level, **more}
    return "grant_permission", asked


def revoke(casefile_id: str, user: str) -> tuple[str, dict[str, Any]]:
    return "revoke_permission", {"casefile_id": casefile_id, "target_user_id": user}


def test_a_grant_that_comes_again_gives_nothing_back(
    invoke: Invoke, ask: Asked, casefile_id: str
) -> None:
    first = ask("1", *grant(casefile_id, BOB, "editor"))
    ask("2", *revoke(casefile_id, BOB))
    assert ask("1", *grant(casefile_id, BOB, "editor")) == first
    assert level(invoke, casefile_id, BOB) == "none"


def test_a_revocation_that_comes_again_takes_nothing(
    invoke: Invoke, ask: Asked, casefile_id: str
) -> None:
    ask("1", *grant(casefile_id, BOB, "editor"))
    first = ask("2", *revoke(casefile_id, BOB))
    ask("3", *grant(casefile_id, BOB, "viewer"))
    assert ask("2", *revoke(casefile_id, BOB)) == first
    assert level(invoke, casefile_id, BOB) == "viewer"


def test_a_casefile_handed_over_twice_by_one_request_goes_once(
    invoke: Invoke, ask: Asked, casefile_id: str
) -> None:
    ask("1", *grant(casefile_id, BOB, "owner"))
    ask("2", *grant(casefile_id, ANN, "owner"), user=BOB)
    ask("1", *grant(casefile_id, BOB, "owner"))
    assert level(invoke, casefile_id, ANN) == "owner"


def test_a_grant_is_answered_again_when_it_has_expired(
    ask: Asked, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = grant(casefile_id, BOB, "viewer", expires_at=to_text(now() + timedelta(hours=1)))
    first = ask("1", *asked)
    monkeypatch.setattr("casefile.grants.now", lambda: now() + timedelta(hours=2))
    assert ask("1", *asked) == first
    with pytest.raises(BadRequest, match="passed"):
        ask("2", *asked)


def test_the_id_of_a_grant_is_not_good_for_a_revocation(
    invoke: Invoke, ask: Asked, casefile_id: str
) -> None:
    ask("1", *grant(casefile_id, BOB, "editor"))
    for other in (revoke(casefile_id, BOB), grant(casefile_id, BOB, "viewer")):
        with pytest.raises(RequestIdReused):
            ask("1", *other)
    assert level(invoke, casefile_id, BOB) == "editor"


def test_who_may_not_see_a_session_is_not_told_of_it_by_anothers_id(
    ask: Asked, casefile_id: str, session_id: str
) -> None:
    asked = {"casefile_id": casefile_id, "session_id": session_id}
    ask("file", "add_session_to_casefile", asked | {"session_type": "tool"})
    ask("1", "remove_session_from_casefile", asked)
    with pytest.raises(NotFound):
        ask("1", "remove_session_from_casefile", asked, user=EVE)


def test_the_same_id_of_two_users_is_two_requests(
    invoke: Invoke, ask: Asked, casefile_id: str, session_id: str
) -> None:
    ask("share", *grant(casefile_id, BOB, "admin"))
    session = {"casefile_id": casefile_id, "session_id": session_id}
    ask("file", "add_session_to_casefile", session | {"session_type": "tool"})
    for user in (ANN, BOB):
        ask("1", "update_casefile", {"casefile_id": casefile_id, "title": user}, user=user)
        ask("2", "update_session", {"session_id": session_id, "title": user}, user=user)
        held = {"casefile_id": casefile_id, "hold": user == ANN}
        answer = ask("3", "set_legal_hold", held, user=user)["payload"]
        assert (answer["legal_hold"] is not None) == (user == ANN)
    found = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert found["metadata"]["title"] == BOB
    assert invoke("get_session", {"session_id": session_id})["payload"]["title"] == BOB


def changes(casefile_id: str, session_id: str) -> list[tuple[str, dict[str, Any]]]:
    """One request of each kind that changes something, in an order in which each can be done."""
    session = {"casefile_id": casefile_id, "session_id": session_id}
    return [
        grant(casefile_id, BOB, "editor"),
        revoke(casefile_id, BOB),
        ("add_session_to_casefile", session | {"session_type": "tool"}),
        ("remove_session_from_casefile", session),
        ("update_casefile", {"casefile_id": casefile_id, "title": "Porto"}),
        ("update_session", {"session_id": session_id, "title": "Train"}),
        ("set_legal_hold", {"casefile_id": casefile_id, "hold": True}),
    ]


def test_the_same_id_with_other_content_is_refused(
    ask: Asked, casefile_id: str, session_id: str
) -> None:
    for name, (operation, asked) in enumerate(changes(casefile_id, session_id)):
        ask(str(name), operation, asked)
    for operation, asked in (
        ("update_casefile", {"casefile_id": casefile_id, "title": "Faro"}),
        ("update_session", {"session_id": session_id, "tags": ["x"]}),
        ("set_legal_hold", {"casefile_id": casefile_id, "hold": False}),
    ):
        for used in "456":
            with pytest.raises(RequestIdReused):
                ask(used, operation, asked)


def test_what_is_dated_too_early_or_too_late_is_refused_and_changes_nothing(
    invoke: Invoke, casefile_id: str, session_id: str
) -> None:
    for operation, asked in changes(casefile_id, session_id):
        for at in (now() - timedelta(days=15, minutes=1), now() + timedelta(minutes=6)):
            with pytest.raises(BadRequest, match="dated"):
                invoke(operation, asked, timestamp=to_text(at))
        invoke(operation, asked, timestamp=to_text(now() - timedelta(days=14, hours=23)))


def test_a_receipt_outlives_any_request_that_could_be_sent_again_and_then_goes(
    ask: Asked, casefile_id: str, session_id: str
) -> None:
    for name, (operation, asked) in enumerate(changes(casefile_id, session_id)):
        ask(str(name), operation, asked)
    found = [item for item in stored() if item["pk"]["S"].startswith("REQUEST#")]
    assert len(found) == len(changes(casefile_id, session_id)) - 1  # A filing's is in the head.
    for item in found:
        assert 15 < days_left(item) < 17
        assert ANN not in str(item)
    assert timedelta(days=15) < receipts.KEPT


def test_a_session_that_was_filed_elsewhere_since_stays_there(
    invoke: Invoke, ask: Asked, session_id: str
) -> None:
    casefiles = [
        str(invoke("create_casefile", {"title": f"{n}"})["payload"]["casefile_id"])
        for n in range(3)
    ]

    def file(name: int) -> dict[str, Any]:
        asked = {"casefile_id": casefiles[name], "session_id": session_id, "session_type": "tool"}
        return ask(f"file {name}", "add_session_to_casefile", asked)

    def take_out(name: int) -> dict[str, Any]:
        asked = {"casefile_id": casefiles[name], "session_id": session_id}
        return ask(f"out {name}", "remove_session_from_casefile", asked)

    answers = [(file(name), take_out(name)) for name in (0, 1)]
    last = file(2)
    for name in (0, 1):
        assert (file(name), take_out(name)) == answers[name]
    assert file(2) == last
    session = invoke("get_session", {"session_id": session_id})["payload"]
    assert session["casefile_id"] == casefiles[2]
    counts = [
        invoke("get_casefile", {"casefile_id": each})["payload"]["casefile"]["session_count"]
        for each in casefiles
    ]
    assert counts == [0, 0, 1]


def test_one_id_for_filing_and_taking_out_and_more_stands_in_nobodys_way(
    invoke: Invoke, ask: Asked, casefile_id: str, session_id: str
) -> None:
    asked = {"casefile_id": casefile_id, "session_id": session_id}
    filing = ("add_session_to_casefile", asked | {"session_type": "tool"})
    for name in "123":
        ask(name, *filing)
        assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"]
        ask(name, "remove_session_from_casefile", asked)
    for name in "123":
        ask(name, *filing)
    assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] is None
    other = str(invoke("create_casefile", {"title": "Porto"})["payload"]["casefile_id"])
    for name in "123":
        with pytest.raises(RequestIdReused):
            ask(name, filing[0], filing[1] | {"casefile_id": other})


class Done(NamedTuple):
    """A request that was done, and what it was answered."""

    operation: str
    asked: dict[str, Any]
    request_id: str
    answer: dict[str, Any]


def send_again(invoke: Invoke, done: Done) -> None:
    assert invoke(done.operation, done.asked, request_id=done.request_id) == done.answer


USERS, LEVELS = (BOB, EVE), ("viewer", "editor", "admin", None)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(USERS), st.sampled_from(LEVELS)),
            st.integers(0, 20),  # Sent again: that request of those before.
        ),
        max_size=16,
    )
)
def test_any_requests_sent_again_at_any_time_leave_what_they_left_once(
    invoke: Invoke, steps: list[tuple[str, str | None] | int]
) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    done: list[Done] = []
    model = dict.fromkeys(USERS, "none")
    names = count()
    for step in steps:
        if isinstance(step, int):
            if done:
                send_again(invoke, done[step % len(done)])
        else:
            user, given = step
            operation, asked = (
                revoke(casefile_id, user)
                if given is None
                else grant(casefile_id, user, given, notes=f"{next(names)}")
            )
            request_id = str(uuid4())
            try:
                answer = invoke(operation, asked, request_id=request_id)
            except (NotFound, Forbidden):
                assert (given, model[user]) == (None, "none")
                continue
            done.append(Done(operation, asked, request_id, answer))
            model[user] = given or "none"
        assert {user: level(invoke, casefile_id, user) for user in USERS} == model


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.booleans(),
    st.lists(
        st.one_of(st.sampled_from(["first", "second", "out"]), st.integers(0, 20)), max_size=14
    ),
)
def test_any_filings_sent_again_at_any_time_file_nothing_anew(
    invoke: Invoke, is_created_there: bool, steps: list[str | int]
) -> None:
    casefiles = {
        name: str(invoke("create_casefile", {"title": name})["payload"]["casefile_id"])
        for name in ("first", "second")
    }
    place: str | None = casefiles["first"] if is_created_there else None
    session_id = invoke("create_session", {"casefile_id": place})["payload"]["session_id"]
    done: list[Done] = []
    for step in steps:
        if isinstance(step, int):
            if done:
                send_again(invoke, done[step % len(done)])
        else:
            asked = {"casefile_id": casefiles.get(step, place), "session_id": session_id}
            operation = "remove_session_from_casefile"
            if step != "out":
                operation, asked = "add_session_to_casefile", asked | {"session_type": "tool"}
            elif place is None:
                continue
            request_id = str(uuid4())
            try:
                answer = invoke(operation, asked, request_id=request_id)
            except AlreadyFiled:
                assert place not in (None, asked["casefile_id"])
                continue
            done.append(Done(operation, asked, request_id, answer))
            place = None if step == "out" else casefiles[step]
        assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] == place
    for each in casefiles.values():
        found = invoke("get_casefile", {"casefile_id": each})["payload"]["casefile"]
        assert found["session_count"] == (each == place)
        invoke("delete_casefile", {"casefile_id": each, "confirm": True})
    for each_done in done:
        send_again(invoke, each_done)


def filing(casefile_id: str, session_id: str) -> tuple[str, dict[str, Any]]:
    asked = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "tool"}
    return "add_session_to_casefile", asked


def test_two_filings_at_once_of_what_is_filed_already_are_both_known_later(
    invoke: Invoke, ask: Asked, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is done while the first has seen neither it nor any other before."""
    created = invoke("create_session", {"casefile_id": casefile_id})
    session_id = str(created["payload"]["session_id"])
    filed = filing(casefile_id, session_id)
    overtake(monkeypatch, casefiles, "authorize", lambda: ask("second", *filed))
    first = ask("first", *filed)
    ask(
        "out",
        "remove_session_from_casefile",
        {"casefile_id": casefile_id, "session_id": session_id},
    )
    for name in ("first", "second"):
        assert ask(name, *filed)["payload"] == first["payload"]
    assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] is None


def test_a_filing_by_somebody_else_meanwhile_leaves_the_owners_known(
    invoke: Invoke, ask: Asked, casefile_id: str, session_id: str
) -> None:
    ask("share", *grant(casefile_id, BOB, "editor"))
    filed = filing(casefile_id, session_id)
    first = ask("first", *filed)
    assert ask("bob's", *filed, user=BOB)["payload"] == first["payload"]
    ask(
        "out",
        "remove_session_from_casefile",
        {"casefile_id": casefile_id, "session_id": session_id},
    )
    assert ask("first", *filed) == first
    assert invoke("get_session", {"session_id": session_id})["payload"]["casefile_id"] is None


@pytest.mark.parametrize("what_ends", ["the casefile", "the grant"])
def test_a_creation_is_answered_again_when_it_could_not_be_filed_any_more(
    ask: Asked, casefile_id: str, what_ends: str
) -> None:
    ask("share", *grant(casefile_id, BOB, "editor"))
    creation = ("create_session", {"casefile_id": casefile_id})
    first = ask("first", *creation, user=BOB)
    if what_ends == "the casefile":
        ask("gone", "delete_casefile", {"casefile_id": casefile_id, "confirm": True})
    else:
        ask("out", *revoke(casefile_id, BOB))
    assert ask("first", *creation, user=BOB) == first
    with pytest.raises(NotFound):
        ask("second", *creation, user=BOB)


def test_a_filing_is_answered_again_to_nobody_but_who_filed(
    invoke: Invoke, ask: Asked, casefile_id: str, session_id: str
) -> None:
    """Not to a stranger with its id and content, and to nobody once the session is gone."""
    ask("first", *filing(casefile_id, session_id))
    with pytest.raises(NotFound):
        ask("first", *filing(casefile_id, session_id), user=EVE)
    invoke("delete_session", {"session_id": session_id, "confirm": True})
    with pytest.raises(NotFound):
        ask("first", *filing(casefile_id, session_id))


def test_two_at_once_with_one_receipt_change_once(
    invoke: Invoke, casefile_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins before the first has ended, and sees no receipt yet."""
    request_id = str(uuid4())
    inner: list[dict[str, Any]] = []
    operation, asked = grant(casefile_id, BOB, "editor")

    def give_and_take() -> None:
        inner.append(invoke(operation, asked, request_id=request_id))
        inner.append(invoke(*revoke(casefile_id, BOB)))

    overtake(monkeypatch, receipts, "leaving", give_and_take)
    assert invoke(operation, asked, request_id=request_id) == inner[0]
    assert level(invoke, casefile_id, BOB) == "none"


def test_a_refused_request_leaves_no_receipt(invoke: Invoke, ask: Asked, casefile_id: str) -> None:
    with pytest.raises(CasefileError):
        ask("1", *revoke(casefile_id, BOB))
    invoke(*grant(casefile_id, BOB, "viewer"))
    ask("1", *revoke(casefile_id, BOB))
    assert level(invoke, casefile_id, BOB) == "none"
