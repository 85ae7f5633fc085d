"""The OpenAI Agents SDK keeps an agent's session in a chat session.

What the SDK takes back (`pop_item`, `clear_session`) is withdrawn by a record, and stays in the
log. Two workers that pop at once get two different items.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from agents.memory import SessionABC, SessionSettings

from pydantic_models.canonical import ChatMessage, ChatMessagePayload, MessageType

from .._async.chat_sessions import AsyncChatSession
from .._async.client import AsyncClient
from . import _kept

if TYPE_CHECKING:
    from agents import TResponseInputItem

FORMAT = "openai-agents"


class CasefileSession(SessionABC):
    """A session of the SDK, by any name; `casefile_id` files it there when it is opened."""

    session_settings: SessionSettings | None

    def __init__(
        self,
        session_id: str,
        client: AsyncClient,
        *,
        casefile_id: str | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings = session_settings or SessionSettings()
        self._client = client
        self._casefile_id = casefile_id
        self._chat: AsyncChatSession | None = None
        self._writing = asyncio.Lock()

    async def chat_session(self) -> AsyncChatSession:
        """The chat session that it is kept in."""
        if self._chat is None:
            asked, envelope = _kept.opening(self.session_id, self._casefile_id)
            self._chat = await self._client.chat_sessions.create(**asked, **envelope)
        return self._chat

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """All items, or the newest `limit` of them, in their order."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is not None and limit <= 0:
            return []
        chat = await self.chat_session()
        if limit is None:
            return [_item(message) async for message in chat.messages()]
        newest = [_item(each) async for each in chat.messages(order="newest", limit=limit)]
        return newest[::-1]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items, up to a hundred of them together or not at all."""
        messages = [_message(item) for item in items]
        async with self._writing:
            chat = await self.chat_session()
            for batch in _kept.batches(messages):
                await chat.record(batch)

    async def pop_item(self) -> TResponseInputItem | None:
        """Withdraw the newest item, and return it."""
        async with self._writing:
            chat = await self.chat_session()
            rewound = await chat.rewind(1, include_messages=True)
        return _item(rewound.messages[-1]) if rewound.messages else None

    async def clear_session(self) -> None:
        """Withdraw all items."""
        async with self._writing:
            await (await self.chat_session()).rewind(keep=0)


def _message(item: TResponseInputItem) -> ChatMessagePayload:
    kept = cast("dict[str, Any]", item)
    kind = kept.get("type")
    role = "tool" if isinstance(kind, str) and kind.endswith("_output") else kept.get("role")
    said = kept.get("content") if "content" in kept else kept.get("output")
    return _kept.message_of(kept, str(role), _kept.text_in(said), FORMAT)


def _item(message: ChatMessage) -> TResponseInputItem:
    kept = _kept.kept_in(message, FORMAT)
    if kept is None:  # Somebody else said it.
        known = (MessageType.USER, MessageType.SYSTEM)
        role = message.message_type.value if message.message_type in known else "assistant"
        kept = {"role": role, "content": message.content}
    return cast("TResponseInputItem", kept)
