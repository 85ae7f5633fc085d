"""`invoke`: one function of the running local cloud, with one of the events in tests/events."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from dev import environments, local_cloud, local_stack
from dev.console import Problem, say

_FUNCTIONS = environments.ROOT / "functions"
_EVENTS = environments.ROOT / "tests/events"


def read_event(operation: str, event: str | None) -> dict[str, Any]:
    """The event of this name for this operation, or the one in the file of this name.

    Without a name it is the direct one, or the only one there is.
    """
    operations = sorted(path.parent.name for path in _FUNCTIONS.glob("*/handler.py"))
    if operation not in operations:
        raise Problem(f"There is no function {operation!r}. There are: {', '.join(operations)}")
    events = sorted(path.stem for path in (_EVENTS / operation).glob("*.json"))
    event = event or (events[0] if len(events) == 1 else "direct")
    file = _EVENTS / operation / f"{event}.json" if event in events else Path(event)
    if not file.is_file():
        raise Problem(
            f"There is no event {event!r} for {operation}, nor a file. There are: "
            f"{', '.join(events)}"
        )
    try:
        read: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise Problem(f"{file} is not JSON: {error}") from error
    return read


def invoke(operation: str, event: dict[str, Any], port: int) -> None:
    """Print what the function returns; its last log lines (4 KB) go to stderr.

    Raises Problem if the function raised an error.
    """
    stack = local_stack.find(f"http://{local_cloud.HOST}:{port}")
    answer = stack.client("lambda").invoke(
        FunctionName=stack.function(operation), Payload=json.dumps(event), LogType="Tail"
    )
    if lines := base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").rstrip():
        say(lines)
    print(json.dumps(json.load(answer["Payload"]), indent=2, ensure_ascii=False), flush=True)
    if "FunctionError" in answer:
        raise Problem(f"{operation} raised an error, see above.")
