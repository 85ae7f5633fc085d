"""Content that lies beside records: uploaded for them, or too large to be told with them.

It is named by its SHA-256, so what was fetched is checked against what was recorded.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from pydantic_models import canonical
from pydantic_models import operations as of
from pydantic_models.base.json_values import to_json

from . import errors

PAGE = 100
"""How much is read at once."""

CHUNK = 1024 * 1024

MAX_CARRIED_BYTES = 5 * 1024 * 1024
"""Of the large fields of a request: Lambda carries 6 MB of it all."""


def describe(
    source: Path | bytes, name: str | None, content_type: str | None
) -> canonical.AttachmentPayload:
    """What is to be uploaded."""
    digest, size = hashlib.sha256(), 0
    if isinstance(source, bytes):
        digest.update(source)
        size = len(source)
    else:
        name = name or source.name
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    guessed = mimetypes.guess_type(name)[0] if name else None
    return canonical.AttachmentPayload(
        sha256=digest.hexdigest(),
        size=size,
        name=name,
        content_type=content_type or guessed or "application/octet-stream",
    )


class Place(NamedTuple):
    """Where a value is in a request: in a field of a part, and where in that if it is a list."""

    part: int
    name: str
    number: int | None

    def read(self, parts: Sequence[dict[str, Any]]) -> Any:
        """The value."""
        field = parts[self.part][self.name]
        return field if self.number is None else field[self.number]

    def put(self, parts: Sequence[dict[str, Any]], value: Any) -> None:
        """Put another in its place; a list is not changed, but copied."""
        part = parts[self.part]
        if self.number is None:
            part[self.name] = value
        else:
            before, after = part[self.name][: self.number], part[self.name][self.number + 1 :]
            part[self.name] = [*before, value, *after]


def too_large(parts: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Place]:
    """Which fields of which parts of a request are to be uploaded so that the rest can be carried.

    Of a field that is a list, entries are, or all of it if there would be too many attachments. The
    largest go first; none do if the request can be carried as it is. Raises BadRequest if it can't
    be, even so.
    """
    for places in (_entries(parts, names), _fields(parts, names)):
        chosen = _largest(parts, places)
        attached = Counter(place.part for place in chosen)
        for position, part in enumerate(parts):
            attached[position] += len(part.get("attachments") or ())
        if not chosen or (
            attached.total() <= of.MAX_ATTACHMENTS
            and all(attached[place.part] <= canonical.MAX_ATTACHMENTS_OF_ONE for place in chosen)
        ):
            return chosen
    raise errors.BadRequest(
        "It is too large for a request, and what is too large is attached: that would be more than "
        f"{canonical.MAX_ATTACHMENTS_OF_ONE} attachments of a message or execution, or "
        f"{of.MAX_ATTACHMENTS} of a request. Record fewer messages at once, or with fewer "
        "attachments of your own.",
        is_final=True,
    )


def _largest(parts: Sequence[dict[str, Any]], places: Iterable[Place]) -> list[Place]:
    """As many places, the largest first, as leave a request that can be carried."""
    sizes = {place: _carried_bytes(place.read(parts)) for place in places}
    total, chosen = sum(sizes.values()), []
    for place in sorted(sizes, key=lambda place: sizes[place], reverse=True):
        if total <= MAX_CARRIED_BYTES:
            break
        total -= sizes[place]
        chosen.append(place)
    return chosen


def _fields(parts: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[Place]:
    for position, part in enumerate(parts):
        for name in names:
            if part.get(name) is not None:
                yield Place(position, name, None)


def _entries(parts: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[Place]:
    for place in _fields(parts, names):
        value = place.read(parts)
        if isinstance(value, list):
            yield from (place._replace(number=number) for number in range(len(value)))
        else:
            yield place


def _carried_bytes(value: Any) -> int:
    """What a value takes in a request, as JSON in JSON, which is how API Gateway hands it on."""
    try:
        told = to_json(value)
    except (TypeError, ValueError, RecursionError):
        return 0  # It is refused as no JSON soon.
    return len(told) + told.count('"') + told.count("\\") + _beyond_ascii(told)


def _beyond_ascii(text: str) -> int:
    return 0 if text.isascii() else len(text.encode(errors="surrogatepass")) - len(text)


def moved(value: Any, sha256: str) -> Any:
    """What stands in place of a value that was uploaded; of a list, its one entry does."""
    reference = f"{_MOVED}{sha256}"
    if isinstance(value, list):
        return [{_MOVED: reference}]
    return reference if isinstance(value, str) else {_MOVED: reference}


def moved_to(
    value: Any, attachments: Iterable[canonical.Attachment]
) -> canonical.Attachment | None:
    """The attachment that holds what a value stands for, if it stands for one."""
    sha256 = _sha256_in(value)
    return next((each for each in attachments if each.sha256 == sha256), None)


def as_said(message: canonical.ChatMessage, said: Mapping[str, Any]) -> canonical.ChatMessage:
    """A message as it was said just now, where what was uploaded stands for it."""
    waiting = [name for name in ("content", "tool_calls") if _is_moved(getattr(message, name))]
    return message.model_copy(update={name: said[name] for name in waiting})


def as_given(
    told: of.ToolResponsePayload, result: Mapping[str, Any] | None
) -> of.ToolResponsePayload:
    """What is told of a tool execution, with the result that was given just now.

    So it need not be fetched where it was too large to be carried, or told.
    """
    if result is None or not (told.left_out or _is_moved(told.result)):
        return told
    return told.model_copy(update={"result": dict(result), "left_out": []})


def _is_moved(value: Any) -> bool:
    """Whether a value stands for one that was uploaded, or an entry of it does."""
    if isinstance(value, list):
        return any(_sha256_in(each) is not None for each in value)
    return _sha256_in(value) is not None


def _sha256_in(value: Any) -> str | None:
    reference = value.get(_MOVED) if isinstance(value, dict) and len(value) == 1 else value
    if not isinstance(reference, str) or not reference.startswith(_MOVED):
        return None
    return reference.removeprefix(_MOVED)


_MOVED = "casefile:attachment:"


def check_digest(link: canonical.ContentLink, sha256: str) -> None:
    """Raise Unavailable unless what was fetched is what the link says."""
    if sha256 != link.sha256:
        raise errors.Unavailable(f"What was fetched is not the content {link.sha256}.")


def check_uploaded(response: httpx.Response) -> None:
    """Raise RequestFailed unless an upload was taken."""
    if not response.is_success:
        raise storage_failure(response)


def storage_failure(response: httpx.Response) -> errors.RequestFailed:
    """What the bucket says, which speaks XML."""
    status = response.status_code
    kind = (
        errors.Unavailable
        if status in (429, 500, 502, 503, 504)
        else errors.of_status(status, None)
    )
    return kind(f"The bucket answered {status}: {response.text[:200]}", status=status)


def checked(link: canonical.ContentLink, response: httpx.Response) -> bytes:
    """What a link led to. Raises RequestFailed if it is not what the link says."""
    if not response.is_success:
        raise storage_failure(response)
    content = response.content
    check_digest(link, hashlib.sha256(content).hexdigest())
    return content


def restored_message(message: canonical.ChatMessage, content: bytes) -> canonical.ChatMessage:
    """A message with what was left out of it put back, from its record's whole content."""
    said = json.loads(content)["messages"][message.position]
    kept = {name: said[name] for name in ("content", "tool_calls", "metadata") if name in said}
    return message.model_copy(update={**kept, "left_out": []})


def restored_request(
    request: canonical.ToolRequest, link: canonical.RecordLink, content: bytes
) -> canonical.ToolRequest:
    """A tool request with what was left out of one of its records put back."""
    said = json.loads(content)
    told: dict[str, Any] = {name: said[name] for name in _LEFT_OUT if said.get(name) is not None}
    waiting = [each for each in request.left_out if each != link]
    return request.model_copy(update={**told, "left_out": waiting})


_LEFT_OUT = ("parameters", "prompt", "result")
