"""Large contents and uploads over HTTP, on the deployed template's bucket."""

import json
import random
from base64 import b64encode
from hashlib import sha256
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydantic_models.export import verify
from tests.e2e.conftest import Caller, SignIn
from tests.json_strategies import OBJECTS


def noise(size: int) -> str:
    """Text that hardly compresses."""
    return b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()


def described(body: bytes) -> dict[str, Any]:
    return {"sha256": sha256(body).hexdigest(), "size": len(body)}


def put(link: dict[str, Any], body: bytes) -> int:
    return httpx.put(link["url"], content=body, headers=link["headers"], timeout=60).status_code


def test_a_large_message_and_a_large_result_come_back_whole(ann: Caller) -> None:
    message, result = noise(500_000), {"rows": [noise(1_000_000 + n) for n in range(0, 20, 4)]}
    chat = ann.do("POST", "/chat-sessions", {})["session_id"]
    ann.do("POST", f"/chat-sessions/{chat}/messages", {"message": message})
    read = ann.do("GET", f"/chat-sessions/{chat}/messages")
    assert [told["content"] for told in read["messages"]] == [message]

    tool = ann.do("POST", "/tool-sessions", {})["session_id"]
    url = f"/tool-sessions/{tool}"
    sent = {"payload": {"tool_name": "dump", "result": result}}
    key = {"Idempotency-Key": "large"}
    answers = [ann.send("POST", f"{url}/requests", json=sent, headers=key) for _ in range(2)]
    assert answers[0].status_code == 201
    assert answers[0].content == answers[1].content
    (read,) = ann.do("GET", f"{url}/requests")["requests"]
    assert (read["result"], read["left_out"]) == (result, [])
    seal = ann.send("POST", f"{url}/close").json()["metadata"]["seal"]
    first = ann.send("GET", f"{url}/export")
    rest = ann.send("GET", f"{url}/export?after={first.headers['Casefile-Next-After']}")
    assert "Casefile-Next-After" not in rest.headers
    assert verify((first.text + rest.text).splitlines(), seal).records == 2


def test_an_attachment_of_a_hundred_megabytes(ann: Caller) -> None:
    body = random.Random(1).randbytes(1024) * 1024 * 100
    link = ann.do("POST", "/uploads", described(body) | {"content_type": "video/mp4"})
    assert put(link, b"x" + body[1:]) == 400  # S3 itself checks the digest,
    assert put(link, body[1:]) == 403  # and the link its size.
    assert put(link, body) == 200
    tool = ann.do("POST", "/tool-sessions", {})["session_id"]
    attachment = described(body) | {"content_type": "video/mp4", "name": "Größe.mp4"}
    sent = {"tool_name": "film", "result": {}, "attachments": [attachment]}
    ann.do("POST", f"/tool-sessions/{tool}/requests", sent)
    (read,) = ann.do("GET", f"/tool-sessions/{tool}/requests")["requests"]
    (told,) = read["attachments"]
    fetched = httpx.get(told["url"], timeout=60)
    assert sha256(fetched.content).hexdigest() == attachment["sha256"]
    assert fetched.headers["content-type"] == "video/mp4"
    assert "attachment" in fetched.headers["content-disposition"]
    ann.do("DELETE", f"/tool-sessions/{tool}?confirm=true")
    assert httpx.get(told["url"], timeout=60).status_code == 404


def test_what_was_not_uploaded_or_by_another_is_refused(ann: Caller, bob: Caller) -> None:
    body = b"private to Bob"
    assert put(bob.do("POST", "/uploads", described(body)), body) == 200
    chat = ann.do("POST", "/chat-sessions", {})["session_id"]
    for attachment in (described(body), described(b"nobody's")):
        message = {"content": "", "message_type": "user", "attachments": [attachment]}
        refused = ann.send("POST", f"/chat-sessions/{chat}/messages", {"messages": [message]})
        assert refused.status_code == 400
        assert refused.json()["metadata"]["error_code"] == "content_missing"
    assert ann.do("GET", f"/chat-sessions/{chat}")["message_count"] == 0


def test_more_than_a_function_can_be_sent_is_refused_with_a_way_out(ann: Caller) -> None:
    chat = ann.do("POST", "/chat-sessions", {})["session_id"]
    refused = ann.send("POST", f"/chat-sessions/{chat}/messages", {"message": "a" * 6_400_000})
    assert refused.status_code == 413
    told = refused.json()
    assert told["metadata"]["error_code"] == "too_large"
    assert "POST /uploads" in told["error"]
    assert "6080 KB" in told["error"]


@pytest.fixture(scope="module")
def written(sign_in: SignIn) -> tuple[Caller, str]:
    ann = sign_in("ann@example.com")
    return ann, ann.do("POST", "/tool-sessions", {})["session_id"]


@settings(max_examples=25, deadline=None)
@given(
    value=OBJECTS,
    size=st.sampled_from([0, 900, 30_000, 300_000, 2_000_000, 5_500_000]),
)
def test_any_json_of_any_size_comes_back_identical(
    written: tuple[Caller, str], value: dict[str, Any], size: int
) -> None:
    ann, session_id = written
    result = value | {"noise": noise(size)}
    url = f"/tool-sessions/{session_id}/requests"
    body = json.dumps({"payload": {"tool_name": "t", "result": result}})
    recorded = ann.send("POST", url, content=body)
    assert recorded.status_code == 201, recorded.text[:300]
    number = recorded.json()["payload"]["record"]
    page = ann.send("GET", f"{url}?after={number - 1}&limit=1")
    (read,) = page.json()["payload"]["requests"]
    assert json.dumps(read["result"]) == json.dumps(result)
