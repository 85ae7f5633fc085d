"""Taking messages back: what is withdrawn or replaced, who is told what, and what it costs."""

from typing import Any
from uuid import uuid4

import pytest

from casefile import reading, records, sessions
from casefile.errors import BadRequest, NotFound, NotStanding, RequestIdReused, SessionClosed
from pydantic_models.export import verify
from tests.conftest import Invoke, forget, objects, stored


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    session_id = str(invoke("create_chat_session")["payload"]["session_id"])
    for text in "abcd":
        invoke("chat", {"session_id": session_id, "message": text, "session_request_id": text})
    return session_id


def rewind(invoke: Invoke, session_id: str, **asked: Any) -> dict[str, Any]:
    payload: dict[str, Any] = invoke("rewind_chat_session", {"session_id": session_id, **asked})[
        "payload"
    ]
    return payload


def messages(invoke: Invoke, session_id: str, **asked: Any) -> list[dict[str, Any]]:
    page = invoke("list_chat_messages", {"session_id": session_id, **asked})["payload"]
    told: list[dict[str, Any]] = page["messages"]
    return told


def texts(found: list[dict[str, Any]]) -> str:
    return "".join(message["content"] for message in found)


def named(message: dict[str, Any]) -> dict[str, Any]:
    return {"record": message["record"], "message_id": message["message_id"]}


def saying(text: str) -> dict[str, Any]:
    return {"content": text, "message_type": "assistant"}


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"count": 1}, "abc"),
        ({"count": 3}, "a"),
        ({"count": 9}, ""),
        ({"keep": 0}, ""),
        ({"keep": 3}, "abc"),
        ({"keep": 9}, "abcd"),
    ],
)
def test_the_last_ones_are_withdrawn_and_told(
    invoke: Invoke, session_id: str, asked: dict[str, int], left: str
) -> None:
    before = messages(invoke, session_id)
    answer = rewind(invoke, session_id, **asked, include_messages=True)
    assert answer["messages"] == before[len(left) :]
    assert (answer["withdrawn_count"], answer["message_count"]) == (4 - len(left), len(left))
    assert messages(invoke, session_id) == before[: len(left)]
    invoke("chat", {"session_id": session_id, "message": "e"})
    assert texts(messages(invoke, session_id)) == left + "e"
    assert texts(messages(invoke, session_id, order="newest")) == (left + "e")[::-1]


def test_part_of_a_record_may_be_withdrawn(invoke: Invoke, session_id: str) -> None:
    three = {"session_id": session_id, "messages": [saying(text) for text in "xyz"]}
    invoke("chat", three)
    assert texts(rewind(invoke, session_id, count=2, include_messages=True)["messages"]) == "yz"
    assert texts(messages(invoke, session_id)) == "abcdx"
    assert [each["index"] for each in messages(invoke, session_id)] == [0, 1, 2, 3, 4]


def test_one_message_takes_the_place_of_another(invoke: Invoke, session_id: str) -> None:
    old = messages(invoke, session_id)[1]
    answer = rewind(invoke, session_id, replaces=named(old), message=saying("B"))
    new = answer["message"]
    assert (new["replaces"], new["index"], new["record"]) == (old["message_id"], 1, 5)
    assert (answer["message_count"], answer["withdrawn_count"]) == (4, 0)
    assert messages(invoke, session_id)[1] == new
    again = rewind(invoke, session_id, replaces=named(new), message=saying("β"))["message"]
    assert texts(messages(invoke, session_id)) == "aβcd"
    assert again["index"] == 1
    for gone in (old, new):
        with pytest.raises(NotStanding):
            rewind(invoke, session_id, replaces=named(gone), message=saying("?"))
    assert rewind(invoke, session_id, count=3, include_messages=True)["messages"][0] == again
    with pytest.raises(NotStanding):
        rewind(invoke, session_id, replaces=named(again), message=saying("?"))


def test_what_was_never_said_cannot_be_replaced(invoke: Invoke, session_id: str) -> None:
    first, second = messages(invoke, session_id)[:2]
    for odd in (
        {"record": 99, "message_id": first["message_id"]},
        {"record": second["record"], "message_id": first["message_id"]},
    ):
        with pytest.raises(NotFound, match=first["message_id"]):
            rewind(invoke, session_id, replaces=odd, message=saying("?"))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"count": 0},
        {"keep": -1},
        {"count": 1, "keep": 1},
        {"replaces": {"record": 1, "message_id": "msg_1"}},
        {"count": 1, "message": {"content": "a", "message_type": "user"}},
    ],
)
def test_what_is_wrong_is_refused(invoke: Invoke, session_id: str, asked: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="payload"):
        rewind(invoke, session_id, **asked)
    assert texts(messages(invoke, session_id)) == "abcd"


def test_a_retry_withdraws_nothing_more(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid4())
    asked = {"session_id": session_id, "count": 1, "include_messages": True}
    first = invoke("rewind_chat_session", asked, request_id=request_id)
    invoke("chat", {"session_id": session_id, "message": "e"})
    forget()
    assert invoke("rewind_chat_session", asked, request_id=request_id) == first
    assert texts(messages(invoke, session_id)) == "abce"
    with pytest.raises(RequestIdReused):
        invoke("rewind_chat_session", asked | {"count": 2}, request_id=request_id)


def test_nothing_is_taken_back_after_closing(invoke: Invoke, session_id: str) -> None:
    first = messages(invoke, session_id)[0]
    rewind(invoke, session_id, count=1)
    closed = invoke("close_chat_session", {"session_id": session_id})["payload"]
    assert (closed["total_messages"], closed["total_events"]) == (3, 5)
    with pytest.raises(SessionClosed):
        rewind(invoke, session_id, count=1)
    with pytest.raises(SessionClosed):
        rewind(invoke, session_id, replaces=named(first), message=saying("?"))


def test_a_stranger_learns_nothing(invoke: Invoke, session_id: str) -> None:
    reference = named(messages(invoke, session_id)[0])
    for asked in ({"count": 1}, {"replaces": reference, "message": saying("?")}):
        payload = {"session_id": session_id, **asked}
        with pytest.raises(NotFound, match=session_id):
            invoke("rewind_chat_session", payload, user="bob@example.com")


def test_the_log_keeps_what_happened(invoke: Invoke, session_id: str) -> None:
    old = messages(invoke, session_id)[0]
    new = rewind(invoke, session_id, replaces=named(old), message=saying("A"))["message"]
    rewind(invoke, session_id, count=3)
    whole = invoke("get_chat_session", {"session_id": session_id, "include_messages": True})
    told = whole["payload"]
    assert texts(told["messages"]) == "A"
    assert told["message_index"] == {new["message_id"]: 0}
    assert list(told["request_index"].values()) == [[new["message_id"]]]
    assert (told["message_count"], told["event_count"]) == (1, 6)
    assert [event["event_type"] for event in told["events"]] == [
        *["chat_message_recorded"] * 4,
        "chat_message_replaced",
        "chat_messages_withdrawn",
    ]
    replaced, withdrawn = told["events"][4:]
    assert (replaced["message_id"], replaced["replaces"]) == (new["message_id"], old["message_id"])
    assert (replaced["message_count"], withdrawn["message_count"]) == (4, 1)
    paged = invoke("list_chat_events", {"session_id": session_id})["payload"]["events"]
    assert paged == told["events"]
    export = invoke("export_chat_session", {"session_id": session_id})["payload"]["lines"]
    assert verify(export.splitlines()).records == 6
    assert all(f'\\"content\\":\\"{text}\\"' in export for text in "abcdA")


def test_lists_count_what_stands(invoke: Invoke, session_id: str) -> None:
    rewind(invoke, session_id, count=3)
    _, (newest, *_) = records.query(session_id, 2, strong=True)
    sessions.refresh(session_id, newest)
    (listed,) = invoke("list_chat_sessions")["payload"]["sessions"]
    assert (listed["message_count"], listed["event_count"]) == (1, 5)


def test_who_follows_is_told_what_to_drop_and_what_to_swap(invoke: Invoke, session_id: str) -> None:
    seen = invoke("list_chat_messages", {"session_id": session_id})["payload"]
    assert (seen["keep"], seen["replaced"]) == (None, [])
    new = rewind(invoke, session_id, replaces=named(seen["messages"][0]), message=saying("A"))
    rewind(invoke, session_id, keep=2)
    asked = {"session_id": session_id, "after": seen["next_after"], "wait": 20}
    page = invoke("list_chat_messages", asked)["payload"]
    assert (page["messages"], page["keep"], page["replaced"]) == ([], 2, [new["message"]])
    assert (page["next_after"], page["has_more"]) == (6, False)


def test_what_replaces_may_be_large(invoke: Invoke, session_id: str) -> None:
    large = "x" * 300_000
    old = messages(invoke, session_id)[2]
    rewind(invoke, session_id, replaces=named(old), message=saying(large))
    assert len(objects()) == 1
    assert messages(invoke, session_id)[2]["content"] == large


def test_it_is_one_write_and_one_small_item(
    invoke: Invoke, session_id: str, calls: list[str]
) -> None:
    calls.clear()
    rewind(invoke, session_id, count=1)
    assert [call for call in calls if call == "PutItem"] == ["PutItem"]
    assert not {"UpdateItem", "TransactWriteItems", "BatchWriteItem"} & set(calls)
    assert len(stored()) == 6


def test_a_page_passes_over_what_was_withdrawn(
    invoke: Invoke, session_id: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(60):
        invoke("chat", {"session_id": session_id, "message": "long gone"})
    rewind(invoke, session_id, keep=2)
    invoke("chat", {"session_id": session_id, "message": "z"})
    monkeypatch.setattr(reading, "PAGE", 5)
    calls.clear()
    assert texts(messages(invoke, session_id, order="newest")) == "zba"
    assert calls.count("Query") <= 3
    calls.clear()
    assert texts(messages(invoke, session_id)) == "abz"
    assert calls.count("Query") <= 4
    calls.clear()
    assert texts(messages(invoke, session_id, order="newest", limit=1)) == "z"
    assert calls == ["Query"]


def test_many_stretches_are_listed_in_parts(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casefile.standing.MAX_MARKS", 3)
    for text in "efghijklmn":
        invoke("chat", {"session_id": session_id, "message": "?"})
        rewind(invoke, session_id, count=1)
        invoke("chat", {"session_id": session_id, "message": text})
    assert texts(messages(invoke, session_id)) == "abcdefghijklmn"
    assert texts(messages(invoke, session_id, order="newest", before=9)) == "edcba"
    rewind(invoke, session_id, keep=5)
    assert texts(messages(invoke, session_id)) == "abcde"
