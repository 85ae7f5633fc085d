"""The client against the deployed template: open, record, read, follow, share, close."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from runpy import run_path
from typing import Any

import httpx
import pytest

import casefile
from casefile import errors
from casefile.operations import OPERATIONS
from dev.local_stack import Stack
from pydantic_models.canonical import ChatMessage

from .conftest import ROOT, SignIn


def test_it_knows_every_operation_by_its_route() -> None:
    told = json.loads((ROOT / "functions/describe_api/openapi.json").read_text())["paths"]
    routes = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in told.items()
        for method, operation in methods.items()
        if "operationId" in operation
    }
    assert {name: (each.method, each.path) for name, each in OPERATIONS.items()} == routes


def test_it_knows_every_error_by_its_code_and_by_its_name() -> None:
    """The code comes over HTTP, the name from a function that is called directly."""
    told = run_path(str(ROOT / "layers/models/casefile/errors.py"))
    never_met = {"CasefileError", "Conflict", "MethodNotAllowed", "Overtaken"}
    classes: list[Any] = [
        each
        for name, each in told.items()
        if isinstance(each, type)
        and issubclass(each, told["CasefileError"])
        and name not in never_met
    ]
    assert classes
    for each in classes:
        by_code, by_name = errors.of_status(each.status, each.code), errors.named(each.__name__)
        assert by_code.code == each.code
        assert by_name is not None
        assert issubclass(by_name, by_code)


def test_a_tool_session_from_opening_to_verifying_its_export(ann: casefile.Client) -> None:
    session = ann.tool_sessions.create("Trip")
    recorded = session.record("search", {"q": "BER-LIS", "n": 2**200}, result={"hits": 3})
    assert recorded.record == 1
    begun = session.begin("book", {"hit": 1})
    with pytest.raises(casefile.PendingRequests):
        session.close()
    session.complete(begun, error_message="sold out")
    read = list(session.requests())
    assert [each.parameters for each in read] == [{"q": "BER-LIS", "n": 2**200}, {"hit": 1}]
    assert session.request(begun).error_message == "sold out"
    assert session.close().total_requests == 2
    with pytest.raises(casefile.SessionClosed) as refused:
        session.record("late")
    assert (refused.value.code, refused.value.status) == ("session_closed", 409)
    assert len(list(session.export())) == 5
    session.delete()
    with pytest.raises(casefile.NotFound):
        session.read()


def test_many_messages_page_by_themselves_in_both_orders(ann: casefile.Client) -> None:
    session = ann.chat_sessions.create("Talk")
    session.say("0")
    for first, last in ((1, 100), (100, 150)):
        session.record(
            [{"content": str(n), "message_type": "assistant"} for n in range(first, last)]
        )
    assert [message.content for message in session.messages()] == [str(n) for n in range(150)]
    newest = [message.content for message in session.messages(order="newest", limit=120)]
    assert newest == [str(n) for n in range(149, 29, -1)]
    assert [message.content for message in session.messages(limit=2)] == ["0", "1"]


def test_function_calls_are_recorded_with_their_exceptions(ann: casefile.Client) -> None:
    session = ann.tool_sessions.create()

    @session.recorded()
    def divide(a: float, b: float = 2, **more: Any) -> float:
        return a / b

    assert divide(1) == 0.5
    with pytest.raises(ZeroDivisionError):
        divide(1, b=0, odd={1, float("inf")}, lone="\ud800")
    with session.recording("search", {"q": Path("x")}) as execution:
        execution.result = {"hits": 3}
    first, second, third = session.requests()
    assert (first.tool_name, first.parameters, first.result) == (
        "divide",
        {"a": 1, "b": 2},
        {"value": 0.5},
    )
    assert second.error_message == "ZeroDivisionError: division by zero"
    assert set(second.parameters["more"]["odd"]) == {1, "inf"}
    assert (third.parameters, third.result) == ({"q": "x"}, {"hits": 3})
    assert all(each.duration_ms is not None for each in (first, second, third))


def test_what_is_wrong_is_told_before_it_is_sent(ann: casefile.Client) -> None:
    session = ann.tool_session("ts_251013_nosuch")
    with pytest.raises(casefile.BadRequest, match="not both") as refused:
        session.record("x", result={}, error_message="x")
    assert refused.value.faults
    with pytest.raises(casefile.BadRequest, match="no JSON"):
        session.record("x", {"x": object()})
    mistyped: Any = {"resul": {}}
    with pytest.raises(TypeError, match="resul"):
        session.record("x", **mistyped)
    with pytest.raises(casefile.NotFound):
        session.record("x")


def test_casefiles_are_shared(ann: casefile.Client, bob: casefile.Client) -> None:
    folder = ann.casefiles.create("Lisbon", tags=["travel"])
    session = ann.chat_sessions.create("Talk")
    assert folder.add(session.session_id).total_sessions == 1
    theirs = bob.casefile(folder.casefile_id)
    with pytest.raises(casefile.NotFound):
        theirs.read()
    folder.share("bob@client.example", "editor")
    assert theirs.read().metadata.tags == ["travel"]
    assert [each.session_id for each in theirs.sessions()] == [session.session_id]
    assert bob.chat_session(session.session_id).say("Hello").user_id == "bob@client.example"
    assert folder.check("bob@client.example").can_write
    with pytest.raises(casefile.Forbidden):
        theirs.share("eve@example.com")
    folder.unshare("bob@client.example")
    with pytest.raises(casefile.NotFound):
        theirs.read()
    assert folder.update(notes="done").notes == "done"
    assert folder.casefile_id in {each.casefile_id for each in ann.casefiles.list()}
    folder.delete()


def test_whoever_follows_is_given_what_comes_until_the_end(stack: Stack, sign_in: SignIn) -> None:
    async def follow() -> tuple[list[str], list[tuple[str, str]]]:
        async with casefile.AsyncClient(stack.url, sign_in("ann@client.example")) as client:
            chat = await client.chat_sessions.create()
            tool = await client.tool_sessions.create()

            async def write() -> None:
                begun = await tool.begin("slow")
                for text in ("one", "two"):
                    await chat.say(text)
                await tool.complete(begun, result={})
                await chat.close()
                await tool.close()

            writing = asyncio.create_task(write())
            said = [m.content async for m in chat.follow() if isinstance(m, ChatMessage)]
            done = [(each.tool_name, each.status.value) async for each in tool.follow()]
            await writing
            return said, done

    said, done = asyncio.run(follow())
    assert said == ["one", "two"]
    assert done[-1] == ("slow", "completed")


Told = ChatMessage | casefile.Withdrawal


def apply(told: Told, standing: list[ChatMessage]) -> None:
    """Do to the messages that stood what `follow` tells, as its documentation says."""
    if isinstance(told, casefile.Withdrawal):
        del standing[told.keep :]
    else:
        standing[told.index : told.index + 1] = [told]


def test_whoever_follows_is_told_what_is_taken_back(ann: casefile.Client) -> None:
    talk = ann.chat_sessions.create()
    one, *_ = (talk.say(text) for text in ("one", "two", "three"))
    following = talk.follow()
    for _ in range(3):
        next(following)
    talk.rewind(2)
    assert next(following) == casefile.Withdrawal(keep=1)
    talk.replace(one, {"content": "ONE", "message_type": "user"})
    replaced = next(following)
    assert isinstance(replaced, ChatMessage)
    assert (replaced.content, replaced.index, replaced.replaces) == ("ONE", 0, one.message_id)
    # What comes and goes while nobody looks, is nobody told of.
    talk.say("gone")
    talk.rewind(1)
    talk.rewind(keep=7)
    talk.say("two again")
    said = next(following)
    assert isinstance(said, ChatMessage)
    assert (said.content, said.index) == ("two again", 1)
    # One who begins later is told of what stood before, whatever they have.
    later = talk.follow(after=3)
    assert next(later) == casefile.Withdrawal(keep=1)
    talk.rewind(keep=0)
    talk.close()
    assert list(following) == [casefile.Withdrawal(keep=0)]


def test_followers_come_to_have_what_stands(
    ann: casefile.Client, stack: Stack, sign_in: SignIn
) -> None:
    talk = ann.chat_sessions.create()

    async def follow() -> list[ChatMessage]:
        standing: list[ChatMessage] = []
        async with casefile.AsyncClient(stack.url, sign_in("ann@client.example")) as client:
            async for told in client.chat_session(talk.session_id).follow():
                apply(told, standing)
        return standing

    with ThreadPoolExecutor() as pool:
        async_follower = pool.submit(asyncio.run, follow())
        standing: list[ChatMessage] = []
        following = talk.follow()
        chance = Random(7)
        for number in range(40):
            match chance.choice(["say", "say", "say", "many", "rewind", "keep", "replace"]):
                case "say":
                    talk.say(str(number))
                case "many":
                    said = [{"content": f"{number} {n}", "message_type": "user"} for n in range(3)]
                    talk.record(said)
                case "rewind":
                    talk.rewind(chance.randint(1, 4))
                case "keep":
                    talk.rewind(keep=chance.randint(0, 20))
                case "replace":
                    stands = list(talk.messages())
                    if stands:
                        by = {"content": f"{number}!", "message_type": "user"}
                        talk.replace(chance.choice(stands), by)
            if chance.random() < 0.3 and len(list(talk.messages())) > len(standing):
                apply(next(following), standing)
        talk.close()
        for told in following:
            apply(told, standing)
        left = list(talk.messages())
        assert standing == left
        assert async_follower.result() == left
        assert len(left) > 1


class Interrupting(httpx.BaseTransport):
    """A way to the service on which something is done after each page of messages."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.pages = 0
        self._meanwhile = meanwhile
        self._way = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._way.handle_request(request)
        if (request.method, request.url.path[-9:]) == ("GET", "/messages"):
            answer.read()
            self.pages += 1
            self._meanwhile()
        return answer

    def close(self) -> None:
        self._way.close()


@pytest.mark.parametrize(
    "change", ["rewound", "rewound and much said", "rewound twice", "replaced", "said"]
)
def test_what_is_told_to_stand_stood_together(
    ann: casefile.Client, stack: Stack, sign_in: SignIn, change: str
) -> None:
    """Also of few messages, which are many pages if they are large."""
    talk = ann.chat_sessions.create()
    said = [talk.say(f"{number} " + "x" * 1_500_000) for number in range(6)]
    stood = [[str(number) for number in range(6)]]

    def meanwhile() -> None:
        if len(stood) == 2:
            return
        if change == "rewound":
            talk.rewind(4)
            talk.say("new")
            stood.append(["0", "1", "new"])
        elif change == "rewound and much said":
            for _ in range(2):
                talk.record([{"content": "x", "message_type": "user"}] * 100)
            talk.rewind(keep=2)
            talk.say("new")
            stood.append(["0", "1", "new"])
        elif change == "rewound twice":
            talk.rewind(4)
            for number in range(5):
                talk.say(f"new {number}")
            talk.rewind(1)
            stood.append(["0", "1", "new", "new", "new", "new"])
        elif change == "replaced":
            talk.replace(said[5], {"content": "five", "message_type": "user"})
            talk.replace(said[0], {"content": "zero", "message_type": "user"})
            stood.append(["zero", "1", "2", "3", "4", "five"])
        else:
            talk.say("new")
            stood.append(["1", "2", "3", "4", "5", "new"])

    way = Interrupting(meanwhile)
    with (
        httpx.Client(transport=way) as http,
        casefile.Client(stack.url, sign_in("ann@client.example"), http=http) as client,
    ):
        session = client.chat_session(talk.session_id)
        found = [each.content.split(" ")[0] for each in session.standing(newest=6)]
        assert found in stood
        assert len(stood) == 2
        assert [each.content for each in session.standing(newest=1)] == [
            each.content for each in talk.messages(order="newest", limit=1)
        ]
        assert session.standing(newest=0) == []


def test_a_few_that_stand_are_one_read(stack: Stack, sign_in: SignIn, ann: casefile.Client) -> None:
    talk = ann.chat_sessions.create()
    for number in range(5):
        talk.say(str(number))
    talk.rewind(1)
    way = Interrupting(lambda: None)
    with (
        httpx.Client(transport=way) as http,
        casefile.Client(stack.url, sign_in("ann@client.example"), http=http) as client,
    ):
        for newest, found in ((3, ["1", "2", "3"]), (9, ["0", "1", "2", "3"])):
            standing = client.chat_session(talk.session_id).standing(newest=newest)
            assert [each.content for each in standing] == found
    assert way.pages == 2


@pytest.mark.parametrize("taken_back", [0, 1, 2])
def test_of_many_that_stand_the_newest_are_read_once_however_many_were_taken_back_after_them(
    ann: casefile.Client, stack: Stack, sign_in: SignIn, taken_back: int
) -> None:
    talk = ann.chat_sessions.create()
    for first in (0, 100, 200):
        numbers = [str(first + number) for number in range(100)]
        talk.record([{"content": each, "message_type": "user"} for each in numbers])
    for _ in range(taken_back):
        talk.say("taken back")
    if taken_back:
        talk.rewind(taken_back)
    way = Interrupting(lambda: None)
    with (
        httpx.Client(transport=way) as http,
        casefile.Client(stack.url, sign_in("ann@client.example"), http=http) as client,
    ):
        standing = client.chat_session(talk.session_id).standing(newest=150)
    assert [each.content for each in standing] == [str(number) for number in range(150, 300)]
    assert way.pages == 3


def test_a_token_is_asked_for_again_when_it_is_refused(stack: Stack, sign_in: SignIn) -> None:
    asked: list[str] = []

    def token() -> str:
        asked.append("stale" if not asked else sign_in("ann@client.example"))
        return asked[-1]

    async def fresh() -> str:
        return token()

    with casefile.Client(stack.url, token) as client:
        client.chat_sessions.create().say("Hello")
    assert len(asked) == 2

    async def create() -> None:
        asked.clear()
        async with casefile.AsyncClient(stack.url, fresh) as client:
            await client.chat_sessions.create()

    asyncio.run(create())
    assert len(asked) == 2
    with casefile.Client(stack.url, "nonsense") as client, pytest.raises(casefile.Unauthenticated):
        client.chat_sessions.create()


def test_a_hold_keeps_a_casefile_until_it_is_lifted(bob: casefile.Client) -> None:
    claim = bob.casefiles.create("Claim")
    held = claim.set_legal_hold(True, reason="4711").legal_hold
    assert held is not None
    assert held.reason == "4711"
    with pytest.raises(casefile.LegalHold):
        claim.delete()
    assert claim.set_legal_hold(False).legal_hold is None
    claim.delete()


def test_a_user_is_erased(stack: Stack, sign_in: SignIn) -> None:
    with casefile.Client(stack.url, sign_in("erin@client.example")) as erin:
        session = erin.tool_sessions.create("Secret")
        assert erin.erase_user("erin@client.example").sessions == 1
        with pytest.raises(casefile.NotFound):
            session.read()
