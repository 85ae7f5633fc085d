"""`make invoke` against the deployed functions: the answer on stdout, the log lines on stderr."""

import json
import re

import pytest

from dev import invoke
from dev.console import Problem
from dev.local_cloud import LocalCloud
from dev.local_stack import Stack
from tests.events import event
from tests.template import ROOT


def test_it_prints_what_a_function_answers_and_logs(
    stack: Stack, cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke.invoke("create_session", event("create_session", "direct"), cloud.port)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["status"] == "completed"
    assert json.loads(printed.err.splitlines()[-1])["message"] == "done"


@pytest.mark.parametrize("told", ["README.md", "dev/__main__.py"])
def test_the_example_does_something(
    told: str, stack: Stack, cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(
        r"make invoke OPERATION=(\w+)(?: EVENT=(\w+))?", (ROOT / told).read_text()
    )
    invoke.invoke(example[0], invoke.read_event(*example), cloud.port)
    answer = json.loads(capsys.readouterr().out)
    assert answer.get("statusCode") == 201 or answer["status"] == "completed"


def test_a_function_that_raises_is_a_problem(stack: Stack, cloud: LocalCloud) -> None:
    with pytest.raises(Problem, match="close_session raised an error"):
        invoke.invoke("close_session", {"operation": "close_session"}, cloud.port)


def test_a_function_that_is_there_by_parameter_alone_is_a_problem(
    stack: Stack, cloud: LocalCloud
) -> None:
    with pytest.raises(Problem, match="answer_preflight is not deployed"):
        invoke.invoke("answer_preflight", event("answer_preflight", "api"), cloud.port)


def test_functions_that_are_no_operations_can_be_invoked_too(
    stack: Stack, cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = event("on_request", "sqs")
    asked["Records"] = asked["Records"][:1]
    asked["Records"][0]["body"] = "no request"
    invoke.invoke("on_request", asked, cloud.port)
    failed = [{"itemIdentifier": asked["Records"][0]["messageId"]}]
    assert json.loads(capsys.readouterr().out) == {"batchItemFailures": failed}
