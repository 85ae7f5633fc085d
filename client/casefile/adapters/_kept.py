"""What frameworks keep, as messages: people read the text, the framework gets back what it gave.

A message's `content` is what was said. The thing itself, any JSON, is the message's first tool
call, less its texts where they are the content anyway; its metadata names the format, and where the
texts belong, unless those are too many to tell.

A conversation is a chat session that is named: the same name opens the same session, for the same
user, wherever and whenever. It is created with a request that is always the same, so looking for it
and creating it are one step, which two processes can't take twice. It stays open, however long
nothing is said. If it is deleted, the next request of the name opens the next session. If it is
closed, the conversation has ended: it is read under its name, and takes no more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid5

from pydantic import ValidationError

import casefile
from pydantic_models.base.identifiers import lowered
from pydantic_models.base.json_values import MAX_METADATA_BYTES, to_json
from pydantic_models.canonical import ChatMessage, ChatMessagePayload, MessageType
from pydantic_models.operations.chat_messages import MAX_MESSAGES

from .. import errors
from ..operations import Envelope

T = TypeVar("T")

_NAMES = UUID("6c0c4a5e-7a3f-4c8e-9d55-0f6f2f8f2d1b")
_DATE = "2025-01-01T00:00:00+00:00"
"""Of the requests that open named sessions: any past time, but always the same."""

_TYPES = {
    "user": MessageType.USER,
    "human": MessageType.USER,
    "system": MessageType.SYSTEM,
    "developer": MessageType.SYSTEM,
    "tool": MessageType.TOOL,
    "function": MessageType.TOOL,
    "error": MessageType.ERROR,
}


Path = tuple[str | int, ...]
"""The way to something in a thing, name by name or number by number."""

Opening = tuple[dict[str, Any], Envelope]
"""What to ask for, and the request to ask it with."""


def openings(name: str, casefile_id: str | None) -> Iterator[Opening]:
    """How to open the session of a name, and, if it was deleted, the one that came next.

    Raises BadRequest for a name that is no text.
    """
    check_name(name)
    casefile_id = casefile_id and lowered(casefile_id)
    first = uuid5(_NAMES, f"{casefile_id or ''}\n{name}")
    asked = {"title": name[:200] or None, "casefile_id": casefile_id, "stays_open": True}
    yield asked, Envelope(request_id=first, timestamp=_DATE)
    for generation in count(1):
        yield asked, Envelope(request_id=uuid5(first, str(generation)), timestamp=_DATE)


def check_name(name: str) -> None:
    """Raise BadRequest for a name that holds half of a surrogate pair, which is no character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise errors.BadRequest(f"{name!r} is no name: it holds half a character.") from None


def opened(
    client: casefile.Client, name: str, casefile_id: str | None, *, anew: bool = True
) -> casefile.ChatSession:
    """The session of a name, as it is now or new; after a deletion, it may begin `anew`."""
    for asked, envelope in openings(name, casefile_id):
        with suppress(*([errors.SessionDeleted] if anew else [])):
            return client.chat_sessions.create(**asked, **envelope)
    raise AssertionError("there is always a next opening")


async def opened_async(
    client: casefile.AsyncClient, name: str, casefile_id: str | None
) -> casefile.AsyncChatSession:
    """The session of a name, as it is now or new."""
    for asked, envelope in openings(name, casefile_id):
        with suppress(errors.SessionDeleted):
            return await client.chat_sessions.create(**asked, **envelope)
    raise AssertionError("there is always a next opening")


def message_of(
    kept: dict[str, Any], role: str, text: str, of_format: str, **more: Any
) -> ChatMessagePayload:
    """A thing as a message; `text` is what it says. Raises NotJson for what is no JSON."""
    metadata = {"format": of_format, **more}
    kept, text = _as_json((kept, text))
    places = _places(kept, text)
    if places:
        told = metadata | {"texts": [[list(path), start] for path, start in places]}
        if len(to_json(told).encode(errors="replace")) <= MAX_METADATA_BYTES:
            metadata = told
            for path, _ in places:
                _put(kept, path, "")
    try:
        return ChatMessagePayload(
            content=text,
            message_type=_TYPES.get(role, MessageType.ASSISTANT),
            tool_calls=[kept],
            metadata=metadata,
        )
    except ValidationError as error:
        raise errors.invalid(error, errors.NotJson) from None


def _as_json(value: Any) -> Any:
    """A value as `json.dumps` writes it, for which tuples are lists, and keys are text.

    What it doesn't write is returned as it is.
    """
    with suppress(TypeError, ValueError, RecursionError):
        return json.loads(json.dumps(value))
    return value


def restored(
    message: ChatMessage, of_format: str, restore: Callable[[dict[str, Any]], T]
) -> T | None:
    """What a framework's own code makes of the thing in a message; None if it can't, or none is."""
    kept = kept_in(message, of_format)
    if kept is not None:
        with suppress(AttributeError, LookupError, TypeError, ValueError):  # Not what it wrote.
            return restore(kept)
    return None


def kept_in(message: ChatMessage, of_format: str) -> dict[str, Any] | None:
    """The thing in a message, or None if it is of another format, or no such thing (any more)."""
    if message.metadata.get("format") != of_format or not message.tool_calls:
        return None
    kept: dict[str, Any] = _copied(message.tool_calls[0], DEPTH)
    text, end = message.content, None
    try:
        for path, start in reversed(message.metadata.get("texts", [])):
            _put(kept, path, text[start:end])
            end = start - 1
    except (LookupError, TypeError, ValueError):  # Somebody has changed it by hand.
        return None
    return kept


TEXTS = {"content", "output", "text"}
"""The names that things give their texts."""

DEPTH = 5
"""How deep in a thing its texts are."""


def _places(kept: dict[str, Any], text: str) -> list[tuple[Path, int]]:
    """Where in a thing the texts are that the text consists of, a line each or more.

    Each is where the path leads, and goes from its start in the text to the next one's.
    """
    places: list[tuple[Path, int]] = []
    start = 0
    for path, found in _strings(kept, ()):
        end = start + len(found)
        if found and text.startswith(found, start) and text[end : end + 1] in ("", "\n"):
            places.append((path, start))
            start = end + 1
    return places if text and start == len(text) + 1 else []


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The strings in a thing that may be its texts."""
    if isinstance(value, str):
        if TEXTS.intersection(path[-2:]):
            yield path, value
    elif len(path) < DEPTH and isinstance(value, dict):
        for name, each in value.items():
            yield from _strings(each, (*path, name))
    elif len(path) < DEPTH and isinstance(value, list):
        for number, each in enumerate(value):
            yield from _strings(each, (*path, number))


def _copied(value: Any, depth: int) -> Any:
    if depth and isinstance(value, dict):
        return {name: _copied(each, depth - 1) for name, each in value.items()}
    if depth and isinstance(value, list):
        return [_copied(each, depth - 1) for each in value]
    return value


def _put(kept: Any, path: Sequence[str | int], text: str) -> None:
    for step in path[:-1]:
        kept = kept[step]
    kept[path[-1]] = text


def text_in(content: Any) -> str:
    """What is said in a framework's content: text, or blocks some of which are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return ""
    texts = [block if isinstance(block, str) else _text_of(block) for block in content]
    return "\n".join(text for text in texts if text)


def _text_of(block: Any) -> str:
    text = block.get("text") if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""


def batches(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one record holds."""
    for start in range(0, len(things), MAX_MESSAGES):
        yield things[start : start + MAX_MESSAGES]


async def to_the_end(what: Awaitable[T]) -> T:
    """Do something. Who is cancelled meanwhile is told so when it is done, not before.

    So nothing takes effect after the cancellation, behind the back of what is done next.
    """
    doing = asyncio.ensure_future(what)
    try:
        await asyncio.wait([doing])
    except asyncio.CancelledError:
        while not doing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([doing])
        if not doing.cancelled():
            doing.exception()  # Asked for, so that asyncio does not tell of it: it is told enough.
        raise
    return doing.result()
