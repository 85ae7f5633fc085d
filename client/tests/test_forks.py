"""A client is used in both processes after a fork, and in one event loop after another.

Connections can't leave the process, nor the loop, that opened them.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import casefile

from .pretended import AT

FORKING = """
import os, sys, casefile

with casefile.Client(sys.argv[1], "token") as client:
    def read():
        title = client.chat_session("cs_one").read().title
        os.write(1, f"{title}\\n".encode())  # at once, for both write where the other does

    read()
    child = os.fork()
    read()
    if child:
        _, status = os.waitpid(child, 0)
        read()
        sys.exit(os.waitstatus_to_exitcode(status))
"""

LOOPING = """
import asyncio, sys, casefile

client = casefile.AsyncClient(sys.argv[1], "token")

async def read():
    for _ in range(2):
        print((await client.chat_session("cs_one").read()).title)

for _ in range(4):
    asyncio.run(read())
print(len(client._made))
"""


class Answering(BaseHTTPRequestHandler):
    """Tells as a session's title by which connection it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        payload = {"session_id": "cs_one", "created_at": AT, "updated_at": AT, "user_id": "u@e"}
        payload |= {"title": str(self.client_address[1])}
        more = {"casefile_id": None, "active": True}
        told = {"request_id": "0" * 32, "status": "completed", "payload": payload | more}
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True  # They wait for whoever leaves a connection open.
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_two_processes_do_not_share_connections(url: str) -> None:
    forking = [sys.executable, "-c", FORKING, url]
    ran = subprocess.run(forking, stdout=subprocess.PIPE, check=True, text=True, timeout=30)
    connections = ran.stdout.split()
    assert len(connections) == 4
    assert {connections.count(each) for each in connections} == {1, 3}


async def connections(client: casefile.AsyncClient, together: threading.Barrier) -> set[str | None]:
    """By which connections a client asks, three times in a row, in the loop that runs this."""
    used = set()
    for _ in range(3):
        await asyncio.to_thread(together.wait, 10)
        used.add((await client.chat_session("cs_one").read()).title)
    return used


def test_one_loop_after_another_has_connections_of_its_own(url: str) -> None:
    running = [sys.executable, "-c", LOOPING, url]
    ran = subprocess.run(running, stdout=subprocess.PIPE, check=True, text=True, timeout=30)
    *told, kept = ran.stdout.split()
    assert [told.count(each) for each in told] == [2] * 8
    assert int(kept) <= 2  # What ended loops had is forgotten.


def test_loops_that_run_at_once_do_not_share_connections(url: str) -> None:
    client = casefile.AsyncClient(url, "token")
    together = threading.Barrier(3)

    async def use() -> set[str | None]:
        try:
            return await connections(client, together)
        finally:
            await client.aclose()

    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(asyncio.run, use()) for _ in range(3)]
    used = [each.result() for each in running]
    assert [len(each) for each in used] == [1] * 3
    assert len(set.union(*used)) == 3
