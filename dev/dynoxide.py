"""dynoxide: a DynamoDB in one process that counts units as AWS does; to measure, not to run on.

One binary from npm, for the machines that it is published for; npm is the machine's own, or else
comes from PyPI. It keeps everything in memory.
"""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from dev import node
from dev.console import Problem
from dev.local_cloud import HOST, free_port

VERSION = "1.2.1"
_MACHINES = {("linux", "x86_64"): "linux-x64"}
_SECONDS_TO_START = 20

NOT_HERE = "dynoxide, which counts units as AWS does, is published for Linux on x86-64 alone."


def prepare() -> Path | None:
    """Install it if need be; None where there is none."""
    machine = _MACHINES.get((sys.platform, platform.machine()))
    if machine is None:
        return None
    purpose = "a DynamoDB that counts units"
    return node.install(f"@dynoxide/{machine}", VERSION, purpose) / "dynoxide"


@contextlib.contextmanager
def running(binary: Path) -> Iterator[str]:
    """Its endpoint, while the `with` block runs."""
    port = free_port()
    process = subprocess.Popen(
        [str(binary), "serve", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        endpoint = f"http://{HOST}:{port}"
        _wait_until_it_answers(endpoint, process)
        yield endpoint
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(endpoint, timeout=1)
        except urllib.error.HTTPError:
            return  # It answers, though not to this.
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Problem("dynoxide did not start.")
