"""LangGraph's DynamoDBSaver: a checkpoint of the whole conversation at the end of a graph's run.

As its documentation has it for production: checkpoints are compressed, and lie in S3 when they are
too large for an item. `durability="exit"` saves once for each run, which is the cheapest there is.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph_checkpoint_aws import DynamoDBSaver

from benchmarks.stores import Store, create_bucket, create_table, table


class LangGraph:
    """A thread of a graph that keeps messages, and is run with one message at a time."""

    name = "langgraph"
    state: Any = MessagesState

    def __init__(self, session: str) -> None:
        graph: Any = StateGraph(self.state)
        graph.add_node("model", lambda state: {})
        graph.add_edge(START, "model")
        saver = DynamoDBSaver(
            table(self.name),
            enable_checkpoint_compression=True,
            s3_offload_config={"bucket_name": table(self.name)},
        )
        self.graph = graph.compile(checkpointer=saver)
        self.thread = {"configurable": {"thread_id": session}}

    def append(self, request_id: str, made_at: str, content: str) -> None:
        said = {"messages": [HumanMessage(content, id=request_id)]}
        self.graph.invoke(said, self.thread, durability="exit")

    def newest(self, count: int) -> list[str]:
        """There is no way to read less than all."""
        return self.read()[-count:]

    def read(self) -> list[str]:
        messages = self.graph.get_state(self.thread).values.get("messages", [])
        return [str(message.content) for message in messages]

    def on_branches(self) -> set[str]:
        """Who writes at once forks the thread; its history has the checkpoints of all branches."""
        states = self.graph.get_state_history(self.thread)
        return {
            str(message.content) for state in states for message in state.values.get("messages", [])
        }


def create_tables(name: str) -> None:
    """A table for checkpoints, and a bucket for those that are too large for it."""
    create_table(name, "PK", "SK")
    create_bucket(table(name))


def prepare() -> None:
    create_tables(LangGraph.name)


def open_store(session: str) -> Store:
    return LangGraph(session)


def new_session() -> str:
    return str(uuid4())
