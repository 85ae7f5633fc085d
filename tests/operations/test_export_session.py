"""An export can be verified offline, and names the first record that doesn't hold."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from casefile import reading
from casefile.errors import NotFound
from pydantic_models.export import BrokenExport, Verified, verify
from tests.conftest import Invoke

FIELDS = {"number", "kind", "request_id", "at", "content", "totals", "completes", "seal"}


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    session_id = str(invoke("create_session")["payload"]["session_id"])
    for number in range(4):
        invoke("tool_execution", {"session_id": session_id, "tool_name": f"tool {number} é\n"})
    return session_id


def export(invoke: Invoke, session_id: str) -> list[str]:
    """All lines, in as many parts as it takes."""
    lines: list[str] = []
    after: int | None = 0
    while after is not None:
        asked = {"session_id": session_id, "after": after}
        part = invoke("export_session", asked)["payload"]
        lines += part["lines"].splitlines()
        after = part["next_after"]
    return lines


def test_an_open_session_holds(invoke: Invoke, session_id: str) -> None:
    verified = verify(export(invoke, session_id))
    assert (verified.session_id, verified.records, verified.is_closed) == (session_id, 4, False)


def test_a_closed_session_holds_against_its_seal(invoke: Invoke, session_id: str) -> None:
    closed = invoke("close_session", {"session_id": session_id, "force": True})
    seal = closed["metadata"]["seal"]
    assert invoke("get_session", {"session_id": session_id})["payload"]["seal"] == seal
    lines = export(invoke, session_id)
    assert verify(lines, seal) == Verified(session_id, 5, True, seal, {})
    assert all(set(json.loads(line)) == FIELDS for line in lines[1:])
    with pytest.raises(BrokenExport, match="record 4: the export ends with seal"):
        verify(lines[:-1], seal)


def test_a_long_one_comes_in_parts(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = export(invoke, session_id)
    monkeypatch.setattr(reading, "MAX_PAGE_CHARACTERS", 1)
    parts = invoke("export_session", {"session_id": session_id})["payload"]
    assert (len(parts["lines"].splitlines()), parts["next_after"]) == (2, 1)
    assert export(invoke, session_id) == whole


def changed(line: str, **change: Any) -> str:
    return json.dumps(json.loads(line) | change)


@pytest.mark.parametrize(
    ("tamper", "number"),
    [
        (lambda lines: [changed(lines[0], user_id="eve@example.com"), *lines[1:]], 1),
        (lambda lines: [changed(lines[0], format="other"), *lines[1:]], 0),
        (lambda lines: ["{", *lines[1:]], 0),
        (lambda lines: [], 0),
        (lambda lines: [*lines[:2], changed(lines[2], content="{}"), *lines[3:]], 2),
        (lambda lines: [*lines[:2], changed(lines[2], at=1), *lines[3:]], 2),
        (lambda lines: [*lines[:2], changed(lines[2], kind="chat"), *lines[3:]], 2),
        (lambda lines: [*lines[:2], changed(lines[2], completes=[1]), *lines[3:]], 2),
        (lambda lines: [*lines[:2], changed(lines[2], seal="00" * 32), *lines[3:]], 2),
        (lambda lines: [*lines[:2], changed(lines[2], seal="no"), *lines[3:]], 2),
        (lambda lines: [*lines[:2], *lines[3:]], 2),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 2),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 3),
        (lambda lines: [*lines[:3], "nonsense", *lines[3:]], 3),
        (lambda lines: [*lines, lines[-1]], 6),
    ],
)
def test_whatever_is_tampered_with_is_named(
    invoke: Invoke, session_id: str, tamper: Callable[[list[str]], list[str]], number: int
) -> None:
    invoke("close_session", {"session_id": session_id, "force": True})
    with pytest.raises(BrokenExport) as broken:
        verify(tamper(export(invoke, session_id)))
    assert broken.value.number == number


def test_only_its_owner_may_export_it(invoke: Invoke, session_id: str) -> None:
    with pytest.raises(NotFound):
        invoke("export_session", {"session_id": session_id}, user="bob@example.com")
    with pytest.raises(NotFound):
        invoke("export_session", {"session_id": "ts_261121_none"})
