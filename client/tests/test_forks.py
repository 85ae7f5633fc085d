"""A client that was used before its process forked is used in both processes after it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .pretended import AT

FORKING = """
import os, sys, casefile

with casefile.Client(sys.argv[1], "token") as client:
    def read():
        print(client.chat_session("cs_one").read().title, flush=True)

    read()
    child = os.fork()
    read()
    if child:
        _, status = os.waitpid(child, 0)
        read()
        sys.exit(os.waitstatus_to_exitcode(status))
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
