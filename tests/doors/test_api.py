"""The HTTP door: who asks, what is asked, and a reason for everything that is refused."""

import base64
import json
from collections.abc import Callable
from typing import Any, get_args
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import api, dynamodb, reading
from casefile.entry import Operation
from casefile.errors import AnswerTooLarge, BadRequest, Unavailable
from pydantic_models.base import FailedResponse
from tests.conftest import OPERATIONS, Context, Invoke, Lines, load
from tests.events import event
from tests.json_strategies import OBJECTS, VALUES

Request = Callable[..., tuple[int, dict[str, Any]]]

ANN = {"sub": str(uuid4()), "email": "Ann@Example.com", "email_verified": "true"}


@pytest.fixture
def request_(aws: None) -> Request:
    return send


def send(
    operation: str,
    body: Any = None,
    *,
    path: dict[str, str] | None = None,
    query: dict[str, list[str]] | None = None,
    headers: dict[str, str] | None = None,
    claims: dict[str, Any] | None = ANN,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    """Send a REST API event; a body that is no text is sent as JSON."""
    handler = load(operation)
    asked = event(operation, "api") | {
        "httpMethod": handler.route.split()[0],
        "pathParameters": path,
        "multiValueQueryStringParameters": query,
        "queryStringParameters": {name: values[-1] for name, values in (query or {}).items()},
        "headers": headers,
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        **more,
    }
    asked["requestContext"]["authorizer"] = {"claims": claims} if claims is not None else None
    answer = handler(asked, Context())
    envelope = json.loads(answer["body"])
    if answer["statusCode"] >= 400:
        failed = FailedResponse.model_validate(envelope)
        assert failed.error
        assert failed.status == "failed"
        assert envelope["payload"] is None
        assert failed.metadata["error_code"]
    return answer["statusCode"], envelope


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session")["payload"]["session_id"])


# Who asks


def test_the_user_is_the_verified_address_in_lower_case(request_: Request, invoke: Invoke) -> None:
    _, created = request_("create_session", {"payload": {}})
    read = invoke("get_session", {"session_id": created["payload"]["session_id"]})
    assert read["payload"]["user_id"] == "ann@example.com"


@pytest.mark.parametrize(
    "claims",
    [
        None,
        {},
        {"sub": "abc", "email": "ann@example.com"},
        {"sub": "abc", "email": "ann@example.com", "email_verified": "false"},
        {"sub": "abc", "email": "ann@example.com", "email_verified": False},
        {"sub": "abc", "username": "abc", "client_id": "some-client", "token_use": "access"},
    ],
)
def test_nobody_in_particular_is_401(request_: Request, claims: dict[str, Any] | None) -> None:
    status, answer = request_("create_session", {"payload": {}}, claims=claims)
    assert (status, answer["metadata"]["error_code"]) == (401, "unauthenticated")


def test_a_machine_client_is_its_subject(request_: Request, invoke: Invoke) -> None:
    claims = {"sub": "5example", "client_id": "5example", "token_use": "access", "scope": "x"}
    _, created = request_("create_session", {"payload": {}}, claims=claims)
    session_id = created["payload"]["session_id"]
    assert invoke("get_session", {"session_id": session_id}, user="5example")


def test_naming_somebody_else_is_403(request_: Request) -> None:
    status, answer = request_("create_session", {"user_id": "bob@example.com", "payload": {}})
    assert (status, answer["metadata"]["error_code"]) == (403, "forbidden")
    assert request_("create_session", {"user_id": "ANN@example.com", "payload": {}})[0] == 201


def test_a_function_url_with_iam_trusts_the_envelope(aws: None) -> None:
    asked = event("create_session", "http_api")
    asked["requestContext"]["authorizer"] = {"iam": {"accountId": "123456789012"}}
    asked["body"] = json.dumps({"user_id": "svc_indexer", "payload": {}})
    assert load("create_session")(asked, Context())["statusCode"] == 201
    asked["body"] = json.dumps({"payload": {}})
    assert load("create_session")(asked, Context())["statusCode"] == 400


def test_a_function_url_finds_the_session_in_the_path(invoke: Invoke, session_id: str) -> None:
    asked = event("get_session", "http_api")
    del asked["pathParameters"]
    asked["rawPath"] = f"/tool-sessions/{session_id}/"
    answer = load("get_session")(asked, Context())
    assert json.loads(answer["body"])["payload"]["session_id"] == session_id


def test_a_function_url_is_no_way_to_write_with_get(aws: None) -> None:
    asked = event("create_session", "http_api")
    asked["requestContext"]["http"]["method"] = "GET"
    assert load("create_session")(asked, Context())["statusCode"] == 405


# What is asked


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "not JSON"),
        ("nonsense", "not JSON"),
        ('{"payload": {}} {}', "not JSON"),
        ("[]", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ("null", "must be a JSON object"),
        ("[" * 5000, "not JSON"),
        ('{"title": "Trip"}', 'go under "payload"'),
        ('{"payload": []}', "payload"),
        ('{"payload": null}', "payload"),
        ('{"payload": {"titel": "Trip"}}', "payload.titel"),
        ('{"payload": {"title": ""}}', "payload.title"),
        ('{"payload": {"title": 5}}', "payload.title"),
        ('{"payload": {"title": "%s"}}' % ("x" * 201), "payload.title"),
        ('{"payload": {"title": "\\ud800"}}', "not JSON"),
        ('{"payload": {"casefile_id": "../HEAD"}}', "payload.casefile_id"),
        ('{"payload": {"casefile_id": "cf_261121_x#y"}}', "payload.casefile_id"),
        ('{"payload": {}, "request_id": "seven"}', "request_id"),
        ('{"payload": {}, "timestamp": "yesterday"}', "timestamp"),
        ('{"payload": {}, "timestamp": 1760000000}', "timestamp"),
        ('{"payload": {}, "timestamp": "0001-01-01T00:00:00+23:00"}', "timestamp"),
        ('{"payload": {}, "timestamp": "2999-01-01T00:00:00Z"}', "in the future"),
        ('{"payload": {}, "metadata": []}', "metadata"),
        ('{"payload": {}, "metadata": {"n": 1e999}}', "metadata"),
        ('{"payload": {}, "metadata": {"n": NaN}}', "not JSON"),
        ('{"payload": {}, "operation": "close_session"}', "operation"),
        ('{"payload": {}, "user_id": 7}', "another user"),
    ],
)
def test_a_malformed_body_is_refused_with_a_reason(request_: Request, body: str, told: str) -> None:
    status, answer = request_("create_session", body)
    assert status in (400, 403)
    assert told in answer["error"]


def test_bad_input_lists_what_is_wrong_and_where(request_: Request) -> None:
    _, answer = request_("create_session", {"payload": {"title": "", "colour": "red"}})
    assert answer["metadata"]["error_code"] == "invalid_request"
    assert {fault["where"] for fault in answer["metadata"]["errors"]} == {
        "payload.title",
        "payload.colour",
    }


def test_too_deep_a_value_is_refused_and_a_deep_one_is_not(
    request_: Request, session_id: str
) -> None:
    def status(depth: int) -> int:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        body = {"payload": {"tool_name": "nest", "parameters": {"value": value}}}
        return request_("tool_execution", body, path={"session_id": session_id})[0]

    assert (status(99), status(100), status(180)) == (201, 400, 400)


def test_no_body_is_an_empty_payload(request_: Request, session_id: str) -> None:
    for body in (None, "", "  ", "{}"):
        assert request_("close_session", body, path={"session_id": session_id})[0] == 200


@pytest.mark.parametrize("body", ['{"payload": {"title": "\ud83e"}}', "\ud83e", 7, True, {}, [1]])
def test_a_body_that_is_no_text_is_400(aws: None, body: Any) -> None:
    for door in ("api", "http_api"):
        for is_encoded in (False, True):
            asked = event("create_session", door) | {"body": body, "isBase64Encoded": is_encoded}
            answer = load("create_session")(asked, Context())
            told = json.loads(answer["body"])["metadata"]["error_code"]
            assert (answer["statusCode"], told) == (400, "invalid_request")


def test_a_body_in_base64_is_read(request_: Request) -> None:
    body = base64.b64encode(b'{"payload": {"title": "T"}}').decode()
    assert request_("create_session", body, isBase64Encoded=True)[0] == 201
    for broken in ("%%%", base64.b64encode(b"\xff\xfe").decode()):
        assert request_("create_session", broken, isBase64Encoded=True)[0] == 400


def test_the_path_fills_the_payload_and_may_not_be_contradicted(
    request_: Request, session_id: str
) -> None:
    path = {"session_id": session_id.upper()}
    assert request_("get_session", path=path)[0] == 200
    body: dict[str, Any] = {"payload": {"session_id": "ts_261121_other", "tool_name": "x"}}
    status, answer = request_("tool_execution", body, path=path)
    assert status == 400
    assert "given twice" in answer["error"]
    status, answer = request_("get_session", path=path, query={"session_id": ["ts_261121_other"]})
    assert status == 400
    assert "given twice" in answer["error"]
    body = {"session_id": "ts_261121_other", "payload": {"tool_name": "x"}}
    assert request_("tool_execution", body, path=path)[0] == 400


def test_the_query_string_fills_the_payload(request_: Request, session_id: str) -> None:
    path = {"session_id": session_id}
    status, answer = request_("get_session", path=path, query={"include_requests": ["true"]})
    assert (status, answer["payload"]["requests"]) == (200, [])
    assert request_("get_session", path=path, query={"include_requests": ["perhaps"]})[0] == 400
    assert request_("get_session", path=path, query={"include_requests": ["1", "0"]})[0] == 400
    assert request_("get_session", path=path, query={"colour": ["red"]})[0] == 400


@pytest.mark.parametrize(
    "name", ["a%41b@x.de", "100%@x.de", "%@x.de", "a+b%2f@x.de", "é%2525@x.de"]
)
def test_a_path_variable_is_decoded_once_at_each_door(invoke: Invoke, name: str) -> None:
    """As a REST API hands it over, a local one, an HTTP API, and in the path of a function URL."""
    casefile_id = invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"]
    path = {"casefile_id": casefile_id}
    rest, http = event("check_permission", "api"), event("check_permission", "http_api")
    encoded, decoded = path | {"user_id": quote(name, safe="")}, path | {"user_id": name}
    of_url = {name: value for name, value in http.items() if name != "pathParameters"}
    for asked in (
        rest | {"pathParameters": encoded},
        rest | {"pathParameters": decoded, "version": "1.0"},
        http | {"pathParameters": decoded},
        of_url | {"rawPath": f"/casefiles/{casefile_id}/access/{encoded['user_id']}"},
    ):
        answer = load("check_permission")(asked, Context())
        assert json.loads(answer["body"])["payload"]["user_id"] == name


def fields(operation: str) -> dict[str, Any]:
    """The fields of an operation's payload, with the types that each may have."""
    payload = load(operation).request_type.model_fields["payload"].annotation
    assert payload is not None
    found = {name: field.annotation for name, field in payload.model_fields.items()}
    return {name: get_args(meant) or (meant,) for name, meant in found.items()}


NOT_FLAGS = ["true", "yes", "on", "t", "1", 1, 0, 1.0]
NOT_NUMBERS = ["7", "1_0", True, False, 7.0, 7.5]


def test_flags_and_numbers_of_a_body_are_neither_text_nor_one_another(aws: None) -> None:
    for operation in OPERATIONS:
        asked = event(operation, "direct")
        for name, meant in fields(operation).items():
            wrong = NOT_FLAGS if bool in meant else NOT_NUMBERS if int in meant else []
            for value in wrong:
                payload = asked["payload"] | {name: value}
                with pytest.raises(BadRequest) as refused:
                    load(operation)(asked | {"payload": payload}, Context())
                assert f"payload.{name}" in [fault["where"] for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("operation", "payload", "where"),
    [
        ("close_session", {"force": "yes"}, "payload.force"),
        ("close_session", {"force": "true"}, "payload.force"),
        ("list_sessions", {"limit": True}, "payload.limit"),
        ("tool_execution", {"duration_ms": "7"}, "payload.duration_ms"),
        (
            "tool_execution",
            {"events": [{"event_type": "x", "tool_name": "x", "chain_position": "1"}]},
            "payload.events.0.chain_position",
        ),
        (
            "rewind_chat_session",
            {"replaces": {"record": "1", "message_id": "x"}, "message": {"content": "x"}},
            "payload.replaces.record",
        ),
    ],
)
def test_a_flag_or_number_as_text_in_a_body_is_400(
    request_: Request, operation: str, payload: dict[str, Any], where: str
) -> None:
    path = event(operation, "api")["pathParameters"]
    status, answer = request_(operation, {"payload": payload}, path=path)
    assert status == 400
    assert where in [fault["where"] for fault in answer["metadata"]["errors"]]


def test_what_a_body_may_not_say_so_a_query_string_does(request_: Request) -> None:
    query = {"confirm": ["true"]}
    casefile_id = request_("create_casefile", {"payload": {"title": "x"}})[1]["payload"][
        "casefile_id"
    ]
    filed = {"payload": {"casefile_id": casefile_id}}
    session_id = request_("create_session", filed)[1]["payload"]["session_id"]
    path = {"casefile_id": casefile_id}
    for flag in ("on", "1", "yes", ""):
        asked = query | {"delete_sessions": [flag]}
        assert request_("delete_casefile", path=path, query=asked)[0] == 400
    body = {"payload": {"confirm": "true"}}
    assert request_("delete_casefile", body, path=path)[0] == 400
    asked = query | {"delete_sessions": ["True"]}
    assert request_("delete_casefile", path=path, query=asked)[0] == 200
    assert request_("get_session", path={"session_id": session_id})[0] == 404


def test_flags_and_numbers_of_a_query_string_are_read_as_what_they_are(aws: None) -> None:
    """At each door that has one; text that only looks like one stays text."""
    for operation in OPERATIONS:
        if load(operation).route.split()[0] not in ("GET", "DELETE"):
            continue
        rest, http = event(operation, "api"), event(operation, "http_api")
        for name, meant in fields(operation).items():
            right = {"true": 1, "FALSE": 1, "1": 0, "yes": 0, "maybe": 0}
            if int in meant:
                right = {"2": 1, "1_0": 0, "1.0": 0, "٢": 0, "true": 0, "9" * 5000: 0}
            elif bool not in meant:
                continue
            for text, is_right in right.items():
                for asked in (
                    rest | {"multiValueQueryStringParameters": {name: [text]}},
                    http | {"rawQueryString": urlencode({name: text})},
                ):
                    answer = json.loads(load(operation)(asked, Context())["body"])
                    faults = answer["metadata"].get("errors", [])
                    where = [fault["where"] for fault in faults]
                    assert (f"payload.{name}" not in where) == bool(is_right), (name, text)


def test_text_that_looks_like_a_number_stays_text(request_: Request, invoke: Invoke) -> None:
    invoke("create_casefile", {"title": "2026", "tags": ["2026"]})
    for query in ({"tags": ["2026"]}, {"search_query": ["2026"]}):
        status, answer = request_("list_casefiles", query=query)
        assert (status, answer["payload"]["total_count"]) == (200, 1)


@pytest.mark.parametrize("bad", ["", "x", "ts_", "cs_261121_abc", "ts_261121_a/b", "ts_261121_é"])
def test_a_malformed_id_is_400(request_: Request, bad: str) -> None:
    assert request_("get_session", path={"session_id": bad})[0] == 400


def test_an_idempotency_key_is_the_request_id(request_: Request) -> None:
    name = str(uuid4())
    for headers in (
        {"Idempotency-Key": name},
        {"IDEMPOTENCY-KEY": name},
        {"idempotency-key": name},
    ):
        _, answer = request_("create_session", {"payload": {}}, headers=headers)
        assert answer["request_id"] == name


def test_an_idempotency_key_may_be_any_text(request_: Request) -> None:
    headers = {"Idempotency-Key": "order 66"}
    first, second = (request_("create_session", headers=headers)[1] for _ in range(2))
    assert first == second
    assert UUID(first["request_id"])


def test_two_users_may_name_their_requests_alike(request_: Request, invoke: Invoke) -> None:
    """Else the second's was refused, in a session that both write, as another of the first's."""
    casefile_id = invoke("create_casefile", {"title": "t"})["payload"]["casefile_id"]
    made = invoke("create_session", {"casefile_id": casefile_id})["payload"]
    everybody = {"target_user_id": "*", "permission": "editor"}
    invoke("grant_permission", {"casefile_id": casefile_id, **everybody})
    told = [
        request_(
            "tool_execution",
            {"payload": {"tool_name": "x"}},
            path={"session_id": made["session_id"]},
            headers={"Idempotency-Key": "step 1"},
            claims=ANN | {"email": user},
        )
        for user in ("ann@example.com", "bob@example.com", "ann@example.com")
    ]
    assert [status for status, _ in told] == [201, 201, 201]
    assert told[0] == told[2] != told[1]


@pytest.mark.parametrize(
    "key",
    [
        "00058b1bbe3174d49d94843d6662a380",  # With hyphens, it would be a UUIDv7 of 1970.
        "{01951f2e-7a10-7000-8000-000000000001}",
        "urn:uuid:01951f2e-7a10-7000-8000-000000000001",
        "01951f2e7a10-7000-8000-000000000001",
    ],
)
def test_an_idempotency_key_that_is_not_written_as_a_uuid_is_none(
    request_: Request, session_id: str, key: str
) -> None:
    """So it tells no time, and a record of today isn't refused for being old."""
    told = [
        request_(
            "tool_execution",
            {"payload": {"tool_name": "x"}},
            path={"session_id": session_id},
            headers={"Idempotency-Key": key},
        )
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert told[0][0] == 201
    assert UUID(told[0][1]["request_id"]).version == 5


def test_an_idempotency_key_that_is_a_uuid_may_be_in_capitals(request_: Request) -> None:
    key = str(uuid4())
    for written in (key.upper(), f" {key} "):
        told = request_("create_session", headers={"Idempotency-Key": written})[1]
        assert told["request_id"] == key


NULLS = dict.fromkeys(
    ["request_id", "timestamp", "metadata", "session_id", "hooks", "policy_hints", "operation"]
)


def test_what_is_null_in_an_envelope_is_as_if_it_were_left_out(request_: Request) -> None:
    status, answer = request_("create_session", {"payload": {}, "user_id": None, **NULLS})
    assert status == 201
    assert UUID(answer["request_id"]).version == 7
    key = {"Idempotency-Key": str(uuid4())}
    assert request_("create_session", NULLS, headers=key)[1]["request_id"] == key["Idempotency-Key"]
    assert request_("create_session", {"payload": None})[0] == 400


def test_a_request_that_names_no_id_gets_one_that_tells_that_it_is_new(request_: Request) -> None:
    first, second = (request_("create_session", {"payload": {}})[1] for _ in range(2))
    assert first["payload"]["session_id"] != second["payload"]["session_id"]
    assert first["request_id"] != second["request_id"]
    assert {UUID(answer["request_id"]).version for answer in (first, second)} == {7}


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_idempotency_key_is_refused(request_: Request, key: str) -> None:
    assert request_("create_session", headers={"Idempotency-Key": key})[0] == 400


@pytest.mark.parametrize("letter", ["a", "é", '"', "🧳"])
def test_a_write_that_was_done_is_answered_however_large(
    request_: Request, session_id: str, letter: str
) -> None:
    """What can't be carried is refused before it is recorded; the rest is told by a link."""
    text = letter * (5_900_000 // len(json.dumps(letter, ensure_ascii=False)[1:-1].encode()))
    body = {"payload": {"tool_name": "x", "result": {"text": text}}}
    path = {"session_id": session_id}
    sent = json.dumps(body, ensure_ascii=False)
    if letter == '"':  # Behind API Gateway, each of them is carried as four characters.
        status, answer = request_("tool_execution", sent, path=path)
        assert (status, answer["metadata"]["error_code"]) == (413, "too_large")
        assert "POST /uploads" in answer["error"]
        assert request_("get_session", path=path)[1]["payload"]["request_count"] == 0
        sent = sent.replace(text.replace('"', '\\"'), text[: len(text) // 3].replace('"', '\\"'))
    status, answer = request_("tool_execution", sent, path=path)
    assert status == 201
    assert answer["payload"]["result"]["text"] in text


def test_a_function_url_with_iam_names_the_user_in_the_query(invoke: Invoke) -> None:
    session_id = invoke("create_session", user="svc_indexer")["payload"]["session_id"]
    asked = event("get_session", "http_api")
    asked["requestContext"]["authorizer"] = {"iam": {"accountId": "123456789012"}}
    asked["pathParameters"] = {"session_id": session_id}
    asked["rawQueryString"] = "user_id=svc_indexer"
    assert load("get_session")(asked, Context())["statusCode"] == 200
    asked["rawQueryString"] = "user_id=svc_other"
    assert load("get_session")(asked, Context())["statusCode"] == 404


def test_by_iam_a_key_is_that_of_the_user_who_is_named(aws: None) -> None:
    asked = event("create_session", "http_api")
    asked["requestContext"]["authorizer"] = {"iam": {"accountId": "123456789012"}}
    opened = []
    for user, key in [("ann", "b/c"), ("ANN", "b/c"), ("bob", "b/c"), ("ann/b", "c")]:
        asked["headers"] = {"idempotency-key": key}
        asked["body"] = json.dumps({"user_id": user, "payload": {}})
        answer = json.loads(load("create_session")(asked, Context())["body"])
        opened.append((answer["request_id"], answer["payload"]["session_id"]))
    assert opened[0] == opened[1]
    assert len({request_id for request_id, _ in opened}) == 3


def test_an_idempotency_key_may_not_contradict_the_body(request_: Request) -> None:
    body = {"payload": {}, "request_id": str(uuid4())}
    assert request_("create_session", body, headers={"Idempotency-Key": str(uuid4())})[0] == 400


def test_a_timestamp_without_an_offset_is_utc(request_: Request) -> None:
    _, answer = request_("create_session", {"payload": {}, "timestamp": "2025-10-13T23:59:59"})
    assert answer["payload"]["session_id"].startswith("ts_251013_")
    _, answer = request_(
        "create_session", {"payload": {}, "timestamp": "2025-10-13T23:59:59-01:00"}
    )
    assert answer["payload"]["session_id"].startswith("ts_251014_")


# What is answered


def test_a_missing_session_and_another_users_look_the_same(
    request_: Request, session_id: str
) -> None:
    bob = {"sub": "b", "email": "bob@example.com", "email_verified": "true"}
    body = {"payload": {"tool_name": "x"}}
    for operation in ("get_session", "tool_execution", "close_session"):
        sent = body if operation == "tool_execution" else None
        status, theirs = request_(operation, sent, path={"session_id": session_id}, claims=bob)
        missing = request_(operation, sent, path={"session_id": "ts_261121_none"}, claims=bob)
        assert (status, missing[0]) == (404, 404)
        assert theirs["error"].replace(session_id, "ts_261121_none") == missing[1]["error"]


def test_a_bug_is_500_without_its_internals(
    request_: Request,
    session_id: str,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret plumbing")

    monkeypatch.setattr(reading, "read", broken)
    status, answer = request_("get_session", path={"session_id": session_id})
    assert (status, answer["metadata"]["error_code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(answer)
    assert "secret plumbing" in str(lines())


def test_no_answer_is_kept_on_its_way_and_a_503_tells_when_to_come_back(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: Any) -> None:
        raise Unavailable("The table")

    asked: tuple[Any, Any] = (event("create_casefile", "api"), Context())
    done: Any = load("create_casefile")(*asked)
    monkeypatch.setattr(dynamodb, "create", busy)
    failed: Any = load("create_casefile")(*asked)
    assert (done["statusCode"], failed["statusCode"]) == (201, 503)
    assert done["headers"]["Cache-Control"] == failed["headers"]["Cache-Control"] == "no-store"
    assert int(failed["headers"]["Retry-After"]) > 0


def test_log_lines_tell_who_and_what_but_no_content(
    request_: Request, session_id: str, lines: Lines
) -> None:
    body = {"payload": {"tool_name": "x", "parameters": {"password": "hunter2"}}}
    request_("tool_execution", body, path={"session_id": session_id})
    request_("tool_execution", {"payload": {"hunter2": "x"}}, path={"session_id": session_id})
    done, refused = lines()[-2:]
    assert done["operation"] == "tool_execution"
    assert done["user_id"] == "ann@example.com"
    assert done["session_id"] == session_id
    assert (done["outcome"], refused["outcome"]) == ("pending", "invalid_request")
    assert "hunter2" not in json.dumps([done, refused])


def test_an_answer_too_large_for_a_function_is_413(
    request_: Request, invoke: Invoke, session_id: str
) -> None:
    for _ in range(18):
        invoke(
            "tool_execution",
            {"session_id": session_id, "tool_name": "x", "result": {"quotes": '"' * 180_000}},
        )
    query = {"include_requests": ["true"]}
    status, answer = request_("get_session", path={"session_id": session_id}, query=query)
    assert (status, answer["metadata"]["error_code"]) == (413, "too_large")


@pytest.mark.parametrize("letter", ["a", "é", "🧳", "\0"])
def test_whatever_is_in_it_an_answer_too_large_to_be_carried_is_told(letter: str) -> None:
    """In an answer, a letter takes up to four bytes, and what has to be escaped six."""
    carried = len(json.dumps(letter, ensure_ascii=False)[1:-1].encode())
    body = letter * (api.MAX_CARRIED_BYTES // carried)
    with pytest.raises(AnswerTooLarge):
        api.check_size(api.answer(200, body))


STRANGE = st.one_of(
    VALUES,
    st.uuids(allow_nil=True).map(str),
    st.integers(0, 2**128 - 1).map(lambda bits: str(UUID(int=bits, version=None))),
    st.sampled_from(
        [
            "ffffffff-ffff-7fff-8fff-ffffffffffff",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "2026-02-30",
            "x" * 500_000,
            "\u0000",
            ["x"] * 200,
            {"k" * 300_000: 1},
            10**4000,
            -1,
            True,
        ]
    ),
)


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with one thing in it, at any depth, replaced, added or left out."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        change = draw(st.sampled_from(["into", "into", "drop", "add"]))
        if change == "into":
            return value | {key: mutated(draw, value[key])}
        if change == "drop":
            return {other: kept for other, kept in value.items() if other != key}
        return value | {draw(st.text(max_size=5) | st.just("k" * 300_000)): draw(STRANGE)}
    if isinstance(value, list) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(draw, value[place]), *value[place + 1 :]]
    return draw(STRANGE)


@st.composite
def broken_requests(draw: st.DrawFn, operation: str) -> dict[str, Any]:
    """A request that works, with one thing changed: in its body, its address or its headers."""
    asked = event(operation, "api")
    part = draw(st.sampled_from(["body", "pathParameters", "query", "headers", "raw body"]))
    if part == "body":
        body = json.loads(asked["body"] or "{}")
        payload = load(operation).request_type.model_fields["payload"].annotation
        assert payload is not None
        body.setdefault("payload", {}).setdefault(
            draw(st.sampled_from(sorted(payload.model_fields))), None
        )
        full = {"request_id": str(uuid4()), "timestamp": "2026-01-01", "metadata": {}, **body}
        asked["body"] = json.dumps(mutated(draw, full))
    elif part == "raw body":
        asked["body"] = draw(st.text())
        asked["isBase64Encoded"] = draw(st.booleans())
    elif part == "query":
        name = draw(st.text(max_size=9) | st.sampled_from(["limit", "after", "session_id"]))
        asked["multiValueQueryStringParameters"] = {name: draw(st.lists(st.text(), min_size=1))}
    elif part == "headers":
        asked["headers"] = {"Idempotency-Key": draw(st.text())}
    else:
        names = list(asked[part] or {"session_id": ""})
        asked[part] = {name: draw(st.text()) for name in names}
    return asked


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_wrong_with_a_request_it_is_never_a_5xx(
    things: None, operation: str, data: st.DataObject
) -> None:
    answer = load(operation)(data.draw(broken_requests(operation)), Context())
    assert answer["statusCode"] < 500
    if answer["statusCode"] >= 400:
        assert len(answer["body"]) < 20_000
        assert FailedResponse.model_validate_json(answer["body"]).error


@pytest.fixture
def things(aws: None) -> None:
    """The sessions and the casefile that the events speak of."""
    for creation in ("create_session", "create_chat_session", "create_casefile"):
        load(creation)(event(creation, "direct"), Context())


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parameters=OBJECTS, result=OBJECTS, metadata=OBJECTS)
def test_any_json_goes_through_http_and_comes_back_identical(
    things: None,
    parameters: dict[str, Any],
    result: dict[str, Any],
    metadata: dict[str, Any],
) -> None:
    path = event("tool_execution", "api")["pathParameters"]
    payload = {"tool_name": "x", "parameters": parameters, "result": result}
    status, recorded = send("tool_execution", {"payload": payload, "metadata": metadata}, path=path)
    assert status == 201
    after = str(recorded["payload"]["record"] - 1)
    _, page = send("list_tool_requests", path=path, query={"after": [after]})
    (kept,) = page["payload"]["requests"]
    # As text, for 1 == 1.0 == True in Python.
    assert json.dumps([kept["parameters"], kept["result"], kept["metadata"]]) == json.dumps(
        [parameters, result, metadata]
    )


def test_a_refusal_is_logged_with_names_and_nothing_that_was_said(
    request_: Request, lines: Lines
) -> None:
    body = {"payload": {"message": "secret words", "nonsense": 1}}
    status, _ = request_("chat", body, path={"session_id": "cs_nobodys"})
    assert status == 400
    told = lines()[-1]
    assert told["message"] == "refused"
    assert (told["user_id"], told["session_id"]) == ("ann@example.com", "cs_nobodys")
    assert (told["operation"], told["outcome"]) == ("chat", "invalid_request")
    assert "secret" not in str(told)


@pytest.mark.parametrize("broken", [False, True])
def test_a_request_id_that_is_none_is_not_logged(
    request_: Request, lines: Lines, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    body = {"payload": {"session_id": "cs_nobodys"}, "request_id": "my secret words"}
    if broken:
        monkeypatch.setattr(Operation, "_request", lambda *_: 1 / 0)
    status, answer = request_("get_chat_session", body, path={"session_id": "cs_nobodys"})
    assert status == (500 if broken else 400)
    (told,) = lines()
    assert "secret" not in str(told)
    assert told["request_id"] == str(UUID(told["request_id"])) == answer["request_id"]
    assert told["session_id"] == "cs_nobodys"


def test_a_request_is_named_by_its_own_id_where_it_is_refused(
    request_: Request, lines: Lines
) -> None:
    own = str(uuid4())
    _, answer = request_("chat", {"request_id": own.upper(), "payload": {"session_id": "no"}})
    (told,) = lines()
    assert told["request_id"] == answer["request_id"] == own


@pytest.mark.parametrize("session_id", ["ts_my_secret", "ts_261121_a secret", "cs_a-secret", "Ts_"])
def test_a_session_id_that_can_be_none_is_not_logged(
    request_: Request, lines: Lines, session_id: str
) -> None:
    request_("get_session", path={"session_id": session_id})
    (told,) = lines()
    assert "session_id" not in told
