"""Ten thousand open sessions, a run over them that is killed half-way, and what it all costs."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeAlias

import boto3
import pytest

from benchmarks.meter import Meter
from casefile import dynamodb, lists, records, session_log, sessions
from casefile.dynamodb import Item
from pydantic_models.base.times import now
from tests.conftest import Context, load

IDLE = 1_000
BUSY = 200
"""Active by their logs alone."""
SHOWN = 8_800
"""Active by their heads."""

HOURS = 24

Logs: TypeAlias = "dict[str, list[tuple[str, str]]]"


pytestmark = pytest.mark.xdist_group("idle sessions")  # They are made once.


class Killed(BaseException):
    """The function's process ended where it stood."""


def do(name: str, **payload: Any) -> Any:
    envelope = {"user_id": "ann@example.com", "operation": name, "payload": payload}
    return load(name)(envelope, Context())["payload"]


def run() -> dict[str, Any]:
    handler: Any = load("close_idle_sessions")
    done: dict[str, Any] = handler({"idle_hours": HOURS}, Context(seconds=900))
    return done


def items(session_id: str) -> list[Item]:
    """All that is stored of a session."""
    pages = dynamodb.query(
        "pk = :pk",
        {":pk": sessions.partition(session_id)},
    )
    return [item for page, _ in pages for item in page]


def copies(stored: list[Item], word: str, number: int) -> Iterator[Item]:
    """A session's items many times over, each created a second after the one before."""
    for count in range(number):
        session_id = f"{stored[0]['pk'][8:-6]}{word}{count:05}"
        for item in stored:
            copy = item | {"pk": sessions.partition(session_id)}
            if item["sk"] == sessions.HEAD:
                created = item["created_at"] + 1000 * count
                copy["creation"] = lists.sort_key(created, session_id)
                copy["activity"] = lists.sort_key(item["updated_at"], session_id)
                copy |= lists.at_stage("open", created, session_id)
            yield copy


def spent(meter: Meter) -> dict[str, float]:
    """The units by the names of the calls that cost them."""
    units: dict[str, float] = {}
    for name, cost in meter.costs:
        units[name] = units.get(name, 0) + cost
    return units


def logs() -> Logs:
    """Sessions to their records, slot and kind, and whether their heads show them as active."""
    found: Logs = {}
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=dynamodb.table())
    for page in pages:
        for item in map(dynamodb.from_attributes, page["Items"]):
            if item["pk"].startswith("SESSION#"):
                told = str(item["active"]) if item["sk"] == sessions.HEAD else item["kind"]
                found.setdefault(item["pk"][8:], []).append((item["sk"], told))
    return {session_id: sorted(told) for session_id, told in found.items()}


@pytest.fixture(scope="module")
def before(meter: Meter) -> Logs:
    """Sessions of two days ago, of which some were active just now; their logs."""
    with pytest.MonkeyPatch.context() as long_ago:
        for module in (sessions, session_log):
            long_ago.setattr(module, "now", lambda: now() - timedelta(days=2))
        session_id = do("create_chat_session", title="Flights to Lisbon")["session_id"]
        do("chat", session_id=session_id, message="Where to?")
    dynamodb.put_many([*copies(items(session_id), "idle", IDLE)])
    do("chat", session_id=session_id, message="Lisbon.")
    dynamodb.put_many([*copies(items(session_id), "busy", BUSY)])
    sessions.refresh(session_id, records.query(session_id, 2, strong=True)[1][0])
    head = items(session_id)[-1:]  # Whose log is not looked at needs none.
    dynamodb.put_many([*copies(head, "shown", SHOWN - 1)])
    return logs()


def run_and_be_killed() -> None:
    """Run, and be killed half-way between a closing and the head that is to show it."""
    heads, update = iter(range(IDLE // 2)), dynamodb.update

    def kill(*arguments: Any, **more: Any) -> Item:
        if next(heads, None) is None:
            raise Killed
        return update(*arguments, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dynamodb, "update", kill)
        with pytest.raises(Killed):
            run()
    session_log._memories.clear()


def test_ten_thousand_are_gone_round_once_though_a_run_is_killed_half_way(
    meter: Meter, before: Logs
) -> None:
    assert len(before) == IDLE + BUSY + SHOWN == 10_000
    idle = {session_id for session_id in before if session_id[-9:-5] == "idle"}
    untold, told = ("000000000002", "closed"), ("HEAD", "False")

    run_and_be_killed()
    left = logs()
    assert Counter(tuple(left[session_id][1:]) for session_id in idle) == {
        (untold, told): IDLE // 2,
        (untold, ("HEAD", "True")): 1,
        (("HEAD", "True"),): IDLE // 2 - 1,
    }

    meter.calls.clear()
    done = run()
    assert done["is_complete"]
    assert (done["done"], done["failed"]) == (IDLE // 2 - 1, 0)
    after = logs()
    for session_id, records_before in before.items():
        if session_id in idle:
            assert after[session_id] == [*records_before[:-1], untold, told]
        else:
            assert after[session_id] == records_before
    units = spent(meter)
    # One to close, seven to show it in lists; and the places that were noted.
    assert units["UpdateItem"] == 7 * IDLE // 2
    assert units["PutItem"] - done["done"] <= done["seen"] / 100 + lists.STAGE_SHARDS
    # A half for each head, another for each log, and the index.
    assert units["BatchGetItem"] <= done["seen"] / 2
    assert units["Query"] <= (IDLE // 2 + BUSY) / 2 + done["seen"] / 50


def test_who_is_active_costs_next_to_nothing(meter: Meter, before: Logs) -> None:
    meter.calls.clear()
    assert run() == {"seen": BUSY + SHOWN, "done": 0, "failed": 0, "is_complete": True}
    assert meter.names.count("Query") - BUSY <= (BUSY + SHOWN) / 100 + 2 * lists.STAGE_SHARDS
    assert meter.units <= (BUSY + SHOWN) * 0.6


def test_where_nobody_is_open_it_costs_a_handful_of_units(meter: Meter, before: Logs) -> None:
    meter.calls.clear()
    handler: Any = load("close_idle_sessions")
    assert handler({"idle_hours": 24 * 365}, Context())["seen"] == 0
    assert set(meter.names) == {"GetItem", "Query"}
    assert meter.units <= 1 + 0.5 * (lists.STAGE_SHARDS + 1)  # One shard may come in two parts.
