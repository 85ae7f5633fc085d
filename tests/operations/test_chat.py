"""Recording chat messages: all or none, once, in order, exactly as they were sent."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import contents, dynamodb, records
from casefile.errors import BadRequest, Forbidden, NotFound, RequestIdReused, SessionClosed
from pydantic_models.canonical import ChatEvent
from pydantic_models.operations import ChatResponse
from tests.conftest import Invoke, forget, overtake, stored
from tests.json_strategies import OBJECTS


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_chat_session")["payload"]["session_id"])


def messages(invoke: Invoke, session_id: str) -> list[dict[str, Any]]:
    asked = {"session_id": session_id, "include_messages": True}
    found: list[dict[str, Any]] = invoke("get_chat_session", asked)["payload"]["messages"]
    return found


def test_the_short_form_is_one_message_of_the_user(invoke: Invoke, session_id: str) -> None:
    asked = invoke("chat", {"session_id": session_id, "message": "Hello"})
    answer = ChatResponse.model_validate(asked).payload
    assert (answer.message.content, answer.message.message_type) == ("Hello", "user")
    assert answer.related_messages == []
    assert answer.message.session_request_id == asked["request_id"]
    (event,) = answer.events
    assert ChatEvent.model_validate(event).model_dump(mode="json") == event
    assert event["message_id"] == answer.message.message_id


def test_the_full_form_takes_every_type_in_one_record(invoke: Invoke, session_id: str) -> None:
    kinds = ["system", "user", "assistant", "tool", "error"]
    sent: list[dict[str, Any]] = [
        {"content": f"I am {kind}", "message_type": kind} for kind in kinds
    ]
    sent[2]["tool_calls"] = [{"id": "call_1", "arguments": {"n": 1e-7}}]
    answer = invoke("chat", {"session_id": session_id, "messages": sent})["payload"]
    recorded = [answer["message"], *answer["related_messages"]]
    assert recorded == messages(invoke, session_id)
    assert [message["message_type"] for message in recorded] == kinds
    assert recorded[2]["tool_calls"] == sent[2]["tool_calls"]
    assert {message["record"] for message in recorded} == {1}
    assert len({message["message_id"] for message in recorded}) == 5


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"message": "a", "messages": [{"content": "b", "message_type": "user"}]},
        {"messages": []},
        {"messages": [{"content": "a", "message_type": "user"}] * 101},
        {"messages": [{"content": "a", "message_type": "robot"}]},
        {"messages": [{"content": "a", "message_type": "user"}, {"content": "b"}]},
        {"messages": [{"content": None, "message_type": "user"}]},
        {"message": "half \udfff"},
        {"message": "a", "session_id": "ts_261121_tool"},
        {"messages": [{"content": "a", "message_type": "user", "name": "lost"}]},
    ],
)
def test_what_is_wrong_is_refused_whole(
    invoke: Invoke, session_id: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest, match="payload"):
        invoke("chat", {"session_id": session_id, **payload})
    assert len(stored()) == 1


def test_metadata_of_the_request_and_of_a_message_are_both_kept(
    invoke: Invoke, session_id: str
) -> None:
    sent = [
        {"content": "one", "message_type": "user"},
        {"content": "two", "message_type": "user", "metadata": {"a": 2}},
    ]
    invoke("chat", {"session_id": session_id, "messages": sent}, metadata={"a": 1})
    one, two = messages(invoke, session_id)
    assert (one["metadata"], one["request_metadata"]) == ({"a": 1}, {})
    assert (two["metadata"], two["request_metadata"]) == ({"a": 2}, {"a": 1})


def test_a_retry_is_recorded_once(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid4())
    first = invoke("chat", {"session_id": session_id, "message": "Hello"}, request_id=request_id)
    invoke("chat", {"session_id": session_id, "message": "Hello"})
    forget()
    again = invoke("chat", {"session_id": session_id, "message": "Hello"}, request_id=request_id)
    assert again == first
    assert len(messages(invoke, session_id)) == 2
    with pytest.raises(RequestIdReused):
        invoke("chat", {"session_id": session_id, "message": "Bye"}, request_id=request_id)


def test_nothing_is_added_after_closing(invoke: Invoke, session_id: str) -> None:
    closed = invoke("close_chat_session", {"session_id": session_id})["payload"]["closed_at"]
    with pytest.raises(SessionClosed, match=closed.replace("+", r"\+")):
        invoke("chat", {"session_id": session_id, "message": "Hello?"})


def test_only_its_owner_may_write(invoke: Invoke, session_id: str) -> None:
    with pytest.raises(NotFound):
        invoke("chat", {"session_id": session_id, "message": "Hi"}, user="bob@example.com")
    assert len(stored()) == 1


def test_whether_an_editor_still_is_one_takes_one_call(invoke: Invoke, calls: list[str]) -> None:
    def open_casefile() -> str:
        made = invoke("create_casefile", {"title": "Shared"})["payload"]["casefile_id"]
        share(made, "editor")
        return str(made)

    def share(casefile_id: str, level: str) -> None:
        asked = {"target_user_id": "bob@example.com", "permission": level}
        invoke("grant_permission", {"casefile_id": casefile_id, **asked})

    def say() -> list[str]:
        calls.clear()
        invoke("chat", {"session_id": session_id, "message": "hi"}, user="bob@example.com")
        return [*calls]

    first, second = open_casefile(), open_casefile()
    made = invoke("create_chat_session", {"casefile_id": first})
    session_id = made["payload"]["session_id"]
    assert say() == ["Query", "BatchGetItem", "PutItem"]
    assert say() == ["BatchGetItem", "PutItem"]
    invoke("remove_session_from_casefile", {"session_id": session_id, "casefile_id": first})
    with pytest.raises(NotFound):
        say()
    filing = {"session_id": session_id, "session_type": "chat", "casefile_id": second}
    invoke("add_session_to_casefile", filing)
    assert say() == ["BatchGetItem", "BatchGetItem", "PutItem"]  # It was seen in the first.
    assert say() == ["BatchGetItem", "PutItem"]
    share(second, "viewer")
    with pytest.raises(Forbidden):
        say()


def test_who_was_let_out_of_a_casefile_before_a_session_came_back_writes_nothing(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read together is read in no order: a grant of before, a filing of after."""
    casefile_id = invoke("create_casefile", {"title": "Shared"})["payload"]["casefile_id"]
    grant = {"casefile_id": casefile_id, "target_user_id": "bob@example.com"}
    invoke("grant_permission", grant | {"permission": "editor"})
    made = invoke("create_chat_session", {"casefile_id": casefile_id})
    filing = {"session_id": made["payload"]["session_id"], "casefile_id": casefile_id}
    said = {"session_id": filing["session_id"], "message": "hi"}
    invoke("chat", said, user="bob@example.com")
    read = dynamodb.get_many

    def read_in_two(keys: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        monkeypatch.setattr(dynamodb, "get_many", read)
        head, *grants = keys
        yield from list(read(grants))
        invoke("remove_session_from_casefile", filing)
        invoke("revoke_permission", grant)
        invoke("add_session_to_casefile", filing | {"session_type": "chat"})
        yield from read([head])

    monkeypatch.setattr(dynamodb, "get_many", read_in_two)
    with pytest.raises(NotFound):
        invoke("chat", said, user="bob@example.com")


def shared_chat(invoke: Invoke) -> tuple[dict[str, Any], dict[str, Any]]:
    """What names a session that Bob may write and its casefile, and Bob's grant there."""
    casefile_id = invoke("create_casefile", {"title": "Shared"})["payload"]["casefile_id"]
    grant = {"casefile_id": casefile_id, "target_user_id": "bob@example.com"}
    invoke("grant_permission", grant | {"permission": "editor"})
    made = invoke("create_chat_session", {"casefile_id": casefile_id})
    return {"session_id": made["payload"]["session_id"], "casefile_id": casefile_id}, grant


def test_who_is_let_out_while_others_write_first_writes_nothing(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    filing, _ = shared_chat(invoke)
    session_id = filing["session_id"]

    def let_out() -> None:
        invoke("chat", {"session_id": session_id, "message": "mine"})
        invoke("remove_session_from_casefile", filing)

    overtake(monkeypatch, records, "create", let_out)
    with pytest.raises(NotFound):
        invoke("chat", {"session_id": session_id, "message": "hi"}, user="bob@example.com")
    assert [each["content"] for each in messages(invoke, session_id)] == ["mine"]


def test_who_is_let_out_while_content_is_put_away_writes_nothing(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    filing, grant = shared_chat(invoke)
    session_id = filing["session_id"]
    overtake(monkeypatch, contents, "put", lambda: invoke("revoke_permission", grant))
    said = {"session_id": session_id, "message": "large" * 100_000}
    with pytest.raises(NotFound):
        invoke("chat", said, user="bob@example.com")
    assert messages(invoke, session_id) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.text(), tool_calls=st.lists(OBJECTS, max_size=3), metadata=OBJECTS)
def test_any_content_comes_back_identical(
    invoke: Invoke,
    session_id: str,
    content: str,
    tool_calls: list[dict[str, Any]],
    metadata: dict[str, Any],
) -> None:
    message = {
        "content": content,
        "message_type": "assistant",
        "tool_calls": tool_calls,
        "metadata": metadata,
    }
    invoke("chat", {"session_id": session_id, "messages": [message]})
    kept = messages(invoke, session_id)[-1]
    assert json.dumps([kept["content"], kept["tool_calls"], kept["metadata"]]) == json.dumps(
        [content, tool_calls, metadata]
    )
