"""Strands Agents keep their sessions in chat sessions.

Of a session of theirs, itself, each agent and each multi-agent has a chat session of its own. Its
first message is the state, which an update replaces; an agent's messages follow, and one that is
redacted is replaced in its place. So the newest state is what is read, and every one is in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from strands.session.repository_session_manager import RepositorySessionManager
from strands.session.session_repository import SessionRepository
from strands.types.exceptions import SessionException
from strands.types.session import (
    Session,
    SessionAgent,
    SessionMessage,
    decode_bytes_values,
    encode_bytes_values,
)

from pydantic_models.canonical import ChatMessage, ChatMessagePayload

from .._sync.chat_sessions import ChatSession
from .._sync.client import Client
from . import _kept

if TYPE_CHECKING:
    from strands.multiagent import MultiAgentBase

FORMAT = "strands"


class CasefileSessionRepository(SessionRepository):
    """Sessions by any name; `casefile_id` files them there when they are opened."""

    def __init__(self, client: Client, *, casefile_id: str | None = None) -> None:
        self._client, self._casefile_id = client, casefile_id
        self._chats: dict[str, ChatSession] = {}
        self._states: dict[str, ChatMessage] = {}

    def create_session(self, session: Session, **_: Any) -> Session:
        """Keep a session. Raises SessionException if there is one."""
        name = _session(session.session_id)
        if self._state(name) is not None:
            raise SessionException(f"Session {session.session_id} already exists")
        self._keep(name, session.to_dict())
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
        self._chat(name).record([_message(session_message)])

    def read_message(
        self, session_id: str, agent_id: str, message_id: int, **_: Any
    ) -> SessionMessage | None:
        """A message, if there is one of this id."""
        found = self._find(session_id, agent_id, message_id)
        return None if found is None else _session_message(found)

    def update_message(
        self, session_id: str, agent_id: str, session_message: SessionMessage, **_: Any
    ) -> None:
        """Put a message in the place of that with its id. Raises SessionException without one."""
        message_id = session_message.message_id
        found = self._find(session_id, agent_id, message_id)
        if found is None:
            raise SessionException(f"Message {message_id} does not exist")
        session_message.created_at = _session_message(found).created_at
        session_message.updated_at = _now()
        chat = self._chat(_agent(session_id, agent_id))
        chat.replace(found, _message(session_message))

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
        # The first message is the agent's state.
        chosen = self._chat(name).messages(limit=None if end is None else end + 1)
        return [_session_message(each) for each in _messages(chosen)][offset:end]

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

    def _chat(self, name: str) -> ChatSession:
        if name not in self._chats:
            asked, envelope = _kept.opening(name, self._casefile_id)
            self._chats[name] = self._client.chat_sessions.create(**asked, **envelope)
        return self._chats[name]

    def _state(self, name: str) -> dict[str, Any] | None:
        """What the first message of a session keeps, as it is now."""
        first = next(iter(self._chat(name).messages(limit=1)), None)
        if first is None:
            return None
        self._states[name] = first
        return _kept.kept_in(first, FORMAT)

    def _keep(self, name: str, state: dict[str, Any]) -> None:
        """Let a session's first message be this state."""
        message = _kept.message_of(state, "system", "", FORMAT)
        if self._state(name) is None:
            self._chat(name).record([message])
        else:
            self._chat(name).replace(self._states[name], message)

    def _check_session(self, session_id: str) -> None:
        if self._state(_session(session_id)) is None:
            raise SessionException(f"Session {session_id} does not exist")

    def _agent(self, session_id: str, agent_id: str) -> str:
        name = _agent(session_id, agent_id)
        if self._state(name) is None:
            raise SessionException(f"Agent {agent_id} in session {session_id} does not exist")
        return name

    def _find(self, session_id: str, agent_id: str, message_id: int) -> ChatMessage | None:
        """The message of an id: the newest ones are asked for most."""
        name = self._agent(session_id, agent_id)
        for message in self._chat(name).messages(order="newest"):
            if message.metadata.get("message_id") == message_id:
                return message
        return None


class CasefileSessionManager(RepositorySessionManager):
    """A session manager for one session: `Agent(session_manager=…)`."""

    def __init__(
        self, session_id: str, client: Client, *, casefile_id: str | None = None, **more: Any
    ) -> None:
        repository = CasefileSessionRepository(client, casefile_id=casefile_id)
        super().__init__(session_id, repository, **more)


def _session(session_id: str) -> str:
    return f"strands/{session_id}"


def _agent(session_id: str, agent_id: str) -> str:
    return f"strands/{session_id}/agents/{agent_id}"


def _multi_agent(session_id: str, multi_agent_id: str) -> str:
    return f"strands/{session_id}/multi-agents/{multi_agent_id}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _message(message: SessionMessage) -> ChatMessagePayload:
    said = message.to_message()
    text, role = _kept.text_in(said["content"]), said["role"]
    told = {"message_id": message.message_id}
    return _kept.message_of(message.to_dict(), role, text, FORMAT, **told)


def _messages(chosen: Iterator[ChatMessage]) -> Iterator[ChatMessage]:
    return (each for each in chosen if "message_id" in each.metadata)


def _session_message(message: ChatMessage) -> SessionMessage:
    return SessionMessage.from_dict(_kept.kept_in(message, FORMAT) or {})
