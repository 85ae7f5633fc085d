"""No size wall: what is too large for the table lies in the bucket, and comes back all the same."""

import base64
import copy
import json
import random
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from casefile import api, contents, reading, records, session_log
from casefile.errors import NotFound, RequestIdReused, SessionClosed
from pydantic_models.export import verify
from tests.conftest import Context, Invoke, account, forget, load, objects, stored
from tests.operations.test_create_upload import fetch


def noise(size: int) -> str:
    """Text that hardly compresses."""
    return base64.b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()


@pytest.fixture
def session_id(invoke: Invoke) -> str:
    return str(invoke("create_session")["payload"]["session_id"])


def record(invoke: Invoke, session_id: str, result: str | None, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"session_id": session_id, "tool_name": "dump"}
    asked |= {} if result is None else {"result": {"text": result}}
    told: dict[str, Any] = invoke("tool_execution", asked, **more)["payload"]
    return told


def requests_of(invoke: Invoke, session_id: str, **asked: Any) -> dict[str, Any]:
    page: dict[str, Any] = invoke("list_tool_requests", {"session_id": session_id, **asked})[
        "payload"
    ]
    return page


@pytest.mark.parametrize("size", [40_000, 300_000, 500_000, 5_000_000])
@pytest.mark.parametrize("letter", ["noise", "a", "é"])
def test_large_content_comes_back_whole(
    invoke: Invoke, session_id: str, size: int, letter: str
) -> None:
    text = noise(size) if letter == "noise" else letter * (size // len(letter.encode()))
    request_id = str(uuid4())
    first = record(invoke, session_id, text, request_id=request_id)
    assert first["result"] == {"text": text}
    forget()
    assert record(invoke, session_id, text, request_id=request_id) == first
    (read,) = requests_of(invoke, session_id)["requests"]
    assert read["result"] == {"text": text}
    assert read["left_out"] == []


def test_small_content_costs_no_object_and_large_content_a_small_item(
    invoke: Invoke, session_id: str
) -> None:
    record(invoke, session_id, noise(20_000))
    record(invoke, session_id, "a" * 200_000)
    assert objects() == []
    record(invoke, session_id, noise(200_000))
    assert len(objects()) == 1
    (item,) = (item for item in stored() if item["sk"]["S"] == "000000000003")
    assert len(json.dumps(item, default=str)) < 1000
    digest = item["digest"]["B"].hex()
    assert objects() == [f"content/{session_id}/{digest}"]
    body = fetch(f"https://host/content/{session_id}/{digest}")
    assert sha256(body).hexdigest() == digest
    assert int(item["size"]["N"]) == len(body)


def test_a_retry_may_not_differ(invoke: Invoke, session_id: str) -> None:
    request_id = str(uuid4())
    record(invoke, session_id, noise(300_000), request_id=request_id)
    with pytest.raises(Exception, match="used before for a different request"):
        record(invoke, session_id, noise(300_002), request_id=request_id)


def test_what_no_answer_can_carry_is_told_by_a_link(invoke: Invoke, session_id: str) -> None:
    """Over HTTP, a quotation mark counts four times: once in our JSON, once in Lambda's."""
    text = '"' * 2_000_000
    first = record(invoke, session_id, text)  # A direct caller gets it whole.
    assert (first["result"], first["left_out"]) == ({"text": text}, [])
    asked = {
        "httpMethod": "GET",
        "pathParameters": {"session_id": session_id},
        "requestContext": {
            "authorizer": {"claims": {"email": "ann@example.com", "email_verified": "true"}}
        },
    }
    answer = load("list_tool_requests")(asked, Context())
    assert answer["statusCode"] == 200
    assert len(json.dumps(answer)) < api.MAX_CARRIED_BYTES
    (read,) = json.loads(answer["body"])["payload"]["requests"]
    assert (read["status"], read["tool_name"], read["result"]) == ("completed", "dump", {})
    assert read["events"] == first["events"]
    (link,) = read["left_out"]
    assert link["record"] == 1
    content = fetch(link["url"])
    assert (sha256(content).hexdigest(), len(content)) == (link["sha256"], link["size"])
    assert json.loads(content)["result"] == {"text": text}


def test_messages_too_large_for_an_answer_keep_their_place(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    said = [{"content": noise(200_000 + n), "message_type": "user"} for n in (2, 4)]
    monkeypatch.setattr(api, "MAX_CARRIED_BYTES", 300_000)
    told = invoke("chat", {"session_id": session_id, "messages": said})["payload"]
    messages = [told["message"], *told["related_messages"]]
    assert [message["content"] for message in messages] == ["", ""]
    content = json.loads(fetch(messages[1]["left_out"][0]["url"]))
    assert content["messages"] == said
    read = invoke("get_chat_session", {"session_id": session_id, "include_messages": True})
    for message in [*messages, *read["payload"]["messages"]]:
        for link in message["left_out"]:
            del link["url"], link["expires_at"]
    assert read["payload"]["messages"] == messages


def test_a_page_ends_before_it_is_too_much(invoke: Invoke, session_id: str) -> None:
    for number in range(5):
        record(invoke, session_id, noise(900_000 + 2 * number))
    for order in ("oldest", "newest"):
        seen: list[int] = []
        place: dict[str, Any] = {}
        while True:
            page = requests_of(invoke, session_id, order=order, **place)
            assert len(page["requests"]) <= 2
            seen += [request["record"] for request in page["requests"]]
            if not page["has_more"]:
                break
            place = (
                {"after": page["next_after"]}
                if order == "oldest"
                else {"before": page["next_before"]}
            )
        assert sorted(seen) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_a_page_is_no_longer_than_its_outcomes_allow(
    invoke: Invoke, session_id: str, order: str
) -> None:
    """Small requests, large results, all beyond the page."""
    begun = [str(uuid4()) for _ in range(6)]
    for request_id in begun:
        record(invoke, session_id, None, request_id=request_id)
    for number, request_id in enumerate(begun[:5]):
        result = {"text": noise(900_000 + 2 * number)}
        asked = {"session_id": session_id, "request_id": request_id, "result": result}
        invoke("tool_result", asked)
    seen: list[tuple[str, str]] = []
    place: dict[str, Any] = {"before": 7}
    while True:
        page = requests_of(invoke, session_id, order=order, **place)
        seen += [(request["request_id"], request["status"]) for request in page["requests"]]
        assert sum(len(json.dumps(request)) for request in page["requests"]) < 3_000_000
        if not page["has_more"]:
            break
        name = "next_after" if order == "oldest" else "next_before"
        place = place | {name.removeprefix("next_"): page[name]}
    expected = [(request_id, "completed") for request_id in begun[:5]] + [(begun[5], "pending")]
    assert seen == (expected if order == "oldest" else expected[::-1])


def test_an_export_holds_with_contents_and_with_links(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(invoke, session_id, noise(300_000))
    record(invoke, session_id, "small")
    seal = invoke("close_session", {"session_id": session_id})["metadata"]["seal"]
    whole = invoke("export_session", {"session_id": session_id})["payload"]["lines"].splitlines()
    assert verify(whole, seal).linked == {}
    monkeypatch.setattr(api, "MAX_CARRIED_BYTES", 200_000)
    lines = invoke("export_session", {"session_id": session_id})["payload"]["lines"].splitlines()
    verified = verify(lines, seal)
    assert (verified.records, list(verified.linked)) == (3, [1])
    told = json.loads(lines[1])
    assert sha256(fetch(told["content_url"])).hexdigest() == verified.linked[1]
    assert fetch(told["content_url"]).decode() == json.loads(whole[1])["content"]
    forged = json.dumps(told | {"content_sha256": sha256(b"other").hexdigest()})
    with pytest.raises(ValueError, match="record 1"):
        verify([lines[0], forged, *lines[2:]])


def test_reading_is_bounded_in_memory(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query loads no more at once than it may, and the readers go on from there."""
    for number in range(6):
        record(invoke, session_id, noise(50_000 + 2 * number))
    expected = requests_of(invoke, session_id)["requests"]
    monkeypatch.setattr(records, "MAX_LOADED_BYTES", 120_000)
    for order in ("oldest", "newest"):
        page = requests_of(invoke, session_id, order=order)
        assert page["requests"] == (expected if order == "oldest" else expected[::-1])
        assert not page["has_more"]
    asked = {"session_id": session_id, "include_requests": True}
    assert invoke("get_session", asked)["payload"]["requests"] == expected
    lines = invoke("export_session", {"session_id": session_id})["payload"]["lines"]
    assert verify(lines.splitlines()).records == 6


def test_deleting_a_session_deletes_its_contents_and_no_others(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = invoke("create_session")["payload"]["session_id"]
    for number in range(3):
        record(invoke, session_id, noise(60_000 + 2 * number))
    record(invoke, other, noise(60_000))
    monkeypatch.setattr("casefile.contents.MAX_DELETED", 2)
    invoke("delete_session", {"session_id": session_id, "confirm": True})
    assert [key.split("/")[1] for key in objects()] == [other]
    (read,) = requests_of(invoke, other)["requests"]
    assert read["result"] == {"text": noise(60_000)}


def test_a_stale_instance_puts_nothing_in_the_bucket_for_a_session_that_is_closed(
    invoke: Invoke, session_id: str
) -> None:
    record(invoke, session_id, "small")  # This instance knows the session now.
    remembered = copy.deepcopy(dict(session_log._memories))
    invoke("close_session", {"session_id": session_id})
    session_log._memories.update(remembered)
    with pytest.raises(SessionClosed):
        record(invoke, session_id, noise(200_000))
    assert objects() == []


def test_a_stale_instance_brings_nothing_back_to_the_bucket(
    invoke: Invoke, session_id: str
) -> None:
    record(invoke, session_id, "small")  # This instance knows the session now.
    remembered = dict(session_log._memories)
    invoke("delete_session", {"session_id": session_id, "confirm": True})
    session_log._memories.update(remembered)
    with pytest.raises(NotFound):
        record(invoke, session_id, noise(60_000))
    assert objects() == []


def test_content_that_vanished_is_no_bug_of_the_reader(invoke: Invoke, session_id: str) -> None:
    """As seen by a reader that a deletion overtakes."""
    record(invoke, session_id, noise(60_000))
    account("s3").delete_object(Bucket="casefile-test", Key=objects()[0])
    with pytest.raises(NotFound, match="not there any more"):
        requests_of(invoke, session_id)


def test_pages_of_links_are_small(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        record(invoke, session_id, noise(100_000 + 2 * number))
    monkeypatch.setattr(api, "MAX_CARRIED_BYTES", 250_000)
    monkeypatch.setattr(reading, "MAX_LINKED_PAGE_CHARACTERS", 150_000)
    page = requests_of(invoke, session_id)
    assert ([request["record"] for request in page["requests"]], page["has_more"]) == ([1], True)


def test_a_page_cut_short_still_tells_what_was_completed_within_it(
    invoke: Invoke, session_id: str
) -> None:
    """A, B, C, the result of A, D; then the large results of B and C, beyond the page."""
    ids = {name: str(uuid4()) for name in "ABCD"}

    def end(name: str, text: str) -> None:
        asked = {"session_id": session_id, "request_id": ids[name], "result": {"text": text}}
        invoke("tool_result", asked)

    for name in "ABC":
        record(invoke, session_id, None, request_id=ids[name])
    end("A", "small")
    record(invoke, session_id, None, request_id=ids["D"])
    end("B", noise(1_200_000))
    end("C", noise(1_200_004))
    page = requests_of(invoke, session_id, limit=4)
    assert [request["status"] for request in page["requests"]] == ["completed", "completed"]
    rest = requests_of(invoke, session_id, after=page["next_after"])
    assert [request["status"] for request in rest["requests"]] == ["completed", "pending"]


def test_an_id_of_another_kind_of_record_is_refused_without_its_content(
    invoke: Invoke, session_id: str
) -> None:
    request_id = str(uuid4())
    record(invoke, session_id, noise(60_000), request_id=request_id)
    account("s3").delete_object(Bucket="casefile-test", Key=objects()[0])
    for known in (True, False):
        if not known:
            forget()
        with pytest.raises(RequestIdReused):
            invoke("close_session", {"session_id": session_id}, request_id=request_id)


def test_a_writer_that_a_deletion_overtakes_leaves_nothing_behind(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw the session alive; the session is deleted and swept; then its content lands."""
    put = contents.put

    def late(*arguments: str) -> None:
        monkeypatch.setattr(contents, "put", put)
        invoke("delete_session", {"session_id": session_id, "confirm": True})
        put(*arguments)
        assert len(objects()) == 1

    monkeypatch.setattr(contents, "put", late)
    with pytest.raises(NotFound):
        record(invoke, session_id, noise(60_000))
    assert objects() == []


def test_any_text_stays_on_the_line_of_its_record(invoke: Invoke, session_id: str) -> None:
    record(invoke, session_id, "a\u2028b\u2029c\x85d\x0be\nf")
    lines = invoke("export_session", {"session_id": session_id})["payload"]["lines"]
    assert verify(lines.splitlines()).records == verify(lines.split("\n")).records == 1


@pytest.mark.parametrize("forged", ['{"content":"{}",', '{"author":"eve",'])
def test_an_export_with_more_than_was_sealed_does_not_hold(
    invoke: Invoke, session_id: str, forged: str
) -> None:
    record(invoke, session_id, "small")
    lines = invoke("export_session", {"session_id": session_id})["payload"]["lines"].splitlines()
    with pytest.raises(ValueError, match="record 1"):
        verify([lines[0], lines[1].replace("{", forged, 1)])


def test_events_too_large_to_tell_say_where_they_are(
    invoke: Invoke, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"event_type": "progress", "tool_name": "t", "parameters": {"big": noise(300_000)}}
    asked = {"session_id": session_id, "tool_name": "t", "result": {}, "events": [event]}
    invoke("tool_execution", asked)
    monkeypatch.setattr(api, "MAX_CARRIED_BYTES", 200_000)
    asked = {"session_id": session_id}
    whole = invoke("get_session", asked | {"include_events": True})["payload"]["events"]
    for events in (invoke("list_tool_events", asked)["payload"]["events"], whole):
        (told,) = (one for one in events if one["event_type"] == "progress")
        assert told["parameters"] == {}
        assert json.loads(fetch(told["left_out"][0]["url"]))["events"] == [event]
        assert [one["event_type"] for one in events if "left_out" in one] == ["progress"]


def test_whatever_was_recorded_can_be_told(invoke: Invoke) -> None:
    """The most that each limit allows, in characters that grow the most on their way."""
    session_id = invoke("create_session")["payload"]["session_id"]
    texts = {"reasoning": 2000, "error_message": 2000, "initiator": 200, "event_id": 200}
    event = {name: "\u0001" * size for name, size in texts.items()}
    events = [event | {"event_type": "e", "tool_name": "\u0001" * 200} for _ in range(100)]
    metadata = {"m": "\u0001" * 2_600}
    asked = {"session_id": session_id, "tool_name": "t", "events": events}
    request_id = str(uuid4())
    invoke("tool_execution", asked, request_id=request_id, metadata=metadata)
    ended = {"session_id": session_id, "request_id": request_id, "result": {}, "events": events}
    invoke("tool_result", ended, metadata=metadata)
    chat = invoke("create_chat_session")["payload"]["session_id"]
    message = {"content": "hi", "message_type": "user"}
    invoke("chat", {"session_id": chat, "messages": [message] * 100}, metadata=metadata)
    claims = {"email": "ann@example.com", "email_verified": "true"}
    for operation, path in (
        ("list_tool_requests", {"session_id": session_id}),
        ("get_tool_request", {"session_id": session_id, "request_id": request_id}),
        ("list_tool_events", {"session_id": session_id}),
        ("export_session", {"session_id": session_id}),
        ("list_chat_messages", {"session_id": chat}),
        ("list_chat_events", {"session_id": chat}),
    ):
        asked = {
            "httpMethod": "GET",
            "pathParameters": path,
            "requestContext": {"authorizer": {"claims": claims}},
        }
        answer = load(operation)(asked, Context())
        assert answer["statusCode"] == 200, operation
        assert len(json.dumps(answer)) < 6 * 2**20
