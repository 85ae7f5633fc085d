"""Recording a call never breaks it: whatever the arguments are, what is recorded is JSON."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from casefile.executions import Execution, as_object, jsonable
from pydantic_models.base.json_values import check_json, to_json
from pydantic_models.operations import ToolRequestPayload


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters()),
    st.binary(),
    st.datetimes(),
    st.uuids(),
    st.builds(Rude),
    st.builds(lambda: 10**5000),
    st.sampled_from([object(), Path("x"), print, ValueError("no"), "\ud800"]),
)
VALUES = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner)
    ),
    max_leaves=20,
)


def check(told: Any) -> None:
    check_json(told)
    to_json(told).encode()


@given(VALUES)
def test_anything_is_told_as_json(value: Any) -> None:
    check(jsonable(value))
    check(as_object(value))


def test_what_is_endless_or_too_deep_is_told_too() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = "bottom"
    for _ in range(500):
        deep = {"down": [deep]}
    for value in (endless, deep):
        execution = Execution("tool", {"value": value})
        execution.result = value
        fields = execution.fields()
        check(fields)
        ToolRequestPayload(session_id="ts_251013_tool001", **fields)


def test_portable_json_is_told_as_it_is() -> None:
    values: list[dict[str, Any]] = [{"a": [1, 2.5, None, True, "naïve 🧳", 2**100]}, {}]
    for value in values:
        assert as_object(value) == value
    assert as_object(None) == {}
    assert as_object([1]) == {"value": [1]}


def test_an_error_is_told_within_its_bounds() -> None:
    fields = Execution("tool").fields(ValueError("x" * 5000 + "\ud800"))
    assert fields["error_message"].startswith("ValueError: xxx")
    assert len(fields["error_message"]) == 2000
    ToolRequestPayload(session_id="ts_251013_tool001", **fields)
