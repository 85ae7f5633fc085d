"""What was kept goes on where it was, on whichever port."""

import json
from collections.abc import Iterator

import httpx
import pytest

from dev import local_stack
from dev.local_cloud import LocalCloud, free_port
from dev.local_stack import Stack
from tests.e2e.conftest import Caller
from tests.e2e.test_triggers import WAYS, asking, contents, wait_until


@pytest.fixture
def put_aside(stack: Stack) -> dict[str, str]:
    """What a message says that waits where nobody takes it, since before the restart."""
    said = {"message": f"it was at {stack.endpoint}", "at": stack.outputs["RequestsUrl"]}
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["UndeliveredRequestsUrl"], MessageBody=json.dumps(said)
    )
    return said


@pytest.fixture
def moved(cloud: LocalCloud, put_aside: dict[str, str]) -> Iterator[Stack]:
    """The stack after a restart on another port; it comes back to its own."""

    def restart(port: int) -> None:
        cloud.stop()
        cloud.port = port
        cloud.start()

    before = cloud.port
    restart(free_port())
    yield local_stack.deploy(cloud)
    restart(before)


def test_on_another_port_requests_are_done_and_messages_are_what_they_were(
    ann: Caller, put_aside: dict[str, str], moved: Stack
) -> None:
    addresses = {n: each for n, each in moved.outputs.items() if n.endswith("RequestsUrl")}
    assert len(addresses) == 5
    for address in addresses.values():
        assert address.startswith(f"{moved.endpoint}/")

    sqs, aside = moved.client("sqs"), addresses["UndeliveredRequestsUrl"]
    (waiting,) = sqs.receive_message(QueueUrl=aside)["Messages"]
    assert json.loads(waiting["Body"]) == put_aside
    sqs.delete_message(QueueUrl=aside, ReceiptHandle=waiting["ReceiptHandle"])

    with httpx.Client(base_url=moved.url, headers=ann.http.headers, timeout=60) as http:
        caller = Caller(http)
        session_id = caller.do("POST", "/chat-sessions", {})["session_id"]
        for put in WAYS:
            put(moved, asking("chat", session_id=session_id, message=put.__name__))
        wait_until(lambda: len(contents(caller, session_id)) == len(WAYS))
        assert sorted(contents(caller, session_id)) == sorted(put.__name__ for put in WAYS)
