"""One writer of many, a process of its own: appends to a session, and prints what it was told.

Some requests are sent twice, at once or after others, as clients do that lost an answer. Told to
close, it closes the session when it is half done. Each line it prints is one answer.
"""

import json
import random
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from casefile.errors import SessionClosed, Unavailable
from tests.conftest import Context, load


def main(session_id: str, writer: int, appends: int, closes: bool) -> None:
    chance = random.Random(writer)
    sent: list[tuple[str, dict[str, object]]] = []

    def send(operation: str, content: str, request: dict[str, object]) -> None:
        for _ in range(5):
            try:
                answer = load(operation)(request, Context())["payload"]
            except SessionClosed:
                told = {"refused": content}
            except Unavailable:
                continue  # As clients do, with the same request.
            else:
                told = {"content": content, "record": answer.get("record")}
            say(told)
            return
        say({"gave_up": content})

    for number in range(appends):
        if closes and number == appends // 2:
            send("close_chat_session", "close", envelope(chance, session_id))
        content = f"{writer}/{number}"
        sent.append((content, envelope(chance, session_id, message=content)))
        send("chat", *sent[-1])
        if chance.random() < 0.3:
            send("chat", *chance.choice(sent[-20:]))


def say(told: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")


def envelope(chance: random.Random, session_id: str, **payload: str) -> dict[str, object]:
    return {
        "request_id": str(UUID(int=chance.getrandbits(128), version=4)),
        "user_id": "ann@example.com",
        "timestamp": datetime.now(UTC).isoformat(),
        "payload": {"session_id": session_id, **payload},
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "closes")
