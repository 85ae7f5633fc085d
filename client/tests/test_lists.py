"""What comes in pages is read to its end, and nothing is missed on the way."""

import asyncio
import json
from typing import Any

import httpx
import pytest

import casefile
from casefile.cli import commands

from .conftest import Run

FOLDER = "cf_251013_lisbon"
AT = "2025-10-13T14:30:00.000+00:00"
GIVEN = {"granted_by": "ann@example.com", "granted_at": AT}


def answered(payload: dict[str, Any]) -> httpx.Response:
    told = {"request_id": "0" * 32, "status": "completed", "payload": payload}
    return httpx.Response(200, json=told)


def test_an_access_list_is_whole_however_many_pages_it_takes() -> None:
    pages = {None: (["adam", "bob"], "two"), "two": ([], "three"), "three": (["cat"], None)}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == f"/casefiles/{FOLDER}/permissions"
        names, cursor = pages[request.url.params.get("cursor")]
        entries = [
            {"user_id": f"{name}@example.com", "permission": "viewer", **GIVEN} for name in names
        ]
        total = {None: 3, "two": 3, "three": 4}[request.url.params.get("cursor")]
        return answered(
            {
                "casefile_id": FOLDER,
                "owner_id": "ann@example.com",
                "public_access": "none",
                "permissions": entries,
                "total_users": total,
                "total_is_exact": cursor is None,
                "cursor": cursor,
            }
        )

    transport = httpx.MockTransport(answer)
    one = casefile.Client("http://x.invalid", "token", http=httpx.Client(transport=transport))
    many = casefile.AsyncClient(
        "http://x.invalid", "token", http=httpx.AsyncClient(transport=transport)
    )
    told = one.casefile(FOLDER).permissions()
    assert told == asyncio.run(many.casefile(FOLDER).permissions())
    assert [each.user_id.partition("@")[0] for each in told.permissions] == ["adam", "bob", "cat"]
    assert (told.total_users, told.total_is_exact, told.cursor) == (4, True, None)


class Shelf:
    """A service with sessions in pages of two, of which the first is closed in the middle."""

    def __init__(self) -> None:
        self.created = [f"ts_251013_{number}" for number in range(6)]
        self.active = [*self.created]
        self.reads = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.reads += 1
        if self.reads == 2:
            self.active.append(self.active.pop(0))
        asked = request.url.params
        by_creation = asked.get("order") == "creation"
        order = (self.created if by_creation else self.active)[::-1]
        if "cursor" in asked and "offset" in asked:
            return httpx.Response(400, json={"error": "not both"})
        begin = order.index(asked["cursor"]) + 1 if "cursor" in asked else 0
        begin += int(asked.get("offset", 0))
        page = order[begin : begin + 2]
        lines = [
            {
                "session_id": each,
                "user_id": "a@b",
                "created_at": AT,
                "updated_at": AT,
                "active": True,
            }
            for each in page
        ]
        more = page[-1] if order[begin + 2 :] else None
        lies = {"total_count": 6, "total_is_exact": True, "offset": 0, "limit": 100}
        told = {"sessions": lines, "casefile_id": FOLDER, "cursor": more}
        return answered(told | lies)

    def client(self) -> casefile.Client:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        return casefile.Client("http://x.invalid", "token", http=http)


def test_a_session_that_is_closed_in_the_middle_of_a_walk_is_seen() -> None:
    shelf = Shelf()
    found = [each.session_id for each in shelf.client().tool_sessions.list(active_only=False)]
    assert found == shelf.created[::-1]
    shelf = Shelf()
    found = [each.session_id for each in shelf.client().casefile(FOLDER).sessions()]
    assert found == shelf.created[::-1]


def test_a_list_begins_where_it_is_asked_to() -> None:
    shelf = Shelf()
    expected = shelf.created[::-1]
    for begin, fields in ((3, {"offset": 3}), (2, {"cursor": expected[1]}), (0, {"offset": 0})):
        sessions = shelf.client().tool_sessions
        found = [each.session_id for each in sessions.list(active_only=False, **fields)]
        assert found == expected[begin:]
        found = [each.session_id for each in sessions.list(limit=2, **fields)]
        assert found == expected[begin : begin + 2]


def test_the_last_active_come_first_if_they_are_asked_for() -> None:
    shelf = Shelf()
    client = shelf.client()
    assert [each.session_id for each in client.tool_sessions.list(limit=2)] == shelf.created[:3:-1]
    first = next(client.tool_sessions.list(order="activity"))
    assert first.session_id == shelf.created[0]


def test_the_command_line_lists_each_session_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_client", Shelf().client)
    lines = run("list", "--all", "--limit", "500", "--json").out.splitlines()
    assert [json.loads(line)["session_id"] for line in lines] == Shelf().created[::-1]
    shelf = Shelf()
    shelf.reads = 1
    monkeypatch.setattr(commands, "_client", shelf.client)
    assert shelf.created[0] in run("list", "--order", "activity", "--limit", "1").out
