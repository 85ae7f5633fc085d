"""Who asks: users and machines of the deployed stack's pool, and AWS credentials."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

import casefile
from casefile import operations
from dev.local_stack import Stack

from .pretended import Pretended

aws = pytest.importorskip("casefile.aws")

PASSWORD = "Aa1!correct horse battery staple"


@pytest.fixture
def user(stack: Stack) -> dict[str, Any]:
    """A user with a password, as `CognitoUser` takes it."""
    stack.token("ann@client.example")
    stack.client("cognito-idp").admin_set_user_password(
        UserPoolId=stack.outputs["UserPoolId"],
        Username="ann@client.example",
        Password=PASSWORD,
        Permanent=True,
    )
    return {
        "pool_id": stack.outputs["UserPoolId"],
        "client_id": stack.outputs["UserPoolClientId"],
        "endpoint": stack.endpoint,
    }


def test_a_user_signs_in_with_a_password_that_is_never_sent(
    stack: Stack, user: dict[str, Any]
) -> None:
    sent: list[bytes] = []

    def note(request: httpx.Request) -> None:
        sent.append(request.content)

    asks = casefile.CognitoUser(**user, email="ann@client.example", password=PASSWORD)
    with (
        httpx.Client(event_hooks={"request": [note]}, timeout=60) as http,
        casefile.Client(stack.url, auth=asks, http=http) as client,
    ):
        client.chat_sessions.create().say("Hello")
    assert not any(b"horse" in content for content in sent)

    again = casefile.CognitoUser(**user, refresh_token=asks.refresh_token)

    async def create() -> None:
        async with casefile.AsyncClient(stack.url, auth=again) as client:
            await client.chat_sessions.create()

    asyncio.run(create())


def test_a_wrong_password_is_refused(stack: Stack, user: dict[str, Any]) -> None:
    asks = casefile.CognitoUser(**user, email="ann@client.example", password="wrong")
    with (
        casefile.Client(stack.url, auth=asks) as client,
        pytest.raises(casefile.Unauthenticated, match="Incorrect"),
    ):
        client.chat_sessions.create()


def test_a_token_that_ended_is_renewed_and_one_that_is_good_is_kept(
    stack: Stack, user: dict[str, Any]
) -> None:
    asks = casefile.CognitoUser(**user, email="ann@client.example", password=PASSWORD)
    with casefile.Client(stack.url, auth=asks) as client:
        client.chat_sessions.create()
        first = asks._token
        client.chat_sessions.create()
        assert asks._token == first
        asks._ends = 0.0
        client.chat_sessions.create()
        assert asks._token != first
        asks._token = "refused"
        client.chat_sessions.create()


def test_a_machine_gets_its_token_by_its_secret(stack: Stack) -> None:
    cognito, pool = stack.client("cognito-idp"), stack.outputs["UserPoolId"]
    server = f"casefile-{uuid4()}"
    cognito.create_resource_server(
        UserPoolId=pool,
        Identifier=server,
        Name=server,
        Scopes=[{"ScopeName": "record", "ScopeDescription": "Record"}],
    )
    machine = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="agent",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthScopes=[f"{server}/record"],
        AllowedOAuthFlowsUserPoolClient=True,
    )["UserPoolClient"]
    url, names = f"{stack.endpoint}/oauth2/token", (machine["ClientId"], machine["ClientSecret"])
    asks = casefile.CognitoMachine(url, *names, scope=f"{server}/record")
    with casefile.Client(stack.url, auth=asks) as client:
        session = client.chat_sessions.create()
        assert session.read().user_id == machine["ClientId"].lower()
    wrong = casefile.CognitoMachine(url, names[0], "wrong")
    with (
        casefile.Client(stack.url, auth=wrong) as client,
        pytest.raises(casefile.Unauthenticated),
    ):
        client.chat_sessions.create()


COGNITO = "http://cognito.invalid"
ASKING: list[httpx.Auth] = [
    casefile.CognitoUser("eu-west-1_x", "c", email="a@b", password="p", endpoint=COGNITO),
    casefile.CognitoUser("eu-west-1_x", "c", refresh_token="r", endpoint=COGNITO),
    casefile.CognitoMachine(f"{COGNITO}/oauth2/token", "c", "secret"),
]


@pytest.mark.parametrize("asks", ASKING, ids=["password", "refresh token", "machine"])
@pytest.mark.parametrize(
    ("status", "content", "error", "tries"),
    [
        (400, b'{"__type":"TooManyRequestsException","message":"Slow"}', casefile.Unavailable, 3),
        (400, b'{"__type":"com.x#TooManyRequestsException"}', casefile.Unavailable, 3),
        (429, b"", casefile.Unavailable, 3),
        (500, b"<html>", casefile.Unavailable, 3),
        (200, b"<html>", casefile.Unavailable, 3),
        (200, b"{}", casefile.Unavailable, 3),
        (200, b"[]", casefile.Unavailable, 3),
        (400, b"[]", casefile.Unauthenticated, 1),
        (400, b'{"__type":"NotAuthorizedException"}', casefile.Unauthenticated, 1),
    ],
)
def test_what_cognito_cannot_do_now_is_no_wrong_password(
    asks: httpx.Auth, status: int, content: bytes, error: Any, tries: int
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, content=content)

    with (
        casefile.Client(
            "http://pretended.invalid",
            auth=asks,
            retries=casefile.Retries(attempts=3, first=0.001),
            http=httpx.Client(transport=httpx.MockTransport(answer)),
        ) as client,
        pytest.raises(error) as raised,
    ):
        client.chat_sessions.create()
    assert type(raised.value) is error
    assert [str(each.url).startswith(COGNITO) for each in asked] == [True] * tries


@pytest.mark.parametrize("given", ["abc.d-e_f", "abc.d-e_f\n", "\t abc.d-e_f \r\n"])
@pytest.mark.parametrize("taken", [lambda token: token, lambda token: lambda: token])
def test_what_surrounds_a_token_is_none_of_it(given: str, taken: Any) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(403)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = casefile.Client("http://pretended.invalid", taken(given), http=http)
    with pytest.raises(casefile.Forbidden):
        client.chat_sessions.create()
    assert [each.headers["Authorization"] for each in asked] == ["Bearer abc.d-e_f"]


@pytest.mark.parametrize(
    "given", ["", " \n", "secret word", "secret\nword", "secr\u00e9t", "\ufeffsecret"]
)
def test_what_is_no_token_is_not_sent_and_not_told(given: str) -> None:
    url = "http://127.0.0.1:9"
    clients = {
        "token": casefile.Client(url, given),
        "API key": casefile.Client(url, "token", api_key=given),
    }
    for name, client in clients.items():
        with pytest.raises(casefile.Unauthenticated, match=f"is no {name}") as raised:
            client.chat_sessions.create()
        assert "secr" not in str(raised.value)


@pytest.mark.parametrize("given", ["abc-DEF", " abc-DEF\r\n"])
def test_an_api_key_goes_to_the_service_alone(given: str) -> None:
    keys: dict[str, str | None] = {}
    service = Pretended()

    def answer(request: httpx.Request) -> httpx.Response:
        keys[request.url.host] = request.headers.get("X-Api-Key")
        if str(request.url).startswith(COGNITO):
            told = {"IdToken": "token", "ExpiresIn": 3600}
            return httpx.Response(200, json={"AuthenticationResult": told})
        if request.url.path == "/casefiles":
            return httpx.Response(307, headers={"Location": "http://other.invalid"})
        return service.handle_request(request)

    asks = casefile.CognitoUser("eu-west-1_x", "c", refresh_token="r", endpoint=COGNITO)
    http = httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True)
    with casefile.Client("http://pretended.invalid", auth=asks, api_key=given, http=http) as client:
        client.upload(b"x")
        with pytest.raises(casefile.RequestFailed):
            client.casefiles.create("Trip")
    assert service.uploads == 1
    assert keys == {"cognito.invalid": None, "pretended.invalid": "abc-DEF", "bucket.invalid": None}


def test_an_api_key_that_is_refused_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    sent: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["X-Api-Key"])
        told = {"error": "Send a good one.", "metadata": {"error_code": "INVALID_API_KEY"}}
        return httpx.Response(403, json=told)

    async def create() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
            client = casefile.AsyncClient(
                "http://pretended.invalid", "token", api_key="secret", http=http
            )
            with pytest.raises(casefile.Forbidden, match="a good one") as raised:
                await client.chat_sessions.create()
            outgoing = client.door.request(operations.call(operations.CREATE_CHAT_SESSION, {}, {}))
        assert raised.value.code == "INVALID_API_KEY"
        return repr([raised.value, client.door, outgoing])

    shown = asyncio.run(create())
    assert "pretended.invalid" in shown
    assert "secret" not in shown + caplog.text
    assert sent == ["secret"]


def test_a_source_that_gave_no_token_once_is_asked_again() -> None:
    given = iter(["Service Unavailable", "", "good\n"])
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["Authorization"])
        return httpx.Response(400, json={})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = casefile.Client("http://pretended.invalid", lambda: next(given), http=http)
    for error in (casefile.Unauthenticated, casefile.Unauthenticated, casefile.BadRequest):
        with pytest.raises(error):
            client.chat_sessions.create()
    assert sent == ["Bearer good"]


def test_what_http_does_not_take_is_not_quoted() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value b'secret'", request=request)

    http = httpx.Client(transport=httpx.MockTransport(refuse))
    client = casefile.Client("http://pretended.invalid", "token", http=http)
    with pytest.raises(casefile.BadRequest, match="can't be sent") as raised:
        client.chat_sessions.create()
    assert "secret" not in str(raised.value)


@pytest.fixture
def functions(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    return aws.Functions("casefile", "svc_agent", endpoint=stack.endpoint)


def test_whom_iam_lets_in_calls_the_functions_directly(functions: Any) -> None:
    with casefile.Client(functions) as client:
        session = client.tool_sessions.create("Direct")
        session.record("search", {"q": 1}, result={"hits": 3})
        assert session.read().user_id == "svc_agent"
        assert [each.result for each in session.requests()] == [{"hits": 3}]
        assert session.close().total_requests == 1
        assert len(list(session.export())) == 3


def test_aws_refuses_a_wrong_signature(functions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    wrong = aws.Functions("casefile", "svc_agent", endpoint=functions._endpoint)
    with casefile.Client(wrong) as client, pytest.raises(casefile.Forbidden, match="Lambda"):
        client.tool_sessions.create()


@pytest.mark.parametrize(
    ("raised", "error", "tries"),
    [
        ("SessionClosed", casefile.SessionClosed, 1),
        ("NotFound", casefile.NotFound, 1),
        ("Unavailable", casefile.Unavailable, 6),
        ("Sandbox.Timedout", casefile.Unavailable, 6),
        ("KeyError", casefile.InternalError, 1),
    ],
)
def test_what_a_function_raises_is_raised(
    functions: Any, raised: str, error: Any, tries: int
) -> None:
    tried: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        return httpx.Response(
            200,
            headers={"X-Amz-Function-Error": "Unhandled"},
            json={"errorType": raised, "errorMessage": "why"},
        )

    http = httpx.Client(transport=httpx.MockTransport(answer))
    retries = casefile.Retries(first=0.001)
    with (
        casefile.Client(functions, http=http, retries=retries) as client,
        pytest.raises(error, match="why"),
    ):
        client.tool_session("ts_251013_tool001").close()
    assert len(tried) == tries
