"""`start`: the whole of Casefile on this machine, until Ctrl-C. Also `stop` and `token`."""

from __future__ import annotations

import json
import signal
import time
from types import FrameType

from dev import environments, local_cloud, local_stack, packages
from dev.console import Problem, say, step

DEFAULT_EMAIL = "you@example.com"


def start(port: int) -> None:
    packages.install_dependencies(environments.ROOT / "layers/models", environments.CLOUD.python)
    asked_to_stop = _note_signals()
    cloud = local_cloud.LocalCloud(port=port)
    with step(f"Starting the local cloud on port {port}"):
        cloud.start()
    try:
        stack = local_stack.deploy(cloud)
        _introduce(stack)
        while not asked_to_stop:
            time.sleep(0.2)
            if not cloud.is_alive():
                raise Problem(f"The local cloud has ended by itself. What it said: {cloud.log}")
    finally:
        with step("Stopping; saving your data"):
            cloud.stop()
    say("Stopped. `make start` continues with the same data.")


def stop() -> None:
    if not local_cloud.is_running():
        say("Nothing is running.")
        return
    with step("Stopping; saving your data"):
        local_cloud.stop_running()


def token(email: str, port: int) -> str:
    return local_stack.find(f"http://{local_cloud.HOST}:{port}").token(email)


def _note_signals() -> list[int]:
    """Ctrl-C, `kill` and a closed terminal ask us to stop; we do, once what we do is complete."""
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, note)
    return noted


def _introduce(stack: local_stack.Stack) -> None:
    body = json.dumps({"payload": {"title": "My first session"}})
    print(
        f"""
Casefile is running. In a second terminal, this creates a tool session:

export URL={stack.url}
export TOKEN={stack.token(DEFAULT_EMAIL)}
curl -X POST "$URL/tool-sessions" -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' -d '{body}'

To read and try all operations: {stack.url}/docs

You are {DEFAULT_EMAIL}; the token is good for {local_stack.PARAMETERS["IdTokenHours"]} hours.
A token for someone else: make token EMAIL=alice@example.com
To stop: Ctrl-C here, or make stop. What you store stays, in .local/cloud.
""",
        flush=True,
    )
