"""Each framework's own protocol, held against the deployed template.

What goes in comes out: tool calls, content blocks, bytes. What is taken back is gone for the
framework, and in the log for whoever asks what happened.
"""

import asyncio
import gc
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast
from uuid import uuid4

import httpx
import pytest
import strands
from agents.memory import Session as AgentsSession
from agents.memory import SessionSettings
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    UserPromptPart,
)
from pydantic_ai.models.test import TestModel
from strands.session import SnapshotSessionManager
from strands.storage import Storage
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

import casefile
from casefile.adapters import langchain, openai_agents, pydantic_ai
from casefile.adapters import strands as adapter
from dev.local_stack import Stack

from .conftest import SignIn

T = TypeVar("T")


class Held(httpx.BaseTransport):
    """A way to the service on which requests can be held up, or refused after that."""

    def __init__(self, stack: Stack, token: str) -> None:
        self._url, self._token = stack.url, token
        self.client = casefile.Client(stack.url, token, http=httpx.Client(transport=self))
        self.arrived, self._may_go_on, self._fails = threading.Event(), threading.Event(), False
        self._may_go_on.set()
        self._way = httpx.HTTPTransport()

    @asynccontextmanager
    async def asynchronous(self) -> AsyncIterator[casefile.AsyncClient]:
        """An asynchronous client whose requests are held up, too."""

        async def hold(_: httpx.Request) -> None:
            self.arrived.set()
            assert await asyncio.to_thread(self._may_go_on.wait, 10)

        async with httpx.AsyncClient(event_hooks={"request": [hold]}) as http:
            yield casefile.AsyncClient(self._url, self._token, http=http)

    def hold(self, *, fail: bool = False) -> None:
        self.arrived.clear()
        self._may_go_on.clear()
        self._fails = fail

    def let_go(self) -> None:
        self._may_go_on.set()

    async def outlast(self, change: asyncio.Future[Any]) -> None:
        """Cancel a change while its request is held up: it ends after that, and not before."""
        await asyncio.to_thread(self.arrived.wait)
        for _ in range(3):
            change.cancel("enough")
            await asyncio.sleep(0.01)
            assert not change.done()
        self.let_go()
        with pytest.raises(asyncio.CancelledError):
            await change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.arrived.set()
        assert self._may_go_on.wait(10)
        if self._fails:
            return httpx.Response(400, json={"metadata": {"error_code": "invalid_request"}})
        return self._way.handle_request(request)

    def close(self) -> None:
        self._way.close()


Do = Callable[[Callable[[casefile.AsyncClient], Awaitable[T]]], T]


@pytest.fixture
def name() -> str:
    return f"conversation {uuid4()}"


@pytest.fixture
def held(stack: Stack, sign_in: SignIn) -> Iterator[Held]:
    held = Held(stack, sign_in("ann@client.example"))
    yield held
    held.let_go()
    held.close()


@pytest.fixture
def asynchronously(stack: Stack, sign_in: SignIn) -> Do[Any]:
    """Do something with an asynchronous client."""

    def do(what: Callable[[casefile.AsyncClient], Awaitable[T]]) -> T:
        async def with_client() -> T:
            async with casefile.AsyncClient(stack.url, sign_in("ann@client.example")) as client:
                return await what(client)

        return asyncio.run(with_client())

    return do


class TestOpenAIAgents:
    items: Any = (
        {"role": "user", "content": "Where to?"},
        {"type": "function_call", "call_id": "1", "name": "fly", "arguments": '{"to":"Ü"}'},
        {"type": "function_call_output", "call_id": "1", "output": "booked"},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Done", "annotations": []}],
            "id": "m",
            "n": 2**70,
            "x": 0.1,
        },
    )

    def test_items_come_back_as_they_were(self, ann: casefile.Client, name: str) -> None:
        async def steps() -> None:
            session = openai_agents.CasefileSession(name, ann)
            assert isinstance(session, AgentsSession)
            assert await session.get_items() == []
            await session.add_items([])
            await session.add_items(list(self.items))
            again = openai_agents.CasefileSession(name, ann)
            assert await again.get_items() == list(self.items)
            assert await again.get_items(limit=2) == list(self.items[-2:])
            assert await again.get_items(limit=0) == []
            assert await again.get_items(limit=-1) == []
            other = openai_agents.CasefileSession(f"{name}!", ann)
            assert await other.get_items() == []
            two = openai_agents.CasefileSession(
                name, ann, session_settings=SessionSettings(limit=2)
            )
            assert await two.get_items() == list(self.items[-2:])
            two = openai_agents.CasefileSession(name, ann, session_settings={"limit": 2})
            assert two.session_settings == SessionSettings(limit=2)
            assert await two.get_items() == list(self.items[-2:])
            assert await two.get_items(limit=1) == list(self.items[-1:])
            two.session_settings = cast("Any", {"limit": 3})
            assert await two.get_items() == list(self.items[-3:])
            two.session_settings = None
            assert await two.get_items() == list(self.items)

        asyncio.run(steps())

    @pytest.mark.parametrize("name", ["", " ", "$ne", '{"$ne": null}', "Ü-旅", "x" * 500])
    def test_any_text_is_a_name(self, ann: casefile.Client, name: str) -> None:
        folder = ann.casefiles.create("Names").casefile_id

        async def steps() -> None:
            session = openai_agents.CasefileSession(name, ann, casefile_id=folder)
            other = openai_agents.CasefileSession(f"{name}!", ann, casefile_id=folder)
            await session.add_items(list(self.items[:1]))
            assert await other.get_items() == []
            again = openai_agents.CasefileSession(name, ann, casefile_id=folder.upper())
            assert await again.get_items() == list(self.items[:1])

        asyncio.run(steps())

    def test_what_it_cannot_keep_is_refused(self, ann: casefile.Client, name: str) -> None:
        settings: Any = {"limitt": 2}
        with pytest.raises(TypeError, match="limitt"):
            openai_agents.CasefileSession(name, ann, session_settings=settings)
        session = openai_agents.CasefileSession(name, ann)
        items: list[Any] = [{"role": "user", "content": "Hello"}, {"role": "user", "x": object()}]
        for what, said in ((items, "no JSON"), ([*items[:1], "Hello"], "must be a dict")):
            with pytest.raises(casefile.NotJson, match=said) as refused:
                asyncio.run(session.add_items(what))
            assert isinstance(refused.value, casefile.BadRequest)
            assert isinstance(refused.value, TypeError)
        long: list[Any] = [{"role": "user", "content": "Hello", "n": n} for n in range(101)]
        long[-1]["n"] = 10**5000
        with pytest.raises(casefile.NotJson, match="4,300 digits"):
            asyncio.run(session.add_items(long))
        assert asyncio.run(session.get_items()) == []
        no_name: Any = 7
        with pytest.raises(TypeError, match="session_id must be a string"):
            openai_agents.CasefileSession(no_name, ann)

    def test_what_is_popped_is_gone_here_and_in_the_log(
        self, ann: casefile.Client, name: str
    ) -> None:
        async def steps() -> None:
            session = openai_agents.CasefileSession(name, ann)
            assert await session.pop_item() is None
            await session.add_items(list(self.items))
            popped = await asyncio.gather(session.pop_item(), session.pop_item())
            assert sorted(map(str, popped)) == sorted(map(str, self.items[-2:]))
            assert await session.get_items() == list(self.items[:2])
            await session.clear_session()
            assert await session.get_items() == []
            await session.add_items(list(self.items[:1]))
            assert await session.get_items() == list(self.items[:1])
            told = [event["event_type"] for event in session.chat_session.events()]
            assert told.count("chat_message_recorded") == 5
            assert told.count("chat_messages_withdrawn") == 4

        asyncio.run(steps())

    def test_more_than_a_record_holds(self, ann: casefile.Client, name: str) -> None:
        many: list[Any] = [{"role": "user", "content": str(n)} for n in range(230)]

        async def steps() -> None:
            session = openai_agents.CasefileSession(name, ann)
            await session.add_items(many)
            assert await session.get_items() == many
            assert await session.get_items(limit=120) == many[-120:]

        asyncio.run(steps())

    def test_what_json_writes_otherwise_is_kept_as_it_writes_it(
        self, ann: casefile.Client, name: str
    ) -> None:
        session = openai_agents.CasefileSession(name, ann)
        items: list[Any] = [
            {"role": "user", "content": ("a", {"text": "b"}), 1: {None: (True,)}},
            {"role": "user", "content": "\ud83d\ude00"},  # The halves of one character.
        ]
        asyncio.run(session.add_items(items))
        assert asyncio.run(session.get_items()) == json.loads(json.dumps(items))
        said = [each.content for each in session.chat_session.messages()]
        assert said == ["a\nb", "\U0001f600"]
        for refused in (float("nan"), "half \ud83d"):
            with pytest.raises(casefile.NotJson):
                asyncio.run(session.add_items([{"role": "user", "content": cast("Any", refused)}]))

    @pytest.mark.parametrize("change", ["add", "pop", "clear"])
    def test_what_is_cancelled_halfway_is_over_when_that_is_told(
        self, held: Held, name: str, change: str
    ) -> None:
        first, second, third = list(self.items[:3])

        async def steps() -> list[Any]:
            session = openai_agents.CasefileSession(name, held.client)
            await session.add_items([first, second])
            held.hold()
            changes = {
                "add": lambda: session.add_items([third]),
                "pop": session.pop_item,
                "clear": session.clear_session,
            }
            await held.outlast(asyncio.ensure_future(changes[change]()))
            return await session.get_items()

        left: dict[str, list[Any]] = {"add": [first, second, third], "pop": [first], "clear": []}
        assert asyncio.run(steps()) == left[change]

    def test_a_failure_is_not_told_twice_to_who_is_cancelled(self, held: Held, name: str) -> None:
        told: list[Any] = []

        async def steps() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
            session = openai_agents.CasefileSession(name, held.client)
            await session.get_items()
            held.hold(fail=True)
            adding = asyncio.ensure_future(session.add_items(list(self.items[:1])))
            await asyncio.to_thread(held.arrived.wait)
            adding.cancel()
            held.let_go()
            with pytest.raises(asyncio.CancelledError):
                await adding
            gc.collect()
            with pytest.raises(casefile.BadRequest):
                await session.add_items(list(self.items[:1]))

        asyncio.run(steps())
        assert told == []

    def test_a_conversation_that_was_closed_has_ended(
        self, ann: casefile.Client, name: str
    ) -> None:
        async def steps() -> None:
            session = openai_agents.CasefileSession(name, ann)
            await session.add_items(list(self.items))
            session.chat_session.close()
            again = openai_agents.CasefileSession(name, ann)
            assert await again.get_items() == list(self.items)
            with pytest.raises(casefile.SessionClosed):
                await again.add_items(list(self.items))

        asyncio.run(steps())

    def test_it_outlives_the_loops_that_use_it(self, ann: casefile.Client, name: str) -> None:
        session = openai_agents.CasefileSession(name, ann)
        for number in range(3):
            asyncio.run(session.add_items([{"role": "user", "content": str(number)}]))
        assert len(asyncio.run(session.get_items())) == 3


class TestLangChain:
    messages: tuple[BaseMessage, ...] = (
        SystemMessage("Be brief"),
        HumanMessage([{"type": "text", "text": "See"}, {"type": "image_url", "url": "data:,"}]),
        AIMessage("", tool_calls=[ToolCall(name="fly", args={"to": "Ü"}, id="1")], id="run-1"),
        ToolMessage("booked", tool_call_id="1", artifact={"pnr": ["X"]}),
        AIMessage("Done", response_metadata={"logprob": -0.1}),
    )

    def test_both_halves_see_one_history(
        self, ann: casefile.Client, asynchronously: Do[Any], name: str
    ) -> None:
        history = langchain.CasefileChatMessageHistory(name, ann)
        assert history.messages == []
        history.add_messages(self.messages[:3])

        async def steps(client: casefile.AsyncClient) -> None:
            same = langchain.CasefileChatMessageHistory(name, async_client=client)
            assert await same.aget_messages() == list(self.messages[:3])
            await same.aadd_messages(self.messages[3:])

        asynchronously(steps)
        assert history.messages == list(self.messages)
        history.messages = [HumanMessage("Anew")]
        assert history.messages == [HumanMessage("Anew")]
        with pytest.raises(casefile.NotJson):
            history.messages = [HumanMessage("Kept"), HumanMessage("x", x=object())]
        assert history.messages == [HumanMessage("Anew")]
        history.clear()
        assert history.messages == []

        async def clear(client: casefile.AsyncClient) -> None:
            same = langchain.CasefileChatMessageHistory(name, async_client=client)
            await same.aclear()
            assert await same.aget_messages() == []

        history.add_user_message("Again")
        asynchronously(clear)

    def test_one_half_serves_both_kinds_of_calls(self, ann: casefile.Client, name: str) -> None:
        history = langchain.CasefileChatMessageHistory(name, ann)
        asyncio.run(history.aadd_messages(self.messages))
        assert asyncio.run(history.aget_messages()) == list(self.messages)
        asyncio.run(history.aclear())
        assert history.messages == []

    def test_what_json_writes_otherwise_is_kept_as_it_writes_it(
        self, ann: casefile.Client, name: str
    ) -> None:
        history = langchain.CasefileChatMessageHistory(name, ann)
        call = ToolCall(name="fly", args={"seats": (1, 2), "on": {7: "x"}}, id="1")
        history.add_messages(
            [
                AIMessage("", tool_calls=[call]),
                ToolMessage("booked", tool_call_id="1", artifact=("PNR", 1)),
            ]
        )
        called, booked = history.messages
        assert isinstance(called, AIMessage)
        assert isinstance(booked, ToolMessage)
        assert called.tool_calls[0]["args"] == {"seats": [1, 2], "on": {"7": "x"}}
        assert booked.artifact == ["PNR", 1]

    @pytest.mark.parametrize("change", ["add", "clear"])
    @pytest.mark.parametrize("is_asynchronous", [True, False])
    def test_what_is_cancelled_halfway_is_over_when_that_is_told(
        self, held: Held, name: str, change: str, is_asynchronous: bool
    ) -> None:
        async def steps() -> list[BaseMessage]:
            async with held.asynchronous() as client:
                with_client = (None, client) if is_asynchronous else (held.client,)
                history = langchain.CasefileChatMessageHistory(name, *with_client)
                await history.aadd_messages([HumanMessage("one")])
                held.hold()
                changes = {
                    "add": lambda: history.aadd_messages([HumanMessage("two")]),
                    "clear": history.aclear,
                }
                await held.outlast(asyncio.ensure_future(changes[change]()))
                return await history.aget_messages()

        left = {"add": [HumanMessage("one"), HumanMessage("two")], "clear": []}
        assert asyncio.run(steps()) == left[change]


class TestPydanticAI:
    @staticmethod
    def again(messages: list[ModelMessage]) -> list[ModelMessage]:
        """Messages as the framework itself reads what it wrote."""
        return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(messages))

    def test_an_agents_runs_go_on_where_they_ended(
        self, ann: casefile.Client, asynchronously: Do[Any], name: str
    ) -> None:
        history = pydantic_ai.MessageHistory(name, ann)
        agent = PydanticAgent(TestModel(), system_prompt="Be brief")

        @agent.tool_plain
        def look(place: str) -> str:
            return f"{place}: sunny"

        first = agent.run_sync(["Look", BinaryContent(b"\x00\xff", media_type="image/png")])
        history.add(first.new_messages())
        assert history.read() == self.again(first.all_messages())
        second = agent.run_sync("And now?", message_history=history.read())
        history.add(second.new_messages())
        assert history.read() == self.again(second.all_messages())

        async def steps(client: casefile.AsyncClient) -> None:
            same = pydantic_ai.AsyncMessageHistory(name, client)
            assert await same.read() == self.again(second.all_messages())
            await same.clear()
            assert await same.read() == []
            await same.add(first.new_messages())

        asynchronously(steps)
        assert history.read() == self.again(first.all_messages())


class TestStrands:
    @pytest.fixture
    def repository(self, ann: casefile.Client) -> adapter.CasefileSessionRepository:
        return adapter.CasefileSessionRepository(ann)

    def test_an_agent_comes_back_with_state_and_messages(
        self, ann: casefile.Client, repository: adapter.CasefileSessionRepository, name: str
    ) -> None:
        assert repository.read_session(name) is None
        with pytest.raises(SessionException, match="does not exist"):
            repository.create_agent(name, SessionAgent("a", {}, {}))
        session = repository.create_session(Session(name, SessionType.AGENT))
        with pytest.raises(SessionException, match="already exists"):
            repository.create_session(session)
        assert repository.read_agent(name, "a") is None
        agent = SessionAgent("a", {"seen": 1, "raw": b"\x00\xff"}, {"__name__": "window"})
        repository.create_agent(name, agent)
        content: Any = [
            {"text": "Look"},
            {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}},
            {"toolUse": {"toolUseId": "1", "name": "fly", "input": {"to": "Ü", "n": 2**70}}},
        ]
        sent = [SessionMessage({"role": "user", "content": content}, n) for n in range(4)]
        for each in sent:
            repository.create_message(name, "a", each)
        other = adapter.CasefileSessionRepository(ann)
        assert other.read_session(name) == session
        assert other.read_agent(name, "a") == agent
        assert other.list_messages(name, "a") == sent
        assert other.list_messages(name, "a", limit=2, offset=1) == sent[1:3]
        assert other.read_message(name, "a", 2) == sent[2]
        assert other.read_message(name, "a", 9) is None
        assert other.read_message(name, "b", 0) is None
        assert other.read_agent(f"{name}/agents/a", "") is None
        assert other.read_session(f"{name}/agents/a") is None
        agent.state = {"seen": 2}
        other.update_agent(name, agent)
        found = repository.read_agent(name, "a")
        assert found is not None
        assert found.state == {"seen": 2}
        with pytest.raises(SessionException):
            repository.update_agent(name, SessionAgent("b", {}, {}))
        with pytest.raises(SessionException):
            repository.list_messages(name, "b")

    def test_a_message_is_replaced_in_its_place(
        self, repository: adapter.CasefileSessionRepository, name: str
    ) -> None:
        repository.create_session(Session(name, SessionType.AGENT))
        repository.create_agent(name, SessionAgent("a", {}, {}))
        for n in range(3):
            said: Any = {"role": "user", "content": [{"text": str(n)}]}
            repository.create_message(name, "a", SessionMessage(said, n))
        for text in ("[redacted]", "[redacted again]"):
            chosen = repository.read_message(name, "a", 1)
            assert chosen is not None
            chosen.redact_message = {"role": "user", "content": [{"text": text}]}
            repository.update_message(name, "a", chosen)
        told = [each.to_message()["content"] for each in repository.list_messages(name, "a")]
        assert told == [[{"text": "0"}], [{"text": "[redacted again]"}], [{"text": "2"}]]
        with pytest.raises(SessionException, match="does not exist"):
            repository.update_message(name, "a", SessionMessage(said, 7))

    def test_of_two_workers_that_number_alike_each_redacts_its_own_message(
        self, ann: casefile.Client, name: str
    ) -> None:
        first, second = (adapter.CasefileSessionRepository(ann) for _ in range(2))
        first.create_session(Session(name, SessionType.AGENT))
        first.create_agent(name, SessionAgent("a", {}, {}))
        secret, hello = (
            SessionMessage({"role": "user", "content": [{"text": text}]}, 0)
            for text in ("My card is …", "Hello")
        )
        hello.created_at += "+1"
        first.create_message(name, "a", secret)
        second.create_message(name, "a", hello)

        def said() -> list[str]:
            listed = first.list_messages(name, "a")
            return [each.to_message()["content"][0]["text"] for each in listed]

        def redact(repository: adapter.CasefileSessionRepository, each: SessionMessage) -> None:
            text = f"[{each.message['content'][0]['text']}]"
            each.redact_message = {"role": "user", "content": [{"text": text}]}
            repository.update_message(name, "a", each)

        redact(first, secret)
        assert said() == ["[My card is …]", "Hello"]
        redact(second, hello)
        assert said() == ["[My card is …]", "[Hello]"]
        edited = first.list_messages(name, "a")[0]
        edited.message, edited.redact_message = hello.message, None
        second.update_message(name, "a", edited)
        assert said() == ["Hello", "[Hello]"]
        with pytest.raises(SessionException, match="2 messages have the id 0"):
            first.update_message(name, "a", SessionMessage(secret.message, 0))

    def test_an_agents_state_is_kept_as_json_writes_it(
        self, ann: casefile.Client, name: str
    ) -> None:
        def agent() -> strands.Agent:
            manager = adapter.CasefileSessionManager(name, ann)
            return strands.Agent(agent_id="a", session_manager=manager)

        first = agent()
        first.state.set("box", (1, 2))
        manager = first._session_manager
        assert manager is not None
        manager.sync_agent(first)
        assert agent().state.get("box") == [1, 2]

    def test_a_multi_agents_state(
        self, repository: adapter.CasefileSessionRepository, name: str
    ) -> None:
        class Crew:
            id = "crew"

            def __init__(self) -> None:
                self.state: Any = {"nodes": ["a", "b"], "raw": b"\x00"}

            def serialize_state(self) -> Any:
                return self.state

        crew: Any = Crew()
        with pytest.raises(SessionException):
            repository.create_multi_agent(name, crew)
        repository.create_session(Session(name, SessionType.AGENT))
        assert repository.read_multi_agent(name, "crew") is None
        with pytest.raises(SessionException):
            repository.update_multi_agent(name, crew)
        repository.create_multi_agent(name, crew)
        assert repository.read_multi_agent(name, "crew") == crew.state
        crew.state = {"nodes": []}
        repository.update_multi_agent(name, crew)
        assert repository.read_multi_agent(name, "crew") == {"nodes": []}

    def test_several_at_once_write_one_after_the_other(
        self, ann: casefile.Client, name: str
    ) -> None:
        repositories = [adapter.CasefileSessionRepository(ann) for _ in range(4)]
        at_once = threading.Barrier(len(repositories))

        def together(do: Callable[[int, adapter.CasefileSessionRepository], Any]) -> list[Any]:
            def one(number: int) -> Any:
                at_once.wait(10)
                try:
                    return do(number, repositories[number])
                except SessionException as error:
                    return error

            with ThreadPoolExecutor(len(repositories)) as threads:
                return list(threads.map(one, range(len(repositories))))

        created = together(lambda _, each: each.create_session(Session(name, SessionType.AGENT)))
        assert len([each for each in created if isinstance(each, Session)]) == 1
        assert (
            together(lambda n, each: each.create_agent(name, SessionAgent("a", {"n": n}, {})))
            == [None] * 4
        )
        said: Any = [{"role": "user", "content": [{"text": str(n)}]} for n in range(5)]
        for n in range(5):
            repositories[0].create_message(name, "a", SessionMessage(said[n], n))
        listed = repositories[0].list_messages
        assert [each.message_id for each in listed(name, "a")] == [0, 1, 2, 3, 4]
        assert [each.message_id for each in listed(name, "a", limit=3)] == [0, 1, 2]
        assert [each.message_id for each in listed(name, "a", limit=2, offset=1)] == [1, 2]

        def write(number: int, repository: adapter.CasefileSessionRepository) -> None:
            for count in range(3):
                repository.update_agent(name, SessionAgent("a", {"n": [number, count]}, {}))
                repository.update_message(name, "a", SessionMessage(said[number], 2))

        assert together(write) == [None] * 4
        agent, message = repositories[0].read_agent(name, "a"), listed(name, "a")[2]
        assert agent is not None
        assert agent.state["n"][1] == 2
        assert message.message in said[:4]

    def test_an_agent_with_a_session_manager_remembers(
        self, ann: casefile.Client, name: str
    ) -> None:
        first = strands.Agent(
            agent_id="a",
            messages=[{"role": "user", "content": [{"text": "Hello"}]}],
            state={"seen": 1},
            session_manager=adapter.CasefileSessionManager(name, ann),
        )
        manager = adapter.CasefileSessionManager(name, ann)
        again = strands.Agent(agent_id="a", session_manager=manager)
        assert again.messages == first.messages
        assert again.state.get() == {"seen": 1}


class TestStrandsStorage:
    @pytest.fixture
    def folder(self, ann: casefile.Client) -> str:
        return ann.casefiles.create("Stored").casefile_id

    def test_a_key_has_the_bytes_that_it_was_last_given(
        self, ann: casefile.Client, folder: str
    ) -> None:
        async def steps() -> None:
            storage = adapter.CasefileStorage(ann, casefile_id=folder)
            again = adapter.CasefileStorage(ann, casefile_id=folder)
            assert isinstance(storage, Storage)
            assert await storage.read("a/b c/ü?") is None
            for data in (b"{}", "Grüße".encode(), b"\x00\xff", b"", b"x" * 300_000):
                await storage.write("a/b c/ü?", data)
                assert await again.read("a/b c/ü?") == data
                assert await again.list("") == ["a/b c/ü?"]
            elsewhere = adapter.CasefileStorage(ann)
            assert await elsewhere.read("a/b c/ü?") is None
            assert "a/b c/ü?" not in await elsewhere.list("")

        asyncio.run(steps())

    def test_keys_are_listed_by_their_beginning_until_they_are_deleted(
        self, ann: casefile.Client, folder: str
    ) -> None:
        async def steps() -> None:
            storage = adapter.CasefileStorage(ann, casefile_id=folder)
            other = adapter.CasefileStorage(ann, casefile_id=folder)
            assert await storage.list("") == []
            for key in ("b/2", "a/1", "b/1"):
                await storage.write(key, key.encode())
            assert await other.list("b/") == ["b/1", "b/2"]
            assert await other.list("") == ["a/1", "b/1", "b/2"]
            await other.delete("b/1")
            words = len(list(other._chats["strands-storage"].messages()))
            await other.delete("b/1")
            await other.delete("never")
            assert len(list(other._chats["strands-storage"].messages())) == words == 4
            assert await storage.list("") == ["a/1", "b/2"]
            assert await storage.read("b/1") is None
            await storage.write("b/1", b"anew")  # It had listed the key before.
            assert await other.list("b/") == ["b/1", "b/2"]
            assert await other.read("b/1") == b"anew"
            found = await storage.search("anew")
            assert [each.key for each in found] == ["b/1"]

        asyncio.run(steps())

    def test_what_was_left_half_done_is_done_again(
        self, ann: casefile.Client, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Died(Exception):
            pass

        def die(*_: Any, **__: Any) -> None:
            raise Died

        async def steps() -> None:
            storage = adapter.CasefileStorage(ann, casefile_id=folder)
            with monkeypatch.context() as patch:
                patch.setattr(storage, "_tell", die)
                with pytest.raises(Died):
                    await storage.write("a", b"1")
            assert await storage.read("a") == b"1"
            again = adapter.CasefileStorage(ann, casefile_id=folder)
            await again.write("a", b"2")
            assert await again.list("") == ["a"]
            with monkeypatch.context() as patch:
                patch.setattr(again, "_tell", die)
                with pytest.raises(Died):
                    await again.delete("a")
            assert await storage.read("a") is None
            await storage.delete("a")
            assert await again.list("") == []

        asyncio.run(steps())

    def test_what_is_written_while_it_is_deleted_is_listed_if_it_is_there(
        self, ann: casefile.Client, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = adapter.CasefileStorage(ann, casefile_id=folder)
        other = adapter.CasefileStorage(ann, casefile_id=folder)
        asyncio.run(storage.write("a", b"1"))
        tell = storage._tell

        def write_before(key: str, *, has_value: bool) -> None:
            monkeypatch.undo()
            asyncio.run(other.write("a", b"2"))
            tell(key, has_value=has_value)

        monkeypatch.setattr(storage, "_tell", write_before)
        asyncio.run(storage.delete("a"))
        assert asyncio.run(storage.read("a")) == b"2"
        assert asyncio.run(storage.list("")) == ["a"]

    def test_failures_are_told_as_the_frameworks(self, stack: Stack) -> None:
        with casefile.Client(stack.url, "no token") as client:
            storage = adapter.CasefileStorage(client)
            attempts: tuple[Callable[[], Any], ...] = (
                lambda: storage.write("a", b""),
                lambda: storage.read("a"),
                lambda: storage.delete("a"),
                lambda: storage.list(""),
            )
            for attempt in attempts:
                with pytest.raises(StorageError) as failed:
                    asyncio.run(attempt())
                assert isinstance(failed.value.__cause__, casefile.Unauthenticated)

    def test_an_agents_snapshots(self, ann: casefile.Client, folder: str) -> None:
        def manager() -> SnapshotSessionManager:
            return SnapshotSessionManager(
                "trip", storage=adapter.CasefileStorage(ann, casefile_id=folder)
            )

        said: Any = [{"role": "user", "content": [{"text": "Where to?"}]}]
        first = strands.Agent(agent_id="a", session_manager=manager(), messages=list(said))
        before = asyncio.run(manager_of(first).save_snapshot(first, is_latest=False))
        first.messages.append({"role": "user", "content": [{"text": "Lisbon"}]})
        asyncio.run(manager_of(first).save_snapshot(first, is_latest=True))

        again = strands.Agent(agent_id="a", session_manager=manager())
        assert again.messages == first.messages
        kept = manager_of(again)
        assert asyncio.run(kept.list_snapshot_ids(again)) == [before]
        assert asyncio.run(kept.restore_snapshot(again, snapshot_id=before))
        assert [each["content"] for each in again.messages] == [said[0]["content"]]
        asyncio.run(kept.delete_session())
        assert strands.Agent(agent_id="a", session_manager=manager()).messages == []


class TestConversations:
    """What all adapters do alike: a name opens a conversation, for good, until it is deleted."""

    @staticmethod
    def say(client: casefile.Client, name: str) -> list[casefile.ChatSession]:
        """Go on with conversations of all kinds under a name; tell the sessions they are in."""
        agents = openai_agents.CasefileSession(name, client, casefile_id=None)
        asyncio.run(agents.add_items([{"role": "user", "content": "Hello"}]))
        history = langchain.CasefileChatMessageHistory(f"{name} lc", client)
        history.add_messages([HumanMessage("Hello")])
        runs = pydantic_ai.MessageHistory(f"{name} pai", client)
        runs.add([ModelRequest(parts=[UserPromptPart("Hello")])])
        repository = adapter.CasefileSessionRepository(client)
        if repository.read_session(name) is None:
            repository.create_session(Session(name, SessionType.AGENT))
            repository.create_agent(name, SessionAgent("a", {}, {}))
        said: Any = {"role": "user", "content": [{"text": "Hello"}]}
        repository.create_message(name, "a", SessionMessage(said, 0))
        storage = adapter.CasefileStorage(client)
        asyncio.run(storage.write(name, b"1"))
        asyncio.run(storage.write(f"{name} {uuid4()}", b"1"))
        opened = [agents.chat_session, history._opened(), runs._opened()]
        return [*opened, *repository._chats.values(), *storage._chats.values()]

    def test_they_are_not_closed_for_having_been_idle(
        self, ann: casefile.Client, stack: Stack, name: str
    ) -> None:
        other = ann.chat_sessions.create("Talk")
        begun = self.say(ann, name)
        time.sleep(0.01)
        ran = stack.client("lambda").invoke(
            FunctionName=stack.function("close_idle_sessions"), Payload=b'{"idle_hours": 1e-9}'
        )
        assert json.loads(ran["Payload"].read())["is_complete"]
        assert not other.read().active
        gone_on = self.say(ann, name)
        assert all(each.read().active for each in begun + gone_on)
        same = {each.session_id for each in begun} & {each.session_id for each in gone_on}
        assert len(same) == len(begun) - 1  # One key was new each time.

    def test_one_that_was_deleted_begins_anew(
        self, ann: casefile.Client, asynchronously: Do[Any], name: str
    ) -> None:
        gone: set[str] = set()
        for _ in range(3):
            begun = self.say(ann, name)
            assert gone.isdisjoint(each.session_id for each in begun)
            for each in begun:
                each.delete()
            gone |= {each.session_id for each in begun}

        async def read(client: casefile.AsyncClient) -> None:
            history = langchain.CasefileChatMessageHistory(f"{name} lc", async_client=client)
            assert await history.aget_messages() == []
            runs = pydantic_ai.AsyncMessageHistory(f"{name} pai", client)
            assert await runs.read() == []

        asynchronously(read)
        stays, again = ({each.session_id for each in self.say(ann, name)} for _ in range(2))
        assert gone.isdisjoint(stays)
        assert len(stays & again) == len(stays) - 1

    def test_however_large_it_is_what_is_kept_comes_back(
        self, ann: casefile.Client, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("casefile.contents.MAX_CARRIED_BYTES", 50_000)
        large = "Ü" + "x" * 60_000
        image = {"type": "input_image", "image_url": large}
        items: list[Any] = [
            {"role": "user", "content": [{"type": "input_text", "text": "See"}, image]},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": large},
            {"type": "function_call_output", "call_id": "1", "output": large},
            *({"role": "user", "content": "x" * 1000 + str(n)} for n in range(90)),
        ]
        agents = openai_agents.CasefileSession(name, ann)
        asyncio.run(agents.add_items(items))
        assert asyncio.run(agents.get_items()) == items
        assert asyncio.run(agents.pop_item()) == items[-1]
        history = langchain.CasefileChatMessageHistory(f"{name} lc", ann)
        blocks: Any = [{"type": "text", "text": large}, {"type": "image_url", "image_url": large}]
        history.add_messages([HumanMessage(blocks), HumanMessage([large, "!"])])
        assert history.messages == [HumanMessage(blocks), HumanMessage([large, "!"])]
        runs = pydantic_ai.MessageHistory(f"{name} pai", ann)
        asked: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart([large, "See"])])]
        runs.add(asked)
        assert runs.read() == asked
        repository = adapter.CasefileSessionRepository(ann)
        repository.create_session(Session(name, SessionType.AGENT))
        repository.create_agent(name, SessionAgent("a", {"a": large}, {}))
        repository.update_agent(name, SessionAgent("a", {"b": large}, {}))
        agent = repository.read_agent(name, "a")
        assert agent is not None
        assert agent.state == {"b": large}

    def test_a_text_is_kept_once(self, ann: casefile.Client, name: str) -> None:
        """As the content, for people; the framework's own thing refers to it."""
        items: list[Any] = [
            {"role": "user", "content": "user"},
            {"role": "user", "content": [{"type": "input_text", "text": t} for t in "aba"]},
            {"type": "function_call_output", "call_id": "1", "output": "booked"},
            {"role": "user", "content": [{"type": "input_text", "text": "a\nb"}, {"text": ""}]},
        ]
        agents = openai_agents.CasefileSession(name, ann)
        asyncio.run(agents.add_items(items))
        kept = [each.tool_calls for each in agents.chat_session.messages()]
        block = {"type": "input_text", "text": ""}
        assert kept == [
            [{"role": "user", "content": ""}],
            [{"role": "user", "content": [block, block, block]}],
            [{"type": "function_call_output", "call_id": "1", "output": ""}],
            [{"role": "user", "content": [block, {"text": ""}]}],
        ]
        assert asyncio.run(agents.get_items()) == items

    def test_what_was_redacted_by_hand_is_read_as_it_is_now(
        self, ann: casefile.Client, name: str
    ) -> None:
        agents = openai_agents.CasefileSession(name, ann)
        items: list[Any] = [
            {"role": "user", "content": f"My number is {n}", "id": str(n)} for n in range(3)
        ]
        asyncio.run(agents.add_items(items))
        redacted = {"content": "My number is …", "message_type": "user"}
        calls: tuple[dict[str, Any], ...] = (
            {},
            {"tool_calls": [{"role": "user", "content": "", "id": "1"}]},
            {"tool_calls": [{"content": [], "texts": 1}]},
        )
        metadata = {"texts": [[["content", 7], 0]], "format": openai_agents.FORMAT}
        for message, more in zip(list(agents.chat_session.messages()), calls, strict=True):
            kept = metadata if "texts" in str(more) else message.metadata
            agents.chat_session.replace(message, {**redacted, "metadata": kept, **more})
        plain: Any = {"role": "user", "content": "My number is …"}
        assert asyncio.run(agents.get_items()) == [plain, plain | {"id": "1"}, plain]

    @pytest.mark.parametrize("limit", [None, 140])
    def test_what_is_read_stood_together_whoever_takes_back_meanwhile(
        self, stack: Stack, sign_in: SignIn, ann: casefile.Client, name: str, limit: int | None
    ) -> None:
        other = openai_agents.CasefileSession(name, ann)
        for first in range(0, 150, 30):
            old: list[Any] = [{"role": "user", "content": str(first + n)} for n in range(30)]
            asyncio.run(other.add_items(old))
        done: list[str] = []

        def compact(response: httpx.Response) -> None:
            """Another worker, after the first page was read."""
            if response.request.method == "GET" and not done:
                done.append("compacted")
                chat = other.chat_session
                chat.rewind(keep=2)
                first = next(chat.messages())
                chat.replace(first, {"content": "redacted", "message_type": "user"})
                chat.say("summary")

        token = sign_in("ann@client.example")
        with (
            httpx.Client(event_hooks={"response": [compact]}) as http,
            casefile.Client(stack.url, token, http=http) as client,
        ):
            mine = openai_agents.CasefileSession(name, client)
            read: Any = asyncio.run(mine.get_items(limit))
        assert done
        assert [each["content"] for each in read] == ["redacted", "1", "summary"]

    def test_a_message_of_many_texts_is_kept(self, ann: casefile.Client, name: str) -> None:
        """Where they all belong is more than metadata tell."""
        texts = [f"block {number}" for number in range(600)]
        item: Any = {"role": "user", "content": [{"type": "input_text", "text": t} for t in texts]}
        agents = openai_agents.CasefileSession(name, ann)
        asyncio.run(agents.add_items([item]))
        assert asyncio.run(agents.get_items()) == [item]
        assert next(agents.chat_session.messages()).content == "\n".join(texts)
        history = langchain.CasefileChatMessageHistory(f"{name} lc", ann)
        history.add_messages([HumanMessage(list(texts))])
        assert history.messages == [HumanMessage(list(texts))]
        runs = pydantic_ai.MessageHistory(f"{name} pai", ann)
        asked: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(list(texts))])]
        runs.add(asked)
        assert runs.read() == asked

    def test_what_another_wrote_in_a_frameworks_name_is_read_as_a_message(
        self, ann: casefile.Client, name: str
    ) -> None:
        def write(chat: casefile.ChatSession, of_format: str, **more: Any) -> None:
            said = {"content": "Hello", "message_type": "user", "tool_calls": [{"x": 1}]}
            chat.record([said | {"metadata": {"format": of_format, **more}}])

        history = langchain.CasefileChatMessageHistory(name, ann)
        write(history._opened(), langchain.FORMAT)
        assert history.messages == [HumanMessage("Hello")]
        runs = pydantic_ai.MessageHistory(f"{name} pai", ann)
        write(runs._opened(), pydantic_ai.FORMAT)
        (request,) = runs.read()
        assert isinstance(request.parts[0], UserPromptPart)
        assert request.parts[0].content == "Hello"
        repository = adapter.CasefileSessionRepository(ann)
        repository.create_session(Session(name, SessionType.AGENT))
        repository.create_agent(name, SessionAgent("a", {}, {}))
        write(repository._chats[adapter._agent(name, "a")], adapter.FORMAT, message_id=0)
        (message,) = repository.list_messages(name, "a")
        said: Any = {"role": "user", "content": [{"text": "Hello"}]}
        assert (message.message_id, message.message) == (0, said)

    def test_what_is_no_text_is_no_name(self, ann: casefile.Client) -> None:
        name = "cut \ud83d"
        agents = openai_agents.CasefileSession(name, ann)
        repository = adapter.CasefileSessionRepository(ann)
        opening: tuple[Callable[[], Any], ...] = (
            lambda: asyncio.run(agents.get_items()),
            lambda: langchain.CasefileChatMessageHistory(name, ann).messages,
            lambda: pydantic_ai.MessageHistory(name, ann).read(),
            lambda: repository.read_session(name),
            lambda: repository.read_agent("x", name),
        )
        for attempt in opening:
            with pytest.raises(casefile.BadRequest, match="half a character"):
                attempt()
        storage = adapter.CasefileStorage(ann)
        for doing in (storage.write(name, b"x"), storage.read(name), storage.delete(name)):
            with pytest.raises(StorageError, match="half a character"):
                asyncio.run(doing)

    def test_without_its_casefile_none_is_opened(self, ann: casefile.Client, name: str) -> None:
        history = langchain.CasefileChatMessageHistory(name, ann, casefile_id="cf_261121_nowhere")
        with pytest.raises(casefile.NotFound):
            history.add_messages([HumanMessage("Hello")])


def manager_of(agent: strands.Agent) -> SnapshotSessionManager:
    manager = agent._session_manager
    assert isinstance(manager, SnapshotSessionManager)
    return manager
