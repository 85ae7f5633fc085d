"""Direct invocation: what the runtime has parsed already may hold what JSON can't carry."""

from collections.abc import Iterator
from typing import Any

import pytest

from casefile.errors import BadRequest, CasefileError
from tests.conftest import OPERATIONS, Context, Lines, load
from tests.events import event

HALF = "half a pair: \ud83e"


def with_each_text_broken(value: Any) -> Iterator[Any]:
    """The value once for each text in it, that text being no text."""
    if isinstance(value, str):
        yield HALF
    elif isinstance(value, list):
        for position, element in enumerate(value):
            for broken in with_each_text_broken(element):
                yield [*value[:position], broken, *value[position + 1 :]]
    elif isinstance(value, dict):
        for key, element in value.items():
            for broken in with_each_text_broken(element):
                yield value | {key: broken}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_text_that_is_none_is_refused_wherever_it_is(aws: None, operation: str) -> None:
    asked = event(operation, "direct")
    for broken in with_each_text_broken(asked):
        with pytest.raises(CasefileError):
            load(operation)(broken, Context())
    payload_type = load(operation).request_type.model_fields["payload"].annotation
    assert payload_type is not None
    for field in payload_type.model_fields:
        with pytest.raises(BadRequest):
            load(operation)(asked | {"payload": asked["payload"] | {field: HALF}}, Context())


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_number_that_json_cannot_carry_is_refused(aws: None, number: float) -> None:
    asked = event("create_session", "direct") | {"metadata": {"n": [number]}}
    with pytest.raises(BadRequest, match="metadata"):
        load("create_session")(asked, Context())


def test_endless_nesting_is_refused(aws: None) -> None:
    value: Any = []
    for _ in range(50_000):
        value = [value]
    asked = event("create_session", "direct") | {"metadata": {"deep": value}}
    with pytest.raises(BadRequest, match="nested deeper"):
        load("create_session")(asked, Context())
    while value:
        value = value.pop()  # Freed level by level, or the interpreter overflows its stack.


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"user_id": None}, "user_id"),
        ({"user_id": "x"}, "user_id"),
        ({"user_id": "two words"}, "user_id"),
        ({"operation": "chat"}, "operation"),
        ({"payload": "text"}, "payload"),
        ({"request_id": 7}, "request_id"),
    ],
)
def test_a_malformed_envelope_is_refused(aws: None, change: dict[str, Any], where: str) -> None:
    with pytest.raises(BadRequest) as refused:
        load("create_session")(event("create_session", "direct") | change, Context())
    assert [fault["where"] for fault in refused.value.faults] == [where]


def test_what_an_orchestrator_adds_is_ignored(aws: None) -> None:
    asked = event("create_session", "direct") | {
        "context_requirements": ["session"],
        "hooks": ["audit"],
        "policy_hints": {"tier": 1},
        "route_directives": {"to": "x"},
        "something_new": {"a": 1},
    }
    assert load("create_session")(asked, Context())["status"] == "completed"


def test_what_is_null_is_as_if_it_were_left_out(aws: None) -> None:
    names = ["request_id", "timestamp", "metadata", "session_id", "hooks", "policy_hints"]
    asked = event("create_session", "direct") | dict.fromkeys(names)
    context = Context()
    first, second = (load("create_session")(asked, context) for _ in range(2))
    assert first == second
    assert first["request_id"] == context.aws_request_id
    with pytest.raises(BadRequest, match="payload"):
        load("create_session")(asked | {"payload": None}, context)


def test_what_is_none_of_an_envelopes_names_is_not_logged(aws: None, lines: Lines) -> None:
    asked = event("get_session", "direct") | {"request_id": "secret", "user_id": "secret\x00"}
    asked["payload"] = {"session_id": "ts_secret"}
    context = Context()
    with pytest.raises(BadRequest):
        load("get_session")(asked, context)
    (told,) = lines()
    assert told["request_id"] == context.aws_request_id
    assert "secret" not in str(told)
