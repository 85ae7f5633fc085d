"""The one log: a line of JSON for whatever happened, on standard output, which Lambda keeps.

Its lines tell who did what to what, and never what was said. They have the keys of Powertools'
Logger, which would take an eighth of an append and 4 MB of each start.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from .config import is_lambda, log_level, trace_id

SERVICE = "casefile"

_OWN = {"exc_info", "stack_info", "stacklevel"}
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """Makes a line of what happened and of everything that is told of it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.getMessage(),
            "timestamp": at.isoformat(timespec="milliseconds"),
            "service": SERVICE,
        }
        trace = trace_id()
        if trace:
            line["xray_trace_id"] = trace
        line |= {
            name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
            line["exception_name"] = record.exc_info[0].__name__
        return json.dumps(line, default=str, ensure_ascii=False)


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger that is told by name what its line is to hold: `logger.info("done", outcome=…)`."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Keep what is told apart from what `logging` itself takes."""
        own = {name: kwargs.pop(name) for name in _OWN & kwargs.keys()}
        return msg, own | {"extra": dict(kwargs)}


HANDLER = logging.StreamHandler(sys.stdout)
HANDLER.setFormatter(Lines())

logger = Log(logging.getLogger(SERVICE))
logger.logger.addHandler(HANDLER)
logger.setLevel(log_level())
logger.logger.propagate = not is_lambda()  # Lambda's own handler would tell it once more.
