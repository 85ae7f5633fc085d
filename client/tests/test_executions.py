"""Recording a call never breaks it: whatever the arguments are, what is recorded is JSON."""

import asyncio
import functools
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import casefile
from casefile.executions import Execution, as_object, jsonable
from pydantic_models.base.json_values import check_json, to_json
from pydantic_models.operations import ToolRequestPayload

from .pretended import AT

SESSION = "ts_251013_tool001"


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


@dataclass
class Table:
    rows: Any


class Model(BaseModel):
    rows: Any


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda rows: rows,
        lambda rows: {"rows": [(1, rows)]},
        lambda rows: Table(rows),
        lambda rows: [Model(rows={"rows": rows})],
        lambda rows: {"set": {rows}},
    ],
)
@pytest.mark.parametrize("made", [lambda: (n for n in range(3)), lambda: map(abs, range(3))])
def test_an_iterator_is_not_used_up(wrapped: Any, made: Any) -> None:
    rows = made()
    value = wrapped(rows)
    told = jsonable(value)
    check(told)
    assert f"{type(rows).__name__} object" in to_json(told)
    assert list(rows) == [0, 1, 2]


def test_what_holds_no_iterator_is_told_as_it_is() -> None:
    assert jsonable({"a": Table([Model(rows={1})])}) == {"a": {"rows": [{"rows": [1]}]}}
    endless: list[Any] = []
    endless += [Table(endless), Model(rows=endless)]
    for value in (endless, endless[0], endless[1], [endless, endless]):
        check(jsonable(value))
    assert jsonable(itertools.count()) == "count(0)"


@pytest.mark.parametrize("made", [lambda: Table(None), lambda: Model(rows=None)])
def test_what_refers_to_each_other_is_looked_at_once(made: Any) -> None:
    everybody = [made() for _ in range(30)]
    for each in everybody:
        each.rows = [other for other in everybody if other is not each]
    began = time.monotonic()
    check(jsonable(everybody[0]))
    everybody[-1].rows.append(rows := iter([1]))
    check(jsonable(everybody))
    assert time.monotonic() - began < 5
    assert list(rows) == [1]


class Counted(Table):
    looks = 0

    def __getattribute__(self, name: str) -> Any:
        Counted.looks += name == "rows"
        return super().__getattribute__(name)


@pytest.mark.parametrize("last", [None, iter([])])
@pytest.mark.parametrize(
    "held",
    [
        lambda each: each,
        lambda each: [each],
        lambda each: {"of": each},
        lambda each: Counted(each),
        lambda each: Counted([each, iter([])]),
    ],
)
def test_each_thing_is_looked_at_a_few_times_however_many_hold_it(held: Any, last: Any) -> None:
    count = 200
    parent = Counted(None)
    children = [Counted([parent]) for _ in range(count)]
    parent.rows = [*children, last]
    values = [held(each) for each in children]
    for told in (values, {str(each): value for each, value in enumerate(values)}, Counted(values)):
        Counted.looks = 0
        jsonable(told)
        assert Counted.looks < 8 * count
    Counted.looks = 0
    Execution("tool", {str(each): value for each, value in enumerate(values)})
    assert Counted.looks < 8 * count


def test_what_is_there_many_times_is_told_as_often() -> None:
    twice: Any = [1]
    for _ in range(15):
        twice = [twice, twice]
    assert jsonable(twice) == twice
    shared = {"rows": [1, iter([])]}
    told = jsonable([shared, {"deeper": shared}])
    assert told == [told[0], {"deeper": told[0]}]


class Recorder(list[dict[str, Any]]):
    """What was recorded, by its clients."""

    def client(self) -> casefile.Client:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        return casefile.Client("http://pretended.invalid", "token", http=http)

    def async_client(self) -> casefile.AsyncClient:
        async def answer(request: httpx.Request) -> httpx.Response:
            await anyio.sleep(0)
            return self.answer(request)

        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        return casefile.AsyncClient("http://pretended.invalid", "token", http=http)

    def answer(self, request: httpx.Request) -> httpx.Response:
        envelope = json.loads(request.content)
        self.append(envelope["payload"])
        payload = {"session_id": SESSION, "record": 1, "recorded_at": AT}
        payload |= {"result": {}, "status": "completed"}
        told = {"request_id": envelope["request_id"], "status": "completed", "payload": payload}
        return httpx.Response(200, json=told)


def test_what_a_tool_returns_or_raises_is_its_callers_though_it_cannot_be_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def token() -> str:
        raise OSError("no keyring")

    def fail() -> None:
        raise ValueError("why")

    def book() -> dict[str, str]:
        return {"booked": "TP1"}

    http = httpx.Client(transport=httpx.MockTransport(Recorder().answer))
    client = casefile.Client("http://pretended.invalid", token, http=http)
    many = casefile.AsyncClient("http://pretended.invalid", token)
    more: Any = {"max_records": 1, "when_full": "raise", "close_seconds": 0}
    with casefile.Buffer(client, tmp_path / "buffer", **more) as buffer:
        full = buffer.create_tool_session()
        for session in (client.tool_session(SESSION), full):
            with pytest.raises(ValueError, match="why"):
                session.recorded()(fail)()
            assert session.recorded()(book)() == {"booked": "TP1"}
            with session.recording("pay") as execution:
                execution.result = {"paid": True}

    async def fail_later() -> None:
        fail()

    async def book_later() -> dict[str, str]:
        return book()

    with pytest.raises(ValueError, match="why"):
        anyio.run(many.tool_session(SESSION).recorded()(fail_later))
    assert anyio.run(many.tool_session(SESSION).recorded()(book_later)) == {"booked": "TP1"}
    told = [each.getMessage() for each in caplog.records if "not recorded" in each.getMessage()]
    assert told == [
        f"an execution of {name} was not recorded"
        for name in [*["fail", "book", "pay"] * 2, "fail_later", "book_later"]
    ]


def test_what_could_never_be_recorded_is_told_before_anything_is_done(tmp_path: Path) -> None:
    done: list[str] = []
    client = Recorder().client()
    buffer = casefile.Buffer(client, tmp_path / "buffer", close_seconds=0)
    session = buffer.create_tool_session()
    for by in (session, client.tool_session(SESSION)):
        with pytest.raises(casefile.BadRequest, match="at most 200"):
            by.recorded("x" * 201)(done.append)("booked")
    buffer.close()
    with pytest.raises(casefile.CasefileError, match="is closed"):
        session.recorded()(done.append)("booked")
    assert done == []


def test_a_function_of_the_other_kind_is_refused() -> None:
    def plain() -> None: ...

    async def later() -> int:
        return 1

    async def several() -> AsyncIterator[int]:
        yield 1

    @functools.wraps(later)
    def wrapped() -> Any:
        return later()

    recorder = Recorder()
    one, many = recorder.client().tool_session(SESSION), recorder.async_client()
    with pytest.raises(TypeError, match="AsyncClient"):
        one.recorded()(later)
    unfit: Any = plain
    with pytest.raises(TypeError, match="by a Client"):
        many.tool_session(SESSION).recorded()(unfit)
    unfit = several
    with pytest.raises(TypeError, match="`recording`"):
        many.tool_session(SESSION).recorded()(unfit)
    assert anyio.run(many.tool_session(SESSION).recorded()(wrapped)) == 1
    assert len(recorder) == 1


@pytest.mark.parametrize("cancel", ["scope", "task group", "task"])
def test_a_tool_that_is_cancelled_is_recorded(cancel: str) -> None:
    recorder = Recorder()

    async def work() -> None:
        began = anyio.Event()

        @recorder.async_client().tool_session(SESSION).recorded()
        async def slow() -> None:
            began.set()
            await anyio.sleep_forever()

        async def run() -> None:
            await slow()

        if cancel == "scope":
            with anyio.CancelScope() as scope:
                asyncio.get_running_loop().call_later(0.01, scope.cancel)
                await slow()
        elif cancel == "task group":
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await began.wait()
                group.cancel_scope.cancel()
        else:
            task = asyncio.ensure_future(run())
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(work())
    assert [each["tool_name"] for each in recorder] == ["slow"]
    assert recorder[0]["error_message"].startswith("CancelledError")


def test_a_tool_that_ended_is_recorded_though_its_caller_is_cancelled() -> None:
    recorder = Recorder()

    async def work() -> None:
        with anyio.CancelScope() as scope:

            @recorder.async_client().tool_session(SESSION).recorded()
            async def book() -> dict[str, str]:
                scope.cancel()
                return {"booked": "TP1"}

            assert await book() == {"booked": "TP1"}

    asyncio.run(work())
    assert [each["result"] for each in recorder] == [{"booked": "TP1"}]


def test_what_a_tool_gives_is_the_callers() -> None:
    recorded = Recorder()

    @recorded.client().tool_session(SESSION).recorded()
    def rows(count: int) -> Iterator[int]:
        yield from range(count)

    assert list(rows(3)) == [0, 1, 2]
    assert "generator object" in recorded[0]["result"]["value"]


def test_what_was_asked_is_told_as_it_was_when_the_call_began() -> None:
    recorded = Recorder()
    session = recorded.client().tool_session(SESSION)

    @session.recorded()
    def place(order: dict[str, Any], note: str = "none", *more: Any, **odd: Any) -> None:
        order["items"].append("changed")
        order["quantity"] = 0

    place({"quantity": 5, "items": []})
    place({"quantity": 5, "items": []}, "fast", 1, colour="red")
    asked = {"amount": [120]}
    with session.recording("pay", asked) as execution:
        asked["amount"].append(0)
        execution.parameters["by"] = "card"
    assert [each["parameters"] for each in recorded] == [
        {"order": {"quantity": 5, "items": []}, "note": "none"},
        {
            "order": {"quantity": 5, "items": []},
            "note": "fast",
            "more": [1],
            "odd": {"colour": "red"},
        },
        {"amount": [120], "by": "card"},
    ]


class Desk:
    @staticmethod
    def label(text: str, cls: str = "spam") -> str:
        return text + cls

    def pick(self, cls: str, **more: Any) -> str:
        return cls

    @classmethod
    def clear(cls, self: int = 1) -> int:
        return self


def test_only_what_a_method_is_called_on_is_no_argument() -> None:
    recorded = Recorder()
    recording = recorded.client().tool_session(SESSION).recorded()

    def label(cls: str, self: str = "none", **more: Any) -> str:
        return cls

    def added(self: Desk, cls: str) -> str:
        return cls

    @functools.wraps(Desk.pick)
    def pick(*arguments: Any, **named: Any) -> Any:
        return Desk.pick(*arguments, **named)

    assert recording(label)("ham") == "ham"
    assert recording(label)(self="me", cls="ham") == "ham"
    assert recording(Desk.label)("hi", cls="ham") == "hiham"
    assert recording(Desk.pick)(Desk(), "ham") == "ham"
    assert recording(pick)(Desk(), cls="ham", colour="red") == "ham"
    assert recording(Desk().pick)("ham") == "ham"
    assert recording(vars(Desk)["clear"].__func__)(Desk, 2) == 2
    assert recording(added)(Desk(), "ham") == "ham"
    assert recording(added)(self=Desk(), cls="ham") == "ham"
    assert [each["parameters"] for each in recorded] == [
        {"cls": "ham", "self": "none"},
        {"cls": "ham", "self": "me"},
        {"text": "hi", "cls": "ham"},
        {"cls": "ham"},
        {"cls": "ham", "more": {"colour": "red"}},
        {"cls": "ham"},
        {"self": 2},
        {"cls": "ham"},
        {"cls": "ham"},
    ]


class Same:
    def __call__(self, n: int) -> int:
        return n


def test_whatever_can_be_called_can_be_recorded() -> None:
    recorded = Recorder()
    session = recorded.client().tool_session(SESSION)

    def add(a: int, b: int) -> int:
        return a + b

    @functools.wraps(add)
    def add_to_one(b: int) -> int:
        return add(1, b)

    assert session.recorded()(functools.partial(add, 1))(2) == 3
    assert session.recorded()(max)(1, 2) == 2
    assert session.recorded()(Same())(3) == 3
    assert session.recorded()(add_to_one)(2) == 3
    with pytest.raises(TypeError, match="'b'"):
        session.recorded("sum")(add)(*[1])
    assert [(each["tool_name"], each["parameters"]) for each in recorded] == [
        ("add", {"b": 2}),
        ("max", {"args": [1, 2], "kwargs": {}}),
        ("Same", {"n": 3}),
        ("add", {"args": [2], "kwargs": {}}),
        ("sum", {"args": [1], "kwargs": {}}),
    ]
    assert recorded[-1]["error_message"].startswith("TypeError")


def test_portable_json_is_told_as_it_is() -> None:
    values: list[dict[str, Any]] = [{"a": [1, 2.5, None, True, "naïve 🧳", 2**100]}, {}]
    for value in values:
        assert as_object(value) == value
    assert as_object(None) == {}
    assert as_object([1]) == {"value": [1]}


def test_an_error_that_cannot_say_what_it_is_is_told_by_its_type() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert Execution("tool").fields(Silent())["error_message"] == "Silent"


def test_an_error_is_told_within_its_bounds() -> None:
    fields = Execution("tool").fields(ValueError("x" * 5000 + "\ud800"))
    assert fields["error_message"].startswith("ValueError: xxx")
    assert len(fields["error_message"]) == 2000
    ToolRequestPayload(session_id="ts_251013_tool001", **fields)
