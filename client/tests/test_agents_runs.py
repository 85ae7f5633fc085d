"""Agents of the OpenAI Agents SDK that run with a session of ours, on the deployed template.

The model is scripted; runner, tools, approvals, handoffs and compaction are the SDK's own.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from agents import Agent, RunConfig, Runner, RunState, function_tool, handoff
from agents.memory import OpenAIResponsesCompactionSession, SessionSettings
from agents.testing import ScriptedModel, assistant_message, function_call

import casefile
from casefile.adapters.openai_agents import CasefileSession

QUIET = RunConfig(tracing_disabled=True)


@pytest.fixture
def session(ann: casefile.Client) -> CasefileSession:
    return CasefileSession(f"run {uuid4()}", ann)


@pytest.fixture
def again(ann: casefile.Client, session: CasefileSession) -> CasefileSession:
    """The same session, as another process has it."""
    return CasefileSession(session.session_id, ann)


def says(*texts: str) -> ScriptedModel:
    return ScriptedModel([[assistant_message(text)] for text in texts])


def told(items: Any) -> list[str]:
    """What items say, in short."""
    return [_told(item) for item in items]


def _told(item: Any) -> str:
    if item.get("type") == "function_call":
        return f"call {item['name']}"
    if item.get("type") == "function_call_output":
        return f"got {item['output']}"
    content = item.get("content")
    return content if isinstance(content, str) else str(content[0]["text"])


async def run(agent: Agent[Any], said: Any, session: Any, config: RunConfig = QUIET) -> Any:
    return await Runner.run(agent, said, session=session, run_config=config)


def run_here(agent: Agent[Any], said: str, session: CasefileSession) -> Any:
    return asyncio.run(run(agent, said, session))


def run_sync(agent: Agent[Any], said: str, session: CasefileSession) -> Any:
    return Runner.run_sync(agent, said, session=session, run_config=QUIET)


def run_streamed(agent: Agent[Any], said: str, session: CasefileSession) -> Any:
    async def stream() -> Any:
        result = Runner.run_streamed(agent, said, session=session, run_config=QUIET)
        async for _ in result.stream_events():
            pass
        return result

    return asyncio.run(stream())


@pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning")
@pytest.mark.parametrize("do", [run_here, run_sync, run_streamed])
def test_a_run_goes_on_where_the_last_one_ended(
    session: CasefileSession, again: CasefileSession, do: Callable[..., Any]
) -> None:
    do(Agent("guide", model=says("Lisbon")), "Where to?", session)
    model = says("On Monday")
    assert do(Agent("guide", model=model), "When?", again).final_output == "On Monday"
    assert told(model.calls[0].input) == ["Where to?", "Lisbon", "When?"]
    kept = asyncio.run(session.get_items())
    assert told(kept) == ["Where to?", "Lisbon", "When?", "On Monday"]


def test_sessions_do_not_see_each_other(ann: casefile.Client, session: CasefileSession) -> None:
    run_here(Agent("guide", model=says("Lisbon")), "Where to?", session)
    model = says("Who knows")
    run_here(Agent("guide", model=model), "Where to?", CasefileSession(f"{uuid4()}", ann))
    assert told(model.calls[0].input) == ["Where to?"]


def test_a_limit_is_of_what_the_model_sees(
    session: CasefileSession, again: CasefileSession
) -> None:
    run_here(Agent("guide", model=says("Lisbon")), "Where to?", session)
    limits = (
        (SessionSettings(limit=1), ["Lisbon", "And?"]),
        (SessionSettings(limit=0), ["And?"]),
    )
    for limit, seen in limits:
        model = says("Sunny")
        config = RunConfig(tracing_disabled=True, session_settings=limit)
        asyncio.run(run(Agent("guide", model=model), "And?", again, config))
        assert told(model.calls[0].input) == seen
        asyncio.run(again.pop_item())
        asyncio.run(again.pop_item())
    assert told(asyncio.run(session.get_items())) == ["Where to?", "Lisbon"]


def test_calls_of_tools_are_kept_with_what_they_gave(
    session: CasefileSession, again: CasefileSession
) -> None:
    @function_tool
    def fly(to: str) -> str:
        return f"booked to {to}"

    calls = [function_call("fly", {"to": to}, call_id=to) for to in ("Porto", "Lisbon")]
    model = ScriptedModel([calls, [assistant_message("Done")]])
    run_here(Agent("guide", model=model, tools=[fly]), "Go", session)
    kept = asyncio.run(again.get_items())
    assert told(kept) == [
        "Go",
        "call fly",
        "call fly",
        "got booked to Porto",
        "got booked to Lisbon",
        "Done",
    ]
    model = says("Gladly")
    run_here(Agent("guide", model=model, tools=[fly]), "Thanks", again)
    assert model.calls[0].input[: len(kept)] == kept


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_a_run_that_waits_for_an_approval_goes_on_elsewhere(
    session: CasefileSession, again: CasefileSession, answer: str
) -> None:
    @function_tool(needs_approval=True)
    def fly(to: str) -> str:
        return f"booked to {to}"

    def agent(model: ScriptedModel) -> Agent[Any]:
        return Agent("guide", model=model, tools=[fly])

    async def steps() -> None:
        call = function_call("fly", {"to": "Lisbon"}, call_id="1")
        waiting = await run(agent(ScriptedModel([[call]])), "Go", session)
        state = waiting.to_state().to_json()

        resumed = agent(says("So be it"))
        restored: Any = await RunState.from_json(resumed, state)
        (asked,) = restored.get_interruptions()
        (restored.approve if answer == "approve" else restored.reject)(asked)
        done = await run(resumed, restored, again)
        assert done.final_output == "So be it"
        kept = told(await session.get_items())
        assert kept[:2] + kept[3:] == ["Go", "call fly", "So be it"]
        assert (kept[2] == "got booked to Lisbon") is (answer == "approve")

    asyncio.run(steps())


def test_whom_a_run_is_handed_to_knows_what_was_said(
    session: CasefileSession, again: CasefileSession
) -> None:
    expert = Agent("expert", model=says("By train"))
    hand_over = [function_call("transfer_to_expert", {}, call_id="1")]
    guide = Agent("guide", model=ScriptedModel([hand_over]), handoffs=[handoff(expert)])
    assert run_here(guide, "How?", session).final_output == "By train"
    kept = asyncio.run(again.get_items())
    assert told(kept)[:2] == ["How?", "call transfer_to_expert"]
    assert told(kept)[-1] == "By train"
    assert len(kept) == 4


def test_a_run_that_fails_can_be_run_again(
    session: CasefileSession, again: CasefileSession
) -> None:
    broken = Agent("guide", model=ScriptedModel([ValueError("no model")]))
    with pytest.raises(ValueError, match="no model"):
        run_here(broken, "Where to?", session)
    model = says("Lisbon")
    run_here(Agent("guide", model=model), "Where to, then?", again)
    assert told(model.calls[0].input)[-1] == "Where to, then?"
    assert told(asyncio.run(session.get_items()))[-2:] == ["Where to, then?", "Lisbon"]


def test_compaction_puts_a_summary_in_the_place_of_everything(
    session: CasefileSession, again: CasefileSession
) -> None:
    summary = {"type": "compaction", "id": "c", "encrypted_content": "short"}
    compact = AsyncMock(return_value=SimpleNamespace(output=[summary], usage=None))
    client: Any = SimpleNamespace(responses=SimpleNamespace(compact=compact))
    compacting = OpenAIResponsesCompactionSession(
        session.session_id,
        session,
        client=client,
        compaction_mode="input",
        should_trigger_compaction=lambda context: len(context["session_items"]) >= 4,
    )

    async def steps() -> None:
        for asked, answered in (("Where to?", "Lisbon"), ("When?", "On Monday")):
            assert compact.await_count == 0
            await run(Agent("guide", model=says(answered)), asked, compacting)
        (asked_for,) = compact.await_args_list
        read = ["Where to?", "Lisbon", "When?", "On Monday"]
        assert told(asked_for.kwargs["input"]) == read
        assert await again.get_items() == [summary]
        events = [each["event_type"] for each in session.chat_session.events()]
        assert events.count("chat_message_recorded") == 5

    asyncio.run(steps())


def test_a_compaction_that_fails_leaves_everything(
    session: CasefileSession, again: CasefileSession
) -> None:
    compact = AsyncMock(side_effect=ValueError("no summary"))
    client: Any = SimpleNamespace(responses=SimpleNamespace(compact=compact))
    compacting = OpenAIResponsesCompactionSession(session.session_id, session, client=client)

    async def steps() -> None:
        await run(Agent("guide", model=says("Lisbon")), "Where to?", compacting)
        with pytest.raises(ValueError, match="no summary"):
            await compacting.run_compaction({"force": True, "compaction_mode": "input"})
        assert told(await again.get_items()) == ["Where to?", "Lisbon"]

    asyncio.run(steps())


def test_what_many_add_at_once_is_all_there_each_in_one_piece(
    session: CasefileSession, again: CasefileSession
) -> None:
    batches: list[list[Any]] = [
        [{"role": "user", "content": f"{writer}: {part}"} for part in range(3)]
        for writer in range(12)
    ]

    async def steps() -> list[Any]:
        writers = (session, again)
        await asyncio.gather(
            *(writers[number % 2].add_items(batch) for number, batch in enumerate(batches))
        )
        return await session.get_items()

    kept = asyncio.run(steps())
    found = [kept[start : start + 3] for start in range(0, len(kept), 3)]
    assert sorted(map(str, found)) == sorted(map(str, batches))
