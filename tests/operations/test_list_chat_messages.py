"""Reading messages in pages: every record once, in either direction, while others write."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from casefile import reading
from casefile.errors import BadRequest, NotFound
from tests.conftest import Context, Invoke, load


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
