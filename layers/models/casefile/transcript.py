"""What records say: requests become log entries, and records become what readers see.

A record keeps what the caller sent and nothing that follows from it: message ids, event ids and
the events of a tool execution's life are told anew, the same each time, whenever it is read. So
they cost no storage, and their number is known before anything is written. What is too large to be
told (see `contents.linked`) is left out, and a link says where it is.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from uuid import UUID

from pydantic_models import canonical, operations
from pydantic_models.base import RequestStatus
from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import text_of
from pydantic_models.canonical.content import Attachment, AttachmentPayload, RecordLink
from pydantic_models.canonical.lifecycle import COMPLETED, FAILED, RECEIVED, SENT, STARTED
from pydantic_models.canonical.record import Record, RecordKind, Totals

from . import contents, reading, records
from .config import tells_of_messages
from .errors import NotFound
from .session_log import Entry
from .standing import Rewind, Swap, marks_of

if TYPE_CHECKING:
    from pydantic_models.canonical import ChatMessage, ToolRequest
    from pydantic_models.operations import (
        ChatRequest,
        CloseChatSessionRequest,
        CloseSessionRequest,
        MessageReference,
        RewindChatSessionRequest,
        ToolExecutionRequest,
        ToolResponsePayload,
        ToolResultRequest,
    )

BEGINNINGS: tuple[RecordKind, ...] = ("tool", "request")
"""The kinds of records with which a tool request begins."""

MAX_WITHDRAWN = 100
"""Messages told of those that a rewinding withdrew: as many as a page has."""

FORCED = "The session was closed before there was a result."
"""What is told of requests that a closing failed."""

_EMPTY: dict[str, Any] = {
    "parameters": {},
    "result": {},
    "result_summary": {},
    "content": "",
    "tool_calls": [],
    "metadata": {},
    "related_events": [],
}
_EMPTY_EVENT = _EMPTY | {"reasoning": None, "error_message": None}
"""What stands in place of that which is left out, wherever it is in a record."""

RecordingRequest: TypeAlias = (
    "ToolExecutionRequest | ToolResultRequest | ChatRequest"
    " | RewindChatSessionRequest | CloseSessionRequest | CloseChatSessionRequest"
)


def tool_entry(request: ToolExecutionRequest) -> Entry:
    """A tool execution, whole or its request alone, as an entry of the log."""
    asked = _content(request)
    is_pending = _status(asked) is RequestStatus.PENDING
    kind: RecordKind = "request" if is_pending else "tool"
    return Entry(
        kind=kind,
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(asked),
        adds=Totals(requests=1, pending=int(is_pending), events=len(_timeline(kind, asked))),
        attachments=tuple(request.payload.attachments),
        is_news=_has_failed(asked),
    )


def result_entry(request: ToolResultRequest) -> Entry:
    """The outcome of a pending tool request as an entry of the log."""
    asked = _content(request)
    return Entry(
        kind="result",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(asked),
        adds=Totals(pending=-1, events=len(_timeline("result", asked))),
        completes=request.payload.request_id,
        attachments=tuple(request.payload.attachments),
        is_news=_has_failed(asked),
    )


def chat_entry(request: ChatRequest) -> Entry:
    """Chat messages as one entry of the log: all or none."""
    asked = _content(request)
    if "message" in asked:
        asked["messages"] = [
            {"content": asked.pop("message"), "message_type": canonical.MessageType.USER}
        ]
    count = len(asked["messages"])
    return Entry(
        kind="chat",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(asked),
        adds=Totals(events=count, messages=count),
        attachments=tuple(
            attachment
            for message in request.payload.messages or ()
            for attachment in message.attachments
        ),
        is_news=tells_of_messages(),
    )


def rewind_entry(request: RewindChatSessionRequest) -> Entry:
    """What takes messages back as an entry of the log. Raises NotFound for one that isn't there."""
    asked, content = request.payload, _content(request)
    content.pop("include_messages", None)
    swap = None
    if asked.replaces is not None:
        swap = _swap(asked.session_id, request.user_id, asked.replaces)
        content["messages"] = [content.pop("message")]
    return Entry(
        kind="rewind",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(content),
        adds=Totals(events=1),
        attachments=tuple(asked.message.attachments) if asked.message else (),
        rewinds=Rewind(asked.count, asked.keep, swap),
        is_news=tells_of_messages(),
    )


def withdrawn(request: RewindChatSessionRequest, record: Record) -> tuple[int, list[ChatMessage]]:
    """How many messages a recorded rewinding withdrew and, if asked for, the newest of them."""
    asked = request.payload
    limit = MAX_WITHDRAWN if asked.include_messages else 0
    count, page = reading.withdrawn(asked.session_id, request.user_id, record, limit, message_count)
    return count, [each for each in messages_of(page) if each.index >= record.totals.messages]


def replacement(session_id: str, record: Record, entry: Entry) -> ChatMessage | None:
    """The message that a recorded rewinding put in another's place, if it did."""
    if entry.rewinds is None or entry.rewinds.swap is None:
        return None
    (message,) = _messages(session_id, record)
    return message.model_copy(update={"index": entry.rewinds.swap.place})


def _swap(session_id: str, user_id: str, named: MessageReference) -> Swap:
    """The place of a message, which it keeps, whether it stands or not."""
    record = reading.record(session_id, user_id, named.record)
    if record is not None and record.kind in ("chat", "rewind"):
        for position, message in enumerate(_messages(session_id, record)):
            if message.message_id == named.message_id:
                if record.kind == "chat":
                    return Swap(record.number, position, message.index, by=0)
                swaps = marks_of(session_id, record.number).swaps
                return next(swap for swap in swaps if swap.by == record.number)
    raise NotFound(f"There is no message {named.message_id} in record {named.record}.")


def closing_entry(request: CloseSessionRequest | CloseChatSessionRequest) -> Entry:
    """The end of a session as an entry of the log."""
    return Entry(
        kind="closed",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(_content(request)),
        adds=Totals(),
        forces=isinstance(request.payload, operations.CloseSessionPayload)
        and request.payload.force,
        is_news=True,
    )


def tool_requests(session_id: str, records: Sequence[Record]) -> list[ToolRequest]:
    """The tool requests that records begin, in their order, with the outcomes among them."""
    ends = {number: record for record in records for number in record.completes}
    return [
        _tool_request(session_id, record, ends.get(record.number))
        for record in records
        if record.kind in BEGINNINGS
    ]


def tool_response(session_id: str, recorded: ToolRequest, record: Record) -> ToolResponsePayload:
    """The answer to who recorded a tool request or, with `record`, its outcome."""
    return operations.ToolResponsePayload(
        session_id=session_id,
        session_request_id=recorded.session_request_id,
        status=recorded.status,
        result=recorded.result or {},
        error_message=recorded.error_message,
        events=recorded.events,
        record=record.number,
        recorded_at=text_of(record.at),
        left_out=recorded.left_out,
    )


def _tool_request(session_id: str, record: Record, end: Record | None) -> ToolRequest:
    asked, left_out = _without_large(session_id, record)
    begun = _begun(record)
    outcome, events = asked, _events(session_id, record, begun)
    if end is not None:
        events += _events(session_id, end, begun)
        outcome, left_out_too = _without_large(session_id, end)
        left_out += left_out_too
        if end.kind == "closed":
            outcome = {"error_message": FORCED, "user_id": outcome["user_id"]}
    ended_at = record.at if record.kind == "tool" else end.at if end else None
    return canonical.ToolRequest(
        request_id=record.request_id,
        session_request_id=begun.session_request_id,
        user_id=asked["user_id"],
        completed_by=outcome["user_id"] if ended_at is not None else None,
        record=record.number,
        recorded_at=text_of(record.at),
        completed_at=None if ended_at is None else text_of(ended_at),
        status=_status(outcome),
        tool_name=begun.tool_name,
        parameters=asked.get("parameters", {}),
        prompt=asked.get("prompt"),
        casefile_id=asked.get("casefile_id"),
        result=outcome.get("result"),
        error_message=outcome.get("error_message"),
        duration_ms=outcome.get("duration_ms"),
        metadata=asked.get("metadata", {}),
        result_metadata=outcome.get("metadata", {}) if end else {},
        events=events,
        attachments=_attachments(session_id, asked),
        result_attachments=_attachments(session_id, outcome) if end else [],
        left_out=left_out,
    )


def tool_events(
    session_id: str, records: Sequence[Record], begun: Iterable[Record]
) -> list[dict[str, Any]]:
    """The events of records, in their order; among `begun` are the requests that they complete."""
    known = {record.number: _begun(record) for record in begun if record.kind in BEGINNINGS}
    return [
        event
        for record in records
        if record.kind in BEGINNINGS or record.completes
        for number in record.completes or (record.number,)
        for event in _events(session_id, record, known[number])
    ]


def unfinished(records: Sequence[Record]) -> set[int]:
    """The numbers of the requests among records whose outcome is not among them."""
    completed = {number for record in records for number in record.completes}
    return {record.number for record in records if record.kind == "request"} - completed


def begun_elsewhere(records: Sequence[Record]) -> set[int]:
    """The numbers of the requests that records complete and that are not among them."""
    completed = {number for record in records for number in record.completes}
    return completed - {record.number for record in records}


def request_count(record: Record) -> int:
    """How many tool requests a record begins."""
    return int(record.kind in BEGINNINGS)


def tool_event_count(record: Record) -> int:
    """How many events a record of a tool session brings."""
    if record.kind not in BEGINNINGS and not record.completes:
        return 0
    return len(_timeline(record.kind, json.loads(record.content))) * (len(record.completes) or 1)


def message_count(record: Record) -> int:
    """How many messages a record holds, less those in the place of others."""
    return len(json.loads(record.content)["messages"]) if record.kind == "chat" else 0


def chat_event_count(record: Record) -> int:
    """How many events a record of a chat brings."""
    return 1 if record.kind == "rewind" else message_count(record)


class Begun(NamedTuple):
    """What a tool request's events say of it."""

    number: int
    request_id: UUID
    session_request_id: str
    tool_name: str


def _begun(record: Record) -> Begun:
    asked = json.loads(record.content)
    session_request_id = _session_request_id(record, asked)
    return Begun(record.number, record.request_id, session_request_id, asked["tool_name"])


@functools.cache
def _event_members() -> dict[str, Any]:
    """The members of a tool event, in their order, as they are if nobody told them."""
    return canonical.ToolEvent(event_type="any", tool_name="any").model_dump(mode="json")


def _events(session_id: str, record: Record, begun: Begun) -> list[dict[str, Any]]:
    """The events that a record brings to a tool request: ToolEvents, as they are told."""
    said, left_out = _without_large(session_id, record)
    links = {"left_out": [link.model_dump() for link in left_out]} if left_out else {}
    at = text_of(record.at)
    events = [
        {**_event_members(), "timestamp": at, **own, **links}
        if own
        else _event_members() | _lifecycle_event(event_type, begun.tool_name, said, at)
        for event_type, own in _timeline(record.kind, said)
    ]
    return [
        event
        | {
            "event_id": event["event_id"]
            or _derived_id("evt", session_id, record, f"{begun.number}/{position}"),
            "chain_id": event["chain_id"] or str(begun.request_id),
            "session_request_id": begun.session_request_id,
        }
        for position, event in enumerate(events)
    ]


def chat_messages(session_id: str, log: Sequence[Record]) -> list[ChatMessage]:
    """The messages that were recorded, in their order, whether they stand or not."""
    return [
        message
        for record in log
        if record.kind == "chat"
        for message in _messages(session_id, record)
    ]


def messages_left(session_id: str, log: Sequence[Record]) -> list[ChatMessage]:
    """The messages that stand after a whole log."""
    left: list[ChatMessage] = []
    for record in log:
        if record.kind == "chat":
            left += _messages(session_id, record)
        elif record.kind == "rewind":
            del left[record.totals.messages :]
            for message in _messages(session_id, record):
                index = next(old.index for old in left if old.message_id == message.replaces)
                left[index] = message.model_copy(update={"index": index})
    return left


def messages_of(page: reading.Page) -> list[ChatMessage]:
    """The messages of a page that stand, in their order, each as what took its place if any did."""
    standing = page.taken_back
    if standing is None:
        return chat_messages(page.session_id, page.records)
    marks = standing.marks(page.records[0].number)
    here = {record.number for record in page.records}
    placed = _placed(page.session_id, [swap for swap in marks.swaps if swap.record in here])
    return [
        placed.get((record.number, position), message)
        for record in page.records
        for position, message in enumerate(chat_messages(page.session_id, [record]))
        if position < standing.count(record, message_count(record))
    ]


def changes_before(page: reading.Page) -> dict[str, Any]:
    """What the records of a page, oldest first, did to the messages up to it."""
    after, top = page.asked.after, page.top
    standing = page.taken_back
    if page.asked.order == "newest" or standing is None:
        return {}
    marks = standing.marks(after + 1)
    swaps = [swap for swap in marks.swaps if swap.record <= after < swap.by <= top]
    placed = _placed(page.session_id, swaps)
    return {"keep": standing.left_of(after, top), "replaced": list(placed.values())}


def _placed(session_id: str, swaps: Sequence[Swap]) -> dict[tuple[int, int], ChatMessage]:
    """The messages that took the places of others, by the records and positions of those."""
    found = {each.number: each for each in records.get_many(session_id, {s.by for s in swaps})}
    placed = {}
    for swap in swaps:
        (message,) = _messages(session_id, found[swap.by])
        placed[swap.record, swap.position] = message.model_copy(update={"index": swap.place})
    return placed


def _messages(session_id: str, record: Record) -> Iterator[ChatMessage]:
    asked, left_out = _without_large(session_id, record)
    said = asked.get("messages", [])
    for position, message in enumerate(said):
        yield canonical.ChatMessage(
            content=message["content"],
            user_id=asked["user_id"],
            message_type=message["message_type"],
            tool_calls=message.get("tool_calls", []),
            session_request_id=message.get("session_request_id")
            or _session_request_id(record, asked),
            casefile_id=message.get("casefile_id") or asked.get("casefile_id"),
            metadata=message.get("metadata") or asked.get("metadata", {}),
            request_metadata=asked.get("metadata", {}) if message.get("metadata") else {},
            message_id=_derived_id("msg", session_id, record, position),
            record=record.number,
            position=position,
            index=max(0, record.totals.messages - len(said)) + position,
            replaces=asked.get("replaces", {}).get("message_id"),
            timestamp=text_of(record.at),
            attachments=_attachments(session_id, message),
            left_out=left_out,
        )


def chat_events(session_id: str, log: Sequence[Record]) -> list[dict[str, Any]]:
    """That messages were recorded, one event each, and that some were taken back."""
    return [
        event
        for record in log
        for event in (
            [_rewind_event(session_id, record)]
            if record.kind == "rewind"
            else message_events(chat_messages(session_id, [record]))
        )
    ]


def _rewind_event(session_id: str, record: Record) -> dict[str, Any]:
    message = next(_messages(session_id, record), None)
    return canonical.ChatRewindEvent(
        event_id=_derived_id("evt", session_id, record, "rewind"),
        event_type="chat_message_replaced" if message else "chat_messages_withdrawn",
        timestamp=text_of(record.at),
        message_count=record.totals.messages,
        message_id=message.message_id if message else None,
        replaces=message.replaces if message else None,
        session_request_id=message.session_request_id if message else str(record.request_id),
    ).model_dump(mode="json")


def message_events(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """That messages were recorded: one ChatEvent each, as it is told."""
    return [
        {
            "event_id": message.message_id.replace("msg_", "evt_"),
            "event_type": "chat_message_recorded",
            "timestamp": message.timestamp,
            "message_id": message.message_id,
            "message_type": message.message_type.value,
            "session_request_id": message.session_request_id,
        }
        for message in messages
    ]


def message_index(messages: Sequence[ChatMessage]) -> dict[str, int]:
    """Message ids to positions."""
    return {message.message_id: position for position, message in enumerate(messages)}


def request_index(messages: Sequence[ChatMessage]) -> dict[str, list[str]]:
    """Session request ids to the ids of their messages, in order."""
    index: dict[str, list[str]] = {}
    for message in messages:
        index.setdefault(str(message.session_request_id), []).append(message.message_id)
    return index


def _content(request: RecordingRequest) -> dict[str, Any]:
    """What the caller sent and nothing else, so that a retry says the same."""
    asked = request.payload.model_dump(
        mode="json", exclude={"session_id"}, exclude_unset=True, exclude_defaults=True
    )
    asked["user_id"] = request.user_id  # Others than its owner may write a session.
    return asked | ({"metadata": request.metadata} if request.metadata else {})


def _without_large(session_id: str, record: Record) -> tuple[dict[str, Any], list[RecordLink]]:
    """What a record says, and a link to it in place of all that is too large to tell."""
    said: dict[str, Any] = json.loads(record.content)
    link = reading.record_link(session_id, record)
    if link is None:
        return said, []
    said.pop("prompt", None)
    for part in [said, *said.get("messages", [])]:
        part.update({name: empty for name, empty in _EMPTY.items() if name in part})
    for event in said.get("events", []):
        event.update({name: empty for name, empty in _EMPTY_EVENT.items() if name in event})
    return said, [link]


def _attachments(session_id: str, said: dict[str, Any]) -> list[Attachment]:
    attached = [AttachmentPayload.model_validate(each) for each in said.get("attachments", [])]
    return [
        Attachment(
            name=attachment.name,
            content_type=attachment.content_type,
            **contents.link(
                session_id,
                attachment.sha256,
                attachment.size,
                content_type=attachment.content_type,
                name=attachment.name,
            ).model_dump(),
        )
        for attachment in attached
    ]


def _session_request_id(record: Record, asked: dict[str, Any]) -> str:
    return asked.get("session_request_id") or str(record.request_id)


def _has_failed(said: dict[str, Any]) -> bool:
    return said.get("error_message") is not None


def _status(asked: dict[str, Any]) -> RequestStatus:
    if _has_failed(asked):
        return RequestStatus.FAILED
    return RequestStatus.PENDING if asked.get("result") is None else RequestStatus.COMPLETED


def _timeline(kind: RecordKind, said: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """The events that a record brings, in order: their types, and what the caller told of them.

    The caller's own stand between those of the beginning and those of the end; one of a
    lifecycle's types that the caller reported is not added, and the others keep their order to it.
    """
    timeline: list[tuple[str, dict[str, Any] | None]] = [
        (event["event_type"], event) for event in said.get("events", [])
    ]

    def place(event_type: str) -> int:
        """Where an event of this type is, or the end if there is none."""
        return next(
            (at for at, (type_, _) in enumerate(timeline) if type_ == event_type), len(timeline)
        )

    if kind in BEGINNINGS:
        if place(RECEIVED) == len(timeline):
            timeline.insert(0, (RECEIVED, None))
        if place(STARTED) == len(timeline):
            timeline.insert(place(RECEIVED) + 1, (STARTED, None))
    if kind == "closed":
        return [(FAILED, None)]
    if kind != "request":
        end = FAILED if _has_failed(said) else COMPLETED
        if place(end) == len(timeline):
            timeline.insert(place(SENT), (end, None))
        if place(SENT) == len(timeline):
            timeline.append((SENT, None))
    return timeline


def _lifecycle_event(
    event_type: str, tool_name: str, said: dict[str, Any], at: str
) -> dict[str, Any]:
    error = said.get("error_message", FORCED) if event_type == FAILED else None
    is_end = event_type in (COMPLETED, FAILED)
    failed = event_type == FAILED or (event_type == SENT and "error_message" in said)
    return {
        "event_type": event_type,
        "tool_name": tool_name,
        "timestamp": at,
        "duration_ms": said.get("duration_ms") if is_end else None,
        "status": "error" if failed else "success",
        "error_message": error,
    }


def _derived_id(prefix: str, session_id: str, record: Record, position: int | str) -> str:
    """An id that is the same at each reading, and another for every place in every log."""
    place = f"{session_id}/{record.number}/{position}"
    digest = sha256(record.request_id.bytes + place.encode()).hexdigest()
    return f"{prefix}_{digest[:32]}"
