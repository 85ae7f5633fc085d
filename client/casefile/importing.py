"""Brings conversations along from a framework's own store into chat sessions.

A message is recorded by a request whose id follows from where it was, and the session says which of
these requests it holds. So a run goes on where the one before it ended, wherever that was, and two
runs, after each other or at once, import each message once, in its order. A conversation becomes
the session that the framework's adapter opens by its name, in the adapter's format: an agent goes
on with it there. When a message was stored, if the store tells, is `imported.time` in its metadata.

    with casefile.Client(url, token=token) as client:
        for told in import_conversations(client, read_openai_sqlite("conversations.db")):
            print(told)
"""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from pydantic_models.base.times import from_text, now_text, to_text
from pydantic_models.canonical import ChatMessagePayload

from . import errors
from ._sync.client import Client
from .adapters import _kept
from .operations import Envelope

_REQUESTS = UUID("0c9f2f8e-0a44-4d0b-9a39-6f0ad0a5d6c1")

HINDRANCES = (errors.BadRequest, errors.Conflict, errors.NotFound, errors.TooLarge)
"""What hinders one conversation, and need not hinder the others."""


@dataclass(frozen=True)
class Stored:
    """A message in another store: what it is, and what tells it from others of its conversation."""

    identity: str
    message: ChatMessagePayload


@dataclass(frozen=True)
class Conversation:
    """A conversation in another store, its messages in their order."""

    store: str
    name: str
    messages: Sequence[Stored]


Progress = Callable[[Conversation, int], object]


@dataclass(frozen=True)
class Imported:
    """What became of a conversation: how many messages were recorded now, and before.

    `error` tells what kept the rest of them out. `as_text` of those that were recorded now are no
    messages of the framework, but texts for people to look at.
    """

    name: str
    session_id: str | None = None
    recorded: int = 0
    already: int = 0
    error: errors.RequestFailed | None = None
    as_text: int = 0


def import_conversations(
    client: Client,
    conversations: Iterable[Conversation],
    *,
    casefile_id: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Imported]:
    """Record what is not yet recorded of each conversation; tell of each what became of it.

    `casefile_id` files sessions there when they are opened. `progress` is told of each message how
    many of its conversation are there by now. Raises what hinders all conversations.
    """
    for conversation in conversations:
        yield _import(client, conversation, casefile_id, progress)


def _import(
    client: Client,
    conversation: Conversation,
    casefile_id: str | None,
    progress: Progress | None,
) -> Imported:
    session_id, already, recorded, as_text = None, 0, 0, 0
    try:
        session = _kept.opened(client, conversation.name, casefile_id, anew=False)
        session_id = session.session_id
        # Dated before the look at what is there: what came since is recognised by the service.
        timestamp = now_text()
        lines = [json.loads(line) for line in session.export()]
        present = [UUID(line["request_id"]) for line in lines if "request_id" in line]
        already, missing = _missing(conversation, present)
        for request_id, stored in missing:
            session.record([stored.message], **Envelope(request_id=request_id, timestamp=timestamp))
            recorded += 1
            as_text += "format" not in stored.message.metadata
            if progress is not None:
                progress(conversation, already + recorded)
    except HINDRANCES as error:
        return Imported(conversation.name, session_id, recorded, already, error, as_text)
    return Imported(conversation.name, session_id, recorded, already, as_text=as_text)


def _missing(
    conversation: Conversation, present: Sequence[UUID]
) -> tuple[int, list[tuple[UUID, Stored]]]:
    """How many messages are present, and the others, each with the id of its request.

    A store may have dropped its oldest messages since; what it has begins somewhere in what was
    imported. Messages that are alike are told apart by how many of them came before.
    """
    held, ours = set(present), {}
    counts: Counter[str] = Counter()
    for identity in {stored.identity for stored in conversation.messages}:
        while (request_id := _request_id(conversation, identity, counts[identity])) in held:
            ours[request_id] = identity
            counts[identity] += 1
    before = [ours[request_id] for request_id in present if request_id in ours]
    identities = [stored.identity for stored in conversation.messages]
    overlap = min(len(before), len(identities))
    while overlap and before[-overlap:] != identities[:overlap]:
        overlap -= 1
    missing = []
    for stored in conversation.messages[overlap:]:
        request_id = _request_id(conversation, stored.identity, counts[stored.identity])
        missing.append((request_id, stored))
        counts[stored.identity] += 1
    return overlap, missing


def _request_id(conversation: Conversation, identity: str, number: int) -> UUID:
    place = [conversation.store, conversation.name, identity, number]
    return uuid5(_REQUESTS, json.dumps(place))


def read_langchain_table(
    table: Any, *, key: str = "SessionId", history: str = "History"
) -> Iterator[Conversation]:
    """The conversations of LangChain's `DynamoDBChatMessageHistory` in a table.

    `table` is boto3's (`boto3.resource("dynamodb").Table(name)`), which is read from end to end;
    `key` and `history` are what the history was told as `primary_key_name` and
    `history_messages_key`. The store tells no times.
    """
    page: dict[str, Any] = {}
    while True:
        found = table.scan(ConsistentRead=True, **page)
        for item in found["Items"]:
            said = [_plain(told) for told in item.get(history, [])]
            stored = [Stored(_digest(told), _from_langchain(told)) for told in said]
            yield Conversation(f"langchain:{table.name}", str(item[key]), stored)
        if "LastEvaluatedKey" not in found:
            return
        page = {"ExclusiveStartKey": found["LastEvaluatedKey"]}


def _from_langchain(told: Any) -> ChatMessagePayload:
    imported = {"from": "DynamoDBChatMessageHistory"}
    match told:
        case {"type": str(kind), "data": {} as data}:
            kept, text = {"type": kind, **data}, _kept.text_in(data.get("content"))
            with suppress(errors.NotJson):
                return _kept.message_of(kept, kind, text, "langchain", imported=imported)
    return _for_people(json.dumps(told, ensure_ascii=False), imported)


def _for_people(text: str, imported: dict[str, str]) -> ChatMessagePayload:
    """What no framework can read, to look at."""
    text = text.encode(errors="backslashreplace").decode()
    return ChatMessagePayload(content=text, message_type="error", metadata={"imported": imported})


def _plain(value: Any) -> Any:
    """What DynamoDB holds as the JSON that it was; bytes are told in base64."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value), key=json.dumps)
    if isinstance(of_bytes := getattr(value, "value", None), bytes):  # boto3's Binary
        return b64encode(of_bytes).decode()
    if value is None or isinstance(value, str | bool):
        return value
    raise TypeError(f"a message holds {type(value).__name__}, which DynamoDB does not")


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_openai_sqlite(
    file: Path | str,
    *,
    sessions_table: str = "agent_sessions",
    messages_table: str = "agent_messages",
) -> Iterator[Conversation]:
    """The conversations of the OpenAI Agents SDK's `SQLiteSession`; the file is only read."""
    sessions, messages = _quoted(sessions_table), _quoted(messages_table)
    address = f"{Path(file).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        database.text_factory = _decode
        names = database.execute(
            "SELECT session_id, CAST(session_id AS BLOB) "
            f"FROM {sessions} ORDER BY created_at, rowid"
        )
        for name, as_stored in names.fetchall():  # What is no UTF-8 is read as another name.
            rows = database.execute(
                "SELECT id, CAST(message_data AS TEXT), CAST(created_at AS TEXT) "
                f"FROM {messages} WHERE session_id IN (?, CAST(? AS TEXT)) ORDER BY id",
                (as_stored, as_stored),
            )
            # A row's number alone could be another's in another file.
            stored = [Stored(_digest(row), _from_openai(*row[1:])) for row in rows]
            yield Conversation("openai-agents", str(name), stored)


def _from_openai(text: str | None, time: str | None) -> ChatMessagePayload:
    imported = {"from": "SQLiteSession"}
    with suppress(ValueError):
        imported["time"] = to_text(from_text(time or ""))
    text = text or ""
    try:
        kept = json.loads(text)
        if isinstance(kept, dict):
            kind = kept.get("type")
            of_tool = isinstance(kind, str) and kind.endswith("_output")
            role = "tool" if of_tool else str(kept.get("role"))
            said = _kept.text_in(kept.get("content", kept.get("output")))
            return _kept.message_of(kept, role, said, "openai-agents", imported=imported)
    except (ValueError, RecursionError, errors.NotJson):
        pass  # The SDK passes it over; here it is kept, for people to look at.
    return _for_people(text, imported)


def _decode(stored: bytes) -> str:
    """What a database holds as text, whatever it is."""
    return stored.decode(errors="backslashreplace")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
