"""Lists of tool sessions: newest first, filtered, in pages that neither repeat nor hide."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import cursors, dynamodb, lists
from casefile.errors import BadRequest, Forbidden, NotFound
from pydantic_models.operations import ListSessionsResponse, SessionListPayload
from pydantic_models.operations.lists import MAX_OFFSET
from tests.conftest import Context, Invoke, forget, load, overtake
from tests.events import event

BOB = "bob@example.com"


def create(invoke: Invoke, title: str | None = None, **more: Any) -> str:
    payload = {"title": title, "casefile_id": more.pop("casefile_id", None)}
    return str(invoke("create_session", payload, **more)["payload"]["session_id"])


def listed(invoke: Invoke, user: str = "ann@example.com", **asked: Any) -> SessionListPayload:
    answer = invoke("list_sessions", asked, user=user)
    return ListSessionsResponse.model_validate(answer).payload


def titles(invoke: Invoke, **asked: Any) -> list[str | None]:
    return [session.title for session in listed(invoke, **asked).sessions]


def walked(invoke: Invoke, **asked: Any) -> list[str]:
    """All ids, page by page."""
    found: list[str] = []
    page = listed(invoke, **asked)
    while True:
        found += [session.session_id for session in page.sessions]
        if page.cursor is None:
            return found
        page = listed(invoke, **asked, cursor=page.cursor)


def test_what_was_active_last_comes_first_or_what_was_created_last(invoke: Invoke) -> None:
    first, second, _third = (create(invoke, title) for title in ("one", "two", "three"))
    assert titles(invoke) == ["three", "two", "one"]
    invoke("update_session", {"session_id": first, "tags": ["x"]})
    assert titles(invoke) == ["one", "three", "two"]
    assert titles(invoke, order="creation") == ["three", "two", "one"]
    invoke("close_session", {"session_id": second})
    assert titles(invoke) == ["one", "three"]
    assert titles(invoke, active_only=False) == ["two", "one", "three"]
    assert titles(invoke, active_only=False, order="creation") == ["three", "two", "one"]


def test_by_creation_a_walk_sees_each_once_whatever_happens_meanwhile(invoke: Invoke) -> None:
    ids = [create(invoke, str(number)) for number in range(9)]

    def walked_on(order: str, untouched: list[str]) -> list[str]:
        """Walk through all, while something happens to two of those that come last."""
        asked: dict[str, Any] = {"order": order, "active_only": False, "limit": 3}
        page = listed(invoke, **asked)
        found = [session.session_id for session in page.sessions]
        closed, moved = untouched
        invoke("close_session", {"session_id": closed})
        invoke("update_session", {"session_id": moved, "tags": ["moved"]})
        while page.cursor is not None:
            page = listed(invoke, **asked, cursor=page.cursor)
            found += [session.session_id for session in page.sessions]
        return found

    assert walked_on("creation", ids[:2]) == ids[::-1]
    # By activity, as is documented, they move above the cursor.
    missed = set(ids) - set(walked_on("activity", ids[2:4]))
    assert missed == set(ids[2:4])


def test_a_line_tells_what_was_told_last(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    session_id = create(invoke, "Trip")
    (line,) = listed(invoke).sessions
    assert (line.session_id, line.title, line.active, line.casefile_id) == (
        session_id,
        "Trip",
        True,
        None,
    )
    filed = {"casefile_id": casefile_id, "session_id": session_id, "session_type": "tool"}
    invoke("add_session_to_casefile", filed)
    invoke("update_session", {"session_id": session_id, "title": "Flight", "tags": ["a", "b"]})
    (line,) = listed(invoke).sessions
    assert (line.title, line.tags, line.casefile_id) == ("Flight", ["a", "b"], casefile_id)
    invoke("tool_execution", {"session_id": session_id, "tool_name": "x", "result": {}})
    closing = invoke("close_session", {"session_id": session_id})
    for found in ({}, {"casefile_id": casefile_id}):
        (line,) = listed(invoke, active_only=False, **found).sessions
        assert (line.active, line.request_count) == (False, 1)
        assert line.event_count == closing["payload"]["total_events"]
        assert line.updated_at == closing["payload"]["closed_at"]


def test_one_sees_ones_own_alone(invoke: Invoke) -> None:
    create(invoke, "mine")
    create(invoke, "his", user=BOB)
    assert titles(invoke) == ["mine"]
    assert titles(invoke, user_id="ANN@example.com") == ["mine"]
    with pytest.raises(Forbidden, match="your own"):
        listed(invoke, user_id=BOB)


def test_a_casefile_shows_whoevers_sessions_to_its_readers(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    share = {"casefile_id": casefile_id, "target_user_id": BOB, "permission": "editor"}
    invoke("grant_permission", share)
    create(invoke, "mine", casefile_id=casefile_id)
    create(invoke, "his", user=BOB, casefile_id=casefile_id)
    create(invoke, "elsewhere")
    for user in ("ann@example.com", BOB):
        assert titles(invoke, casefile_id=casefile_id, user=user) == ["his", "mine"]
    assert titles(invoke, casefile_id=casefile_id, user_id=BOB) == ["his"]
    for asked in (casefile_id, "cf_260101_none"):
        with pytest.raises(NotFound):
            listed(invoke, user="eve@example.com", casefile_id=asked)


def test_what_left_its_casefile_or_was_deleted_is_not_listed(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    stays, leaves, goes = (create(invoke, title, casefile_id=casefile_id) for title in "abc")
    invoke("remove_session_from_casefile", {"casefile_id": casefile_id, "session_id": leaves})
    invoke("delete_session", {"session_id": goes, "confirm": True})
    found = listed(invoke, casefile_id=casefile_id).sessions
    assert [line.session_id for line in found] == [stays]
    assert titles(invoke) == ["b", "a"]
    assert titles(invoke, order="creation") == ["b", "a"]


def test_tags_must_all_be_there(invoke: Invoke) -> None:
    for title, tags in (("one", ["a"]), ("two", ["a", "b"]), ("three", ["b"])):
        invoke("update_session", {"session_id": create(invoke, title), "tags": tags})
    assert titles(invoke, tags=["a"]) == ["two", "one"]
    assert titles(invoke, tags=["a", "b"]) == ["two"]
    assert titles(invoke, tags=["c"]) == []
    assert listed(invoke, tags=["a"], limit=1).total_count == 2


def test_a_time_range_is_of_the_time_that_orders(invoke: Invoke) -> None:
    ids = [create(invoke, title) for title in ("one", "two", "three")]
    created = {line.title: line.created_at for line in listed(invoke).sessions}
    invoke("update_session", {"session_id": ids[0], "tags": ["moved"]})
    assert titles(invoke, order="creation", until=created["two"]) == ["one"]
    assert titles(invoke, order="creation", since=created["two"]) == ["three", "two"]
    assert titles(invoke, until=created["three"]) == ["two"]
    assert titles(invoke, since="2100-01-01T00:00:00Z") == []
    assert titles(invoke, until="1960-01-01T00:00:00Z") == []
    for year in (2285, 2300, 2600, 9999):
        assert titles(invoke, until=f"{year}-12-31T00:00:00Z") == titles(invoke)
        assert titles(invoke, since=f"{year}-12-31T00:00:00Z") == []
    # In a URL, + is a space unless it is escaped.
    assert titles(invoke, until=created["three"].replace("+", " ")) == ["two"]
    with pytest.raises(BadRequest, match="since must be before until"):
        listed(invoke, since=created["two"], until=created["two"])


def test_limit_offset_and_total(invoke: Invoke) -> None:
    for number in range(7):
        create(invoke, str(number))
    assert titles(invoke, limit=2) == ["6", "5"]
    assert titles(invoke, limit=2, offset=2) == ["4", "3"]
    assert titles(invoke, limit=2, offset=6) == ["0"]
    assert titles(invoke, limit=2, offset=7) == []
    for offset in (0, 3, 9):
        page = listed(invoke, limit=2, offset=offset)
        assert (page.total_count, page.total_is_exact) == (7, True)
        assert (page.offset, page.limit) == (offset, 2)
    with pytest.raises(BadRequest, match="cursor"):
        listed(invoke, offset=MAX_OFFSET + 1)


def test_a_long_list_is_counted_as_far_as_it_is_read(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "READ_AHEAD", 4)
    for number in range(9):
        create(invoke, str(number))
    page = listed(invoke, limit=2)
    assert (page.total_count, page.total_is_exact) == (4, False)
    page = listed(invoke, limit=2, exact_total=True)
    assert (page.total_count, page.total_is_exact, len(page.sessions)) == (9, True, 2)
    # What was counted once is known to the pages that follow.
    page = listed(invoke, limit=2, cursor=page.cursor)
    assert (page.total_count, page.total_is_exact) == (9, True)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("asked", [{}, {"active_only": False}, {"tags": ["even"]}])
def test_pages_make_up_the_list(invoke: Invoke, limit: int, asked: dict[str, Any]) -> None:
    for number in range(8):
        session_id = create(invoke, str(number))
        tags = ["even"] if number % 2 == 0 else ["odd"]
        invoke("update_session", {"session_id": session_id, "tags": tags})
        if number % 3 == 0:
            invoke("close_session", {"session_id": session_id})
    whole = [line.session_id for line in listed(invoke, **asked).sessions]
    assert walked(invoke, limit=limit, **asked) == whole
    assert len(whole) == {"": 5, "active_only": 8, "tags": 2}["".join(asked)]


@pytest.mark.parametrize("order", ["activity", "creation"])
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_walking_while_others_write_sees_each_session_once(
    invoke: Invoke, order: str, data: st.DataObject
) -> None:
    """What is there, and left alone, is seen once, whatever is created, closed or deleted."""
    user = f"{uuid4()}@example.com"
    known = [create(invoke, user=user) for _ in range(data.draw(st.integers(1, 8)))]
    asked = {
        "order": order,
        "limit": data.draw(st.integers(1, 3)),
        "active_only": data.draw(st.booleans()),
    }
    touched: set[str] = set()
    seen: list[str] = []
    page = listed(invoke, user, **asked)
    while True:
        seen += [line.session_id for line in page.sessions]
        if page.cursor is None:
            break
        match data.draw(st.sampled_from(["create", "close", "delete", "rest"])):
            case "create":
                create(invoke, user=user)
            case "close":
                closed = data.draw(st.sampled_from(known))
                touched.add(closed)
                invoke("close_session", {"session_id": closed}, user=user)
            case "delete":
                gone = known.pop(data.draw(st.integers(0, len(known) - 1)))
                invoke("delete_session", {"session_id": gone, "confirm": True}, user=user)
                known = known or [create(invoke, user=user)]
                touched.update(known[:1])
        page = listed(invoke, user, **asked, cursor=page.cursor)
    assert len(seen) == len(set(seen))
    assert {session_id for session_id in known if session_id not in touched} <= set(seen)


def test_a_filter_looks_at_so_many_and_says_that_there_is_more(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "SIFTED_AT_ONCE", 2)
    monkeypatch.setattr(lists, "MAX_SIFTED", 1)  # Read units: of two queries.
    wanted = create(invoke, "wanted")
    invoke("update_session", {"session_id": wanted, "tags": ["x"]})
    for number in range(11):
        session_id = create(invoke, str(number))
        if number % 2:
            invoke("close_session", {"session_id": session_id})
    for asked in ({"tags": ["x"]}, {"tags": ["x"], "active_only": False}):
        page = listed(invoke, **asked, limit=1)
        assert page.sessions == []
        assert page.cursor is not None
        assert not page.total_is_exact
        assert walked(invoke, **asked, limit=1) == [wanted]


def test_what_changes_lists_while_they_are_read_is_shown_once(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [create(invoke, title) for title in "abc"]
    read_on = lists._Run.read_on

    def closing(run: Any, lacking: int) -> None:
        read_on(run, lacking)
        monkeypatch.setattr(lists._Run, "read_on", read_on)
        invoke("close_session", {"session_id": ids[1]})

    monkeypatch.setattr(lists._Run, "read_on", closing)
    assert sorted(titles(invoke, active_only=False), key=str) == ["a", "b", "c"]


class TestCursors:
    @pytest.fixture
    def cursor(self, invoke: Invoke) -> str:
        for number in range(5):
            create(invoke, str(number))
        cursor = listed(invoke, limit=2).cursor
        assert cursor is not None
        return cursor

    def test_it_goes_on_in_another_instance(self, invoke: Invoke, cursor: str) -> None:
        forget()
        assert titles(invoke, limit=2, cursor=cursor) == ["2", "1"]

    def test_it_does_so_if_both_drew_a_key_at_once(
        self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both sign with the one that is kept."""
        for number in range(5):
            create(invoke, str(number))
        overtake(monkeypatch, dynamodb, "create", cursors._key.__wrapped__)
        cursor = listed(invoke, limit=2).cursor
        forget()
        assert titles(invoke, limit=2, cursor=cursor) == ["2", "1"]

    def test_nobody_guesses_its_signature(self) -> None:
        assert cursors._SIGNATURE_BYTES >= 16

    def test_any_change_of_it_is_noticed(self, invoke: Invoke, cursor: str) -> None:
        for place, letter in enumerate(cursor):
            other = "A" if letter != "A" else "B"
            changed = cursor[:place] + other + cursor[place + 1 :]
            if place < len(cursor) - 1:  # The last letter has bits that mean nothing.
                with pytest.raises(BadRequest, match="cursor"):
                    listed(invoke, limit=2, cursor=changed)

    @pytest.mark.parametrize("cursor_text", ["", "x", "é", "AAAA" * 20, "....", "\x00", "=" * 9])
    def test_what_is_none_is_told_so(self, invoke: Invoke, cursor_text: str) -> None:
        with pytest.raises(BadRequest, match="cursor"):
            listed(invoke, cursor=cursor_text)

    @pytest.mark.parametrize(
        "asked",
        [{"order": "creation"}, {"active_only": False}, {"tags": ["x"]}, {"since": "2020-01-01"}],
    )
    def test_it_is_of_one_list(self, invoke: Invoke, cursor: str, asked: dict[str, Any]) -> None:
        with pytest.raises(BadRequest, match="not one of this list"):
            listed(invoke, cursor=cursor, **asked)

    def test_it_is_of_one_user_and_one_operation(self, invoke: Invoke, cursor: str) -> None:
        with pytest.raises(BadRequest, match="not one of this list"):
            listed(invoke, user=BOB, cursor=cursor)
        for operation in ("list_chat_sessions", "list_casefiles"):
            with pytest.raises(BadRequest, match="not one of this list"):
                invoke(operation, {"cursor": cursor})

    def test_it_can_name_no_list(self, invoke: Invoke, cursor: str) -> None:
        """Whoever had the key could go elsewhere in the list, and in none but this."""
        create(invoke, "his", user=BOB)
        asked = load("list_sessions").request_type.model_validate(
            {"user_id": "ann@example.com", "payload": {}}
        )
        place = [f"tool#active#{BOB}", 0, 0, 0, False]
        forged = cursors.sign(place, lists._described("ann@example.com", asked.payload))
        assert "his" not in titles(invoke, cursor=forged)

    def test_not_with_an_offset(self, invoke: Invoke, cursor: str) -> None:
        with pytest.raises(BadRequest, match="not both"):
            listed(invoke, cursor=cursor, offset=1)


def test_over_http_the_filters_are_the_query(invoke: Invoke) -> None:
    invoke("update_session", {"session_id": create(invoke, "one"), "tags": ["a", "b"]})
    invoke("update_session", {"session_id": create(invoke, "two"), "tags": ["a"]})
    asked = event("list_sessions", "api")
    asked["multiValueQueryStringParameters"] = {"tags": ["a", "b"], "limit": ["5"]}
    answer = load("list_sessions")(asked, Context())
    payload = json.loads(answer["body"])["payload"]
    assert [line["title"] for line in payload["sessions"]] == ["one"]
    asked["multiValueQueryStringParameters"] = {"tags": ["a"], "active_only": ["false"]}
    assert load("list_sessions")(asked, Context())["statusCode"] == 200
