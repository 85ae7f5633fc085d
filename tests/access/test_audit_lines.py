"""Each change of access, and of a legal hold, is logged, whatever fails while it is made.

A line may come twice, and never for what was not done. Each change is made once for each write
that it takes, and fails when that has taken effect; then the clock goes on, and the request is sent
again. A call that reads, or fails before it took effect, leaves what the write before it left;
those, too, fail where all that writes is tried (tests/unit/test_faults.py).
"""

import contextlib
import json
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from casefile import erasure
from casefile.errors import Unavailable
from pydantic_models.base.times import now
from tests.conftest import Context, Invoke, Lines, forget, load, restore, stored
from tests.unit.test_faults import Faults, Killed, audit_lines

ANN, BOB, EVE, CARL = "ann@example.com", "bob@example.com", "eve@example.com", "carl@example.com"
UNTIL = "2100-01-01T00:00:00.000+00:00"
REQUEST_ID = "6f1f7a1e-43f5-4d0e-8f5b-0d2b0f6f1c11"


class Change(NamedTuple):
    """A request, and the lines that tell of what it changes, less what they have in common."""

    operation: str
    asked: dict[str, Any]
    user: str
    told: list[dict[str, Any]]


def access(target: str, before: str, after: str, **more: Any) -> dict[str, Any]:
    levels = {"target_user_id": target, "before": before, "after": after}
    return {"message": "access changed", "expires_at": None, **levels, **more}


def ended(user: str, level: str, why: str = "casefile deleted") -> dict[str, Any]:
    return access(user, level, "none", why=why)


def by(user: str, line: dict[str, Any]) -> dict[str, Any]:
    return line | {"user_id": user, "request_id": REQUEST_ID}


def held(is_held: bool) -> dict[str, Any]:
    return by(BOB, {"message": "legal hold changed", "is_held": is_held})


def grant(target: str, level: str, before: str, **more: Any) -> Change:
    asked = {"target_user_id": target, "permission": level, **more}
    told = by(ANN, access(target, before, level, **more))
    return Change("grant_permission", asked, ANN, [told])


def erasing(user: str, *told: dict[str, Any]) -> Change:
    return Change("erase_user", {"user_id": user, "confirm": True}, user, [*told])


GONE = [ended(ANN, "owner"), ended(BOB, "admin"), ended(EVE, "editor")]
LEFT = by(EVE, access(EVE, "editor", "none"))
HANDED_OVER = by(ANN, access(ANN, "owner", "admin"))

CHANGES = {
    "a grant": grant(CARL, "viewer", "none", expires_at=UNTIL),
    "more than before": grant(EVE, "admin", "editor"),
    "a grant to everybody": grant("*", "viewer", "none"),
    "a hand-over": grant(BOB, "owner", "admin")._replace(
        told=[by(ANN, access(BOB, "admin", "owner")), HANDED_OVER]
    ),
    "a revocation": Change(
        "revoke_permission", {"target_user_id": EVE}, BOB, [by(BOB, access(EVE, "editor", "none"))]
    ),
    "leaving": Change("revoke_permission", {"target_user_id": EVE}, EVE, [LEFT]),
    "a hold": Change("set_legal_hold", {"hold": True}, BOB, [held(True)]),
    "a hold that is there": Change("set_legal_hold", {"hold": True}, BOB, []),
    "a hold lifted": Change("set_legal_hold", {"hold": False}, BOB, [held(False)]),
    "a deletion": Change("delete_casefile", {"confirm": True}, ANN, GONE),
    "a deletion of sessions, too": Change(
        "delete_casefile", {"confirm": True, "delete_sessions": True}, ANN, GONE
    ),
    "an erasure": erasing(EVE, ended(EVE, "editor", "user erased")),
    "an erasure amid its deletion": erasing(EVE, *GONE),
}


def prepare(invoke: Invoke, name: str) -> dict[str, Any]:
    """A casefile of Ann's, shared, with a session in it, as it is before a change."""
    made = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    casefile = {"casefile_id": str(made)}
    for user, level in ((BOB, "admin"), (EVE, "editor")):
        invoke("grant_permission", casefile | {"target_user_id": user, "permission": level})
    invoke("create_session", casefile)
    if name in ("a hold that is there", "a hold lifted"):
        invoke("set_legal_hold", casefile | {"hold": True})
    if name == "an erasure amid its deletion":
        interrupt_deletion(invoke, casefile)
    return casefile


def interrupt_deletion(invoke: Invoke, casefile: dict[str, Any]) -> None:
    """Once it has begun, and nobody may do anything with the casefile any more."""
    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(Killed):
        Faults(patched, 1, "and the function was killed", only_writes=True)
        invoke("delete_casefile", casefile | {"confirm": True})
    forget()


def finish() -> None:
    """What the clock does in the end about whatever was interrupted."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(erasure, "now", lambda: now() + timedelta(minutes=16))
        load("finish_deletions")({}, Context())


def texts(lines: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(line, sort_keys=True) for line in lines)


WAYS = ("and the function was killed", "and the SDK repeated it", "after it took effect")
IN_STEPS = ("delete_casefile", "erase_user")


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_fails_each_change_is_logged(invoke: Invoke, lines: Lines, name: str) -> None:
    change = CHANGES[name]
    casefile = prepare(invoke, name)
    payload = change.asked if change.operation == "erase_user" else casefile | change.asked
    asked = {"request_id": REQUEST_ID, "user_id": change.user, "payload": payload}
    expected, before = texts([line | casefile for line in change.told]), stored()
    handler: Any = load(change.operation)
    for way in WAYS[:1] if change.operation in IN_STEPS else WAYS:
        for number in range(1, 50):
            restore(before)
            lines()
            with pytest.MonkeyPatch.context() as patched:
                faults = Faults(patched, number, way, only_writes=True)
                with contextlib.suppress(Killed, Unavailable):
                    handler(asked, Context())
            if way == "and the function was killed":
                forget()
                finish()
            while handler(asked, Context())["status"] == "processing":
                pass
            if "amid" in name:
                finish()
            assert sorted(set(texts(audit_lines(lines())))) == expected, (number, way)
            if faults.calls < number:
                break
        assert faults.calls == number - 1 > 0


def test_what_had_expired_does_not_end_with_its_casefile(
    invoke: Invoke, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    casefile = prepare(invoke, "a deletion")
    granted = {"target_user_id": CARL, "permission": "viewer", "expires_at": UNTIL}
    invoke("grant_permission", casefile | granted)
    lines()
    later = now() + timedelta(days=365 * 80)
    monkeypatch.setattr("casefile.deletion.now", lambda: later)
    invoke("delete_casefile", casefile | {"confirm": True})
    assert texts(audit_lines(lines())) == texts([line | casefile for line in GONE])


def test_what_expires_after_its_casefile_went_ended_with_that(
    invoke: Invoke, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    casefile = prepare(invoke, "an erasure")
    granted = {"target_user_id": CARL, "permission": "viewer", "expires_at": UNTIL}
    invoke("grant_permission", casefile | granted)
    interrupt_deletion(invoke, casefile)
    lines()
    later = now() + timedelta(days=365 * 80)
    monkeypatch.setattr("casefile.grants.now", lambda: later)
    invoke("erase_user", {"user_id": CARL, "confirm": True}, user=CARL)
    assert audit_lines(lines()) == [ended(CARL, "viewer") | casefile]
