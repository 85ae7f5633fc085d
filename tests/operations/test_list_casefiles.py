"""Lists of casefiles: one's own, those shared with one, and those that are open to everybody."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from casefile import casefile_heads, casefiles, deletion, dynamodb, grants
from casefile.errors import BadRequest, Forbidden, NotFound, Unavailable
from pydantic_models.base.times import now, to_text
from pydantic_models.operations import ListCasefilesResponse
from tests.conftest import Invoke, overtake, stored
from tests.replicas import indexes_standing_still, lagging

BOB = "bob@example.com"


def create(invoke: Invoke, title: str, **more: Any) -> str:
    user = more.pop("user", "ann@example.com")
    answer = invoke("create_casefile", {"title": title, **more}, user=user)
    return str(answer["payload"]["casefile_id"])


def titles(invoke: Invoke, user: str = "ann@example.com", **asked: Any) -> list[str]:
    answer = invoke("list_casefiles", asked, user=user)
    page = ListCasefilesResponse.model_validate(answer).payload
    return [casefile.title for casefile in page.casefiles]


def share(invoke: Invoke, casefile_id: str, target: str, level: str, **more: Any) -> None:
    asked = {"casefile_id": casefile_id, "target_user_id": target, "permission": level}
    invoke("grant_permission", asked | more)


def test_what_changed_last_comes_first(invoke: Invoke) -> None:
    first, _second = create(invoke, "one", description="D", tags=["t"]), create(invoke, "two")
    assert titles(invoke) == ["two", "one"]
    invoke("create_session", {"casefile_id": first})
    assert titles(invoke) == ["one", "two"]
    assert titles(invoke, order="creation") == ["two", "one"]
    answer = invoke("list_casefiles", {"limit": 1})["payload"]
    (line,) = answer["casefiles"]
    told = {"title": "one", "description": "D", "tags": ["t"], "session_count": 1}
    assert line.items() >= {**told, "casefile_id": first, "owner_id": "ann@example.com"}.items()
    assert answer["total_count"] == 2
    invoke("update_casefile", {"casefile_id": first, "title": "uno"})
    assert titles(invoke) == ["uno", "two"]


def test_it_is_the_owners(invoke: Invoke) -> None:
    casefile_id = create(invoke, "mine")
    create(invoke, "his", user=BOB)
    assert titles(invoke) == ["mine"]
    with pytest.raises(Forbidden, match="scope=shared"):
        titles(invoke, user_id=BOB)
    share(invoke, casefile_id, BOB, "owner")
    assert titles(invoke) == []
    assert titles(invoke, BOB) == ["mine", "his"]
    assert titles(invoke, scope="shared") == ["mine"]  # Who handed it over is an admin.
    assert titles(invoke, BOB, scope="shared") == []


def test_what_is_deleted_is_not_listed(invoke: Invoke) -> None:
    casefile_id = create(invoke, "gone")
    share(invoke, casefile_id, BOB, "viewer")
    invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
    assert titles(invoke) == titles(invoke, BOB, scope="shared") == []


def test_what_is_being_deleted_is_not_listed(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    casefile_id = create(invoke, "going")
    share(invoke, casefile_id, BOB, "viewer")
    invoke("create_session", {"casefile_id": casefile_id})

    def stop(*_: Any, **__: Any) -> None:
        raise Unavailable("the function was stopped")

    monkeypatch.setattr(deletion, "_let_go", stop)
    with pytest.raises(Unavailable):
        invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
    assert titles(invoke) == titles(invoke, BOB, scope="shared") == []


class TestShared:
    def test_it_is_listed_while_the_grant_holds(self, invoke: Invoke) -> None:
        casefile_id = create(invoke, "ours")
        assert titles(invoke, BOB, scope="shared") == []
        share(invoke, casefile_id, BOB, "viewer")
        assert titles(invoke, BOB, scope="shared") == ["ours"]
        assert titles(invoke, BOB) == titles(invoke, "eve@example.com", scope="shared") == []
        invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": BOB})
        assert titles(invoke, BOB, scope="shared") == []

    def test_it_is_not_once_the_grant_has_expired(self, invoke: Invoke) -> None:
        casefile_id = create(invoke, "ours")
        share(invoke, casefile_id, BOB, "viewer", expires_at="2999-01-01T00:00:00Z")
        assert titles(invoke, BOB, scope="shared") == ["ours"]
        dynamodb.update(
            {"pk": f"CASEFILE#{casefile_id}", "sk": f"GRANT#{BOB}"},
            "SET expires_at = :past",
            condition="attribute_exists(pk)",
            values={":past": 1},
        )
        assert titles(invoke, BOB, scope="shared") == []

    def test_it_shows_the_casefile_as_it_is_now(self, invoke: Invoke) -> None:
        casefile_id = create(invoke, "old")
        share(invoke, casefile_id, BOB, "viewer")
        invoke("update_casefile", {"casefile_id": casefile_id, "title": "new", "tags": ["x"]})
        assert titles(invoke, BOB, scope="shared", tags=["x"]) == ["new"]
        assert titles(invoke, BOB, scope="shared", user_id="ann@example.com") == ["new"]
        assert titles(invoke, BOB, scope="shared", user_id="eve@example.com") == []

    def test_pages_make_up_the_list(self, invoke: Invoke) -> None:
        for number in range(7):
            share(invoke, create(invoke, str(number)), BOB, "viewer")
        found: list[str] = []
        cursor = None
        while len(found) < 10:
            asked = {"scope": "shared", "limit": 2, "cursor": cursor}
            page = invoke("list_casefiles", asked, user=BOB)["payload"]
            found += [line["title"] for line in page["casefiles"]]
            cursor = page["cursor"]
            if cursor is None:
                break
        assert found == ["6", "5", "4", "3", "2", "1", "0"]

    def test_a_grant_that_is_changed_keeps_its_place_while_it_holds(self, invoke: Invoke) -> None:
        shared = [create(invoke, str(number)) for number in range(4)]
        for casefile_id in shared:
            share(invoke, casefile_id, BOB, "viewer")
        asked = {"scope": "shared", "order": "creation", "limit": 1}
        cursor = invoke("list_casefiles", asked, user=BOB)["payload"]["cursor"]
        share(invoke, shared[0], BOB, "editor")
        share(invoke, shared[1], BOB, "viewer", expires_at="2999-01-01T00:00:00Z")
        asked |= {"limit": 10, "cursor": cursor}
        assert titles(invoke, BOB, **asked) == ["2", "1", "0"]
        invoke("revoke_permission", {"casefile_id": shared[0], "target_user_id": BOB})
        assert titles(invoke, BOB, **asked) == ["2", "1"]
        share(invoke, shared[0], BOB, "viewer")
        assert titles(invoke, BOB, scope="shared") == ["0", "3", "2", "1"]

    def test_a_small_page_of_many_is_not_many_calls(self, invoke: Invoke, calls: list[str]) -> None:
        for number in range(12):
            share(invoke, create(invoke, str(number)), BOB, "viewer")
        calls.clear()
        assert titles(invoke, BOB, scope="shared", limit=1, search_query="nothing") == []
        assert calls == ["Query", "BatchGetItem"]

    def test_what_is_open_to_everybody_has_a_list_of_its_own(self, invoke: Invoke) -> None:
        casefile_id = create(invoke, "open")
        share(invoke, casefile_id, "*", "viewer")
        assert titles(invoke, BOB, scope="public") == ["open"]
        assert titles(invoke, BOB, scope="shared") == []
        invoke("revoke_permission", {"casefile_id": casefile_id, "target_user_id": "*"})
        assert titles(invoke, BOB, scope="public") == []


class TestWhileAnIndexLags:
    """What may not be read any more is not shown, though the index has it still."""

    @pytest.fixture(params=["shared", "public"])
    def scope(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def shared_with(self, scope: str) -> str:
        return BOB if scope == "shared" else "*"

    @pytest.fixture
    def casefile_id(self, invoke: Invoke, scope: str, shared_with: str) -> Iterator[str]:
        """One that Bob was let into, and of which the index knows no more."""
        casefile_id = create(invoke, "ours")
        share(invoke, casefile_id, shared_with, "viewer")
        with indexes_standing_still():
            assert titles(invoke, BOB, scope=scope) == ["ours"]
            yield casefile_id

    def test_what_was_revoked(
        self, invoke: Invoke, casefile_id: str, scope: str, shared_with: str
    ) -> None:
        asked = {"casefile_id": casefile_id, "target_user_id": shared_with}
        invoke("revoke_permission", asked)
        invoke("update_casefile", {"casefile_id": casefile_id, "title": "secret"})
        assert titles(invoke, BOB, scope=scope) == []
        share(invoke, casefile_id, shared_with, "viewer")
        assert titles(invoke, BOB, scope=scope) == ["secret"]

    def test_what_was_revoked_though_replicas_lag_too(
        self, invoke: Invoke, casefile_id: str, scope: str, shared_with: str
    ) -> None:
        before = {
            item["sk"]["S"]: item
            for item in stored()
            if item["pk"]["S"] == f"CASEFILE#{casefile_id}"
        }
        asked = {"casefile_id": casefile_id, "target_user_id": shared_with}
        invoke("revoke_permission", asked)
        with lagging(lambda _: False, before):
            assert titles(invoke, BOB, scope=scope) == []
            with pytest.raises(NotFound):
                invoke("get_casefile", {"casefile_id": casefile_id}, user=BOB)

    def test_whatever_the_clocks_of_those_who_revoke(
        self, invoke: Invoke, casefile_id: str, scope: str, shared_with: str
    ) -> None:
        an_hour_ago = now() - timedelta(hours=1)
        with mock.patch.object(grants, "now", return_value=an_hour_ago):
            share(invoke, casefile_id, "eve@example.com", "viewer")
            for target in (shared_with, "eve@example.com"):
                asked = {"casefile_id": casefile_id, "target_user_id": target}
                invoke("revoke_permission", asked)
                assert titles(invoke, BOB, scope=scope) == []

    @pytest.mark.parametrize("way", ["revoked", "erased"])
    def test_two_who_are_let_out_at_once(
        self,
        invoke: Invoke,
        casefile_id: str,
        scope: str,
        shared_with: str,
        way: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Who writes last has a clock that is behind, and did not see what the other wrote."""
        an_hour_ago, times = now() - timedelta(hours=1), [0]
        with mock.patch.object(grants, "now", return_value=an_hour_ago):
            share(invoke, casefile_id, "eve@example.com", "viewer")

        def revoke_first() -> None:
            asked = {"casefile_id": casefile_id, "target_user_id": shared_with}
            with mock.patch.object(grants, "now", now):
                invoke("revoke_permission", asked)
            times[0] += 1

        with mock.patch.object(grants, "now", return_value=an_hour_ago):
            if way == "revoked":
                overtake(monkeypatch, dynamodb, "transact", revoke_first)
                asked = {"casefile_id": casefile_id, "target_user_id": "eve@example.com"}
                invoke("revoke_permission", asked)
            else:
                overtake(monkeypatch, casefile_heads, "narrow", revoke_first)
                grants.forget(casefile_id, "eve@example.com")
        assert times == [1]
        assert titles(invoke, BOB, scope=scope) == []

    def test_what_was_limited_and_has_expired(
        self, invoke: Invoke, casefile_id: str, scope: str, shared_with: str
    ) -> None:
        soon = to_text(now() + timedelta(minutes=1))
        share(invoke, casefile_id, shared_with, "viewer", expires_at=soon)
        assert titles(invoke, BOB, scope=scope) == ["ours"]
        in_an_hour = now() + timedelta(hours=1)
        with (
            mock.patch.object(grants, "now", return_value=in_an_hour),
            mock.patch.object(casefiles, "now", return_value=in_an_hour),
        ):
            assert titles(invoke, BOB, scope=scope) == []

    def test_what_was_deleted(self, invoke: Invoke, casefile_id: str, scope: str) -> None:
        invoke("delete_casefile", {"casefile_id": casefile_id, "confirm": True})
        assert titles(invoke, BOB, scope=scope) == []

    def test_what_others_were_let_out_of_is_shown(
        self, invoke: Invoke, casefile_id: str, scope: str, shared_with: str
    ) -> None:
        share(invoke, casefile_id, "eve@example.com", "viewer")
        asked = {"casefile_id": casefile_id, "target_user_id": "eve@example.com"}
        invoke("revoke_permission", asked)
        assert titles(invoke, BOB, scope=scope) == ["ours"]

    @pytest.mark.parametrize("scope", ["shared"])
    def test_what_was_shared_with_who_is_erased(
        self, invoke: Invoke, casefile_id: str, scope: str
    ) -> None:
        grants.forget(casefile_id, BOB)
        assert titles(invoke, BOB, scope=scope) == []


ALL = ["run_4711-nightly", "Lisbon", "Łódź und Straße", "Voyage à Liège"]


class TestSearch:
    @pytest.fixture(autouse=True)
    def library(self, invoke: Invoke) -> None:
        create(invoke, "Voyage à Liège", description="Train, hôtel")
        create(invoke, "Łódź und Straße")
        create(invoke, "Lisbon", description="A trip in the spring", tags=["trip"])
        create(invoke, "run_4711-nightly")

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("lis", ["Lisbon"]),
            ("LIEGE voy", ["Voyage à Liège"]),
            ("HOTEL", ["Voyage à Liège"]),
            ("lodz strasse", ["Łódź und Straße"]),
            ("STRASSE", ["Łódź und Straße"]),
            ("isbon", []),
            ("lisbon liege", []),
            ("tr", ["Lisbon", "Voyage à Liège"]),
            ("spring, trip!", ["Lisbon"]),
            ("4711", ["run_4711-nightly"]),
            ("night", ["run_4711-nightly"]),
            ("run_4711", ["run_4711-nightly"]),
            ("_run -", ["run_4711-nightly"]),
            ("un_4711", []),
            ("  ", ALL),
            ("", ALL),
        ],
    )
    def test_words_may_be_begun_and_plain(
        self, invoke: Invoke, query: str, found: list[str]
    ) -> None:
        assert titles(invoke, search_query=query) == found

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("काम", ["काम"]),
            ("का", ["काम"]),
            ("நாய்", ["நாய்"]),
            ("ハン", ["ハン"]),
            ("パン", ["パン"]),
            ("คน", ["คน"]),
            ("مدرس", ["مُدَرِّس"]),
            ("שלום", ["שָׁלוֹם"]),
            ("ялта", ["Я́лта"]),
            ("oslo", ["✈️Oslo"]),
            ("porto", ["1️⃣Porto"]),
            ("y", ["x≠y"]),
            ("gone", ["g̶o̶n̶e̶"]),
        ],
    )
    def test_words_are_found_in_any_script(
        self, invoke: Invoke, query: str, found: list[str]
    ) -> None:
        written = "काम/किताब मेरी/நாய்/நீ யார்/ハン/パン/คน/คุณ/مُدَرِّس/שָׁלוֹם/Я́лта/✈️Oslo/1️⃣Porto/x≠y/g̶o̶n̶e̶"
        for title in written.split("/"):
            create(invoke, title)
        assert titles(invoke, search_query=query) == found

    @pytest.mark.parametrize("query", ["!!!", "  -  ", "_", "🧳", "\u0301", "\u093e"])
    @pytest.mark.parametrize("scope", ["own", "shared", "public"])
    def test_what_is_no_word_is_refused(self, invoke: Invoke, query: str, scope: str) -> None:
        with pytest.raises(BadRequest, match="no letter and no digit"):
            titles(invoke, search_query=query, scope=scope)

    def test_with_tags(self, invoke: Invoke) -> None:
        assert titles(invoke, search_query="tr", tags=["trip"]) == ["Lisbon"]
