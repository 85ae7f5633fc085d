"""What people see: tables and timelines. What programs see is JSON, one document a line.

What is shown was written by strangers: nothing in it can steer the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pydantic_models.canonical import ChatMessage, ToolRequest

from ..withdrawals import Withdrawal

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPEAKERS = {
    "user": "cyan",
    "assistant": "green",
    "system": "magenta",
    "tool": "blue",
    "error": "red",
}
_STATES = {"completed": "green", "failed": "red", "pending": "yellow"}

LONGEST = 2000
"""Characters of one content in a timeline; all of it is in the JSON."""


def harmless(text: str) -> str:
    """Text without what a terminal would obey."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def as_json(told: BaseModel | Mapping[str, Any] | Sequence[Any]) -> None:
    """Print a document for programs, on one line."""
    plain = told.model_dump(mode="json") if isinstance(told, BaseModel) else told
    sys.stdout.write(f"{json.dumps(plain, allow_nan=False)}\n")
    sys.stdout.flush()


def fact(text: str) -> None:
    """Print a line for people."""
    out.print(Text(harmless(text)))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table for people."""
    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        cells = ("" if cell is None else str(cell) for cell in row)
        shown.add_row(*(Text(harmless(cell), overflow="fold") for cell in cells))
    out.print(shown, soft_wrap=False)


def time(told: str) -> str:
    """A time as people read it, to the second."""
    return f"{told[:10]} {told[11:19]}"


def entry(told: ChatMessage | ToolRequest | Withdrawal) -> None:
    """Print one entry of a timeline."""
    if isinstance(told, Withdrawal):
        stand = {0: "no message stands", 1: "the first message stands"}
        what = stand.get(told.keep, f"the first {told.keep} messages stand")
        out.print(Text(f"{'':28}taken back: {what}", style="yellow"))
    else:
        out.print(_message(told) if isinstance(told, ChatMessage) else _execution(told))


def _message(message: ChatMessage) -> Text:
    who = message.message_type.value
    line = _beginning(message.record, message.timestamp)
    line.append(f"{who:9} ", style=_SPEAKERS[who])
    line.append(_shortened(message.content))
    if message.replaces is not None:
        line.append(f"\n{'':34}in the place of message {message.index + 1}", style="yellow")
    # What an adapter keeps there is said already, if anything is.
    is_kept = "format" in message.metadata and message.content
    for call in () if is_kept else message.tool_calls:
        line.append(f"\n{'':34}calls {_shortened(json.dumps(call))}", style="blue")
    for attachment in message.attachments:
        line.append(f"\n{'':34}with {_attached(attachment.name, attachment.size)}", style="dim")
    return line


def _execution(request: ToolRequest) -> Text:
    state = request.status.value
    line = _beginning(request.record, request.recorded_at)
    line.append(f"{state:9} ", style=_STATES.get(state, ""))
    line.append(harmless(request.tool_name), style="bold")
    line.append(f" {_shortened(json.dumps(request.parameters, ensure_ascii=False))}")
    if request.duration_ms is not None:
        line.append(f" {request.duration_ms} ms", style="dim")
    if request.error_message is not None:
        line.append(f"\n{'':34}{_shortened(request.error_message)}", style="red")
    elif request.result is not None:
        line.append(f"\n{'':34}{_shortened(json.dumps(request.result, ensure_ascii=False))}")
    for attachment in [*request.attachments, *request.result_attachments]:
        line.append(f"\n{'':34}with {_attached(attachment.name, attachment.size)}", style="dim")
    return line


def _beginning(record: int, at: str) -> Text:
    return Text(f"{record:>5}  {time(at)}  ", style="dim").append("", style="")


def _attached(name: str | None, size: int) -> str:
    return harmless(f"{name or 'attachment'} ({size:,} bytes)")


def _shortened(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} … ({len(text):,} characters)"
    return harmless(text)
