"""Eight clients, one session: all there, once, in one order, on eight function instances."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.e2e.conftest import Caller

CLIENTS = 8
MESSAGES = 15


def test_eight_clients_write_one_session(ann: Caller) -> None:
    session_id = ann.do("POST", "/chat-sessions", {})["session_id"]
    url = f"/chat-sessions/{session_id}/messages"

    def write(client: int) -> list[tuple[str, int]]:
        """Send each message, three in ten of them twice; return what was acknowledged, where."""
        told = []
        for number in range(MESSAGES):
            content, key = f"{client}/{number}", str(uuid4())
            for _ in range(1 + (random.random() < 0.3)):
                answer = ann.do("POST", url, {"message": content}, headers={"Idempotency-Key": key})
                told.append((content, answer["record"]))
        return told

    with ThreadPoolExecutor(CLIENTS) as pool:
        told = [pair for pairs in pool.map(write, range(CLIENTS)) for pair in pairs]

    read = ann.do("GET", f"/chat-sessions/{session_id}?include_messages=true")
    contents = [message["content"] for message in read["messages"]]
    assert Counter(contents) == Counter(
        f"{client}/{number}" for client in range(CLIENTS) for number in range(MESSAGES)
    )
    assert [message["record"] for message in read["messages"]] == list(
        range(1, CLIENTS * MESSAGES + 1)
    )
    assert set(told) == {(message["content"], message["record"]) for message in read["messages"]}
    for client in range(CLIENTS):
        own = [content for content in contents if content.startswith(f"{client}/")]
        assert own == [f"{client}/{number}" for number in range(MESSAGES)]
    assert ann.do("POST", f"/chat-sessions/{session_id}/close")["total_messages"] == len(contents)


def test_closing_in_the_middle_leaves_what_was_acknowledged_and_nothing_after(
    ann: Caller,
) -> None:
    session_id = ann.do("POST", "/tool-sessions", {})["session_id"]
    url = f"/tool-sessions/{session_id}"

    def write(client: int) -> list[int]:
        records: list[int] = []
        for number in range(MESSAGES):
            if client == 0 and number == MESSAGES // 2:
                ann.do("POST", f"{url}/close")
            response = ann.send("POST", f"{url}/requests", {"tool_name": "t", "result": {}})
            if response.status_code == 409:
                return records
            records.append(response.json()["payload"]["record"])
        return records

    with ThreadPoolExecutor(CLIENTS) as pool:
        told = sorted(record for records in pool.map(write, range(CLIENTS)) for record in records)
    assert told == list(range(1, len(told) + 1))
    closed = ann.do("POST", f"{url}/close")
    assert (closed["total_requests"], closed["total_events"]) == (len(told), 4 * len(told))
    read = ann.do("GET", f"{url}?include_requests=true")
    assert [request["record"] for request in read["requests"]] == told


def test_many_filings_at_once_each_get_their_own_total(ann: Caller) -> None:
    casefile_id = ann.do("POST", "/casefiles", {"title": "Busy"})["casefile_id"]
    sessions = [ann.do("POST", "/tool-sessions", {})["session_id"] for _ in range(12)]

    def file(session_id: str) -> int:
        payload = {"session_id": session_id, "session_type": "tool"}
        total = ann.do("POST", f"/casefiles/{casefile_id}/sessions", payload)["total_sessions"]
        assert isinstance(total, int)
        return total

    def create(_: int) -> str:
        return str(ann.do("POST", "/chat-sessions", {"casefile_id": casefile_id})["session_id"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        created = pool.map(create, range(4))
        totals = list(pool.map(file, sessions))
        sessions += created
    assert len(set(totals)) == 12
    assert all(1 <= total <= 16 for total in totals)
    casefile = ann.do("GET", f"/casefiles/{casefile_id}")["casefile"]
    assert casefile["session_count"] == 16
    assert sorted(casefile["session_ids"]) == sorted(sessions)


def test_the_same_creation_sent_at_once_opens_one_session(ann: Caller) -> None:
    casefile_id = ann.do("POST", "/casefiles", {"title": "Twins"})["casefile_id"]
    key = {"Idempotency-Key": str(uuid4())}

    def create(_: int) -> dict[str, object]:
        return ann.do("POST", "/tool-sessions", {"casefile_id": casefile_id}, headers=key)

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(create, range(CLIENTS)))
    assert all(answer == answers[0] for answer in answers)
    casefile = ann.do("GET", f"/casefiles/{casefile_id}")["casefile"]
    assert casefile["session_count"] == 1
