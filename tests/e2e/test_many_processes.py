"""Eight processes, each with a memory of its own, write one session as fast as they can."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dev.local_cloud import REGION
from dev.local_stack import STACK, Stack
from tests.e2e.conftest import Caller

WRITERS = 8
APPENDS = 200


@pytest.mark.parametrize("closer", ["closes", "leaves it open"])
def test_what_was_acknowledged_is_there_once_in_order_and_nothing_after_the_closing(
    stack: Stack, ann: Caller, closer: str
) -> None:
    session_id = ann.do("POST", "/chat-sessions", {})["session_id"]
    appends = APPENDS if closer == "closes" else APPENDS // 4
    bucket = stack.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="Contents"
    )["StackResourceDetail"]["PhysicalResourceId"]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": "layers/models",
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "TABLE_NAME": stack.outputs["TableName"],
        "BUCKET_NAME": bucket,
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    writers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.e2e.writer", session_id),
                *(str(number), str(appends), closer if number == 0 else ""),
            ],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    answers: list[list[dict[str, Any]]] = []
    for writer in writers:
        printed, _ = writer.communicate(timeout=400)
        assert writer.returncode == 0
        answers.append([json.loads(line) for line in printed.splitlines()])

    told = [answer for written in answers for answer in written]
    assert not [answer for answer in told if "gave_up" in answer]
    messages: list[dict[str, Any]] = []
    after = 0
    while True:
        page = ann.do("GET", f"/chat-sessions/{session_id}/messages?after={after}&limit=100")
        messages += page["messages"]
        if not page["has_more"]:
            break
        after = page["next_after"]

    # No gap, one order; nothing twice; what was told is where it was told to be.
    assert [message["record"] for message in messages] == list(range(1, len(messages) + 1))
    recorded = {message["content"]: message["record"] for message in messages}
    assert max(Counter(message["content"] for message in messages).values()) == 1
    acknowledged = {
        (answer["content"], answer["record"]) for answer in told if answer.get("record")
    }
    assert acknowledged == set(recorded.items())
    for number in range(WRITERS):
        own = [content for content in recorded if content.startswith(f"{number}/")]
        assert own == [f"{number}/{place}" for place in range(len(own))]

    # Nothing after the closing: who was refused is not there, and the totals are those told.
    refused = {answer["refused"] for answer in told if "refused" in answer}
    assert not refused & set(recorded)
    assert bool(refused) == (closer == "closes")
    assert len(recorded) + len(refused) == WRITERS * appends
    closed = ann.do("POST", f"/chat-sessions/{session_id}/close")
    assert closed["total_messages"] == len(recorded)
