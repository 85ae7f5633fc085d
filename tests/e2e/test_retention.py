"""Archived, read from the archive, held, deleted and erased, on the deployed template."""

import gzip
import json
from datetime import timedelta
from typing import Any

from dev.local_stack import Stack
from pydantic_models.base.times import now, to_milliseconds
from pydantic_models.export import verify
from tests.e2e.conftest import Caller, SignIn


def run(stack: Stack, function: str, **arguments: Any) -> dict[str, Any]:
    answer = stack.client("lambda").invoke(
        FunctionName=stack.function(function), Payload=json.dumps(arguments)
    )
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return told


def closed(caller: Caller, **filed: str) -> str:
    """A closed session with a content that lies in the bucket; its id."""
    session_id = str(caller.do("POST", "/tool-sessions", filed)["session_id"])
    for text in ("one", "x" * 300_000, "three"):
        asked = {"tool_name": "t", "result": {"text": text}}
        caller.do("POST", f"/tool-sessions/{session_id}/requests", asked)
    caller.do("POST", f"/tool-sessions/{session_id}/close", {})
    return session_id


def grow_old(stack: Stack, session_id: str) -> None:
    """Let it be two days since a session was closed."""
    since = to_milliseconds(now() - timedelta(days=2))
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["TableName"],
        Key={"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": "HEAD"}},
        UpdateExpression="SET since = :since",
        ExpressionAttributeValues={":since": {"S": f"{since:013}#{session_id}"}},
    )


def everything(stack: Stack) -> str:
    """All that is stored in the table and the bucket, in words."""
    table = stack.client("dynamodb").get_paginator("scan")
    pages = table.paginate(TableName=stack.outputs["TableName"])
    texts = [str(page["Items"]) for page in pages]
    client, bucket = stack.client("s3"), stack.outputs["BucketName"]
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for told in page.get("Contents", []):
            body = client.get_object(Bucket=bucket, Key=told["Key"])["Body"].read()
            texts += [told["Key"], str(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)]
    return "".join(texts)


def test_from_the_archive_it_is_what_it_was(stack: Stack, ann: Caller) -> None:
    session_id = closed(ann)
    requests, export = (
        f"/tool-sessions/{session_id}/requests",
        f"/tool-sessions/{session_id}/export",
    )
    before, lines = ann.do("GET", requests), ann.send("GET", export).text
    assert run(stack, "archive_sessions", keep_days=0)["archived"]["failed"] == 0
    assert ann.do("GET", f"/tool-sessions/{session_id}")["archived_at"] is not None
    grow_old(stack, session_id)
    assert run(stack, "archive_sessions", keep_days=1)["expired"]["done"] >= 1
    answer = ann.send("GET", requests).json()
    assert (answer["payload"], answer["metadata"]) == (before, {"read_from": "archive"})
    assert ann.send("GET", export).text == lines
    seal = ann.do("GET", f"/tool-sessions/{session_id}")["seal"]
    assert verify(lines.splitlines(), seal).records == 4
    late = ann.send("POST", requests, {"tool_name": "late"})
    assert (late.status_code, late.json()["metadata"]["error_code"]) == (409, "session_closed")
    ann.do("DELETE", f"/tool-sessions/{session_id}?confirm=true")
    assert f"{session_id}.jsonl.gz" not in everything(stack)


def test_erased_nothing_of_a_user_is_left_but_what_is_held(stack: Stack, sign_in: SignIn) -> None:
    erin, frank = sign_in("erin@example.com"), sign_in("frank@example.com")
    casefile_id = frank.do("POST", "/casefiles", {"title": "Claim"})["casefile_id"]
    hold = f"/casefiles/{casefile_id}/legal-hold"
    asked = {"target_user_id": "erin@example.com", "permission": "editor"}
    frank.do("POST", f"/casefiles/{casefile_id}/permissions", asked)
    held = closed(erin, casefile_id=casefile_id)
    closed(erin)
    erin.do("POST", "/casefiles", {"title": "Erin's"})
    run(stack, "archive_sessions", keep_days=0)
    frank.do("PUT", hold, {"hold": True})
    refused = erin.send("DELETE", f"/tool-sessions/{held}?confirm=true")
    assert (refused.status_code, refused.json()["metadata"]["error_code"]) == (409, "legal_hold")
    told = erin.do("DELETE", "/users/erin@example.com?confirm=true")
    assert told["completed_at"] is not None
    assert (told["sessions"], told["records"], told["casefiles"]) == (1, 4, 1)
    assert (told["held_sessions"], told["held_casefiles"]) == (1, 0)
    frank.do("PUT", hold, {"hold": False})
    assert erin.do("DELETE", "/users/erin@example.com?confirm=true")["sessions"] == 1
    assert run(stack, "finish_deletions")["users"]["failed"] == 0
    assert "erin@example.com" not in everything(stack)
