"""A service that is pretended, to let go wrong what can: it keeps the rule of the real one alone.

A request id is in a session's log once, and sent again gets the first answer; none is taken that is
older than 15 days, or dated ahead. The tests that use it are about what the client sends, and when;
that the real one keeps the rules is tested elsewhere.
"""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import httpx

import casefile
from pydantic_models.base.times import from_text, now

Fault = Literal[
    "unplugged",
    "lost",
    "busy",
    "throttled",
    "broken",
    "stale token",
    "not ours",
    "not ours, broken",
    "not allowed",
    "too old",
]

AT = "2025-10-13T14:30:00.000+00:00"


class Pretended(httpx.BaseTransport):
    """What it keeps are `logs`: by session, a list of payloads, each with its request id."""

    def __init__(self, faults: list[Fault] | None = None) -> None:
        self.faults: Iterator[Fault | None] = iter(faults or [])
        self.is_plugged_in = True
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.refuses: list[str] = []
        self.misses: list[str] = []
        self.breaks_at: list[str] = []
        self.carries: int | None = None
        self.break_seconds = 0.0
        self.bucket: int | Exception = 200
        self.uploads = 0
        self.requests = 0
        self._lock = threading.Lock()

    def client(self, **more: Any) -> casefile.Client:
        """A client whose HTTP client is as one that it made itself: it sends each request once."""
        client = casefile.Client(
            "http://pretended.invalid", "token", http=httpx.Client(transport=self), **more
        )
        client.is_ours = True
        return client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests += 1
            fault = next(self.faults, None) if self.is_plugged_in else "unplugged"
            if fault == "unplugged":
                raise httpx.ConnectError("unplugged")
            if fault == "busy":
                return _failed(503, "unavailable")
            if fault == "throttled":
                return _failed(429, "too_many_requests")
            if fault == "stale token":
                return _failed(401, "unauthenticated")
            if fault == "not allowed":
                return _failed(404, "not_found")
            if fault == "too old":
                return _failed(400, "invalid_request")
            if fault == "not ours":
                return httpx.Response(404, text="<html>Sign in to the hotel's network</html>")
            if fault == "not ours, broken":
                return httpx.Response(500, json={"message": "Internal Server Error"})
            if request.method == "PUT":
                return self._upload()
            if any(word in request.content.decode() for word in self.breaks_at):
                time.sleep(self.break_seconds)
                return _failed(500, "internal_error")
            answer = self._answer(request)
            if fault == "lost":
                raise httpx.ReadError("lost")
            return _failed(500, "internal_error") if fault == "broken" else answer

    def _upload(self) -> httpx.Response:
        if isinstance(self.bucket, Exception):
            raise self.bucket
        self.uploads += 1
        return httpx.Response(self.bucket)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        envelope = json.loads(request.content)
        made = from_text(envelope["timestamp"])
        if not now() - timedelta(days=15) <= made <= now() + timedelta(minutes=5):
            return _failed(400, "invalid_request")
        kind, *rest = request.url.path.strip("/").split("/")
        if kind == "uploads":
            link = {"url": "http://bucket.invalid/x", "headers": {}, "expires_at": AT}
            return _done(envelope, {**envelope["payload"], **link})
        is_chat = kind == "chat-sessions"
        if not rest:
            compact = envelope["request_id"].replace("-", "")
            session = f"cs_{compact}" if is_chat else f"ts_251013_{compact}"
            self.logs.setdefault(session, [])
            return _done(envelope, {"session_id": session, "created_at": AT})
        session, *action = rest
        if session not in self.logs:
            return _failed(404, "not_found")
        text = json.dumps(envelope["payload"])
        if any(word in text for word in self.refuses):
            faults = [{"where": "messages", "what": "It is refused"}]
            return _failed(400, "invalid_request", errors=faults)
        if self.carries is not None and len(request.content) > self.carries:
            return httpx.Response(413, text="<html>Request Entity Too Large</html>")
        log = self.logs[session]
        kept = {name: envelope[name] for name in ("request_id", "metadata") if name in envelope}
        told = {"at": action[-1], **envelope["payload"], **kept}
        same = [n for n, each in enumerate(log) if each["request_id"] == told["request_id"]]
        if same and log[same[0]] != told:
            return _failed(409, "request_id_reused")
        if not same:
            if log and log[-1]["at"] == "close":
                return _failed(409, "session_closed")
            if any(word in text for word in self.misses):
                return _failed(400, "content_missing")
            log.append(told)
        number = (same[0] if same else len(log) - 1) + 1
        return _done(envelope, _payload(session, action, told, number))


def _payload(session: str, action: list[str], told: dict[str, Any], number: int) -> dict[str, Any]:
    if action == ["close"]:
        totals = {"total_requests": 0, "total_messages": 0, "total_events": 0}
        return {"session_id": session, "closed_at": AT, **totals}
    place = {"session_id": session, "record": number, "recorded_at": AT}
    if action == ["messages"]:
        first = {"message_id": "m", "user_id": "u@e", "record": number, "timestamp": AT}
        first |= {"position": 0, "index": 0}
        said = {name: told["messages"][0][name] for name in ("content", "message_type")}
        return place | {"message": said | first}
    return place | {"result": {}, "status": "completed"}


def _done(envelope: dict[str, Any], payload: dict[str, Any]) -> httpx.Response:
    told = {"request_id": envelope["request_id"], "status": "completed", "payload": payload}
    return httpx.Response(200, json=told)


def _failed(status: int, code: str, **more: Any) -> httpx.Response:
    told = {"status": "failed", "error": code, "metadata": {"error_code": code, **more}}
    return httpx.Response(status, json=told)
