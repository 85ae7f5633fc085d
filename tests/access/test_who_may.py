"""Who may do what: each operation, by each person, in each place, as one table to be read.

A casefile belongs to Olga; Adam is its admin, Eve an editor, Vera a viewer. Xena's grant has
expired, and Sam is a stranger, as is Pia, unless it is public. The session is Tom's, an editor,
who filed it there; outside a casefile, or closed, it is another one of his.

    y  done    n  403, may read but not do that    .  404, is told nothing    c  409, it is closed
"""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest

from casefile import dynamodb
from casefile.entry import operation
from casefile.errors import Conflict, Forbidden, NotFound
from tests.conftest import OPERATIONS, Context, Invoke, load
from tests.events import event

PEOPLE = ["tom", "olga", "adam", "eve", "vera", "pia", "xena", "sam"]

TABLE = """
                          in the casefile   outside    closed
                          TOAEVPXS          TOAEVPXS   TOAEVPXS
get_session               yyyyyy..          y.......   yyyyyy..
tool_execution            yyyynn..          y.......   ccccnn..
tool_result               yyyynn..          y.......   ccccnn..
list_tool_requests        yyyyyy..          y.......   yyyyyy..
get_tool_request          yyyyyy..          y.......   yyyyyy..
list_tool_events          yyyyyy..          y.......   yyyyyy..
close_session             yyyynn..          y.......   yyyynn..
export_session            yyyyyy..          y.......   yyyyyy..
delete_session            ynnnnn..          y.......   ynnnnn..
get_chat_session          yyyyyy..          y.......   yyyyyy..
chat                      yyyynn..          y.......   ccccnn..
list_chat_messages        yyyyyy..          y.......   yyyyyy..
list_chat_events          yyyyyy..          y.......   yyyyyy..
rewind_chat_session       yyyynn..          y.......   ccccnn..
close_chat_session        yyyynn..          y.......   yyyynn..
export_chat_session       yyyyyy..          y.......   yyyyyy..
delete_chat_session       ynnnnn..          y.......   ynnnnn..
add_session_to_casefile   yyyynn..          y...nn..   yyyynn..
remove_session_from_casefile yyyynn..       ........   yyyynn..
update_session            yyyynn..          y.......   yyyynn..
update_chat_session       yyyynn..          y.......   yyyynn..
set_legal_hold            nyynnn..          nyynnn..   nyynnn..
update_casefile           yyyynn..          yyyynn..   yyyynn..
delete_casefile           nynnnn..          nynnnn..   nynnnn..
create_session            yyyynn..          yyyynn..   yyyynn..
create_chat_session       yyyynn..          yyyynn..   yyyynn..
create_casefile           yyyyyyyy          yyyyyyyy   yyyyyyyy
erase_user                ynnnnnnn          ynnnnnnn   ynnnnnnn
create_upload             yyyyyyyy          yyyyyyyy   yyyyyyyy
get_casefile              yyyyyy..          yyyyyy..   yyyyyy..
grant_permission          nyynnn..          nyynnn..   nyynnn..
revoke_permission         nyynnn..          nyynnn..   nyynnn..
list_permissions          yyyyyy..          yyyyyy..   yyyyyy..
list_sessions             yyyyyy..          yyyyyy..   yyyyyy..
list_chat_sessions        yyyyyy..          yyyyyy..   yyyyyy..
list_casefile_sessions    yyyyyy..          yyyyyy..   yyyyyy..
list_casefiles            yyyyyyyy          yyyyyyyy   yyyyyyyy
check_permission          nyynnn..          nyynnn..   nyynnn..
"""
ROWS = {row.split()[0]: row.split()[1:] for row in TABLE.splitlines()[3:]}
IN_CASEFILES = ["create_session", "create_chat_session", "list_sessions", "list_chat_sessions"]
"""Those that may name a casefile, and here do."""
PLACES = ["in the casefile", "outside", "closed"]


def address(person: str) -> str:
    return f"{person}@example.com"


def test_the_table_tells_of_every_operation() -> None:
    assert sorted(ROWS) == OPERATIONS


@pytest.fixture
def world(invoke: Invoke, request: pytest.FixtureRequest) -> dict[str, str]:
    """The casefile and Tom's sessions, in one of the places."""
    place: str = request.param
    as_olga = {"user": address("olga")}
    casefile_id = invoke("create_casefile", {"title": "Work"}, **as_olga)["payload"]["casefile_id"]
    for person, level in (("adam", "admin"), ("eve", "editor"), ("tom", "editor")):
        share(invoke, casefile_id, person, level)
    share(invoke, casefile_id, "vera", "viewer")
    share(invoke, casefile_id, "xena", "admin", expires_at="2999-01-01T00:00:00Z")
    expire(casefile_id, "xena")
    filed = {} if place == "outside" else {"casefile_id": casefile_id}
    made = {"casefile_id": casefile_id}
    for kind, creation in (("ts", "create_session"), ("cs", "create_chat_session")):
        answer = invoke(creation, {"title": "Mine", **filed}, user=address("tom"))
        made[kind] = answer["payload"]["session_id"]
    begun = {"session_id": made["ts"], "tool_name": "search"}
    made["request"] = str(uuid4())
    invoke("tool_execution", begun, user=address("tom"), request_id=made["request"])
    if place == "closed":
        force = {"session_id": made["ts"], "force": True}
        invoke("close_session", force, user=address("tom"))
        invoke("close_chat_session", {"session_id": made["cs"]}, user=address("tom"))
    return made


def share(invoke: Invoke, casefile_id: str, person: str, level: str, **more: Any) -> None:
    target = person if person == "*" else address(person)
    asked = {"casefile_id": casefile_id, "target_user_id": target, "permission": level, **more}
    invoke("grant_permission", asked, user=address("olga"))


def expire(casefile_id: str, person: str) -> None:
    """Let a grant be one that has expired."""
    key = {"pk": f"CASEFILE#{casefile_id}", "sk": f"GRANT#{address(person)}"}
    dynamodb.update(
        key,
        "SET expires_at = :past",
        condition="attribute_exists(pk)",
        values={":past": 1},
    )


def payload_of(operation: str, world: dict[str, str]) -> dict[str, Any]:
    """What the operation's event asks for, of this world's things."""
    asked: dict[str, Any] = event(operation, "direct")["payload"]
    if "session_id" in asked:
        asked["session_id"] = world["cs" if asked["session_id"].startswith("cs") else "ts"]
    if "request_id" in asked:
        asked["request_id"] = world["request"]
    if "casefile_id" in asked or operation in IN_CASEFILES:
        asked["casefile_id"] = world["casefile_id"]
    if operation == "close_session":
        asked["force"] = True
    if operation == "erase_user":
        asked["user_id"] = address("tom")
    return asked


@pytest.mark.parametrize(
    ("operation", "world", "expected"),
    [
        pytest.param(operation, place, cells[number], id=f"{operation}-{place}")
        for operation, cells in ROWS.items()
        for number, place in enumerate(PLACES)
    ],
    indirect=["world"],
)
def test_who_may(invoke: Invoke, operation: str, world: dict[str, str], expected: str) -> None:
    found = {}
    # Who may do it comes last: then it may be gone.
    for person in sorted(PEOPLE, key=lambda person: expected[PEOPLE.index(person)] == "y"):
        if operation == "revoke_permission":  # What is to be taken is there.
            share(invoke, world["casefile_id"], "bob", "viewer")
        if operation == "remove_session_from_casefile" and expected[0] == "y":
            again = {"casefile_id": world["casefile_id"], "session_id": world["ts"]}
            invoke("add_session_to_casefile", again | {"session_type": "tool"}, user=address("tom"))
        if person == "pia":
            share(invoke, world["casefile_id"], "*", "viewer")
        try:
            invoke(operation, payload_of(operation, world), user=address(person))
            found[person] = "y"
        except Forbidden:
            found[person] = "n"
        except NotFound:
            found[person] = "."
        except Conflict:
            found[person] = "c"
        if person == "pia":
            everybody = {"casefile_id": world["casefile_id"], "target_user_id": "*"}
            invoke("revoke_permission", everybody, user=address("olga"))
    assert "".join(found[person] for person in PEOPLE) == expected


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_may_do_anything(aws: None, operation: str) -> None:
    asked = event(operation, "api")
    asked["requestContext"]["authorizer"] = None
    answer = load(operation)(asked, Context())
    assert answer["statusCode"] == 401


def test_an_operation_that_does_not_say_what_it_needs_does_not_start() -> None:
    stated, unsaid = load("get_session"), cast("Any", operation)
    with pytest.raises(TypeError, match="needs"):
        unsaid(stated.request_type, stated.response_type, stated.route)
