"""The one log: a line of JSON for whatever happened, on standard output, which Lambda keeps.

Its lines tell who did what to what, and never what was said: what a caller could make up is told if
it has the form of what it should be, and is left out else. They have the keys of Powertools'
Logger, which would take an eighth of an append and 4 MB of each start; `logging` would take twice
as long for a line.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from .config import LOG_LEVELS, log_level, trace_id

SERVICE = "casefile"


class Log:
    """It is told by name what a line is to hold: `logger.info("done", outcome=…)`."""

    def __init__(self, level: int) -> None:
        self.level = level

    def info(self, message: str, **fields: Any) -> None:
        """Tell what happened."""
        self._write("INFO", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Tell what somebody should look at."""
        self._write("ERROR", message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        """Tell of the exception that is being handled, and where it came from."""
        import traceback

        raised = {
            "exception": traceback.format_exc(),
            "exception_name": type(sys.exception()).__name__,
        }
        self._write("ERROR", message, fields | raised)

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        if LOG_LEVELS[level] < self.level:
            return
        caller = sys._getframe(2)
        line = {
            "level": level,
            "location": f"{caller.f_code.co_name}:{caller.f_lineno}",
            "message": message,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "service": SERVICE,
        }
        if trace := trace_id():
            line["xray_trace_id"] = trace
        sys.stdout.write(_spelled(line | fields) + "\n")
        sys.stdout.flush()


def _spelled(line: dict[str, Any]) -> str:
    """A line as JSON in ASCII, so that whatever was sent can be written."""
    try:
        text = orjson.dumps(line, default=str)
        if text.isascii():
            return text.decode()
    except TypeError:  # Half of a surrogate pair, say.
        pass
    return json.dumps(line, default=str)


def named(request_id: Any, invocation: str) -> str:
    """The name of a request in a line: its own id if that is one, else the invocation's."""
    try:
        return str(UUID(request_id))
    except (ValueError, TypeError, AttributeError):
        return invocation


logger = Log(log_level())
