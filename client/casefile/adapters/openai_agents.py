"""The OpenAI Agents SDK keeps an agent's session in a chat session.

What the SDK takes back (`pop_item`, `clear_session`) is withdrawn by a record, and stays in the
log. Two workers that pop at once get two different items.

The SDK runs agents in event loops that come and go (`Runner.run_sync`), and a session outlives
them. So it talks through the synchronous client, in threads, and is at home in any loop. What
changes the session is done to the end, whoever is cancelled meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

from agents.memory import SessionABC, SessionSettings
from agents.memory.session_settings import resolve_session_limit

import casefile
from pydantic_models.canonical import ChatMessage, ChatMessagePayload, MessageType

from .. import errors
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
        client: casefile.Client,
        *,
        casefile_id: str | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(session_id, str):
            raise TypeError("session_id must be a string")
        self.session_id = session_id
        if not isinstance(session_settings, SessionSettings):
            session_settings = SessionSettings().resolve(session_settings)
        self.session_settings = session_settings
        self._client = client
        self._casefile_id = casefile_id
        self._chat: casefile.ChatSession | None = None
        self._one_at_a_time = threading.Lock()

    @property
    def chat_session(self) -> casefile.ChatSession:
        """The chat session that it is kept in; opened when it is first asked for."""
        if self._chat is None:
            self._chat = _kept.opened(self._client, self.session_id, self._casefile_id)
        return self._chat

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """All items, or the newest `limit` of them, in their order; none if it is not positive."""
        limit = resolve_session_limit(limit, self.session_settings)
        return await asyncio.to_thread(self._read, limit)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items, up to a hundred of them together or not at all.

        Raises NotJson, which is a TypeError, for what is no JSON, before any is added.
        """
        if items:
            messages = [_message(item) for item in items]
            await _kept.to_the_end(asyncio.to_thread(self._add, messages))

    async def pop_item(self) -> TResponseInputItem | None:
        """Withdraw the newest item, and return it."""
        return await _kept.to_the_end(asyncio.to_thread(self._pop))

    async def clear_session(self) -> None:
        """Withdraw all items."""
        await _kept.to_the_end(asyncio.to_thread(self._clear))

    def _read(self, limit: int | None) -> list[TResponseInputItem]:
        if limit is None:
            return [_item(message) for message in self.chat_session.standing()]
        if limit <= 0:
            return []
        return [_item(message) for message in self.chat_session.standing(newest=limit)]

    def _add(self, messages: list[ChatMessagePayload]) -> None:
        with self._one_at_a_time:
            for batch in _kept.batches(messages):
                self.chat_session.record(batch)

    def _pop(self) -> TResponseInputItem | None:
        with self._one_at_a_time:
            rewound = self.chat_session.rewind(1, include_messages=True)
        return _item(rewound.messages[-1]) if rewound.messages else None

    def _clear(self) -> None:
        with self._one_at_a_time:
            self.chat_session.rewind(keep=0)


def _message(item: TResponseInputItem) -> ChatMessagePayload:
    if not isinstance(item, dict):
        raise errors.NotJson(f"An item must be a dict, not {type(item).__name__}.")
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
