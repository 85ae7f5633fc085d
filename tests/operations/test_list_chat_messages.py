"""Reading messages in pages: every record once, in either direction, while others write."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import contents as bucket
from casefile import reading
from casefile.errors import BadRequest, NotFound
from tests.conftest import Context, Invoke, load
from tests.replicas import lagging


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_chat_session")["payload"]["session_id"])


def write(invoke: Invoke, session_id: str, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        invoke("chat", {"session_id": session_id, "message": f"{number}"})


def read(invoke: Invoke, session_id: str, **asked: Any) -> dict[str, Any]:
    payload: dict[str, Any] = invoke("list_chat_messages", {"session_id": session_id, **asked})[
        "payload"
    ]
    return payload


def contents(page: dict[str, Any]) -> list[str]:
    return [message["content"] for message in page["messages"]]


def test_nobody_waits_for_the_bucket_where_nothing_is_in_it(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client takes a quarter of a second to be made, in each new instance."""
    with monkeypatch.context() as without:
        without.delattr(bucket, "client")
        write(invoke, session_id, 3)
        assert contents(read(invoke, session_id)) == ["1", "2", "3"]


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("limit", [1, 3, 7, 10, 11, 100])
@pytest.mark.parametrize("is_closed", [False, True])
def test_pages_give_everything_once(
    invoke: Invoke, session_id: str, order: str, limit: int, is_closed: bool
) -> None:
    write(invoke, session_id, 10)
    if is_closed:
        invoke("close_chat_session", {"session_id": session_id})
    seen: list[str] = []
    place: dict[str, int] = {}
    for _ in range(12):
        page = read(invoke, session_id, order=order, limit=limit, **place)
        assert len(page["messages"]) <= limit
        seen += contents(page)
        if not page["has_more"]:
            break
        place = (
            {"after": page["next_after"]} if order == "oldest" else {"before": page["next_before"]}
        )
    expected = [f"{number}" for number in range(1, 11)]
    assert seen == (expected if order == "oldest" else expected[::-1])


def test_following_a_live_session(invoke: Invoke, session_id: str) -> None:
    page = read(invoke, session_id)
    assert (contents(page), page["has_more"], page["next_after"]) == ([], False, 0)
    seen: list[str] = []
    for round_ in range(3):
        write(invoke, session_id, 2, first=2 * round_ + 1)
        page = read(invoke, session_id, after=page["next_after"])
        seen += contents(page)
    assert seen == ["1", "2", "3", "4", "5", "6"]
    assert contents(read(invoke, session_id, after=page["next_after"])) == []


def test_bounds_on_either_side(invoke: Invoke, session_id: str) -> None:
    write(invoke, session_id, 9)
    assert contents(read(invoke, session_id, after=3, before=7)) == ["4", "5", "6"]
    assert contents(read(invoke, session_id, after=3, before=7, order="newest", limit=2)) == [
        "6",
        "5",
    ]
    assert contents(read(invoke, session_id, before=1)) == []
    assert contents(read(invoke, session_id, after=5, before=6)) == []
    assert contents(read(invoke, session_id, after=8, before=3)) == []
    assert contents(read(invoke, session_id, after=500)) == []


def test_the_newest_of_many_cost_one_query(
    invoke: Invoke, session_id: str, calls: list[str]
) -> None:
    write(invoke, session_id, 120)
    calls.clear()
    page = read(invoke, session_id, order="newest", limit=20)
    assert contents(page) == [f"{number}" for number in range(120, 100, -1)]
    assert calls == ["Query"]


def test_messages_of_one_record_stay_together(invoke: Invoke, session_id: str) -> None:
    for record in range(3):
        messages = [{"content": f"{record}{letter}", "message_type": "user"} for letter in "abc"]
        invoke("chat", {"session_id": session_id, "messages": messages})
    page = read(invoke, session_id, limit=4)
    assert contents(page) == ["0a", "0b", "0c", "1a", "1b", "1c"]
    assert (page["has_more"], page["next_after"]) == (True, 2)
    page = read(invoke, session_id, limit=1, order="newest")
    assert contents(page) == ["2c", "2b", "2a"]


def test_a_page_is_small_enough_to_be_answered(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(invoke, session_id, 6)
    monkeypatch.setattr(reading, "MAX_PAGE_CHARACTERS", 100)
    page = read(invoke, session_id)
    assert (contents(page), page["has_more"]) == (["1"], True)


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 101}, {"after": -1}, {"before": 0}, {"order": "random"}]
)
def test_bounds_are_kept(invoke: Invoke, session_id: str, asked: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read(invoke, session_id, **asked)


@pytest.mark.parametrize("asked", [{}, {"order": "newest"}, {"before": 1}, {"after": 7}])
def test_only_its_owner_may_read_it(invoke: Invoke, session_id: str, asked: dict[str, Any]) -> None:
    payload = {"session_id": session_id, **asked}
    with pytest.raises(NotFound):
        invoke("list_chat_messages", payload, user="bob@example.com")
    with pytest.raises(NotFound):
        invoke("list_chat_messages", payload | {"session_id": "cs_none"})


class TestFollowing:
    """Waiting for what comes; the clock is ours, and what comes is written while it is waited."""

    @pytest.fixture
    def live(self, invoke: Invoke) -> str:
        return str(invoke("create_chat_session")["payload"]["session_id"])

    def follow(self, invoke: Invoke, session_id: str, **asked: Any) -> dict[str, Any]:
        payload: dict[str, Any] = invoke(
            "list_chat_messages", {"session_id": session_id, "wait": 20, **asked}
        )["payload"]
        return payload

    def meanwhile(
        self, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]
    ) -> list[float]:
        """Take one step at each pause; tell how long the pauses were."""
        waiting, pauses, now = list(steps), [0.0], [0.0]

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            now[0] += seconds
            if waiting:
                waiting.pop(0)()

        clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
        monkeypatch.setattr(reading, "time", clock)
        return pauses

    def test_what_is_recorded_while_one_waits_is_the_answer(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        say = {"session_id": live, "message": "Hello"}
        pauses = self.meanwhile(monkeypatch, lambda: None, lambda: invoke("chat", say))
        found = self.follow(invoke, live)
        assert [message["content"] for message in found["messages"]] == ["Hello"]
        assert sum(pauses) <= 1
        assert found["next_after"] == 1

    def test_what_one_replica_showed_is_told_though_another_misses_it(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        say = {"session_id": live, "message": "Hello"}
        self.meanwhile(monkeypatch, lambda: None, lambda: invoke("chat", say))
        looks: list[str] = []

        def misses(slot: str) -> bool:
            looks.extend([slot] if slot.isdigit() else [])
            return slot.isdigit() and len(looks) > 1

        with lagging(misses):
            found = self.follow(invoke, live)
        assert [message["content"] for message in found["messages"]] == ["Hello"]

    def test_nothing_comes_and_that_is_the_answer(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        invoke("chat", {"session_id": live, "message": "Hello"})
        pauses = self.meanwhile(monkeypatch)
        found = self.follow(invoke, live, after=1)
        assert (found["messages"], found["next_after"]) == ([], 1)
        assert 19 <= sum(pauses) <= 20

    def test_what_is_there_is_not_waited_for_nor_what_is_closed(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        invoke("chat", {"session_id": live, "message": "Hello"})
        pauses = self.meanwhile(monkeypatch)
        assert len(self.follow(invoke, live)["messages"]) == 1
        invoke("close_chat_session", {"session_id": live})
        assert self.follow(invoke, live, after=2)["messages"] == []
        assert sum(pauses) == 0

    @pytest.mark.parametrize("wait", [0, 20])
    def test_a_page_tells_that_nothing_will_follow(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch, wait: int
    ) -> None:
        def ended(**asked: Any) -> bool:
            return bool(self.follow(invoke, live, **{"wait": wait} | asked)["ended"])

        self.meanwhile(monkeypatch)
        assert not ended()
        for word in ("Hello", "Bye"):
            invoke("chat", {"session_id": live, "message": word})
        assert not ended()
        assert not ended(after=2)
        invoke("close_chat_session", {"session_id": live})
        assert not ended(limit=2)  # The closing is in no page yet.
        assert ended()
        assert ended(after=2)
        assert ended(after=3)
        assert ended(after=9)
        assert not ended(wait=0, order="newest")
        assert not ended(wait=0, before=3)

    @pytest.mark.parametrize("wait", [0, 20])
    def test_what_a_replica_misses_was_not_the_end(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch, wait: int
    ) -> None:
        invoke("chat", {"session_id": live, "message": "Hello"})
        invoke("chat", {"session_id": live, "message": "Bye"})
        invoke("close_chat_session", {"session_id": live})
        self.meanwhile(monkeypatch)
        looks: list[str] = []

        def misses(slot: str) -> bool:  # The page misses it, and the look behind it doesn't.
            looks.append(slot)
            return slot in ("000000000002", "000000000003") and looks.count(slot) == 1

        with lagging(misses):
            found = self.follow(invoke, live, after=1, wait=wait)
        assert [message["content"] for message in found["messages"]] == (["Bye"] if wait else [])
        assert found["ended"] is bool(wait)

    def test_it_ends_with_the_functions_time(self, invoke: Invoke, live: str) -> None:
        envelope = {"user_id": "ann@example.com", "payload": {"session_id": live, "wait": 20}}
        began = time.monotonic()
        answer = load("list_chat_messages")(envelope, Context(seconds=3))
        assert answer["payload"]["messages"] == []
        assert time.monotonic() - began < 3

    def test_who_was_shut_out_meanwhile_is_told_nothing(
        self, invoke: Invoke, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = {"session_id": live, "confirm": True}
        self.meanwhile(monkeypatch, lambda: invoke("delete_chat_session", gone))
        with pytest.raises(NotFound):
            self.follow(invoke, live)

    @pytest.mark.parametrize("odd", [{"order": "newest"}, {"before": 5}, {"wait": 21}])
    def test_only_what_comes_can_be_waited_for(
        self, invoke: Invoke, live: str, odd: dict[str, Any]
    ) -> None:
        with pytest.raises(BadRequest, match="wait"):
            self.follow(invoke, live, **odd)


class TestReplicasThatLag:
    """A page costs half, and may miss the newest, unless it is asked to be consistent."""

    TOP = 12
    among_examples = settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    newest = st.integers(0, 4).map(lambda count: frozenset(range(13 - count, 13)))
    others = st.frozensets(st.sampled_from([*range(1, TOP), "HEAD"]), max_size=4)
    missed = st.builds(frozenset.union, newest, others)

    @staticmethod
    def missing(missed: frozenset[int | str]) -> Callable[[str], bool]:
        return lambda sk: (int(sk) if sk.isdigit() else sk) in missed

    @pytest.fixture
    def plain(self, invoke: Invoke, session_id: str) -> str:
        write(invoke, session_id, self.TOP)
        return session_id

    @pytest.fixture
    def rewound(self, invoke: Invoke, session_id: str) -> str:
        """Of its twelve records, two withdrew messages and one replaced one."""
        write(invoke, session_id, 4)
        invoke("rewind_chat_session", {"session_id": session_id, "count": 2})
        write(invoke, session_id, 3, first=6)
        message = read(invoke, session_id)["messages"][1]
        invoke(
            "rewind_chat_session",
            {
                "session_id": session_id,
                "replaces": {name: message[name] for name in ("record", "message_id")},
                "message": {"content": "9", "message_type": "user"},
            },
        )
        invoke("rewind_chat_session", {"session_id": session_id, "keep": 4})
        write(invoke, session_id, 2, first=11)
        return session_id

    @among_examples
    @given(
        missed=missed,
        order=st.sampled_from(["oldest", "newest"]),
        limit=st.integers(1, TOP + 1),
        after=st.integers(0, TOP),
        before=st.none() | st.integers(1, TOP + 1),
    )
    def test_a_page_has_no_hole_and_goes_on_if_there_is_more_below(
        self, invoke: Invoke, plain: str, missed: frozenset[int | str], **asked: Any
    ) -> None:
        asked = {name: value for name, value in asked.items() if value is not None}
        there = range(asked["after"] + 1, min(asked.get("before", 99), self.TOP + 1))
        with lagging(self.missing(missed)):
            page = read(invoke, plain, **asked)
            whole = read(invoke, plain, **asked, consistent=True)
        found = [int(content) for content in contents(page)]
        top = max(found, default=asked["after"])
        if asked["order"] == "oldest":
            assert found == list(there[: len(found)])
        else:
            assert found == list(range(top, top - len(found), -1))
            assert page["has_more"] or not found or found[-1] == there[0]
        if page["has_more"]:
            assert 0 < len(found) < len(there)
        expected = list(there) if asked["order"] == "oldest" else list(there)[::-1]
        assert [int(content) for content in contents(whole)] == expected[: asked["limit"]]

    @among_examples
    @given(pages=st.lists(st.tuples(missed, st.integers(1, 4), st.booleans()), max_size=20))
    def test_who_goes_on_from_page_to_page_comes_to_what_stands(
        self, invoke: Invoke, rewound: str, pages: list[tuple[frozenset[int | str], int, bool]]
    ) -> None:
        seen: list[dict[str, Any]] = []
        after = 0
        last = [(frozenset[int | str]({self.TOP}), 100, True)] * 2
        for missed, limit, consistent in [*pages, *last]:
            with lagging(self.missing(missed)):
                page = read(invoke, rewound, after=after, limit=limit, consistent=consistent)
            del seen[len(seen) if page["keep"] is None else page["keep"] :]
            for message in page["replaced"]:
                seen[message["index"]] = message
            seen += page["messages"]
            assert [message["index"] for message in seen] == list(range(len(seen)))
            after = page["next_after"]
        assert [message["content"] for message in seen] == ["1", "9", "6", "7", "11", "12"]
        assert after == self.TOP

    def test_who_was_shut_out_a_moment_ago_is_not_let_in_by_an_old_head(
        self, invoke: Invoke, plain: str
    ) -> None:
        casefile_id = invoke("create_casefile", {"title": "Shared"})["payload"]["casefile_id"]
        filed = {"casefile_id": casefile_id, "session_id": plain}
        invoke("add_session_to_casefile", filed | {"session_type": "chat"})
        grant = {"target_user_id": "bob@example.com", "permission": "viewer"}
        invoke("grant_permission", {"casefile_id": casefile_id, **grant})
        key = {"pk": {"S": f"SESSION#{plain}"}, "sk": {"S": "HEAD"}}
        table = boto3.client("dynamodb")
        head = table.get_item(TableName="casefile-test", Key=key)["Item"]
        asked = {"session_id": plain, "order": "newest"}
        with lagging(lambda sk: False, {"HEAD": head}):
            assert invoke("list_chat_messages", asked, user="bob@example.com")["payload"]
            invoke("remove_session_from_casefile", filed)
            with pytest.raises(NotFound):
                invoke("list_chat_messages", asked, user="bob@example.com")

    def test_a_page_is_read_at_half_the_price_unless_it_is_to_be_consistent(
        self, invoke: Invoke, plain: str, calls: list[str]
    ) -> None:
        looks: list[str] = []

        def misses(sk: str) -> bool:
            looks.append(sk)
            return False

        calls.clear()
        with lagging(misses):
            read(invoke, plain, order="newest", limit=5)
            assert calls == ["Query"]
            assert looks
            looks.clear()
            read(invoke, plain, order="newest", limit=5, consistent=True)
        assert (calls, looks) == (["Query", "Query"], [])
