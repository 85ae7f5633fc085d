"""Recording a function call as a tool execution: what was asked, what came of it, how long it took.

Recording must not break what it records: whatever is no JSON is told by its `repr`.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from pydantic_models.base.json_values import MAX_DEPTH

MAX_ERROR_MESSAGE = 2000

log = logging.getLogger(__name__)


class Execution:
    """A tool execution while it runs. Set its `result`; what it raises is recorded, too."""

    def __init__(self, tool_name: str, parameters: Mapping[str, Any] | None = None) -> None:
        self.tool_name = tool_name
        self.parameters = dict(parameters or {})
        self.result: Any = None
        self.metadata: dict[str, Any] = {}
        self._began = time.monotonic()

    def fields(self, error: BaseException | None = None) -> dict[str, Any]:
        """What to record of it, now that it has ended."""
        duration_ms = round((time.monotonic() - self._began) * 1000)
        fields: dict[str, Any] = {
            "tool_name": self.tool_name,
            "parameters": jsonable(self.parameters),
            "duration_ms": duration_ms,
        }
        if error is None:
            return fields | {"result": as_object(self.result)}
        told = portable(f"{type(error).__name__}: {error}")
        return fields | {"error_message": told[:MAX_ERROR_MESSAGE]}


def of_call(
    function: Callable[..., Any],
    tool_name: str | None,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> Execution:
    """The execution that a call of a function is, its arguments by their names."""
    bound = inspect.signature(function).bind(*arguments, **named).arguments
    for own in ("self", "cls"):
        bound.pop(own, None)
    return Execution(tool_name or function.__name__, bound)


def as_object(result: Any) -> dict[str, Any]:
    """A result as a JSON object: itself if it is one, nothing as {}, else under "value"."""
    told = jsonable(result)
    if isinstance(told, dict):
        return told
    return {} if told is None else {"value": told}


def jsonable(value: Any) -> Any:
    """The value as portable JSON; what is none is told by its repr."""
    try:
        plain = to_jsonable_python(value, fallback=repr, by_alias=True, bytes_mode="base64")
    except Exception:  # Whatever the value's own code raises.
        log.debug("told by its type", exc_info=True)
        plain = f"<{type(value).__name__}>"
    return _portable_json(plain, MAX_DEPTH - 1)


def _portable_json(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, dict):
        if depth == 0:
            return portable(repr(value))
        return {
            portable(str(name)): _portable_json(each, depth - 1) for name, each in value.items()
        }
    if isinstance(value, list):
        return (
            [_portable_json(each, depth - 1) for each in value] if depth else portable(repr(value))
        )
    return value


def portable(text: str) -> str:
    """The text without halves of surrogate pairs."""
    return text.encode(errors="backslashreplace").decode()
