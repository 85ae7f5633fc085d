"""One process at work on one store, in the store's own environment; it prints what it saw.

It does one task or, with a + between them, one after the other:

prepare                          make the store's tables
new                              open a session
grow UP_TO [SECONDS]             append one message after another, and count or time each
fill UP_TO                       open a session with so many
once SESSION [random]            append one message, as an instance that has just started
again                            append one message twice, as a client that lost the answer
large                            append a message of 500 KB, and read it
list SESSIONS                    open so many sessions, and read a page of them
write SESSION WRITER APPENDS REPEATS CLOSES    be one of those who race on a session
read SESSION                     all contents, and those on all its branches if it can have some
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

from benchmarks import messages, meter
from benchmarks.stores import Refused, Store, TryAgain, table

POINTS = (10, 100, 1000, 5000)
"""After how many messages the newest are read."""

NEWEST = 20

LOOKS = 5
"""At the newest, at each point: one alone may have to get ready what the next ones find."""

LARGE = 500 * 1024


ALL_REACH = 100
"""Messages to which a session is grown however long that takes."""

Look: TypeAlias = "Callable[[Callable[[], object]], dict[str, Any]]"

_answers = sys.stdout


def say(told: object) -> None:
    """Print an answer."""
    _answers.write(json.dumps(told) + "\n")
    _answers.flush()


def new_request(chance: random.Random, *, is_random: bool = False) -> tuple[str, str]:
    """A request's id, a UUIDv7 unless it is to be random, and the time at which it was made."""
    made_at = datetime.now(UTC)
    if is_random:
        return str(UUID(int=chance.getrandbits(128), version=4)), made_at.isoformat()
    time = int(made_at.timestamp() * 1000) << 80
    return str(UUID(int=time | 7 << 76 | 2 << 62 | chance.getrandbits(62))), made_at.isoformat()


def grow(module: Any, up_to: int, seconds: float) -> None:
    """Append up to so many messages; a line for each, and for each look at the newest."""
    session = module.new_session()
    chance = random.Random(session)
    store = module.open_store(session)
    look = _look()
    deadline = time.monotonic() + seconds
    for number, content in enumerate(messages.contents(up_to), 1):
        try:
            say({"append": number, **_append(look, store, *new_request(chance), content)})
        except Exception as error:  # Whatever it is, it is how this store ends.
            return say({"ended": number, "why": f"{type(error).__name__}: {error}"[:300]})
        if number in POINTS:
            for _ in range(LOOKS):
                say({"newest": number, **look(partial(store.newest, NEWEST))})
        if number >= ALL_REACH and time.monotonic() > deadline:
            return say({"stopped": number})
    return None


def _append(look: Look, store: Any, *request: str) -> dict[str, Any]:
    """What an append costs; where a store is sent events, from an event to its answer."""
    if not hasattr(store, "asking"):
        return look(partial(store.append, *request))
    ask, answers = store.asking(*request), []
    seen = look(lambda: answers.append(ask()))
    store.place(*answers)
    return seen


def fill(module: Any, up_to: int) -> None:
    """Open a session with so many messages, and tell which it is."""
    session = module.new_session()
    store = module.open_store(session)
    chance = random.Random(session)
    for number, content in enumerate(messages.contents(up_to), 1):
        try:
            store.append(*new_request(chance), content)
        except Exception as error:
            return say({"ended": number, "why": f"{type(error).__name__}: {error}"[:300]})
    return say({"filled": session})


def once(module: Any, session: str, *, is_random: bool) -> None:
    """Append one message from an instance that knows nothing yet."""
    request = new_request(random.Random(), is_random=is_random)
    look = _look()
    say(look(lambda: module.open_store(session).append(*request, messages.contents(1)[0])))


def again(module: Any) -> None:
    """Append a message, and again from another instance, as clients do that lost the answer."""
    session = module.new_session()
    request = new_request(random.Random(session))
    content = messages.contents(1)[0]
    module.open_store(session).append(*request, content)
    store, look = module.open_store(session), _look()
    try:
        seen: dict[str, Any] = look(lambda: store.append(*request, content))
    except Exception as error:
        seen = {"refused": f"{type(error).__name__}: {error}"[:300]}
    say({"copies": list(module.open_store(session).read()).count(content), **seen})


def large(module: Any) -> None:
    """Append a message larger than an item can be."""
    session = module.new_session()
    content = messages.text(LARGE)
    request = new_request(random.Random(session))
    look = _look()
    store = module.open_store(session)
    try:
        written = look(lambda: store.append(*request, content))
        seen: list[str] = []
        read = look(lambda: seen.extend(module.open_store(session).newest(NEWEST)))
    except Exception as error:
        return say({"refused": f"{type(error).__name__}: {error}"[:300]})
    return say({"is_whole": seen[-1:] == [content], "written": written, "read": read})


def list_sessions(module: Any, count: int) -> None:
    """Open sessions, and read a page of the newest, where a store has such a list."""
    if not hasattr(module, "newest_sessions"):
        return say(None)
    look = _look()
    opened: list[str] = []
    created = look(lambda: opened.extend(module.new_session() for _ in range(count)))
    module.newest_sessions(NEWEST)  # Whatever is needed once is there now.
    seen: list[str] = []
    page = look(lambda: seen.extend(module.newest_sessions(NEWEST)))
    known = len(set(opened) & set(seen))
    return say({"created": created, "page": page, "sessions": count, "seen": known})


def _look() -> Look:
    """What a piece of work costs: by the meter if there is one, else in time beside a bare put."""
    endpoint = os.environ.get("BENCH_METER")
    if endpoint:
        return lambda work: _counted(endpoint, work)
    return _timed()


def _counted(endpoint: str, work: Callable[[], object]) -> dict[str, Any]:
    before = meter.read(endpoint)
    work()
    return asdict(meter.read(endpoint).since(before))


def _timed() -> Look:
    """Time and processor time; and after every other, those of one bare PutItem of 1 KB."""
    import boto3

    client = boto3.client("dynamodb")
    item = {"pk": {"S": str(os.getpid())}, "sk": {"S": "yardstick"}, "body": {"S": "x" * 990}}

    turns = itertools.cycle((True, False))

    def look(work: Callable[[], object]) -> dict[str, Any]:
        seconds, cpu = _clocked(work)
        seen = {"seconds": seconds, "cpu": cpu}
        if next(turns):
            bare, bare_cpu = _clocked(
                lambda: client.put_item(TableName=table("yardstick"), Item=item)
            )
            seen |= {"bare": bare, "bare_cpu": bare_cpu}
        return seen

    look(lambda: None)
    return look


def _clocked(work: Callable[[], object]) -> tuple[float, float]:
    cpu, at = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - at, time.process_time() - cpu


def write(
    module: Any, session: str, writer: int, appends: int, repeats: float, closes: bool
) -> None:
    """Be one of those who race; each line that is printed is one answer."""
    store = module.open_store(session)
    chance = random.Random(writer)
    sent: list[tuple[str, str, str]] = []
    for number in range(appends):
        if closes and number == appends // 2:
            module.close(session, *new_request(chance))
        sent.append((*new_request(chance), f"{writer}/{number}"))
        say(_send(store, sent[-1]))
        if chance.random() < repeats:
            say(_send(store, chance.choice(sent[-20:])))


def _send(store: Store, request: tuple[str, str, str]) -> dict[str, Any]:
    content = request[2]
    why = ""
    for _ in range(5):
        try:
            return {"content": content, "place": store.append(*request)}
        except Refused:
            return {"refused": content}
        except TryAgain as error:  # As clients do, with the same request.
            why = str(error)
    return {"gave_up": content, "why": why}


def main(name: str, *arguments: str) -> None:
    """Do tasks on a store."""
    module = importlib.import_module(f"benchmarks.stores.{name}")
    for is_between, task in itertools.groupby(arguments, "+".__eq__):
        if not is_between:
            do(module, *task)


def do(module: Any, task: str, *arguments: str) -> None:
    """Do one task."""
    match task, arguments:
        case "prepare", []:
            module.prepare()
        case "new", []:
            say(module.new_session())
        case "read", [session]:
            store = module.open_store(session)
            say(list(store.read()))
            say(sorted(store.on_branches()) if hasattr(store, "on_branches") else [])
        case "grow", [up_to, *limit]:
            grow(module, int(up_to), float(limit[0]) if limit else 3600)
        case "fill", [up_to]:
            fill(module, int(up_to))
        case "once", [session, *more]:
            once(module, session, is_random=more == ["random"])
        case "again", []:
            again(module)
        case "large", []:
            large(module)
        case "list", [count]:
            list_sessions(module, int(count))
        case "write", [session, writer, appends, repeats, closes]:
            write(module, session, int(writer), int(appends), float(repeats), closes == "True")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    sys.stdout = sys.stderr  # Of what stores print, their log lines for one, nothing is an answer.
    main(*sys.argv[1:])
