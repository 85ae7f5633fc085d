"""A wire to a server that can be cut, and joined again."""

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Plug:
    """Listens on a port of its own and passes on what comes, both ways."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._to = (str(parts.hostname), int(parts.port or 80))
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.url = parts._replace(netloc=f"127.0.0.1:{port}").geturl()
        self._is_joined = True
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> "Plug":
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """End all connections in the middle of whatever they carry, and take no other."""
        self._is_joined = False
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Take connections again."""
        self._is_joined = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if not self._is_joined:
                near.close()
                continue
            far = socket.create_connection(self._to)
            self._open |= {near, far}
            both = [
                threading.Thread(target=self._pass_on, args=pair)
                for pair in ((near, far), (far, near))
            ]
            self._threads += both
            for thread in both:
                thread.start()
            threads = threading.Thread(target=self._finish, args=(near, far, both))
            self._threads.append(threads)
            threads.start()

    def _finish(
        self, near: socket.socket, far: socket.socket, both: list[threading.Thread]
    ) -> None:
        for thread in both:
            thread.join()
        self._open -= {near, far}
        near.close()
        far.close()

    @staticmethod
    def _pass_on(source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
        for each in (source, to):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
