"""What comes in pages is read to its end."""

import asyncio
from typing import Any

import httpx

import casefile

FOLDER = "cf_251013_lisbon"
GIVEN = {"granted_by": "ann@example.com", "granted_at": "2025-10-13T14:30:00.000+00:00"}


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
