"""What answers our own client: a server that keeps to a script, or moto."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from moto.core.botocore_stubber import BotocoreStubber

from casefile import transport


@dataclass(frozen=True)
class Request:
    """What the server was sent, and by which of its connections, counted from 1."""

    connection: int
    headers: dict[str, str]
    body: bytes


Step = Callable[[socket.socket], bool]
"""Does something about a request; tells whether the connection stays open."""


def answer(status: int = 200, body: str = "{}", **headers: str) -> Step:
    """An answer as DynamoDB gives it."""
    told = {"Content-Length": str(len(body.encode()))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return send(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n{body}".encode())


def send(data: bytes, *, then_close: bool = False) -> Step:
    """These bytes, whatever they are."""

    def step(connection: socket.socket) -> bool:
        connection.sendall(data)
        return not then_close

    return step


def hang_up(connection: socket.socket) -> bool:
    """No answer: the connection ends in good order."""
    return False


def reset(connection: socket.socket) -> bool:
    """No answer: the connection breaks."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def keep_silent(connection: socket.socket) -> bool:
    """No answer, until the client goes."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    return False


@dataclass
class Scripted:
    """A server that takes one step of its script for each request; then it answers `{}`."""

    script: list[Step] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    _open: list[socket.socket] = field(default_factory=list)
    connections: int = 0

    def hang_up(self, *, hard: bool = False) -> None:
        """End all connections, as happens to those that nobody uses."""
        for connection in self._open:
            if hard:
                reset(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                number = self.connections
                threading.Thread(target=self._talk, args=(connection, number), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection, connection.makefile("rb") as stream:
                while stream.readline():
                    headers: dict[str, str] = {}
                    while (line := stream.readline().decode().rstrip("\r\n")) != "":
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", 0)))
                    self.requests.append(Request(number, headers, body))
                    step = self.script.pop(0) if self.script else answer()
                    if not step(connection):
                        return


@contextlib.contextmanager
def scripted(*script: Step, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A server with a script, while the `with` block runs."""
    server = Scripted(list(script), tls=tls)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server._serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.hang_up()
            thread.join()


@contextlib.contextmanager
def wired_to_moto() -> Iterator[None]:
    """Let our own client's requests end at the mock_aws of this process, and not in a socket."""
    url = "https://dynamodb.us-east-1.amazonaws.com/"

    def exchange(self: transport.Client, connection: Any, request: bytes) -> transport.Answer:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
        headers: Any = HeadersDict({name: value for name, _, value in lines})
        answered = BotocoreStubber().process_request(
            AWSPreparedRequest("POST", url, headers, body, stream_output=False)
        )
        assert answered is not None
        status, told, text = answered
        data = text.encode() if isinstance(text, str) else text
        return transport.Answer(
            status, {name.lower(): str(value) for name, value in told.items()}, data
        )

    with (
        mock.patch.object(transport.Client, "_exchange", exchange),
        mock.patch.object(transport.Client, "_connect"),
    ):
        yield
