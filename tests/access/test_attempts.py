"""Attempts on another's things, through everything that names something.

Ann has a casefile with a session of each kind in it, and an upload. Eve tries each field of each
operation with what is Ann's, in small letters and in capitals, in path, query, payload and
envelope. She is told that there is nothing, and nothing is changed.
"""

import json
from typing import Any, get_args
from uuid import uuid4

import pytest

from casefile.errors import BadRequest, ContentMissing
from tests.conftest import BUCKET, OPERATIONS, Context, Invoke, account, load, objects, stored
from tests.events import event

EVE = "eve@example.com"
NAMING = {"session_id", "casefile_id", "request_id"}


@pytest.fixture
def anns(invoke: Invoke) -> dict[str, str]:
    """What is Ann's."""
    casefile_id = invoke("create_casefile", {"title": "Private"})["payload"]["casefile_id"]
    filed = {"casefile_id": casefile_id}
    request = str(uuid4())
    made = {
        "casefile_id": casefile_id,
        "request_id": request,
        "tool": invoke("create_session", filed)["payload"]["session_id"],
        "chat": invoke("create_chat_session", filed)["payload"]["session_id"],
    }
    begun = {"session_id": made["tool"], "tool_name": "search"}
    invoke("tool_execution", begun, request_id=request)
    return made


def fields_of(operation: str) -> set[str]:
    """The fields of an operation's payload that name something."""
    payload: Any = load(operation).request_type.model_fields["payload"].annotation
    return NAMING & set(payload.model_fields)


def of_anns(operation: str, anns: dict[str, str]) -> dict[str, str]:
    is_chat = "chat" in operation or operation == "chat"
    things = anns | {"session_id": anns["chat" if is_chat else "tool"]}
    return {field: things[field] for field in fields_of(operation)}


NAMES_SOMETHING = [operation for operation in OPERATIONS if fields_of(operation)]


@pytest.mark.parametrize("capitals", [False, True], ids=["small", "CAPITALS"])
@pytest.mark.parametrize("operation", NAMES_SOMETHING)
def test_over_http_there_is_nothing_to_find(
    invoke: Invoke, anns: dict[str, str], operation: str, capitals: bool
) -> None:
    asked = event(operation, "api")
    text = json.dumps(asked).replace("ann@example.com", EVE)
    names = of_anns(operation, anns)
    asked = json.loads(text)
    body = json.loads(asked["body"]) if asked.get("body") else {"payload": {}}
    wanted = {name: value.upper() if capitals else value for name, value in names.items()}
    if asked.get("pathParameters"):
        asked["pathParameters"] |= {k: v for k, v in wanted.items() if k in asked["pathParameters"]}
    in_path = asked.get("pathParameters") or {}
    body.setdefault("payload", {})
    body["payload"] |= {name: value for name, value in wanted.items() if name not in in_path}
    body.pop("session_id", None)
    asked["body"] = json.dumps(body)
    before = stored()
    answer = load(operation)(asked, Context())
    assert answer["statusCode"] == 404, answer["body"]
    assert stored() == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_speaks_for_another(invoke: Invoke, anns: dict[str, str], operation: str) -> None:
    asked = event(operation, "api")
    asked["requestContext"]["authorizer"]["claims"]["email"] = EVE
    body = json.loads(asked["body"]) if asked.get("body") else {"payload": {}}
    asked["body"] = json.dumps({**body, "user_id": "ANN@example.com"})
    before = stored()
    assert load(operation)(asked, Context())["statusCode"] == 403
    assert stored() == before


@pytest.mark.parametrize("operation", [name for name in NAMES_SOMETHING if "{" in load(name).route])
def test_path_and_payload_name_the_same_thing(
    invoke: Invoke, anns: dict[str, str], operation: str
) -> None:
    asked = event(operation, "api")
    names = of_anns(operation, anns)
    in_path = {name for name in asked["pathParameters"] if name in names}
    assert in_path
    body = json.loads(asked["body"]) if asked.get("body") else {}
    for name in in_path:
        payload = {**body.get("payload", {}), name: names[name]}
        sent = {**asked, "body": json.dumps({**body, "payload": payload})}
        assert load(operation)(sent, Context())["statusCode"] == 400
        sent = {**asked, "multiValueQueryStringParameters": {name: [names[name]]}}
        assert load(operation)(sent, Context())["statusCode"] == 400


@pytest.mark.parametrize(
    "operation", [name for name in NAMES_SOMETHING if "session_id" in fields_of(name)]
)
@pytest.mark.parametrize(
    "odd",
    [
        "HEAD",
        "ts_260115_a#HEAD",
        "SESSION#ts_260115_a",
        "ts_260115_a/../b",
        "cf_260115_a",
        "ts_260115_\u212a",  # Its small letter is k.
        "ts_260115_" + "a" * 65,
        "",
        "*",
    ],
)
def test_what_is_no_identifier_reaches_no_key(
    invoke: Invoke, operation: str, odd: str, calls: list[str]
) -> None:
    calls.clear()
    asked = event(operation, "direct")
    asked["payload"]["session_id"] = odd
    with pytest.raises(BadRequest, match="session_id"):
        load(operation)(asked, Context())
    assert calls == []


@pytest.mark.parametrize(
    "operation",
    [
        name
        for name in NAMES_SOMETHING
        if fields_of(name) >= {"session_id"} and "casefile" not in name
    ],
)
def test_the_other_kinds_id_is_none_of_this_kind(
    invoke: Invoke, anns: dict[str, str], operation: str
) -> None:
    is_chat = "chat" in operation
    asked = event(operation, "direct")
    asked["payload"]["session_id"] = anns["tool" if is_chat else "chat"]
    with pytest.raises(BadRequest, match="session_id"):
        load(operation)(asked, Context())


def test_anothers_upload_is_nobodys_attachment(invoke: Invoke, anns: dict[str, str]) -> None:
    asked = {"sha256": "ab" * 32, "size": 3, "content_type": "text/plain"}
    place = (
        invoke("create_upload", asked)["payload"]["url"].partition("?")[0].partition("incoming")[2]
    )
    account("s3").put_object(Bucket=BUCKET, Key=f"incoming{place}", Body=b"abc")
    own = invoke("create_chat_session", user=EVE)["payload"]["session_id"]
    message = {
        "content": "See",
        "message_type": "user",
        "attachments": [{"sha256": "ab" * 32, "size": 3}],
    }
    with pytest.raises(ContentMissing):
        invoke("chat", {"session_id": own, "messages": [message]}, user=EVE)
    assert not any(key.startswith("content/") for key in objects())


def test_every_field_that_names_something_was_thought_of() -> None:
    """A new field that ends in _id must be tried here, or be explained."""
    explained = {
        "target_user_id": "whom a grant is for; anybody",
        "user_id": "whose rights or things are asked for; tried in the operations' own tests",
        "session_request_id": "a label of the caller's own",
        "tool_call_id": "a label of the caller's own",
    }
    for operation in OPERATIONS:
        payload: Any = load(operation).request_type.model_fields["payload"].annotation
        names = {name for name in payload.model_fields if name.endswith("_id")}
        assert names <= NAMING | set(explained), operation
        assert get_args(payload) == ()
