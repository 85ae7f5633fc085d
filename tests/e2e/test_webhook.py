"""The webhook: what the template sends, sent to a server on this machine.

The local cloud delivers to API destinations, but its CloudFormation does not know them: so they are
made by its API, from what the template says of them.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dev import local_stack
from dev.console import Problem
from dev.local_cloud import HOST, LocalCloud
from dev.local_stack import Stack
from pydantic_models.domain_events import ADAPTER
from tests.e2e.conftest import Caller
from tests.e2e.test_triggers import wait_until
from tests.template import ROOT, template

KEY = "a key for tests"
CHOSEN = ["session.closed", "tool.failed"]


@dataclass
class Receiver:
    """A server that takes what it is sent."""

    taken: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def told(self, session_id: str) -> list[dict[str, Any]]:
        return [event for _, event in self.taken if event.get("session_id") == session_id]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.taken.append((headers, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        receiver.url = f"http://{HOST}:{server.server_port}/events"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


def filled_in(node: Any, values: dict[str, Any]) -> Any:
    """Part of the template with what it refers to."""
    if isinstance(node, list):
        return [filled_in(each, values) for each in node]
    if not isinstance(node, dict):
        return node
    if "Ref" in node:
        return values[node["Ref"]]
    if "Fn::GetAtt" in node:
        return values[".".join(node["Fn::GetAtt"])]
    return {name: filled_in(each, values) for name, each in node.items()}


@pytest.fixture
def webhook(stack: Stack, receiver: Receiver) -> Iterator[None]:
    """The template's webhook, with parameters as one would give them."""
    events = stack.client("events")
    values = {
        "Bus": stack.outputs["BusName"],
        "WebhookEvents": CHOSEN,
        "WebhookHeader": template()["Parameters"]["WebhookHeader"]["Default"],
        "WebhookKey": KEY,
        "WebhookUrl": receiver.url,
        "WebhookRole.Arn": "arn:aws:iam::000000000000:role/webhook",
        "UndeliveredEvents.Arn": "arn:aws:sqs:us-east-1:000000000000:undelivered",
    }

    def properties(name: str) -> dict[str, Any]:
        filled: dict[str, Any] = filled_in(template()["Resources"][name]["Properties"], values)
        return filled

    made = events.create_connection(Name="webhook", **properties("WebhookConnection"))
    values["WebhookConnection.Arn"] = made["ConnectionArn"]
    made = events.create_api_destination(Name="webhook", **properties("WebhookDestination"))
    values["WebhookDestination.Arn"] = made["ApiDestinationArn"]
    rule = properties("WebhookRule")
    targets, bus = rule.pop("Targets"), rule["EventBusName"]
    rule["EventPattern"] = json.dumps(rule["EventPattern"])
    events.put_rule(Name="webhook", **rule)
    events.put_targets(Rule="webhook", EventBusName=bus, Targets=targets)
    yield
    events.remove_targets(Rule="webhook", EventBusName=bus, Ids=[each["Id"] for each in targets])
    events.delete_rule(Name="webhook", EventBusName=bus)
    events.delete_api_destination(Name="webhook")
    events.delete_connection(Name="webhook")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"WebhookUrl": "https://hooks.example.com"}, "WebhookUrl needs a WebhookKey"),
        ({"WebhookUrl": "http://hooks.example.com", "WebhookKey": KEY}, "must be an HTTPS address"),
        ({"WebhookEvents": "session.closed,session.opened"}, "must be names of events"),
    ],
)
def test_what_would_not_work_is_not_deployed(
    stack: Stack, cloud: LocalCloud, parameters: dict[str, str], told: str
) -> None:
    with pytest.raises(Problem, match=told):
        local_stack.deploy(cloud, ROOT, **parameters)


def test_chosen_events_arrive_with_the_key_and_no_others(
    ann: Caller, receiver: Receiver, webhook: None
) -> None:
    session_id = ann.do("POST", "/tool-sessions", {"title": "Secret"})["session_id"]
    ann.do("POST", f"/tool-sessions/{session_id}/requests", {"tool_name": "t"})
    ann.do("POST", f"/tool-sessions/{session_id}/close", {"force": True})
    # Its creation, had it been chosen, would be here before the closing of the next one.
    last = ann.do("POST", "/tool-sessions", {})["session_id"]
    ann.do("POST", f"/tool-sessions/{last}/close")
    wait_until(lambda: len(receiver.told(session_id)) >= 2 and bool(receiver.told(last)))
    assert {event["event_type"] for _, event in receiver.taken} <= set(CHOSEN)
    assert sorted(event["event_type"] for event in receiver.told(session_id)) == CHOSEN
    for headers, event in receiver.taken:
        assert headers["x-api-key"] == KEY
        assert headers["content-type"].startswith("application/json")
        assert str(ADAPTER.validate_python(event).event_id) == event["event_id"]
        assert "Secret" not in json.dumps(event)
