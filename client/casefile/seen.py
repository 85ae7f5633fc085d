"""The newest record of each session that a client knows of, so that its reads have it.

A page of records may miss the newest for a moment, unless it is asked for one of them (`at_least`).
So whatever a client was told it recorded, or that there is, it finds when it reads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from pydantic_models.base import RequestPayload, ResponsePayload
from pydantic_models.operations import PagePayload

SESSIONS = 1000
"""Of which it is known; the least recently told of is forgotten first."""


class Seen:
    """Numbers of records by session. Threads may share it."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def learn(self, asked: Mapping[str, Any], answer: ResponsePayload) -> None:
        """Take in what an answer tells of its session's records."""
        told = getattr(answer, "record", None) or getattr(answer, "record_count", None)
        if told is None or "session_id" not in asked:
            return
        with self._lock:
            known = self._newest.pop(asked["session_id"], 0)
            self._newest[asked["session_id"]] = max(known, told)
            while len(self._newest) > SESSIONS:
                self._newest.popitem(last=False)

    def to_see(
        self, payload_type: type[RequestPayload], asked: Mapping[str, Any]
    ) -> dict[str, int]:
        """What to ask of a read, beside what it asks, to have what is known."""
        known = self._newest.get(asked.get("session_id", ""))
        if known is None or not issubclass(payload_type, PagePayload) or "at_least" in asked:
            return {}
        return {"at_least": known}
