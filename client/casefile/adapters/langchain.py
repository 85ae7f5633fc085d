"""LangChain keeps a message history in a chat session, synchronously and asynchronously.

`clear` withdraws all messages by a record; they stay in the log. What changes the history is done
to the end, whoever is cancelled meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    message_to_dict,
    messages_from_dict,
)

import casefile
from pydantic_models.canonical import ChatMessage, ChatMessagePayload, MessageType

from . import _kept

FORMAT = "langchain"

_FOREIGN: dict[MessageType, type[BaseMessage]] = {
    MessageType.USER: HumanMessage,
    MessageType.SYSTEM: SystemMessage,
}


class CasefileChatMessageHistory(BaseChatMessageHistory):
    """A history by any name. Bring the client, the asynchronous client, or both.

    The synchronous methods use the one, the asynchronous ones the other; they see the same history.
    `casefile_id` files it there when it is opened.
    """

    def __init__(
        self,
        session_id: str,
        client: casefile.Client | None = None,
        async_client: casefile.AsyncClient | None = None,
        *,
        casefile_id: str | None = None,
    ) -> None:
        self.session_id = session_id
        self._client, self._async_client = client, async_client
        self._casefile_id = casefile_id
        self._chat: casefile.ChatSession | None = None
        self._async_chat: casefile.AsyncChatSession | None = None

    @property
    def messages(self) -> list[BaseMessage]:
        """All messages, in their order. Set, they take the place of those that are there."""
        return [_from_message(each) for each in self._opened().standing()]

    @messages.setter
    def messages(self, messages: list[BaseMessage]) -> None:
        said = [_to_message(each) for each in messages]  # Raises, and nothing is cleared.
        self.clear()
        self._add(said)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages, up to a hundred of them together or not at all."""
        self._add([_to_message(each) for each in messages])

    def _add(self, said: Sequence[ChatMessagePayload]) -> None:
        for batch in _kept.batches(said):
            self._opened().record(batch)

    def clear(self) -> None:
        """Withdraw all messages."""
        self._opened().rewind(keep=0)

    async def aget_messages(self) -> list[BaseMessage]:
        """All messages, in their order."""
        if self._async_client is None:
            return await super().aget_messages()
        chat = await self._opened_async(self._async_client)
        return [_from_message(each) for each in await chat.standing()]

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages, up to a hundred of them together or not at all."""
        if self._async_client is None:
            await _kept.to_the_end(asyncio.to_thread(self.add_messages, messages))
        else:
            said = [_to_message(each) for each in messages]
            await _kept.to_the_end(self._add_async(self._async_client, said))

    async def _add_async(
        self, client: casefile.AsyncClient, said: Sequence[ChatMessagePayload]
    ) -> None:
        chat = await self._opened_async(client)
        for batch in _kept.batches(said):
            await chat.record(batch)

    async def aclear(self) -> None:
        """Withdraw all messages."""
        if self._async_client is None:
            await _kept.to_the_end(asyncio.to_thread(self.clear))
        else:
            await _kept.to_the_end(self._clear_async(self._async_client))

    async def _clear_async(self, client: casefile.AsyncClient) -> None:
        await (await self._opened_async(client)).rewind(keep=0)

    def _opened(self) -> casefile.ChatSession:
        if self._client is None:
            raise TypeError("this history was given an asynchronous client alone")
        if self._chat is None:
            self._chat = _kept.opened(self._client, self.session_id, self._casefile_id)
        return self._chat

    async def _opened_async(self, client: casefile.AsyncClient) -> casefile.AsyncChatSession:
        if self._async_chat is None:
            opening = _kept.opened_async(client, self.session_id, self._casefile_id)
            self._async_chat = await opening
        return self._async_chat


def _to_message(message: BaseMessage) -> ChatMessagePayload:
    told = message_to_dict(message)
    kept: dict[str, Any] = {"type": told["type"], **told["data"]}
    return _kept.message_of(kept, told["type"], _kept.text_in(message.content), FORMAT)


def _from_message(message: ChatMessage) -> BaseMessage:
    restored = _kept.restored(message, FORMAT, _restored)
    if restored is None:  # Somebody else said it.
        made: type[BaseMessage] = _FOREIGN.get(message.message_type, AIMessage)
        return made(content=message.content)
    return restored


def _restored(kept: dict[str, Any]) -> BaseMessage:
    (message,) = messages_from_dict([{"type": kept["type"], "data": kept}])
    return message
