"""Recording a function call as a tool execution: what was asked, what came of it, how long it took.

Recording must not break what it records. What that returns or raises is its caller's; if it can't
be recorded, that is logged. Whatever is no JSON is told by its `repr`, and so is an iterator, which
would be empty afterwards. What was asked is told as it was when the call began.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from pydantic_models import canonical
from pydantic_models.base.json_values import MAX_DEPTH, MAX_INTEGER

from . import errors

TOO_DEEP = "<nested too deep>"

log = logging.getLogger(__name__)


class Execution:
    """A tool execution while it runs. Set its `result`; what it raises is recorded, too."""

    def __init__(self, tool_name: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Raise BadRequest for a name that no tool can be recorded by."""
        try:
            self.tool_name = _tool_names().validate_python(tool_name)
        except ValidationError as error:
            raise errors.invalid(error) from None
        self.parameters = _named(parameters or {})
        self.result: Any = None
        self.metadata: dict[str, Any] = {}
        self._began = time.monotonic()

    def fields(self, error: BaseException | None = None) -> dict[str, Any]:
        """What to record of it, now that it has ended."""
        duration_ms = round((time.monotonic() - self._began) * 1000)
        fields: dict[str, Any] = {
            "tool_name": self.tool_name,
            "parameters": _named(self.parameters),
            "duration_ms": duration_ms,
        }
        if error is None:
            return fields | {"result": as_object(self.result)}
        return fields | {"error_message": portable(_said(error))[: canonical.MAX_ERROR_MESSAGE]}


@functools.cache
def _tool_names() -> TypeAdapter[str]:
    return TypeAdapter(canonical.ToolName)


def _said(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # Whatever the error's own code raises.
        log.debug("told by its type", exc_info=True)
        return name


def of_call(
    function: Callable[..., Any],
    tool_name: str | None,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> Execution:
    """The execution that a call of a function is, its arguments by their names."""
    try:
        asked = _arguments(function, arguments, named)
    except (TypeError, ValueError):  # It tells no signature, or another than it takes.
        asked = {"args": arguments, "kwargs": named}
    return Execution(tool_name or _name(function), asked)


def _arguments(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    call = inspect.signature(function).bind(*arguments, **named)
    given = {*call.arguments}
    call.apply_defaults()
    asked = {
        name: value
        for name, value in call.arguments.items()
        # Of *args and **kwargs that nothing was given for, it makes () and {}.
        if name in given or call.signature.parameters[name].default is not inspect.Parameter.empty
    }
    first = next(iter(call.signature.parameters), None)
    if first in ("self", "cls") and first in given:
        is_called_on = bool(arguments) and _is_method(function)
        # By another name than a method's, it is told by what it is: an object, or a class.
        if is_called_on or not isinstance(asked[first], _JSON):
            del asked[first]
    return asked


_JSON = (str, int, float, bool, type(None), list, tuple, dict)


def _is_method(function: Callable[..., Any]) -> bool:
    """Whether it was defined in a class, and is called with what it is a method of."""
    within = str(getattr(function, "__qualname__", "")).rpartition(".")[0]
    return bool(within) and not within.endswith("<locals>") and not inspect.ismethod(function)


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def as_object(result: Any) -> dict[str, Any]:
    """A result as a JSON object: itself if it is one, nothing as {}, else under "value"."""
    told = jsonable(result)
    if isinstance(told, dict):
        return told
    return {} if told is None else {"value": told}


def _named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    known: _Known = {}
    return {portable(str(name)): _told(value, known) for name, value in parameters.items()}


def jsonable(value: Any) -> Any:
    """The value as portable JSON; what is none is told by its repr."""
    return _told(value, {})


_Known = dict[int, tuple[Any, bool]]
"""Of each thing by its id whether it holds an iterator; the thing is kept, and so its id is."""


def _told(value: Any, known: _Known) -> Any:
    try:
        plain = to_jsonable_python(
            _spared(value, known), fallback=repr, by_alias=True, bytes_mode="base64"
        )
    except Exception:  # Whatever the value's own code raises.
        log.debug("told by its type", exc_info=True)
        plain = f"<{type(value).__name__}>"
    return _portable_json(plain, MAX_DEPTH - 2)  # It may stand in an object.


def _spared(value: Any, known: _Known, within: tuple[int, ...] = ()) -> Any:
    """The value, with a repr for each iterator in it, which to tell would be to use up.

    Raises ValueError for what contains itself.
    """
    if isinstance(value, _PLAIN):
        return value
    if id(value) in within:
        raise ValueError("it contains itself")
    if len(within) == MAX_DEPTH:
        return TOO_DEEP
    if _is_iterator(value):
        return repr(value)
    inner = (*within, id(value))
    if isinstance(value, _SEQUENCES):
        return [_spared(each, known, inner) for each in value]
    if isinstance(value, dict) or _holds_iterator(value, known):
        return {name: _spared(each, known, inner) for name, each in _members(value).items()}
    return value


def _is_iterator(value: Any) -> bool:
    return hasattr(type(value), "__next__")


def _holds_iterator(value: Any, known: _Known) -> bool:
    """Whether an iterator is somewhere in it; each thing is looked at once, and known then."""
    if id(value) not in known:
        known |= _look(value, known)
    return known[id(value)][1]


def _look(value: Any, known: _Known) -> _Known:
    """What is to be known of a thing and all that is in it, without what is known."""
    things, holders = [value], []
    outer: dict[int, list[int]] = {id(value): []}  # Of each thing, what it is in.
    for thing in things:  # It grows.
        if _is_iterator(thing):
            holders.append(id(thing))
            continue
        for each in thing if isinstance(thing, _SEQUENCES) else _members(thing).values():
            if isinstance(each, _PLAIN):
                continue
            if id(each) in known:
                if known[id(each)][1]:
                    holders.append(id(thing))
                continue
            if id(each) not in outer:
                outer[id(each)] = []
                things.append(each)
            outer[id(each)].append(id(thing))
    holding = set()
    while holders:
        if (holder := holders.pop()) not in holding:
            holding.add(holder)
            holders += outer[holder]
    return {id(thing): (thing, id(thing) in holding) for thing in things}


def _members(value: Any) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name, None) for each in dataclass_fields(value)}
    return {}


_PLAIN = (str, bytes, int, float, type(None))
_SEQUENCES = (list, tuple, set, frozenset, deque)


def _portable_json(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return hex(value)
    if isinstance(value, dict):
        if depth == 0:
            return TOO_DEEP
        return {
            portable(str(name)): _portable_json(each, depth - 1) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_portable_json(each, depth - 1) for each in value] if depth else TOO_DEEP
    return value


def portable(text: str) -> str:
    """The text without halves of surrogate pairs."""
    return text.encode(errors="backslashreplace").decode()
