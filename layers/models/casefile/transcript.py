"""What records say: requests become log entries, and records become what readers see.

A record keeps what the caller sent and nothing that follows from it: message ids, event ids and
the events of a tool execution's life are told anew, the same each time, whenever it is read. So
they cost no storage, and their number is known before anything is written.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid5

from pydantic_models.base import RequestStatus
from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import text_of
from pydantic_models.canonical import ChatEvent, ChatMessage, ToolEvent, ToolRequest
from pydantic_models.canonical.record import Record, Totals
from pydantic_models.canonical.tool_session import LIFECYCLE_EVENT_TYPES
from pydantic_models.operations import (
    ChatRequest,
    CloseChatSessionRequest,
    CloseSessionRequest,
    ToolExecutionRequest,
)

from .session_log import Entry

RECEIVED, STARTED, COMPLETED, FAILED, SENT = LIFECYCLE_EVENT_TYPES


def tool_entry(request: ToolExecutionRequest) -> Entry:
    """A tool execution as an entry of the log."""
    asked = _content(request)
    events = _event_types(asked)
    return Entry(
        kind="tool",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(asked),
        adds=Totals(
            requests=1,
            pending=int(_status(asked) is RequestStatus.PENDING),
            events=len(events),
        ),
    )


def chat_entry(request: ChatRequest) -> Entry:
    """Chat messages as one entry of the log: all or none."""
    messages = [
        message.model_dump(mode="json", exclude_unset=True, exclude_defaults=True)
        for message in request.payload.all_messages()
    ]
    asked = _content(request) | {"messages": messages}
    asked.pop("message", None)
    return Entry(
        kind="chat",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(asked),
        adds=Totals(events=len(messages), messages=len(messages)),
    )


def closing_entry(request: CloseSessionRequest | CloseChatSessionRequest) -> Entry:
    """The end of a session as an entry of the log."""
    return Entry(
        kind="closed",
        request_id=request.request_id,
        made_at=request.made_at(),
        content=to_json(_content(request)),
        adds=Totals(),
    )


def tool_request(session_id: str, record: Record) -> ToolRequest:
    """The tool execution that a record holds, with its events."""
    asked = json.loads(record.content)
    recorded_at = text_of(record.at)
    session_request_id = asked.get("session_request_id") or str(record.request_id)
    events = [
        event
        | {
            "event_id": event["event_id"] or _derived_id("evt", session_id, record, position),
            "chain_id": event["chain_id"] or str(record.request_id),
            "session_request_id": session_request_id,
        }
        for position, event in enumerate(_events(asked, recorded_at))
    ]
    return ToolRequest(
        request_id=record.request_id,
        session_request_id=session_request_id,
        record=record.number,
        recorded_at=recorded_at,
        status=_status(asked),
        tool_name=asked["tool_name"],
        parameters=asked.get("parameters", {}),
        prompt=asked.get("prompt"),
        casefile_id=asked.get("casefile_id"),
        result=asked.get("result"),
        error_message=asked.get("error_message"),
        duration_ms=asked.get("duration_ms"),
        metadata=asked.get("metadata", {}),
        events=events,
    )


def chat_messages(session_id: str, record: Record) -> list[ChatMessage]:
    """The messages that a record holds, in order."""
    asked = json.loads(record.content)
    session_request_id = asked.get("session_request_id") or str(record.request_id)
    return [
        ChatMessage(
            content=message["content"],
            message_type=message["message_type"],
            tool_calls=message.get("tool_calls", []),
            session_request_id=message.get("session_request_id") or session_request_id,
            casefile_id=message.get("casefile_id") or asked.get("casefile_id"),
            metadata=asked.get("metadata", {}) | message.get("metadata", {}),
            message_id=_derived_id("msg", session_id, record, position),
            record=record.number,
            timestamp=text_of(record.at),
        )
        for position, message in enumerate(asked["messages"])
    ]


def chat_event(message: ChatMessage) -> ChatEvent:
    """That a message was recorded."""
    return ChatEvent(
        event_id=message.message_id.replace("msg_", "evt_"),
        timestamp=message.timestamp,
        message_id=message.message_id,
        message_type=message.message_type,
        session_request_id=message.session_request_id,
    )


def message_index(messages: list[ChatMessage]) -> dict[str, int]:
    """Message ids to positions."""
    return {message.message_id: position for position, message in enumerate(messages)}


def request_index(messages: list[ChatMessage]) -> dict[str, list[str]]:
    """Session request ids to the ids of their messages, in order."""
    index: dict[str, list[str]] = {}
    for message in messages:
        index.setdefault(str(message.session_request_id), []).append(message.message_id)
    return index


def _content(
    request: ToolExecutionRequest | ChatRequest | CloseSessionRequest | CloseChatSessionRequest,
) -> dict[str, Any]:
    """What the caller sent and nothing else, so that a retry says the same."""
    asked = request.payload.model_dump(
        mode="json", exclude={"session_id"}, exclude_unset=True, exclude_defaults=True
    )
    return asked | ({"metadata": request.metadata} if request.metadata else {})


def _status(asked: dict[str, Any]) -> RequestStatus:
    if asked.get("error_message") is not None:
        return RequestStatus.FAILED
    return RequestStatus.PENDING if asked.get("result") is None else RequestStatus.COMPLETED


def _event_types(asked: dict[str, Any]) -> list[str]:
    """The types of all events of a tool execution, in order.

    The caller's own stand between those of its beginning and those of its end; one of a type
    that the caller reported itself is not added.
    """
    own = [event["event_type"] for event in asked.get("events", [])]
    end = {
        RequestStatus.PENDING: (),
        RequestStatus.COMPLETED: (COMPLETED, SENT),
        RequestStatus.FAILED: (FAILED, SENT),
    }[_status(asked)]
    return [
        *(type_ for type_ in (RECEIVED, STARTED) if type_ not in own),
        *own,
        *(type_ for type_ in end if type_ not in own),
    ]


def _events(asked: dict[str, Any], recorded_at: str) -> list[dict[str, Any]]:
    own = iter(asked.get("events", []))
    reported = {event["event_type"] for event in asked.get("events", [])}
    events = []
    for position, event_type in enumerate(_event_types(asked)):
        if event_type in reported:
            event = ToolEvent.model_validate({"timestamp": recorded_at, **next(own)})
        else:
            failed = event_type in (FAILED, SENT) and _status(asked) is RequestStatus.FAILED
            event = ToolEvent(
                event_type=event_type,
                tool_name=asked["tool_name"],
                timestamp=recorded_at,
                chain_position=position,
                duration_ms=asked.get("duration_ms") if event_type in (COMPLETED, FAILED) else None,
                status="error" if failed else "success",
                error_message=asked.get("error_message") if event_type == FAILED else None,
            )
        events.append(event.model_dump(mode="json"))
    return events


def _derived_id(prefix: str, session_id: str, record: Record, position: int) -> str:
    return f"{prefix}_{uuid5(record.request_id, f'{session_id}/{prefix}/{position}').hex}"
