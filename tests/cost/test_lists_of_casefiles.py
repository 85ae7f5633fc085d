"""What lists of casefiles cost when they are long: of casefiles as they are, and of the largest."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.meter import Meter
from casefile import casefile_heads, dynamodb, grants, lists
from casefile.dynamodb import Item
from tests.conftest import Context, load

OWN = 2_000
SHARED = 300
LARGEST = 120

BAG = "\U0001f9f3"
"""A letter of four bytes."""

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
VAST, ZOE = "vast@example.com", "zoe@example.com"
"""The owner of the largest, and with whom these are shared; Ann's are with Bob and everybody."""

pytestmark = pytest.mark.xdist_group("long lists of casefiles")  # They are filled once.


def do(name: str, user: str, metadata: dict[str, Any] | None = None, **payload: Any) -> Any:
    envelope = {"user_id": user, "operation": name, "payload": payload}
    return load(name)(envelope | {"metadata": metadata or {}}, Context())["payload"]


def read(casefile_id: str, slot: str) -> Item:
    key = {"pk": casefile_heads.partition(casefile_id), "sk": slot}
    item = dynamodb.get(key)
    assert item is not None
    return item


def copies(casefile_id: str, number: int, shared: int, *granted: str) -> Iterator[Item]:
    """A head many times over, each a second after the one before, and grants in the first."""
    head = read(casefile_id, casefile_heads.HEAD)
    given = [read(casefile_id, grants.slot(user)) for user in granted]
    for count in range(number):
        copy, at = f"{casefile_id[:-6]}{count:06}", head["created_at"] + 1000 * count
        place, pk = lists.sort_key(at, copy), casefile_heads.partition(copy)
        times = {"created_at": at, "updated_at": at, "creation": place, "activity": place}
        yield head | times | {"pk": pk}
        for grant in given if count < shared else []:
            yield grant | {"pk": pk, "creation": place}


def share(casefile_id: str, owner: str, *users: str) -> None:
    for user in users:
        asked: dict[str, Any] = {"casefile_id": casefile_id, "target_user_id": user}
        do("grant_permission", owner, **asked, permission="viewer")


@pytest.fixture(scope="module", autouse=True)
def shared_id(meter: Meter) -> str:
    """The casefile of Ann's that is copied; it is in each list the last that was shared."""
    usual: dict[str, Any] = {"title": "Flights to Lisbon in the spring"}
    usual |= {"description": "Where, when " * 16}
    casefile_id: str = do("create_casefile", ANN, **usual)["casefile_id"]
    share(casefile_id, ANN, BOB, "*")
    dynamodb.put_many([*copies(casefile_id, OWN, SHARED, BOB, "*")])

    tags = [f"{number:02}{BAG * 98}" for number in range(50)]
    large: dict[str, Any] = {"title": BAG * 200, "description": BAG * 2000, "tags": tags}
    large_id: str = do("create_casefile", VAST, {"a": "x" * 15_900}, **large)["casefile_id"]
    do("update_casefile", VAST, casefile_id=large_id, notes=BAG * 5000)
    do("set_legal_hold", VAST, casefile_id=large_id, hold=True, reason=BAG * 2000)
    share(large_id, VAST, ZOE)
    dynamodb.put_many([*copies(large_id, LARGEST, LARGEST, ZOE)])

    do("list_casefiles", ANN)  # The key that cursors are signed with is known from now on.
    return casefile_id


@pytest.mark.parametrize(
    ("user", "scope", "calls", "units"),
    [
        (ANN, "own", ["Query"], 8.5),
        (VAST, "own", ["Query"] * 2, 253),
        (BOB, "shared", ["Query", "BatchGetItem"], 52.5),
        (EVE, "public", ["Query", "BatchGetItem"], 52.5),
        (ZOE, "shared", ["Query", "BatchGetItem"], 919),
    ],
)
def test_a_page_of_fifty_reads_the_casefiles_that_it_shows(
    meter: Meter, user: str, scope: str, calls: list[str], units: float
) -> None:
    cursor = None
    for _ in range(2):
        meter.calls.clear()
        page = do("list_casefiles", user, scope=scope, cursor=cursor)
        cursor = page["cursor"]
        assert (len(page["casefiles"]), cursor is None) == (50, False)
        assert meter.names == calls
        assert meter.units <= units


@pytest.mark.parametrize(
    ("user", "scope", "units"),
    [
        (ANN, "own", 84),
        (VAST, "own", 127),
        (BOB, "shared", 208),
        (EVE, "public", 208),
        (ZOE, "shared", 919),
    ],
)
@pytest.mark.parametrize("asked", [{"search_query": "nothing"}, {"tags": ["none"]}])
def test_a_filter_that_fits_nothing_reads_so_much_and_says_that_there_is_more(
    meter: Meter, user: str, scope: str, units: float, asked: dict[str, Any]
) -> None:
    meter.calls.clear()
    page = do("list_casefiles", user, scope=scope, **asked)
    assert page["casefiles"] == []
    assert page["cursor"] is not None
    assert 0.95 * units <= meter.units <= units


@pytest.mark.parametrize(("user", "scope"), [(ANN, "own"), (BOB, "shared"), (EVE, "public")])
def test_what_fits_is_found_by_going_on(
    meter: Meter, shared_id: str, user: str, scope: str
) -> None:
    do("update_casefile", ANN, casefile_id=shared_id, tags=["first"])
    asked: dict[str, Any] = {"scope": scope, "tags": ["first"], "order": "creation"}
    page, found = do("list_casefiles", user, **asked), []
    found += page["casefiles"]
    assert found == []
    while page["cursor"]:
        page = do("list_casefiles", user, **asked, cursor=page["cursor"])
        found += page["casefiles"]
    assert [each["casefile_id"] for each in found] == [shared_id]
    assert (page["total_count"], page["total_is_exact"]) == (1, True)


def test_an_offset_into_what_is_shared_is_bounded_too(meter: Meter, shared_id: str) -> None:
    asked: dict[str, Any] = {"scope": "shared", "limit": 10}
    meter.calls.clear()
    page = do("list_casefiles", BOB, **asked, offset=100)
    assert [each["casefile_id"] for each in page["casefiles"]] == ids(shared_id, SHARED - 100, 10)
    assert meter.names == ["Query", *["BatchGetItem"] * 2]
    meter.calls.clear()
    page = do("list_casefiles", BOB, **asked, offset=250)
    assert page["casefiles"] == []
    assert meter.units <= 205
    page = do("list_casefiles", BOB, **asked, cursor=page["cursor"])
    assert [each["casefile_id"] for each in page["casefiles"]] == ids(shared_id, SHARED - 250, 10)


def ids(casefile_id: str, below: int, many: int) -> list[str]:
    """Those of so many copies, the newest first."""
    return [f"{casefile_id[:-6]}{below - count:06}" for count in range(1, many + 1)]


def test_a_grant_is_looked_at_itself_if_one_was_taken_away_since(meter: Meter) -> None:
    kim, lee = "kim@example.com", "lee@example.com"
    for number in range(3):
        casefile_id = do("create_casefile", ANN, title=str(number))["casefile_id"]
        share(casefile_id, ANN, kim, lee)
    meter.calls.clear()
    do("list_casefiles", kim, scope="shared")
    assert meter.costs == [("Query", 0.5), ("BatchGetItem", 3)]
    do("revoke_permission", ANN, casefile_id=casefile_id, target_user_id=lee)
    meter.calls.clear()
    assert len(do("list_casefiles", kim, scope="shared")["casefiles"]) == 3
    assert meter.costs == [("Query", 0.5), ("BatchGetItem", 3), ("BatchGetItem", 1)]


def test_what_is_not_shown_is_made_up_for_and_no_more(meter: Meter, shared_id: str) -> None:
    """Among the first fifty grants, one has expired, and one is in a casefile that is gone."""
    max_ = "max@example.com"
    grant = read(shared_id, grants.slot(BOB)) | {"sk": grants.slot(max_)}
    grant |= {"owner_list": lists.name(grants.KIND, max_)}
    shared = ids(shared_id, 60, 60)
    shared[7] += "x"
    for count, casefile_id in enumerate(shared):
        pk, place = casefile_heads.partition(casefile_id), lists.sort_key(1000 - count, casefile_id)
        expired = {"expires_at": 1} if count == 8 else {}
        dynamodb.put_many([grant | {"pk": pk, "creation": place} | expired])
    meter.calls.clear()
    page = do("list_casefiles", max_, scope="shared")
    assert [each["casefile_id"] for each in page["casefiles"]] == shared[:7] + shared[9:52]
    assert page["cursor"] is not None
    assert meter.costs[1::2] == [("BatchGetItem", 50), ("BatchGetItem", 2)]
    assert meter.units <= 54


@pytest.mark.parametrize("is_gone", [True, False])
def test_the_bound_counts_what_is_gone_and_what_is_looked_at_twice(
    meter: Meter, shared_id: str, is_gone: bool
) -> None:
    user = f"{is_gone}@example.com".lower()
    grant = read(shared_id, grants.slot(BOB)) | {"sk": grants.slot(user)}
    grant |= {"owner_list": lists.name(grants.KIND, user)}
    head = read(shared_id, casefile_heads.HEAD) | {"narrowed_at": 2000}
    stored: list[Item] = []
    for casefile_id in ids(shared_id, 250, 250):
        pk = casefile_heads.partition(f"{casefile_id}{is_gone}")
        place = lists.sort_key(1000, f"{casefile_id}{is_gone}")
        stored += [grant | {"pk": pk, "creation": place}]
        stored += [] if is_gone else [head | {"pk": pk, "owner_list": "nobody's"}]
    dynamodb.put_many(stored)
    meter.calls.clear()
    page = do("list_casefiles", user, scope="shared", tags=["none"])
    assert (page["casefiles"], page["cursor"] is None) == ([], False)
    assert 200 <= meter.units <= 208
