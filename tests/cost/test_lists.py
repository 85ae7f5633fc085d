"""What lists cost when they are long: ten thousand sessions of each kind, half of them closed."""

from typing import Any

import pytest

from benchmarks.meter import Meter
from casefile import dynamodb, lists, sessions
from casefile.dynamodb import Item
from tests.conftest import Context, load

EACH = 10_000


def do(name: str, user: str = "ann@example.com", **payload: Any) -> Any:
    envelope = {"user_id": user, "operation": name, "payload": payload}
    return load(name)(envelope, Context())["payload"]


def copies(item: Item, number: int) -> list[Item]:
    """A head many times over, each created and last active a second after the one before."""
    made = []
    for count in range(number):
        session_id = item["pk"][8:-6] + f"{count:06}"
        created, active = item["created_at"] + 1000 * count, item["updated_at"] + 1000 * count
        made.append(
            item
            | {
                "pk": sessions.partition(session_id),
                "created_at": created,
                "updated_at": active,
                "creation": lists.sort_key(created, session_id),
                "activity": lists.sort_key(active, session_id),
            }
        )
    return made


@pytest.fixture(scope="module")
def casefile_id(meter: Meter) -> str:
    """The casefile in which all sessions are filed."""
    casefile_id: str = do("create_casefile", title="Everything")["casefile_id"]
    for kind, closing in (("session", "close_session"), ("chat_session", "close_chat_session")):
        for is_open in (True, False):
            asked = {"casefile_id": casefile_id, "title": "Flights to Lisbon in the spring"}
            session_id = do(f"create_{kind}", **asked)["session_id"]
            if not is_open:
                do(closing, session_id=session_id)
            key = {"pk": sessions.partition(session_id), "sk": sessions.HEAD}
            head = dynamodb.get(key)
            assert head is not None
            dynamodb.put_many(copies(head, EACH // 2))
    do("list_sessions")  # The key that cursors are signed with is known from now on.
    return casefile_id


pytestmark = pytest.mark.xdist_group("long lists")  # They are filled once.

LISTS = [
    ("list_sessions", "own"),
    ("list_sessions", "casefile"),
    ("list_chat_sessions", "own"),
    ("list_chat_sessions", "casefile"),
    ("list_casefile_sessions", "casefile"),
]
OF_EACH = {1: 5.5, 2: 3, 4: 2}
"""Read units of each list, by how many a page merges: they share what is read ahead."""

RANGES = [{}, {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}]


@pytest.mark.parametrize("range_", RANGES, ids=["ever", "since and until"])
@pytest.mark.parametrize("order", ["activity", "creation"])
@pytest.mark.parametrize("active_only", [True, False], ids=["active", "all"])
@pytest.mark.parametrize(("operation", "scope"), LISTS)
def test_a_page_of_fifty_is_a_query_of_each_list_and_a_handful_of_units(
    meter: Meter,
    casefile_id: str,
    operation: str,
    scope: str,
    active_only: bool,
    order: str,
    range_: dict[str, str],
) -> None:
    asked: dict[str, Any] = {"active_only": active_only, "order": order, **range_}
    if scope == "casefile":
        asked["casefile_id"] = casefile_id
    many = (2 if operation == "list_casefile_sessions" else 1) * (1 if active_only else 2)
    cursor = None
    for _ in range(3):
        meter.calls.clear()
        page = do(operation, **asked, cursor=cursor)
        cursor = page["cursor"]
        assert len(page["sessions"]) == 50
        queries = [units for name, units in meter.costs if name == "Query"]
        assert len(queries) == many
        assert max(queries) <= OF_EACH[many]
        # To read a casefile's list, one must be allowed to: one read of its head.
        rest = [(name, units) for name, units in meter.costs if name != "Query"]
        assert rest == ([("GetItem", 1)] if scope == "casefile" else [])


def test_a_page_deep_in_the_list_costs_what_the_first_one_costs(
    meter: Meter, casefile_id: str
) -> None:
    half = do("list_sessions", offset=EACH // 4, limit=1)
    meter.calls.clear()
    page = do("list_sessions", cursor=half["cursor"])
    assert len(page["sessions"]) == 50
    assert meter.names == ["Query"]
    assert meter.units <= OF_EACH[1]


def test_a_page_of_few_costs_what_these_take(meter: Meter) -> None:
    do("list_sessions")  # The key that cursors are signed with is known from now on.
    for _ in range(10):
        do("create_session", user="bob@example.com", title="Flights to Lisbon in the spring")
    meter.calls.clear()
    assert len(do("list_sessions", user="bob@example.com")["sessions"]) == 10
    assert meter.costs == [("Query", 0.5)]


def test_the_exact_total_is_a_matter_of_reading_all(meter: Meter, casefile_id: str) -> None:
    meter.calls.clear()
    page = do("list_sessions", active_only=False, exact_total=True, limit=1)
    assert (page["total_count"], page["total_is_exact"]) == (EACH + 2, True)
    assert meter.units < EACH / 20


def test_a_filter_that_fits_nothing_reads_so_much_and_says_that_there_is_more(
    meter: Meter, casefile_id: str
) -> None:
    meter.calls.clear()
    page = do("list_sessions", tags=["none"])
    assert page["sessions"] == []
    assert page["cursor"] is not None
    assert meter.units <= 100


def test_ids_of_a_casefile_come_in_pages(meter: Meter, casefile_id: str) -> None:
    meter.calls.clear()
    page = do("get_casefile", casefile_id=casefile_id)
    assert len(page["casefile"]["session_ids"]) == 100
    assert meter.names.count("Query") == 5  # Four lists, and the grants.
    assert meter.units <= 25
