"""Pydantic AI keeps an agent's message history in a chat session.

history = MessageHistory("trip", client)
result = agent.run_sync("Where to?", message_history=history.read())
history.add(result.new_messages())
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
)

import casefile
from pydantic_models.canonical import ChatMessage, ChatMessagePayload, MessageType

from . import _kept

FORMAT = "pydantic-ai"


class MessageHistory:
    """A message history by any name; `casefile_id` files it there when it is opened."""

    def __init__(
        self, name: str, client: casefile.Client, *, casefile_id: str | None = None
    ) -> None:
        self.name = name
        self._client, self._casefile_id = client, casefile_id
        self._chat: casefile.ChatSession | None = None

    def read(self) -> list[ModelMessage]:
        """All messages, in their order: the `message_history` of the next run."""
        return _from_messages(self._opened().standing())

    def add(self, messages: Sequence[ModelMessage]) -> None:
        """Add messages (`result.new_messages()`), up to a hundred together or not at all."""
        for batch in _kept.batches(_to_messages(messages)):
            self._opened().record(batch)

    def clear(self) -> None:
        """Withdraw all messages; they stay in the log."""
        self._opened().rewind(keep=0)

    def _opened(self) -> casefile.ChatSession:
        if self._chat is None:
            self._chat = _kept.opened(self._client, self.name, self._casefile_id)
        return self._chat


class AsyncMessageHistory:
    """A message history by any name; `casefile_id` files it there when it is opened.

    What changes it is done to the end, whoever is cancelled meanwhile.
    """

    def __init__(
        self, name: str, client: casefile.AsyncClient, *, casefile_id: str | None = None
    ) -> None:
        self.name = name
        self._client, self._casefile_id = client, casefile_id
        self._chat: casefile.AsyncChatSession | None = None

    async def read(self) -> list[ModelMessage]:
        """All messages, in their order: the `message_history` of the next run."""
        return _from_messages(await (await self._opened()).standing())

    async def add(self, messages: Sequence[ModelMessage]) -> None:
        """Add messages (`result.new_messages()`), up to a hundred together or not at all."""
        await _kept.to_the_end(self._add(_to_messages(messages)))

    async def _add(self, said: Sequence[ChatMessagePayload]) -> None:
        chat = await self._opened()
        for batch in _kept.batches(said):
            await chat.record(batch)

    async def clear(self) -> None:
        """Withdraw all messages; they stay in the log."""
        await _kept.to_the_end(self._clear())

    async def _clear(self) -> None:
        await (await self._opened()).rewind(keep=0)

    async def _opened(self) -> casefile.AsyncChatSession:
        if self._chat is None:
            self._chat = await _kept.opened_async(self._client, self.name, self._casefile_id)
        return self._chat


def _to_messages(messages: Sequence[ModelMessage]) -> list[ChatMessagePayload]:
    told: list[dict[str, Any]] = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")
    return [
        _kept.message_of(each, _role(each), _kept.text_in(_said(each["parts"])), FORMAT)
        for each in told
    ]


def _role(message: dict[str, Any]) -> str:
    kinds = {part["part_kind"] for part in message["parts"]}
    if message["kind"] == "response":
        return "assistant"
    if "user-prompt" in kinds:
        return "user"
    return "system" if "system-prompt" in kinds else "tool"


def _said(parts: list[dict[str, Any]]) -> list[Any]:
    said: list[Any] = []
    for part in parts:
        if part["part_kind"] in ("user-prompt", "text"):
            content = part["content"]
            said += content if isinstance(content, list) else [content]
    return said


def _from_messages(messages: Sequence[ChatMessage]) -> list[ModelMessage]:
    restored: list[ModelMessage] = []
    for message in messages:
        of_ours = _kept.restored(message, FORMAT, _restored)
        if of_ours is not None:
            restored.append(of_ours)
        elif message.message_type is MessageType.USER:  # Somebody else said it.
            restored.append(ModelRequest(parts=[UserPromptPart(content=message.content)]))
        else:
            restored.append(ModelResponse(parts=[TextPart(content=message.content)]))
    return restored


def _restored(kept: dict[str, Any]) -> ModelMessage:
    (message,) = ModelMessagesTypeAdapter.validate_python([kept])
    return message
