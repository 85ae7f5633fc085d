"""LangGraph's DynamoDBSaver with a DeltaChannel: a checkpoint has only what is new. It is beta.

Every tenth has the whole conversation; to read one is to walk back to the last that has.
"""

from __future__ import annotations

from typing import Annotated

from langchain_core.messages import AnyMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph.message import _messages_delta_reducer
from typing_extensions import TypedDict

from benchmarks.stores import Store
from benchmarks.stores.langgraph import LangGraph, create_tables, new_session

__all__ = ["new_session", "open_store", "prepare"]

SNAPSHOT_FREQUENCY = 10

_messages = DeltaChannel(_messages_delta_reducer, snapshot_frequency=SNAPSHOT_FREQUENCY)


class _State(TypedDict):
    messages: Annotated[list[AnyMessage], _messages]


class Delta(LangGraph):
    """The same graph, with another channel for its messages."""

    name = "langgraph-delta"
    state = _State


def prepare() -> None:
    create_tables(Delta.name)


def open_store(session: str) -> Store:
    return Delta(session)
