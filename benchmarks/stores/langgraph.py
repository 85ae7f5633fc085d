"""LangGraph's DynamoDBSaver: a checkpoint of the whole conversation at each step of a graph."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph_checkpoint_aws import DynamoDBSaver

from benchmarks.stores import Store, create_table, table


class LangGraph:
    """A thread of a graph that keeps messages.

    A message is added to its state, which is the cheapest way to record one; a turn of two messages
    by `invoke` takes about as much for each of them.
    """

    def __init__(self, session: str) -> None:
        graph: Any = StateGraph(MessagesState)
        graph.add_node("model", lambda state: {})
        graph.add_edge(START, "model")
        self.graph = graph.compile(checkpointer=DynamoDBSaver(table("langgraph")))
        self.thread = {"configurable": {"thread_id": session}}

    def append(self, request_id: str, made_at: str, content: str) -> None:
        said = {"messages": [HumanMessage(content, id=request_id)]}
        self.graph.update_state(self.thread, said, as_node="model")

    def newest(self, count: int) -> list[str]:
        """There is no way to read less than all."""
        return self.read()[-count:]

    def read(self) -> list[str]:
        messages = self.graph.get_state(self.thread).values.get("messages", [])
        return [str(message.content) for message in messages]


def prepare() -> None:
    create_table("langgraph", "PK", "SK")


def open_store(session: str) -> Store:
    return LangGraph(session)


def new_session() -> str:
    return str(uuid4())
