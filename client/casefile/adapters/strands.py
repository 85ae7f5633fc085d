"""Strands Agents keep their sessions in chat sessions.

Of a session of theirs, itself, each agent and each multi-agent has a chat session of its own. Its
first message is the state, which an update replaces; an agent's messages follow, and one that is
redacted is replaced in its place. So the newest state is what is read, and every one is in the log.

What Strands stores by keys, snapshots of agents above all, are messages, too: a key has a chat
session of its own, whose newest message is the value. Which keys there are is told by one more,
the list of keys, whose last word on a key counts. A key is listed after it has a value, and struck
off after it has lost it, so that what is left half done is still found, and done again.
"""

from __future__ import annotations

import asyncio
import base64
import builtins
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from strands.session.repository_session_manager import RepositorySessionManager
from strands.session.session_repository import SessionRepository
from strands.storage import Storage
from strands.types.content import Message, Role
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import (
    Session,
    SessionAgent,
    SessionMessage,
    decode_bytes_values,
    encode_bytes_values,
)

import casefile
from pydantic_models.canonical import ChatMessage, ChatMessagePayload, MessageType

from .. import errors
from . import _kept

if TYPE_CHECKING:
    from strands.multiagent import MultiAgentBase

T = TypeVar("T")

FORMAT = "strands"
STORED = "strands-storage"


class _Chats(dict[str, casefile.ChatSession]):
    """Chat sessions by name, each opened when it is first asked for."""

    def __init__(self, client: casefile.Client, casefile_id: str | None) -> None:
        super().__init__()
        self._client, self._casefile_id = client, casefile_id

    def __missing__(self, name: str) -> casefile.ChatSession:
        self[name] = _kept.opened(self._client, name, self._casefile_id)
        return self[name]


class CasefileSessionRepository(SessionRepository):
    """Sessions by any name; `casefile_id` files them there when they are opened."""

    def __init__(self, client: casefile.Client, *, casefile_id: str | None = None) -> None:
        self._chats = _Chats(client, casefile_id)
        self._states: dict[str, ChatMessage] = {}

    def create_session(self, session: Session, **_: Any) -> Session:
        """Keep a session. Raises SessionException if there is one."""
        name = _session(session.session_id)
        if self._state(name) is not None or not self._begin(name, session.to_dict()):
            raise SessionException(f"Session {session.session_id} already exists")
        return session

    def read_session(self, session_id: str, **_: Any) -> Session | None:
        """The session, if there is one."""
        kept = self._state(_session(session_id))
        return None if kept is None else Session.from_dict(kept)

    def create_agent(self, session_id: str, session_agent: SessionAgent, **_: Any) -> None:
        """Keep an agent of a session. Raises SessionException if there is no such session."""
        self._check_session(session_id)
        self._keep(_agent(session_id, session_agent.agent_id), session_agent.to_dict())

    def read_agent(self, session_id: str, agent_id: str, **_: Any) -> SessionAgent | None:
        """The agent as it was last updated, if there is one."""
        kept = self._state(_agent(session_id, agent_id))
        return None if kept is None else SessionAgent.from_dict(kept)

    def update_agent(self, session_id: str, session_agent: SessionAgent, **_: Any) -> None:
        """Replace what is kept of an agent. Raises SessionException if there is none."""
        agent_id = session_agent.agent_id
        before = self.read_agent(session_id, agent_id)
        if before is None:
            raise SessionException(f"Agent {agent_id} in session {session_id} does not exist")
        session_agent.created_at = before.created_at
        session_agent.updated_at = _now()
        self._keep(_agent(session_id, agent_id), session_agent.to_dict())

    def create_message(
        self, session_id: str, agent_id: str, session_message: SessionMessage, **_: Any
    ) -> None:
        """Add a message. Raises SessionException if there is no such agent."""
        name = self._agent(session_id, agent_id)
        self._chats[name].record([_message(session_message)])

    def read_message(
        self, session_id: str, agent_id: str, message_id: int, **_: Any
    ) -> SessionMessage | None:
        """A message, if there is one of this id."""
        found = next(self._numbered(session_id, agent_id, message_id), None)
        return None if found is None else _session_message(found)

    def update_message(
        self, session_id: str, agent_id: str, session_message: SessionMessage, **_: Any
    ) -> None:
        """Put a message in the place of that with its id. Raises SessionException without one."""
        message_id = session_message.message_id
        chat = self._chats[_agent(session_id, agent_id)]
        while (found := self._meant(session_id, agent_id, session_message)) is not None:
            session_message.created_at = _session_message(found).created_at
            session_message.updated_at = _now()
            with suppress(errors.NotStanding):  # Somebody was faster: that is replaced in turn.
                chat.replace(found, _message(session_message))
                return
        raise SessionException(f"Message {message_id} does not exist")

    def list_messages(
        self,
        session_id: str,
        agent_id: str,
        limit: int | None = None,
        offset: int = 0,
        **_: Any,
    ) -> list[SessionMessage]:
        """An agent's messages in their order. Raises SessionException if there is no such agent."""
        name = self._agent(session_id, agent_id)
        end = None if limit is None else offset + limit
        # The first message is the agent's state, and so are others that were first at once.
        messages = [each for each in self._chats[name].standing() if "message_id" in each.metadata]
        return [_session_message(each) for each in messages[offset:end]]

    def create_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **_: Any) -> None:
        """Keep the state of a multi-agent. Raises SessionException if there is no such session."""
        self._check_session(session_id)
        state = encode_bytes_values(multi_agent.serialize_state())
        self._keep(_multi_agent(session_id, multi_agent.id), state)

    def read_multi_agent(
        self, session_id: str, multi_agent_id: str, **_: Any
    ) -> dict[str, Any] | None:
        """The state of a multi-agent as it was last updated, if there is one."""
        kept = self._state(_multi_agent(session_id, multi_agent_id))
        return None if kept is None else decode_bytes_values(kept)

    def update_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **_: Any) -> None:
        """Replace what is kept of a multi-agent. Raises SessionException if there is none."""
        name = _multi_agent(session_id, multi_agent.id)
        if self._state(name) is None:
            told = f"MultiAgent state {multi_agent.id} in session {session_id} does not exist"
            raise SessionException(told)
        self._keep(name, encode_bytes_values(multi_agent.serialize_state()))

    def _state(self, name: str) -> dict[str, Any] | None:
        """What the first message of a session keeps, as it is now."""
        first = next(iter(self._chats[name].messages(limit=1)), None)
        if first is None:
            return None
        self._states[name] = first
        return _kept.kept_in(first, FORMAT)

    def _keep(self, name: str, state: dict[str, Any]) -> None:
        """Let a session's first message be this state, whoever else replaces it meanwhile."""
        if self._state(name) is None and self._begin(name, state):
            return
        message = _kept.message_of(state, "system", "", FORMAT)
        while self._state(name) is not None:
            with suppress(errors.NotStanding):  # Somebody was faster: that is replaced in turn.
                self._chats[name].replace(self._states[name], message)
                return

    def _begin(self, name: str, state: dict[str, Any]) -> bool:
        """Record a state; tell whether it is the first message, or somebody was faster."""
        message = _kept.message_of(state, "system", "", FORMAT)
        return self._chats[name].record([message]).message.index == 0

    def _check_session(self, session_id: str) -> None:
        if self._state(_session(session_id)) is None:
            raise SessionException(f"Session {session_id} does not exist")

    def _agent(self, session_id: str, agent_id: str) -> str:
        name = _agent(session_id, agent_id)
        if self._state(name) is None:
            raise SessionException(f"Agent {agent_id} in session {session_id} does not exist")
        return name

    def _numbered(self, session_id: str, agent_id: str, message_id: int) -> Iterator[ChatMessage]:
        """The messages of an id: one, or as many as there are workers that numbered alike.

        The newest come first, which are asked for most.
        """
        for message in self._chats[_agent(session_id, agent_id)].messages(order="newest"):
            if message.metadata.get("message_id") == message_id:
                yield message

    def _meant(self, session_id: str, agent_id: str, given: SessionMessage) -> ChatMessage | None:
        """The message in whose place one is to be put, never another worker's.

        Of several with its id, it is the one that was created when the given one was. Raises
        SessionException if that tells none, or several.
        """
        alike, created_then = [], []
        for message in self._numbered(session_id, agent_id, given.message_id):
            found = _session_message(message)
            if found.created_at == given.created_at:
                if found.message == given.message:
                    return message
                created_then.append(message)
            alike.append(message)
        meant = created_then or alike
        if len(meant) > 1:
            told = f"{len(meant)} messages have the id {given.message_id}, of several workers"
            raise SessionException(f"{told}: read the one that is meant, and update that")
        return meant[0] if meant else None


class CasefileSessionManager(RepositorySessionManager):
    """A session manager for one session: `Agent(session_manager=…)`."""

    def __init__(
        self,
        session_id: str,
        client: casefile.Client,
        *,
        casefile_id: str | None = None,
        **more: Any,
    ) -> None:
        repository = CasefileSessionRepository(client, casefile_id=casefile_id)
        super().__init__(session_id, repository, **more)


class CasefileStorage(Storage):
    """What Strands stores by keys, bytes each: `SnapshotSessionManager(…, storage=…)`.

    `casefile_id` files them there; what is stored in one casefile is not seen in another. What is
    overwritten or deleted is in the log. All failures are StorageErrors.
    """

    def __init__(self, client: casefile.Client, *, casefile_id: str | None = None) -> None:
        self._chats = _Chats(client, casefile_id)
        self._listed: set[str] = set()

    async def write(self, key: str, data: bytes) -> None:
        """Let this be the value of a key."""
        await self._do(self._write, key, data)

    async def read(self, key: str) -> bytes | None:
        """The value of a key, if it has one."""
        newest = await self._do(self._newest, key)
        return None if newest is None else _bytes_in(newest)

    async def delete(self, key: str) -> None:
        """Withdraw a key and its values, if there are any."""
        await self._do(self._delete, key)

    async def list(self, query: str = "") -> builtins.list[str]:
        """The keys that begin so, sorted."""
        return await self._do(self._list, query)

    async def _do(self, what: Callable[..., T], *given: Any) -> T:
        try:
            return await _kept.to_the_end(asyncio.to_thread(what, *given))
        except errors.CasefileError as error:
            raise StorageError(str(error)) from error

    def _write(self, key: str, data: bytes) -> None:
        written = self._chats[_stored(key)].record([_message_of(data)]).message
        if written.index == 0 or key not in self._listed:
            self._tell(key, has_value=True)

    def _newest(self, key: str) -> ChatMessage | None:
        return next(self._chats[_stored(key)].messages(order="newest", limit=1), None)

    def _delete(self, key: str) -> None:
        if self._newest(key) is None and key not in self._list(key):
            return
        self._chats[_stored(key)].rewind(keep=0)
        self._tell(key, has_value=False)
        if self._newest(key) is not None:  # Somebody wrote it meanwhile.
            self._tell(key, has_value=True)

    def _list(self, prefix: str) -> builtins.list[str]:
        told = self._chats[_KEYS].messages()
        has_value = {each.content: each.metadata["has_value"] for each in told}
        return sorted(key for key in has_value if has_value[key] and key.startswith(prefix))

    def _tell(self, key: str, *, has_value: bool) -> None:
        """Add a word on a key to the list of keys."""
        metadata = {"format": STORED, "has_value": has_value}
        said = {"content": key, "message_type": MessageType.SYSTEM, "metadata": metadata}
        self._chats[_KEYS].record([said])
        (self._listed.add if has_value else self._listed.discard)(key)


_KEYS = "strands-storage"


def _stored(key: str) -> str:
    return f"{_KEYS}/{_quoted(key, safe='/')}"


def _message_of(data: bytes) -> ChatMessagePayload:
    """A value as a message: as text if it is text."""
    try:
        text, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(data).decode(), "base64"
    return ChatMessagePayload(
        content=text,
        message_type=MessageType.SYSTEM,
        metadata={"format": STORED, "encoding": encoding},
    )


def _bytes_in(message: ChatMessage) -> bytes:
    if message.metadata.get("encoding") == "base64":
        return base64.b64decode(message.content)
    return message.content.encode()


def _session(session_id: str) -> str:
    return f"strands/{_quoted(session_id)}"


def _agent(session_id: str, agent_id: str) -> str:
    return f"{_session(session_id)}/agents/{_quoted(agent_id)}"


def _multi_agent(session_id: str, multi_agent_id: str) -> str:
    return f"{_session(session_id)}/multi-agents/{_quoted(multi_agent_id)}"


def _quoted(name: str, *, safe: str = "") -> str:
    _kept.check_name(name)
    return quote(name, safe=safe)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _message(message: SessionMessage) -> ChatMessagePayload:
    said = message.to_message()
    text, role = _kept.text_in(said["content"]), said["role"]
    told = {"message_id": message.message_id}
    return _kept.message_of(message.to_dict(), role, text, FORMAT, **told)


def _session_message(message: ChatMessage) -> SessionMessage:
    restored = _kept.restored(message, FORMAT, SessionMessage.from_dict)
    if restored is None:  # Somebody has changed it by hand.
        role: Role = "user" if message.message_type is MessageType.USER else "assistant"
        said: Message = {"role": role, "content": [{"text": message.content}]}
        at, message_id = message.timestamp, message.metadata["message_id"]
        return SessionMessage(said, message_id, created_at=at, updated_at=at)
    return restored
