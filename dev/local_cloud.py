"""The local cloud: ministack, an AWS in one process, as a child of ours.

It sees nothing of the user's environment and AWS settings, listens on 127.0.0.1 only, and
evaluates IAM, so that each function has the rights of its own role and no more. It keeps its state
in memory and saves it when it is stopped; so it is always stopped with SIGTERM and waited for. If
we are killed instead, it lives on, and the next start stops it properly: nothing is lost.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from dev import environments, held_file
from dev.console import Problem

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
DEFAULT_STATE = environments.LOCAL / "cloud"
REGION = "us-east-1"
_SECONDS_TO_START = 60
_SECONDS_TO_SAVE = 120
# Of a queue, as the whole of a JSON string, or as the end of one: ministack writes keys in quotes.
_ADDRESS = re.compile(
    rf"""(?P<before>"|\\u0000')http://{re.escape(HOST)}:\d+(?P<after>/\d{{12}}/[\w.-]+'?")"""
)


class LocalCloud:
    """Runs while the `with` block runs; `stop` and `start` within it keep the data."""

    def __init__(self, state: Path = DEFAULT_STATE, port: int = DEFAULT_PORT) -> None:
        self.state = state.resolve()
        self.port = port
        self.log = self.state / "cloud.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._owned: int | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def _scratch(self) -> Path:
        """What functions unpack; nothing in it outlives a run."""
        return self.state / "tmp"

    def client(self, service: str) -> Any:
        return client(self.endpoint, service)

    def __enter__(self) -> LocalCloud:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        python = environments.prepare(environments.CLOUD)
        self._owned = held_file.hold(_owner(self.state))
        if self._owned is None:
            raise Problem(f"A local cloud is already running with its data in {self.state}.")
        try:
            held_file.write(self._owned, pid=os.getpid(), port=self.port)
            _end_orphan(self.state)
            _refuse_taken_port(self.port)
            self._refuse_damaged_state()
            self._read_streams_anew()
            self._move_queues()
            self._launch(python)
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End ministack and wait until it has saved everything.

        Others may use the data from then on; deleting what the functions unpacked takes longer.
        """
        left = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_SECONDS_TO_SAVE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            _end_workers(self._process.pid)
            left = _put_aside(self._scratch)
            self._process = None
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None
        if left is not None:
            shutil.rmtree(left, ignore_errors=True)

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _kept(self) -> Path:
        """Where ministack saves its state, a file for each service."""
        return self.state / "state"

    def _refuse_damaged_state(self) -> None:
        """ministack goes on without a file that it can't read, and saves over it when it stops."""
        for file in sorted(self._kept.glob("*.json")):
            try:
                json.loads(file.read_bytes())["payload"]
            except (ValueError, LookupError, TypeError) as error:
                raise Problem(
                    f"{file} is damaged ({error!r}). Nothing was started, and nothing was changed. "
                    f"Put a copy of {self.state} in its place, if you have one; or move it away, "
                    "to begin with nothing."
                ) from error

    def _read_streams_anew(self) -> None:
        """Forget how far streams were read: ministack keeps that, but not what was in them.

        So it would pass over as much of what is written after its start as was written before.
        """
        kept = self._kept / "lambda.json"
        if kept.exists():
            state = json.loads(kept.read_text())
            if state["payload"].pop("dynamodb_stream_positions", None) is not None:
                _replace(kept, json.dumps(state))

    def _move_queues(self) -> None:
        """Name queues by the port that is to be: ministack looks for them there alone.

        What merely speaks of such an address, a message say, stays as it is.
        """
        for kept in (self._kept / "sqs.json", self._kept / "cloudformation.json"):
            if kept.exists():
                text = kept.read_text()
                moved = _ADDRESS.sub(rf"\g<before>{self.endpoint}\g<after>", text)
                if moved != text:
                    _replace(kept, moved)

    def _launch(self, python: Path) -> None:
        scratch = self._scratch
        _discard(scratch)
        scratch.mkdir(parents=True)
        held = held_file.hold(_cloud(self.state))
        if held is None:
            raise Problem(f"Another local cloud is using {self.state}.")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(python), "-m", "ministack"],
                cwd=scratch,
                env=self._variables(python, scratch),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we stop it in order
                pass_fds=(held,),
            )
        held_file.write(held, pid=self._process.pid)
        os.close(held)

    def _variables(self, python: Path, scratch: Path) -> dict[str, str]:
        """Its whole environment. Functions inherit it, so nothing of the user's may be in it."""
        return {
            "PATH": f"{python.parent}:/usr/bin:/bin",
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "NO_PROXY": "*",
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._kept),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.state / "s3"),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not _is_healthy(self.endpoint):
            if not self.is_alive() or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace").strip().splitlines()[-15:]
                raise Problem(
                    "\n".join([*tail, "", f"The local cloud did not start ({self.log})."])
                )
            time.sleep(0.05)


ROOT_CREDENTIALS = {"AccessKeyId": "test", "SecretAccessKey": "test"}


def client(endpoint: str, service: str, credentials: dict[str, Any] = ROOT_CREDENTIALS) -> Any:
    """A boto3 client for the local cloud that reads none of the user's AWS settings.

    `credentials` are as STS gives them; without any, it is the account's root.
    """
    from botocore.config import Config

    return _session().client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
        region_name=REGION,
        endpoint_url=endpoint,
        config=Config(proxies={}),
    )


@functools.cache
def _session() -> Any:
    """What boto3 knows of AWS, which takes longer to read than a client to make."""
    import boto3
    import botocore.session

    nothing = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=nothing))


def running(state: Path = DEFAULT_STATE) -> dict[str, Any] | None:
    """The `pid` of the process that runs the local cloud with this state, and its `port`."""
    return held_file.read(_owner(state))


def is_running() -> bool:
    return held_file.is_held(_owner(DEFAULT_STATE)) or held_file.is_held(_cloud(DEFAULT_STATE))


def stop_running() -> None:
    """Stop what runs, whichever process started it."""
    if (found := running()) is not None:
        _end(found["pid"], _owner(DEFAULT_STATE))
    _end_orphan(DEFAULT_STATE)


def _end_orphan(state: Path) -> None:
    """Stop a ministack whose own parent was killed. It saves its state as ever."""
    if (orphan := held_file.read(_cloud(state))) is not None:
        _end(orphan["pid"], _cloud(state))
        _end_workers(orphan["pid"])


def free_port() -> int:
    """One that nobody uses, and that the system gives to no connection before it is used."""
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def _owner(state: Path) -> Path:
    return state / "owner.pid"


def _cloud(state: Path) -> Path:
    return state / "cloud.pid"


def _end(pid: int, held: Path) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not held_file.wait_until_free(held, _SECONDS_TO_SAVE):
        raise Problem(f"Process {pid} has not stopped; try again in a moment, or end it by hand.")


def _end_workers(group: int) -> None:
    """End the functions' processes, which outlive ministack for a while; they hold no state."""
    deadline = time.monotonic() + _SECONDS_TO_START
    with contextlib.suppress(ProcessLookupError, PermissionError):  # until none is left
        while time.monotonic() < deadline:
            os.killpg(group, signal.SIGKILL)
            time.sleep(0.05)


def _replace(file: Path, text: str) -> None:
    """All of it or nothing, whatever ends us in between."""
    changed = file.with_suffix(".changed")
    changed.write_text(text)
    changed.replace(file)


def _put_aside(folder: Path) -> Path:
    """Get a folder out of the way, if it is there: deleting what is in it may take a while."""
    aside = folder.with_name(f"{folder.name}.{uuid4().hex}")
    if folder.exists():
        folder.rename(aside)
    return aside


def _discard(folder: Path) -> None:
    """Get a folder out of the way, and delete it and what was left of others; nobody waits."""
    _put_aside(folder)
    for left in folder.parent.glob(f"{folder.name}.*"):
        threading.Thread(target=shutil.rmtree, args=(left, True), daemon=True).start()


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        taken = probe.connect_ex((HOST, port)) == 0
    if taken:
        raise Problem(
            f"Port {port} is in use by another program. Choose another: make start PORT={port + 1}"
        )


def _is_healthy(endpoint: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{endpoint}/_ministack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
