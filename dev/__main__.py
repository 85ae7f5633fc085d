"""The commands: `python3 -m dev help`."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit("Casefile needs Python 3.11 or newer. If you have one: make PYTHON=python3.12 start")

import argparse
import os
from collections.abc import Sequence

from dev import aws, checks, environments, invoke, local_cloud, start
from dev.console import Problem, say

HELP = """\
Casefile, for developers. Each command is also a make target.

  start           run all of Casefile on this machine, until Ctrl-C     make start PORT=4600
  stop            stop it from another terminal                         make stop
  token           print a token for a user (made if need be)            make token EMAIL=a@b.example
  invoke          run one function on an event of its tests  make invoke OPERATION=create_session
  test            check style and types, run the tests                  make test ARGS="-k close"
  test-client     of these, what concerns the Python client             make test-client
  bench           measure beside what people use today                  make bench ARGS=--quick
  bench-check     hold calls and units against those of before          make bench-check
  openapi         write openapi.json anew, after a change of the API    make openapi
  client          write the client's synchronous half anew              make client
  docs            make the site of the documentation                    make docs
  deploy          deploy to your AWS account                            make deploy
  check-template  check template.yaml and build it, without an account  make check-template
                  (as deploy, it takes the Python that functions run on: 3.13)

They install what they need into .venv and .local; deleting these two folders undoes it all.
"""


def main(arguments: Sequence[str]) -> None:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command in {"start", "token", "stop", "invoke"}:
        _run_locally(command, rest)
    elif command == "test":
        checks.test(rest)
    elif command == "test-client":
        checks.test_client(rest)
    elif command == "client":
        checks.write_client()
    elif command == "docs":
        checks.make_site()
    elif command == "bench":
        checks.bench(rest)
    elif command == "bench-check":
        checks.bench_check()
    elif command == "openapi":
        checks.write_openapi()
    elif command == "deploy":
        aws.deploy(rest)
    elif command == "check-template":
        aws.check_template()
    elif command in {"help", "--help", "-h"}:
        print(HELP, end="")
    else:
        raise Problem(f"There is no command {command!r}.\n\n{HELP}")


def _run_locally(command: str, arguments: Sequence[str]) -> None:
    options = argparse.ArgumentParser(prog=f"python3 -m dev {command}")
    if command == "start":
        options.add_argument("--port", type=_port, default=local_cloud.DEFAULT_PORT)
    if command == "token":
        options.add_argument("--email", default=start.DEFAULT_EMAIL)
    if command == "invoke":
        options.add_argument("operation", help="a folder in functions/")
        options.add_argument("--event", help="api, direct, sqs, …, or a JSON file")
    chosen = options.parse_args(arguments)
    running = local_cloud.running()
    if command == "stop":
        start.stop()
    elif command == "start":
        if running is not None:
            raise Problem(
                f"Casefile is running already, on port {running['port']}. "
                "For a token: make token. To stop it: make stop"
            )
        _continue_in_cloud_environment(command, arguments)
        start.start(chosen.port)
    else:
        if running is None:
            raise Problem("Nothing is running. In another terminal: make start")
        if command == "invoke":
            event = invoke.read_event(chosen.operation, chosen.event)
            _continue_in_cloud_environment(command, arguments)
            invoke.invoke(chosen.operation, event, running["port"])
        else:
            _continue_in_cloud_environment(command, arguments)
            print(start.token(chosen.email, running["port"]))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port; choose one from 1024 to 65535")
    return int(text)


def _continue_in_cloud_environment(command: str, arguments: Sequence[str]) -> None:
    """Replace this process by the same command under an interpreter that has boto3."""
    if sys.prefix == str(environments.CLOUD.folder):
        return
    python = str(environments.prepare(environments.CLOUD))
    os.execv(python, [python, "-m", "dev", command, *arguments])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(130)
