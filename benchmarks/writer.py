"""One process of a race: it opens a session, writes in one, or reads it, and prints answers."""

from __future__ import annotations

import importlib
import json
import random
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from benchmarks.race import Refused, Store, TryAgain


def write(store: Store, writer: int, appends: int, closes: bool) -> None:
    """Be one of the writers; each line that is printed is one answer."""
    chance = random.Random(writer)
    sent: list[tuple[str, str, str]] = []
    for number in range(appends):
        if closes and number == appends // 2:
            store.close(*_new_request(chance))
        sent.append((*_new_request(chance), f"{writer}/{number}"))
        _say(_send(store, sent[-1]))
        if chance.random() < 0.3:
            _say(_send(store, chance.choice(sent[-20:])))


def _new_request(chance: random.Random) -> tuple[str, str]:
    return str(UUID(int=chance.getrandbits(128), version=4)), datetime.now(UTC).isoformat()


def _send(store: Store, request: tuple[str, str, str]) -> dict[str, Any]:
    content = request[2]
    for _ in range(5):
        try:
            return {"content": content, "place": store.append(*request)}
        except Refused:
            return {"refused": content}
        except TryAgain:
            continue  # As clients do, with the same request.
    return {"gave_up": content}


def _say(told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")


def _main(store: str, task: str, *arguments: str) -> None:
    module = importlib.import_module(f"benchmarks.stores.{store}")
    if task == "new":
        _say(module.new_session())
    elif task == "read":
        _say(module.open_store(*arguments).read())
    else:
        session, writer, appends, closes = arguments
        write(module.open_store(session), int(writer), int(appends), closes == "True")


if __name__ == "__main__":
    _main(*sys.argv[1:])
