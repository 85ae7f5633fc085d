"""What is too large for a request is uploaded first, and belongs to the session that takes it."""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import pytest

from casefile import contents
from casefile.errors import BadRequest, ContentMissing
from pydantic_models.base.times import from_text, now
from tests.conftest import BUCKET, Invoke, account, forget, objects, overtake, stored

PICTURE = b"\x89PNG" + b"pixels" * 1000


def described(body: bytes, **more: Any) -> dict[str, Any]:
    return {"sha256": sha256(body).hexdigest(), "size": len(body), **more}


def upload(invoke: Invoke, body: bytes, user: str = "ann@example.com") -> dict[str, Any]:
    """Upload as whoever has the link would; return what a request refers to it by."""
    link = invoke("create_upload", described(body, content_type="image/png"), user=user)["payload"]
    address = urlsplit(link["url"])
    signed = parse_qs(address.query)["X-Amz-SignedHeaders"][0].split(";")
    assert {name.lower() for name in link["headers"]} | {"content-length"} <= set(signed)
    account("s3").put_object(
        Bucket=BUCKET,
        Key=unquote(address.path).removeprefix("/"),
        Body=body,
        ContentType=link["headers"]["Content-Type"],
        ChecksumAlgorithm="SHA256",  # What S3 keeps for the header; here nobody checks it.
        ChecksumSHA256=link["headers"]["x-amz-checksum-sha256"],
    )
    return described(body, name="chart é.png", content_type="image/png")


def fetch(url: str) -> bytes:
    key = unquote(urlsplit(url).path).removeprefix("/")
    body: bytes = account("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


@pytest.fixture
def chat(invoke: Invoke) -> str:
    return str(invoke("create_chat_session")["payload"]["session_id"])


def send(invoke: Invoke, chat: str, *attachments: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {"content": "See:", "message_type": "user", "attachments": list(attachments)}
    told: dict[str, Any]
    told = invoke("chat", {"session_id": chat, "messages": [message]}, **more)["payload"]
    return told


def test_a_message_brings_what_was_uploaded_for_it(invoke: Invoke, chat: str) -> None:
    attachment = upload(invoke, PICTURE)
    told = send(invoke, chat, attachment)["message"]["attachments"]
    asked = {"session_id": chat}
    read = invoke("list_chat_messages", asked)["payload"]["messages"][0]["attachments"]
    for (one,) in (told, read):
        assert attachment.items() <= one.items()
        assert fetch(one["url"]) == PICTURE
        assert "chart%2520%25C3%25A9.png" in one["url"]


def test_a_link_holds_for_fifteen_minutes(invoke: Invoke, chat: str) -> None:
    link = invoke("create_upload", described(PICTURE))["payload"]
    (read,) = send(invoke, chat, upload(invoke, PICTURE))["message"]["attachments"]
    for each in (link, read):
        assert parse_qs(urlsplit(each["url"]).query)["X-Amz-Expires"] == ["900"]
        assert timedelta(minutes=14) < from_text(each["expires_at"]) - now() <= contents.LINK_LIFE


def test_a_tool_execution_and_its_result_bring_theirs(invoke: Invoke) -> None:
    session_id = invoke("create_session")["payload"]["session_id"]
    asked, result = upload(invoke, b"question"), upload(invoke, b"answer")
    request_id = str(uuid4())
    begun = {"session_id": session_id, "tool_name": "draw", "attachments": [asked]}
    invoke("tool_execution", begun, request_id=request_id)
    ended = {"session_id": session_id, "request_id": request_id, "result": {}}
    invoke("tool_result", ended | {"attachments": [result]})
    payload = {"session_id": session_id, "request_id": request_id}
    read = invoke("get_tool_request", payload)["payload"]["request"]
    assert [fetch(one["url"]) for one in read["attachments"]] == [b"question"]
    assert [fetch(one["url"]) for one in read["result_attachments"]] == [b"answer"]


def test_the_upload_may_expire_once_a_record_refers_to_it(invoke: Invoke, chat: str) -> None:
    attachment, request_id = upload(invoke, PICTURE), str(uuid4())
    first = send(invoke, chat, attachment, request_id=request_id)
    for key in objects():
        if key.startswith("incoming/"):
            account("s3").delete_object(Bucket=BUCKET, Key=key)
    forget()
    again = send(invoke, chat, attachment, request_id=request_id)
    assert again["record"] == first["record"]
    assert send(invoke, chat, attachment)["record"] == 2
    assert [key.split("/")[:2] for key in objects()] == [["content", chat]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": sha256(b"never uploaded").hexdigest()},
        {"size": len(PICTURE) - 1},
        {"size": len(PICTURE) + 1},
    ],
)
def test_what_is_not_there_or_differs_is_refused(
    invoke: Invoke, chat: str, wrong: dict[str, Any]
) -> None:
    attachment = upload(invoke, PICTURE)
    with pytest.raises(ContentMissing, match="POST /uploads"):
        send(invoke, chat, attachment, attachment | wrong)
    assert len(stored()) == 1


def test_what_was_put_by_other_means_than_the_link_is_refused(invoke: Invoke, chat: str) -> None:
    """Without the digest that S3 checks, nobody knows what it is."""
    attachment = upload(invoke, PICTURE)
    (key,) = objects()
    account("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x" * len(PICTURE))
    with pytest.raises(ContentMissing):
        send(invoke, chat, attachment)


def test_what_is_taken_over_is_what_was_looked_at(invoke: Invoke, chat: str) -> None:
    """By its tag, S3 knows what was changed meanwhile, and copies none; here nobody checks it."""
    attachment = upload(invoke, PICTURE)
    (key,) = objects()
    tags: list[str] = []

    def note(params: Any, **_: Any) -> None:
        tags.append(params["headers"]["x-amz-copy-source-if-match"])

    contents.client().meta.events.register("before-call.s3.CopyObject", note)
    send(invoke, chat, attachment)
    assert tags == [account("s3").head_object(Bucket=BUCKET, Key=key)["ETag"]]


def test_nobody_takes_what_another_uploaded(invoke: Invoke, chat: str) -> None:
    attachment = upload(invoke, PICTURE, user="bob@example.com")
    with pytest.raises(ContentMissing):
        send(invoke, chat, attachment)


def test_nobody_takes_what_another_session_holds(invoke: Invoke, chat: str) -> None:
    attachment = upload(invoke, PICTURE)
    send(invoke, chat, attachment)
    account("s3").delete_object(Bucket=BUCKET, Key=objects()[-1])
    other = invoke("create_chat_session", {}, user="bob@example.com")["payload"]["session_id"]
    with pytest.raises(ContentMissing):
        send(invoke, other, attachment, user="bob@example.com")


def test_capitals_are_lowered(invoke: Invoke, chat: str) -> None:
    attachment = upload(invoke, PICTURE)
    shouted = attachment | {"sha256": attachment["sha256"].upper()}
    assert (
        send(invoke, chat, shouted)["message"]["attachments"][0]["sha256"] == attachment["sha256"]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": "abc"},
        {"sha256": "../" + "a" * 61},
        {"size": -1},
        {"size": 500 * 2**20 + 1},
        {"size": "5"},
        {"content_type": "text/html\r\nX-Evil: 1"},
        {"content_type": "html"},
    ],
)
def test_bounds_are_kept(invoke: Invoke, chat: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        invoke("create_upload", described(PICTURE) | wrong)
    with pytest.raises(BadRequest):
        send(invoke, chat, described(PICTURE) | wrong)


def test_what_was_taken_over_is_not_copied_again(
    invoke: Invoke, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request with many attachments that ran out of time goes on where it was."""
    many = [upload(invoke, bytes([number])) for number in range(5)]
    send(invoke, chat, *many[:4])
    copied: list[str] = []
    events = contents.client().meta.events
    events.register("before-call.s3.CopyObject", lambda params, **_: copied.append(params["url"]))
    send(invoke, chat, *many)
    assert len(copied) == 1


def test_of_several_none_is_copied_if_one_is_missing(invoke: Invoke, chat: str) -> None:
    attachment = upload(invoke, PICTURE)
    with pytest.raises(ContentMissing):
        send(invoke, chat, attachment, described(b"never uploaded"))
    assert [key for key in objects() if key.startswith("content/")] == []


@pytest.mark.parametrize("is_there", [True, False])
def test_an_upload_that_changes_before_it_is_copied_is_looked_for_again(
    invoke: Invoke, chat: str, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    attachment = upload(invoke, PICTURE)
    (key,) = objects()

    def change() -> None:
        account("s3").delete_object(Bucket=BUCKET, Key=key)
        if is_there:
            upload(invoke, PICTURE)

    overtake(monkeypatch, contents, "_copy", change)
    if is_there:
        assert send(invoke, chat, attachment)["record"] == 1
    else:
        with pytest.raises(ContentMissing):
            send(invoke, chat, attachment)


def test_one_request_refers_to_a_hundred_attachments_at_most(invoke: Invoke, chat: str) -> None:
    message = {"content": "", "message_type": "user", "attachments": [described(PICTURE)] * 20}
    with pytest.raises(BadRequest, match="at most 100 attachments"):
        invoke("chat", {"session_id": chat, "messages": [message] * 6})
