"""Recording for agents that must not wait: a queue in a file, sent in the background.

The idea: what is recorded is put in a local SQLite file and nothing else, which takes a fraction
of a millisecond; one thread sends what is in the file, in order, and forgets what was acknowledged.

What follows:
- The service may be away, for hours: the file waits. The process may be killed: whoever opens the
  file next sends what is left.
- A request's id and time are in the file before it is sent, so whatever is sent again, by this
  process or the next one, takes effect once (the service knows a request for 15 days). Once it is
  known that nothing of it was recorded, it is as if it had never been sent: see `_shows_none`.
- Messages that wait in one chat session go together, up to a hundred in a request. Which ones is
  in the file, too, before they are sent.
- What the service refuses for good is set aside with the reason, and doesn't hold up the rest: of
  a batch that may have been recorded before, all, as the request that it is.
- A session whose request fails is tried again after pauses of its own that grow, and holds up no
  other: tries that fail take half of the time at most. The request is set aside when the service,
  or its upload, has failed for minutes. So is no request to open a session, on which the rest of
  it depends.

The guarantee: what `record` returned for is in the file, and will be in its session once, in the
order of the calls, or among `refused()`.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeVar, cast
from uuid import UUID, uuid4

import httpx
from pydantic import BaseModel, ValidationError
from typing_extensions import Self

from pydantic_models.base import ResponsePayload
from pydantic_models.base.json_values import Metadata
from pydantic_models.base.times import from_text, now_text
from pydantic_models.canonical import AttachmentPayload, ChatMessagePayload, MessageType
from pydantic_models.operations.chat_messages import MAX_MESSAGES

from . import errors, operations
from ._sync.client import Client
from .doors import encoded
from .executions import Execution, of_call
from .operations import Envelope, Operation
from .retries import Retries

F = TypeVar("F", bound=Callable[..., Any])

WhenFull = Literal["wait", "raise", "drop"]

MAX_BATCH_BYTES = 1024 * 1024
"""Of one request that several calls are put into."""

CLOSE_SECONDS = 10.0
"""How long a closing buffer goes on sending."""

MAX_FAULTS = 5
"""How often the service may fail at one request before it is set aside."""

FAULT_SECONDS = 60.0
"""One fault is counted in this time: those of a bad moment are none of the request's."""

UPLOADED_SECONDS = 3600.0
"""How long what was uploaded is relied on: what nothing refers to is forgotten after a day."""

_LARGE = {
    operations.CHAT.name: ("content", "tool_calls"),
    operations.TOOL_EXECUTION.name: ("parameters", "prompt", "result"),
    operations.TOOL_RESULT.name: ("result",),
}
"""Fields that are uploaded if they are too large for a request."""

_UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Of these, nothing was sent."""

_UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What is raised by an entry that is damaged, or that a newer version put in the file."""

_UNOPENED = {"tool": "ts_000000_unopened", "chat": "cs_unopened"}
"""What stands for a session's id while there is none yet."""

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,  -- its id, or @ and the request id by which it is still to be opened
    operation TEXT NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    request_id TEXT,  -- at the latest while it is sent
    timestamp TEXT,  -- of the first time it was sent, unless nothing can have been recorded then
    alone INTEGER NOT NULL DEFAULT 0,  -- its batch was refused, so it goes by itself
    faults INTEGER NOT NULL DEFAULT 0,
    refused TEXT
);
CREATE INDEX IF NOT EXISTS by_session ON queue (session, number);
CREATE INDEX IF NOT EXISTS by_request ON queue (request_id);
CREATE TABLE IF NOT EXISTS opened (request_id TEXT PRIMARY KEY, session_id TEXT NOT NULL);
UPDATE queue SET session = (
    SELECT session_id FROM opened WHERE '@' || opened.request_id = session
) WHERE session IN (SELECT '@' || opened.request_id FROM opened);
"""

_SELECT = "SELECT * FROM queue WHERE"

_HEAD = (
    "refused IS NULL AND session NOT IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT 1"
)

_PUT = (
    "INSERT INTO queue (session, operation, payload, metadata, bytes, request_id)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)

_NAME = "UPDATE queue SET session = ?2 WHERE session = '@' || ?1"
"""A session has one name, so that its order is one, whoever recorded by its id or by its handle."""

_AS_NEW = (
    "UPDATE queue SET timestamp = NULL,"
    " request_id = CASE operation WHEN 'chat' THEN NULL ELSE request_id END WHERE number = ?"
)
"""Whoever recorded a tool execution or opened a session has its id; no batch is one for good."""


class Refused(NamedTuple):
    """What the service refused for good, and why. It stays in the file."""

    number: int
    session: str
    operation: str
    payload: dict[str, Any]
    reason: str


class _Kept(BaseModel):
    """What is kept beside the payload of a request."""

    metadata: Metadata


class _Entry(NamedTuple):
    number: int
    session: str
    operation: str
    payload: str
    metadata: str
    bytes: int
    request_id: str | None
    timestamp: str | None
    alone: int
    faults: int
    refused: str | None


class _Batch(NamedTuple):
    """Entries that are one request."""

    entries: list[_Entry]
    operation: Operation[Any]
    fields: dict[str, Any]
    envelope: Envelope
    is_first: bool
    """Whether it was not sent before, as far as the file tells."""


@dataclass
class _Failing:
    """A session whose next request fails: how often it did, and when it is due again.

    All times are by a clock that nobody sets. Until `told` the service asked to wait.
    """

    tries: int = 0
    told: float = 0.0
    due: float = 0.0
    next_fault: float = 0.0
    uploaded: dict[str, AttachmentPayload] = field(default_factory=dict)
    uploaded_since: float = field(default_factory=time.monotonic)


class Buffer:
    """Records through a file. Use it in a `with` block, or close it; it is closed at exit, too.

    It holds at most `max_records` entries and `max_bytes` of content. What happens with one more is
    `when_full`: it waits for room, for `wait_seconds` at most if given; it raises BufferFull; or
    what is new is dropped, and counted in `dropped`.
    """

    def __init__(
        self,
        client: Client,
        path: str | Path,
        *,
        max_records: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        when_full: WhenFull = "wait",
        wait_seconds: float | None = None,
        close_seconds: float | None = None,
        longest_pause: float = 30.0,
    ) -> None:
        if not isinstance(client, Client):
            raise TypeError("A buffer sends by a casefile.Client, in asynchronous code, too.")
        self.path = Path(path)
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.when_full = when_full
        self.dropped = 0
        self.problem: Exception | None = None
        """Why nothing gets through just now; None while it does."""
        self._wait_seconds = wait_seconds
        self._close_seconds = CLOSE_SECONDS if close_seconds is None else close_seconds
        self._pauses = Retries(first=0.2, longest=longest_pause)
        self._connection = client.once()
        self._is_first_told = client.is_ours
        """Whether a first time shows: another's HTTP client may have tried before, unseen."""
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._has_news = self._is_stopped = False
        self._file = _open(self.path)
        self._records = self._bytes = self._refused = 0
        try:
            with self._using():
                self._count()
                self._opened: dict[str, str] = dict(
                    self._file.execute("SELECT request_id, session_id FROM opened")
                )
        except errors.CasefileError:
            self._file.close()
            raise
        self._failing: dict[str, _Failing] = {}
        self._others_until = 0.0
        """Sessions that don't fail go first until then."""
        self._thread = threading.Thread(target=self._send_all, name="casefile", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many entries wait to be sent."""
        with self._alone():
            return self._waiting()

    def tool_session(self, session_id: str) -> BufferedToolSession:
        """The tool session of this id."""
        return BufferedToolSession(self, session_id.strip().lower())

    def chat_session(self, session_id: str) -> BufferedChatSession:
        """The chat session of this id."""
        return BufferedChatSession(self, session_id.strip().lower())

    def create_tool_session(
        self, title: str | None = None, *, casefile_id: str | None = None
    ) -> BufferedToolSession:
        """Open a tool session, now or when the service is there; record in it at once."""
        fields = {"title": title, "casefile_id": casefile_id}
        return BufferedToolSession(self, self._create(operations.CREATE_SESSION, fields))

    def create_chat_session(
        self, title: str | None = None, *, casefile_id: str | None = None
    ) -> BufferedChatSession:
        """Open a chat session, now or when the service is there; record in it at once."""
        fields = {"title": title, "casefile_id": casefile_id}
        return BufferedChatSession(self, self._create(operations.CREATE_CHAT_SESSION, fields))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything was sent, or set aside; whether it was, in that time (seconds)."""
        with self._alone():
            self._hurry()
            return self._changed.wait_for(
                lambda: self._is_stopped or not self._waiting(), timeout
            ) and not (self._is_stopped or self._waiting())

    def close(self) -> None:
        """Send what can be sent in `close_seconds`; the rest waits in the file for next time."""
        if self._process != os.getpid() or self._is_stopped:
            return
        atexit.unregister(self.close)
        self.flush(self._close_seconds)
        with self._changed:
            left = self._waiting()
            self._is_stopped = True
            self._changed.notify_all()
            self._file.close()
        if left:
            log.warning("%d entries wait in %s: %s", left, self.path, self.problem)

    def refused(self) -> list[Refused]:
        """What the service refused for good."""
        with self._alone(), self._using():
            self._check_open()
            return [
                Refused(e.number, e.session, e.operation, _payload(e), str(e.refused))
                for e in self._select("refused IS NOT NULL ORDER BY number")
            ]

    def retry_refused(self) -> None:
        """Send again what was refused: as the same requests, if they may have been recorded."""
        self._change("UPDATE queue SET refused = NULL, faults = 0")

    def forget_refused(self) -> None:
        """Drop what was refused."""
        self._change("DELETE FROM queue WHERE refused IS NOT NULL")

    def session_id(self, session: str) -> str | None:
        """The id of a session, None if it is still to be opened."""
        return self._opened.get(session[1:]) if session.startswith("@") else session

    def put(
        self,
        session: str,
        operation: Operation[Any],
        fields: Mapping[str, Any],
        metadata: Mapping[str, Any],
        request_id: UUID | None = None,
    ) -> bool:
        """Put a request in the file; False if it was dropped. Raises BadRequest and BufferFull."""
        call = operations.call(operation, fields, {"metadata": metadata})
        call.payload.pop("session_id", None)
        payload, told = encoded(call.payload), encoded(call.metadata)
        try:
            _Kept.model_validate_json(b'{"metadata":%s}' % told)
        except ValidationError as error:
            raise errors.invalid(error) from None
        size = len(payload) + len(told)
        row = (
            operation.name,
            payload.decode(),
            told.decode(),
            size,
            request_id and str(request_id),
        )
        with self._alone():
            if not self._make_room(size):
                self.dropped += 1
                return False
            session = self.session_id(session) or session
            with self._using():
                self._file.execute(_PUT, (session, *row))
            self._has_news |= session not in self._failing
            self._records += 1
            self._bytes += size
            self._changed.notify_all()
        return True

    def _create(self, operation: Operation[Any], fields: Mapping[str, Any]) -> str:
        request_id = uuid4()
        session = f"@{request_id}"
        if not self.put(session, operation, fields, {}, request_id):
            raise errors.BufferFull("The buffer is full: no session can be opened in it.")
        return session

    def _make_room(self, size: int) -> bool:
        """Wait for room as `when_full` says; whether there is some."""
        if size > self.max_bytes and self.when_full != "drop":
            raise errors.BufferFull(f"It has {size} bytes, and the buffer {self.max_bytes} in all.")
        self._check_open()
        if self._has_room(size):
            return True
        if self.when_full == "wait":
            self._hurry()
            self._changed.wait_for(
                lambda: self._is_stopped or self._has_room(size), self._wait_seconds
            )
            self._check_open()
            if self._has_room(size):
                return True
        if self.when_full == "drop":
            return False
        raise errors.BufferFull(
            f"The buffer holds {self._records} entries, {self._bytes} bytes; {self.problem or ''}"
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Where no other thread changes anything. Raises CasefileError after a fork.

        A process that was forked off has no thread that sends, and the lock may be held for good.
        Nor may it close the file, for SQLite would end the journal that the other process writes;
        and while it is open here, SQLite takes it for one that is in use.
        """
        if self._process != os.getpid():
            raise errors.CasefileError(
                "A buffer can't be used in a process that was forked off since, nor can its file: "
                "make one of another file there, or make it after the fork."
            )
        with self._changed:
            yield

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Where the file is used. Raises CasefileError if it can't be."""
        try:
            yield
        except sqlite3.Error as error:
            raise errors.CasefileError(f"{self.path} can't be used now: {error}") from error

    def check_usable(self) -> None:
        """Raise CasefileError if nothing can be put in it: it is closed, or was forked off."""
        with self._alone():
            self._check_open()

    def _check_open(self) -> None:
        if self._is_stopped:
            raise errors.CasefileError("The buffer is closed.")

    def _has_room(self, size: int) -> bool:
        return self._records < self.max_records and self._bytes + size <= self.max_bytes

    # What the thread does.

    def _send_all(self) -> None:
        attempt = 0
        while not self._is_stopped:
            attempt = 0 if self._go_on() else attempt + 1
            if attempt:
                with self._changed:
                    self._rest(self._pauses.pause(attempt))

    def _go_on(self) -> bool:
        """Send what is next; whether the file could be used."""
        try:
            batch = self._next()
            if batch is not None:
                self._send(batch)
        except Exception as error:  # Of the file, mostly; what is in it stays there.
            log.exception("%s can't be used just now", self.path)
            with self._changed:
                self.problem = error
                self._changed.notify_all()
            return False
        return True

    def _send(self, batch: _Batch) -> None:
        """Send a batch once."""
        began = time.monotonic()
        failing = self._failing.get(batch.entries[0].session) or _Failing()
        answer: ResponsePayload | None = None
        try:
            answer = self._connection.send(self._call(batch, failing)).payload
        except errors.AnswerTooLarge:
            log.debug("sent, and not answered", exc_info=True)
        except Exception as error:  # Whatever it is, of a token's source too, it may pass.
            log.debug("not sent", exc_info=True)
            self._note(batch, error, failing)
            self._others_until = 2 * time.monotonic() - began
            return
        self._forget(batch, answer)

    def _next(self) -> _Batch | None:
        """What is to be sent next, once there is something; None when it is over."""
        with self._changed:
            while not self._is_stopped:
                now = time.monotonic()
                later = {name: each.due for name, each in self._failing.items() if each.due > now}
                head = self._head(self._failing) if now < self._others_until else None
                head = head or self._head(later)
                if head is None:
                    if not later:
                        self.problem = None
                    self._rest(min(later.values()) - now if later else None)
                    continue
                session_id = self._session_of(head)
                batch = None if session_id is None else self._batch(head, session_id)
                if batch is not None:
                    return batch
        return None

    def _head(self, passed: Mapping[str, Any]) -> _Entry | None:
        """The oldest entry that waits, of sessions that are not to be passed by."""
        return next(iter(self._select(_HEAD, [json.dumps(list(passed))])), None)

    def _rest(self, seconds: float | None) -> None:
        self._changed.wait_for(lambda: self._is_stopped or self._has_news, seconds)
        self._has_news = False

    def _session_of(self, head: _Entry) -> str | None:
        """The id of the session that an entry is of, or None if it has just been set aside."""
        if _is_creation(head):
            return ""
        found = self.session_id(head.session)
        if found is None:
            reason = "Its session could not be opened."
            self._file.execute(
                "UPDATE queue SET refused = ? WHERE session = ? AND refused IS NULL",
                (reason, head.session),
            )
            self._count()
            self._changed.notify_all()
        return found

    def _batch(self, head: _Entry, session_id: str) -> _Batch | None:
        """The request that an entry is of, or None if it can't be read, and has been set aside."""
        entries = [head]
        try:
            entries = (self._together(head) if head.operation == "chat" else []) or [head]
            batch = _read(entries, session_id)
        except _UNREADABLE as error:
            if head.timestamp is None:
                entries = [head]
            self._set_aside(entries, f"This version can't read it: {error!r}")
            return None
        if batch.is_first:
            self._mark(
                entries,
                "UPDATE queue SET request_id = ?, timestamp = ? WHERE number = ?",
                str(batch.envelope["request_id"]),
                batch.envelope["timestamp"],
            )
        return batch

    def _call(self, batch: _Batch, failing: _Failing) -> operations.Call[Any]:
        """A request as it is sent, once what is too large for it was uploaded."""
        _check(batch)
        if time.monotonic() - failing.uploaded_since > UPLOADED_SECONDS:
            failing.uploaded, failing.uploaded_since = {}, time.monotonic()
        is_chat = batch.operation is operations.CHAT
        parts = batch.fields["messages"] if is_chat else [batch.fields]
        large = _LARGE.get(batch.operation.name, ())
        carried = self._connection.carried(parts, large, failing.uploaded)
        fields = batch.fields | {"messages": carried} if is_chat else carried[0]
        return operations.call(batch.operation, fields, batch.envelope)

    def _together(self, head: _Entry) -> list[_Entry]:
        """An entry of a chat, and those that go with it in one request."""
        if head.timestamp is not None:  # It was sent before, with these.
            return self._select("request_id = ? ORDER BY number", (head.request_id,))
        entries, said = [head], json.loads(head.payload)
        if head.alone:
            return entries
        messages, size = len(said.pop("messages")), head.bytes
        for entry in self._select(
            "session = ? AND number > ? AND refused IS NULL ORDER BY number LIMIT ?",
            (head.session, head.number, MAX_MESSAGES),
        ):
            if entry.operation != "chat" or entry.timestamp is not None:
                break
            try:
                told = json.loads(entry.payload)
                messages += len(told.pop("messages"))
            except _UNREADABLE:  # It is set aside when it is next.
                break
            size += entry.bytes
            if messages > MAX_MESSAGES or size > MAX_BATCH_BYTES or told != said:
                break
            entries.append(entry)
        return entries

    def _forget(self, batch: _Batch, answer: ResponsePayload | None) -> None:
        with self._changed:
            if self._is_stopped:  # Whoever opens the file next sends it again, to no effect.
                return
            if answer is not None and _is_creation(batch.entries[0]):
                opened = str(batch.envelope["request_id"]), str(answer.model_dump()["session_id"])
                self._file.execute("INSERT OR REPLACE INTO opened VALUES (?, ?)", opened)
                self._file.execute(_NAME, opened)
                self._opened.update([opened])
            self._mark(batch.entries, "DELETE FROM queue WHERE number = ?")
            self._records -= len(batch.entries)
            self._bytes -= sum(entry.bytes for entry in batch.entries)
            self.problem = None
            self._failing.pop(batch.entries[0].session, None)
            self._changed.notify_all()

    def _note(self, batch: _Batch, error: Exception, failing: _Failing) -> None:
        """Set aside what was refused for good; put off anything else."""
        with self._changed:
            if self._is_stopped:
                return
            session = batch.entries[0].session
            took_none = _shows_none(error) or (
                batch.is_first and self._is_first_told and _took_none(error)
            )
            if took_none:
                self._mark(batch.entries, _AS_NEW)
            if isinstance(error, errors.RequestFailed) and error.is_final:
                if took_none and len(batch.entries) > 1:  # Each by itself, then.
                    self._mark(batch.entries, "UPDATE queue SET alone = 1 WHERE number = ?")
                    self._failing.pop(session, None)
                else:
                    self._set_aside(batch.entries, f"{error.code}: {error}")
                return
            if _is_fault(error) and self._counts(batch, failing):
                code = error.code if isinstance(error, errors.RequestFailed) else "unreachable"
                self._set_aside(batch.entries, f"{code}: {error}")
                return
            if self.problem is None:
                log.warning("nothing gets through to Casefile, %s keeps it: %s", self.path, error)
            self.problem = error
            self._failing[session] = failing
            self._put_off(failing, error)
            self._changed.notify_all()

    def _counts(self, batch: _Batch, failing: _Failing) -> bool:
        """Count a fault of the service; whether it was the last that a request may have."""
        head, now = batch.entries[0], time.monotonic()
        if _is_creation(head) or now < failing.next_fault:
            return False
        failing.next_fault = now + FAULT_SECONDS
        self._mark(batch.entries, "UPDATE queue SET faults = faults + 1 WHERE number = ?")
        return head.faults + 1 >= MAX_FAULTS

    def _put_off(self, failing: _Failing, error: Exception) -> None:
        told = error.retry_after if isinstance(error, errors.RequestFailed) else None
        failing.told = time.monotonic() + min(told or 0.0, self._pauses.longest)
        failing.tries += 1
        failing.due = failing.told + self._pauses.pause(failing.tries)

    def _set_aside(self, entries: Sequence[_Entry], reason: str) -> None:
        log.error("refused for good, and kept in %s: %s", self.path, reason)
        self._mark(entries, "UPDATE queue SET refused = ? WHERE number = ?", reason)
        self._failing.pop(entries[0].session, None)
        self._count()
        self._changed.notify_all()

    def _hurry(self) -> None:
        """Try at once, and often again, but no sooner than the service asked for."""
        for each in self._failing.values():
            each.tries, each.due = 0, each.told
        self._has_news = True
        self._changed.notify_all()

    def _change(self, statement: str) -> None:
        with self._alone(), self._using():
            self._check_open()
            self._file.execute(statement)
            self._count()
            self._has_news = True
            self._changed.notify_all()

    def _waiting(self) -> int:
        return 0 if self._is_stopped else self._records - self._refused

    def _count(self) -> None:
        """Count what the file holds."""
        self._records, self._bytes, self._refused = self._file.execute(
            "SELECT count(*), coalesce(sum(bytes), 0), count(refused) FROM queue"
        ).fetchone()

    def _select(self, which: str, values: Sequence[Any] = ()) -> list[_Entry]:
        """Some entries; what a newer version keeps of them beside comes last, and is left out."""
        known = len(_Entry._fields)
        return [_Entry(*row[:known]) for row in self._file.execute(f"{_SELECT} {which}", values)]

    def _mark(self, entries: Sequence[_Entry], statement: str, *values: Any) -> None:
        """Do the same to some entries, to all or none of them."""
        with self._file:
            self._file.execute("BEGIN")
            self._file.executemany(statement, [(*values, entry.number) for entry in entries])


class _BufferedSession:
    """A session that is recorded in through a buffer."""

    def __init__(self, buffer: Buffer, session: str) -> None:
        self._buffer = buffer
        self._session = session

    @property
    def session_id(self) -> str | None:
        """Its id, None while it is still to be opened."""
        return self._buffer.session_id(self._session)

    def _fields(self, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        session = self._session
        named = _UNOPENED[kind] if session.startswith("@") else session
        return {"session_id": named, **fields}


class BufferedToolSession(_BufferedSession):
    """A tool session that is recorded in through a buffer: no call waits for the service.

    When a call was made is kept in the metadata of what it records, as `made_at`.
    """

    def record(
        self,
        tool_name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        result: Mapping[str, Any] | None = None,
        error_message: str | None = None,
        prompt: str | None = None,
        duration_ms: int | None = None,
        events: Sequence[Mapping[str, Any]] | None = None,
        attachments: Sequence[AttachmentPayload] | None = None,
        session_request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> UUID:
        """Record a tool execution; without result or error message, it is pending.

        Returns the id to complete it by. Attachments must have been uploaded.
        """
        fields = {
            "tool_name": tool_name,
            "parameters": parameters,
            "result": result,
            "error_message": error_message,
            "prompt": prompt,
            "duration_ms": duration_ms,
            "events": events,
            "attachments": attachments,
            "session_request_id": session_request_id,
        }
        return self._put(operations.TOOL_EXECUTION, fields, metadata)

    def complete(
        self,
        request_id: UUID,
        *,
        result: Mapping[str, Any] | None = None,
        error_message: str | None = None,
        duration_ms: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Record how a pending tool execution ended: with a result, or an error message."""
        fields = {
            "request_id": request_id,
            "result": result,
            "error_message": error_message,
            "duration_ms": duration_ms,
        }
        self._put(operations.TOOL_RESULT, fields, metadata)

    @contextmanager
    def recording(
        self, tool_name: str, parameters: Mapping[str, Any] | None = None
    ) -> Iterator[Execution]:
        """Record what happens inside as a tool execution; see `ToolSession.recording`.

        Raises CasefileError, before anything happens, for a buffer that is closed or forked off.
        """
        self._buffer.check_usable()
        execution = Execution(tool_name, parameters)
        try:
            yield execution
        except BaseException as error:
            self._keep(execution, error)
            raise
        self._keep(execution)

    def _keep(self, execution: Execution, error: BaseException | None = None) -> None:
        """Record how an execution ended, or log that it wasn't."""
        try:
            self.record(**execution.fields(error), metadata=execution.metadata)
        except Exception:  # A full buffer, mostly.
            log.exception("an execution of %s was not recorded", execution.tool_name)

    def recorded(self, tool_name: str | None = None) -> Callable[[F], F]:
        """Make each call of a function, asynchronous or not, a recorded tool execution."""

        def decorate(function: F) -> F:
            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def call_async(*arguments: Any, **named: Any) -> Any:
                    asked = of_call(function, tool_name, arguments, named)
                    with self.recording(asked.tool_name, asked.parameters) as execution:
                        execution.result = result = await function(*arguments, **named)
                        return result

                return cast("F", call_async)

            @functools.wraps(function)
            def call(*arguments: Any, **named: Any) -> Any:
                asked = of_call(function, tool_name, arguments, named)
                with self.recording(asked.tool_name, asked.parameters) as execution:
                    execution.result = result = function(*arguments, **named)
                    return result

            return cast("F", call)

        return decorate

    def close(self, *, force: bool = False) -> None:
        """Close the session after all that was recorded in it here."""
        self._put(operations.CLOSE_SESSION, {"force": force}, None)

    def _put(
        self,
        operation: Operation[Any],
        fields: Mapping[str, Any],
        metadata: Mapping[str, Any] | None,
    ) -> UUID:
        request_id = uuid4()
        told = {"made_at": now_text(), **(metadata or {})}
        self._buffer.put(self._session, operation, self._fields("tool", fields), told, request_id)
        return request_id


class BufferedChatSession(_BufferedSession):
    """A chat session that is recorded in through a buffer: no call waits for the service.

    When a call was made is kept in the metadata of its messages, as `made_at`.
    """

    def say(
        self,
        content: str,
        message_type: MessageType | str = MessageType.USER,
        *,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Record one message."""
        self.record([{"content": content, "message_type": message_type}], metadata=metadata)

    def record(
        self,
        messages: Sequence[ChatMessagePayload | Mapping[str, Any]],
        *,
        session_request_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Record messages, 1 to 100, together and in order: all of them or none.

        Those that have no metadata of their own get what is given here.
        """
        told = {"made_at": now_text()}
        stamped = [
            {**message, "metadata": told | dict(message.get("metadata") or metadata or {})}
            for message in map(operations.fields_of, messages)
        ]
        fields = {"messages": stamped, "session_request_id": session_request_id}
        self._buffer.put(self._session, operations.CHAT, self._fields("chat", fields), {})

    def close(self) -> None:
        """Close the session after all that was recorded in it here."""
        fields = self._fields("chat", {})
        metadata = {"made_at": now_text()}
        self._buffer.put(self._session, operations.CLOSE_CHAT_SESSION, fields, metadata)


def _open(path: Path) -> sqlite3.Connection:
    """The file, which one process has at a time; the operating system lets go of a dead one's."""
    try:
        path.touch(mode=0o600)  # What was said is nobody else's.
        file = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise errors.CasefileError(f"{path} can't be used as a buffer: {error}") from error
    try:
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.text_factory = _text
        file.executescript(_SCHEMA)
        file.execute("BEGIN EXCLUSIVE")
        file.execute("COMMIT")
    except sqlite3.Error as error:
        file.close()
        if "locked" in str(error):
            raise errors.CasefileError(
                f"{path} is in use by another process, or by another buffer of this one, be it one "
                "that was made before a fork."
            ) from None
        raise errors.CasefileError(f"{path} can't be used as a buffer: {error}") from error
    return file


def _shows_none(error: Exception) -> bool:
    """Whether an error shows that nothing of a request was recorded, however often it was sent.

    What isn't valid or too large now was so before, and what is missing, or closed, is told after
    the request was looked for. Who may not, or sends something that is too old, is told so whatever
    was recorded; so is what we refuse ourselves, for it may be another version's.
    """
    if not isinstance(error, errors.RequestFailed) or not error.is_final:
        return False
    if isinstance(error, errors.BadRequest) and error.faults:
        return error.status is not None
    return isinstance(error, (errors.ContentMissing, errors.SessionClosed, errors.TooLarge))


def _took_none(error: Exception) -> bool:
    """Whether an error shows that nothing of a request was recorded by sending it just now."""
    return (
        (isinstance(error, errors.RequestFailed) and error.is_final)
        or isinstance(error, (errors.Unauthenticated, errors.TooManyRequests))
        or isinstance(error.__cause__, _UNCONNECTED)
        or (isinstance(error, errors.CasefileError) and error.is_of_bucket)
    )


def _is_fault(error: Exception) -> bool:
    """Whether an error may be of this request, and come again: one of Casefile, or of an upload."""
    return isinstance(error, errors.InternalError) or (
        isinstance(error, errors.CasefileError) and error.is_of_bucket
    )


def _is_creation(entry: _Entry) -> bool:
    return entry.operation in (
        operations.CREATE_SESSION.name,
        operations.CREATE_CHAT_SESSION.name,
    )


def _read(entries: list[_Entry], session_id: str) -> _Batch:
    """The request that entries are together. Raises one of `_UNREADABLE`."""
    head = entries[0]
    if head.timestamp is not None:
        from_text(head.timestamp)  # The service would refuse it, and that proves nothing.
    fields = json.loads(head.payload) | ({"session_id": session_id} if session_id else {})
    for entry in entries[1:]:
        fields["messages"] += json.loads(entry.payload)["messages"]
    envelope: Envelope = {
        "request_id": UUID(head.request_id) if head.request_id else uuid4(),
        "timestamp": head.timestamp or now_text(),
        "metadata": _Kept.model_validate({"metadata": json.loads(head.metadata)}).metadata,
    }
    operation = operations.OPERATIONS[head.operation]
    return _Batch(entries, operation, fields, envelope, is_first=head.timestamp is None)


def _check(batch: _Batch) -> None:
    """Raise BadRequest for a batch that holds what is no such request, be it damaged or newer."""
    try:
        operations.call(batch.operation, batch.fields, batch.envelope)
    except errors.BadRequest:
        raise
    except _UNREADABLE as error:
        raise errors.BadRequest(f"This version can't read it: {error!r}", is_final=True) from error


def _text(raw: bytes) -> str:
    """A text of the file; what is no UTF-8 is none that can be read as anything."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "\ufffd"


def _payload(entry: _Entry) -> dict[str, Any]:
    """What an entry holds; nothing if it can't be read."""
    try:
        return dict(json.loads(entry.payload))
    except _UNREADABLE:
        return {}
