"""Strands' agents, without a model: what their session managers keep of them is what counts."""

from __future__ import annotations

from typing import Any

from strands import Agent
from strands.models import Model

AGENT = "agent"


UNASKED = "What is measured here asks no model."


class Silent(Model):
    """A model that is never asked."""

    def update_config(self, **model_config: Any) -> None:
        raise AssertionError(UNASKED)

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *arguments: Any, **more: Any) -> Any:
        raise AssertionError(UNASKED)

    def stream(self, *arguments: Any, **more: Any) -> Any:
        raise AssertionError(UNASKED)


def agent_of(manager: Any) -> Agent:
    """An agent as it is when a program starts: with what its manager restores."""
    return Agent(model=Silent(), agent_id=AGENT, session_manager=manager, callback_handler=None)


def message(content: str) -> Any:
    """A message as Strands spells it."""
    return {"role": "user", "content": [{"text": content}]}


def content_of(message: Any) -> str:
    """The text of such a message."""
    return str(message["content"][0]["text"])


class Repository:
    """A session of a manager that keeps each message by itself, numbered by the instance."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.agent = agent_of(manager)

    def append(self, request_id: str, made_at: str, content: str) -> None:
        """It knows no request ids, and tells no place."""
        self.agent.messages.append(message(content))
        self.manager.append_message(self.agent.messages[-1], self.agent)

    def newest(self, count: int) -> list[str]:
        return self._listed(limit=count, offset=max(0, len(self.agent.messages) - count))

    def read(self) -> list[str]:
        return self._listed()

    def _listed(self, **which: int) -> list[str]:
        found = self.manager.session_repository.list_messages(
            self.manager.session_id, AGENT, **which
        )
        return [content_of(each.message) for each in found]
