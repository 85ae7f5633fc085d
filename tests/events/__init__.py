"""One event per operation and door. The same files serve the tests and `sam local invoke -e`."""

import json
from pathlib import Path
from typing import Any

DOORS = ("api", "direct", "eventbridge", "http_api", "sqs")


def event(operation: str, door: str) -> dict[str, Any]:
    """The event that asks for `operation` at `door`."""
    loaded: dict[str, Any] = json.loads(
        (Path(__file__).parent / operation / f"{door}.json").read_text()
    )
    return loaded
