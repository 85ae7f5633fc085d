"""What an operator is told has its section in the runbook; what is watched is there to be seen."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from casefile import metrics, transport
from tests.conftest import OPERATIONS, load
from tests.template import ROOT, camel, resources, template
from tests.unit.test_template import SOURCES

ALARMS = resources("AWS::CloudWatch::Alarm")
FILTERS = resources("AWS::Logs::MetricFilter")
OURS = {"Fn::Sub": "Casefile/${AWS::StackName}"}
FILTERED = {
    transformation["MetricName"]
    for properties in FILTERS.values()
    for transformation in properties["MetricTransformations"]
}
AWS_METRICS = {
    "AWS/ApiGateway": {"4XXError", "5XXError", "Count", "Latency"},
    "AWS/DynamoDB": {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "SystemErrors",
        "ThrottledRequests",
        "WriteThrottleEvents",
    },
    "AWS/Lambda": {"ConcurrentExecutions", "Duration", "Errors", "IteratorAge", "Throttles"},
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
}
"""Those that we watch, of the metrics that AWS's user guides list for these services."""


WORDS = {23: "twenty-three", 24: "twenty-four", 25: "twenty-five", 26: "twenty-six"}
SEARCHED = (
    r"""^SEARCH\('{"?(.+?)"?,(?:operation|GlobalSecondaryIndexName,TableName)} """
    r"""(?:TableName="\${Table}" )?MetricName="(\w+)"', 'Sum', 300\)$"""
)


def dashboard(*, is_complete: bool = True) -> dict[str, Any]:
    """What is shown, with all that is on by parameter, or with none of it."""
    (properties,) = resources("AWS::CloudWatch::Dashboard").values()
    text, parts = properties["DashboardBody"]["Fn::Sub"]
    for name, part in parts.items():
        _, there, otherwise = part["Fn::If"]
        text = text.replace(f"${{{name}}}", there["Fn::Sub"] if is_complete else otherwise)
    body: dict[str, Any] = json.loads(text)
    return body


def shown() -> Iterator[tuple[str, str]]:
    """Namespace and name of each metric on the dashboard."""
    for widget in dashboard()["widgets"]:
        for metric in widget["properties"].get("metrics", ()):
            if isinstance(metric[0], dict):
                found = re.search(SEARCHED, metric[0]["expression"])
                assert found, metric
                yield found[1], found[2]
            else:
                yield metric[0], metric[1]


def dead_letter_queues(node: Any, is_within: bool = False) -> set[str]:
    """The logical names of what is named as the place of dead letters."""
    if isinstance(node, list):
        return {name for each in node for name in dead_letter_queues(each, is_within)}
    if not isinstance(node, dict):
        return set()
    if is_within and "Fn::GetAtt" in node:
        return {node["Fn::GetAtt"][0]}
    places = {"DeadLetterConfig", "DeadLetterQueue", "OnFailure", "RedrivePolicy"}
    return {
        name
        for key, each in node.items()
        for name in dead_letter_queues(each, is_within or key in places)
    }


def headings() -> list[str]:
    """Those of the runbook's sections on alarms; some are on several."""
    return re.findall(r"^### (.+)$", (ROOT / "docs/runbook.md").read_text(), re.M)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_names_its_section_of_the_runbook_and_tells_the_topic(name: str) -> None:
    alarm = ALARMS[name]
    (heading,) = (heading for heading in headings() if name in heading.split(", "))
    assert alarm["AlarmDescription"].endswith(f" docs/runbook.md#{anchor(heading)}")
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["AlarmActions"] == alarm["OKActions"] == topic
    assert alarm["TreatMissingData"] == "notBreaching"
    assert template()["Parameters"]["AlarmTopicArn"]["Default"] == ""


ABOVE = {
    "5XXError": ("Average", 0.01, 3),
    "ApproximateAgeOfOldestMessage": ("Maximum", 2 * 3600, 1),
    "ApproximateNumberOfMessagesVisible": ("Maximum", 0, 1),
    "ArchiveLag": ("Maximum", 12 * 3600, 2),
    "Bugs": ("Sum", 0, 1),
    "Duration": ("p99", 3000, 3),
    "Errors": ("Sum", 0, 1),
    "IteratorAge": ("Maximum", 600_000, 1),
    "SystemErrors": ("Sum", 10, 2),
    "ThrottledRequests": ("Sum", 10, 2),
    "Throttles": ("Sum", 0, 2),
}
"""What of a metric must be above what, in how many periods, for an alarm."""


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_within_hours_of_what_is_above_its_threshold(name: str) -> None:
    alarm = ALARMS[name]
    statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    told = (statistic, alarm["Threshold"], alarm["EvaluationPeriods"])
    assert told == ABOVE[alarm["MetricName"]]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["Period"] in (300, 3600)
    assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"]


def test_the_runbook_has_a_section_for_each_alarm_and_for_no_other() -> None:
    assert sorted(", ".join(headings()).split(", ")) == sorted(ALARMS)


def test_pages_tell_how_many_alarms_there_are_and_what_they_cost() -> None:
    """An alarm is paid by the metrics that it watches; each here watches one, and ten are free."""
    assert all("MetricName" in alarm for alarm in ALARMS.values())
    always = [name for name in ALARMS if "Condition" not in template()["Resources"][name]]
    assert len(ALARMS) == len(always) + 1
    there, more = (WORDS[number] for number in (len(always), len(ALARMS)))
    told = {
        "docs/cost.md": f"| alarms, by their metrics | {len(always)} | ${len(always) / 10:.2f} |",
        "docs/runbook.md": f"{there} (with a webhook, {more})",
    }
    for page, words in told.items():
        assert words in " ".join((ROOT / page).read_text().split()), page


def test_the_runbook_tells_of_every_metric_of_ours() -> None:
    told = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/runbook.md").read_text(), re.M)
    assert sorted(told) == sorted(FILTERED | set(metrics.UNITS))


def test_links_in_the_runbook_lead_somewhere() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    anchors = {anchor(heading) for heading in re.findall(r"^##+ (.+)$", text, re.M)}
    for path, place in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", text):
        assert (ROOT / "docs" / path).exists(), path
        assert path or place in anchors, place
    for name in re.findall(r"\$\(id (\w+)\)", text):
        assert name in template()["Resources"]


def test_every_dead_letter_queue_has_an_alarm() -> None:
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        for dimension in alarm["Dimensions"]
    }
    assert dead_letter_queues(template()["Resources"]) == watched != set()


def test_every_queue_tells_of_what_waits_longer_than_its_tries_long_before_that_is_gone() -> None:
    ages = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: alarm
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateAgeOfOldestMessage"
    }
    assert set(ages) == set(SOURCES)
    for name, alarm in ages.items():
        tries = SOURCES[name]["RedrivePolicy"]["maxReceiveCount"]
        shortest = SOURCES[name]["VisibilityTimeout"] * tries
        until_told = alarm["Threshold"] + alarm["Period"] * alarm["EvaluationPeriods"]
        # Of a queue that nobody uses, SQS tells nothing after six hours.
        assert shortest < alarm["Threshold"] < until_told < 6 * 3600


def watched(metric: str) -> set[str]:
    """The functions of which alarms watch a metric."""
    return {
        dimension["Value"]["Ref"]
        for alarm in ALARMS.values()
        if (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", metric)
        for dimension in alarm.get("Dimensions", [])
    }


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """Whether a metric filter takes a line of the log, by as much of its language as ours use."""

    def compare(found: re.Match[str]) -> str:
        value: Any = line
        for name in found[1].split("."):
            value = value.get(name, {})
        return str(isinstance(value, str) and fnmatchcase(value, found[2]))

    told = re.sub(r'\$\.([\w.]+) = "([^"]*)"', compare, pattern.strip("{ }"))
    return bool(eval(told.replace("&&", "and").replace("||", "or")))


@pytest.mark.parametrize(
    ("line", "is_bug"),
    [
        ({"service": "casefile", "level": "ERROR", "message": "bug"}, True),
        ({"service": "casefile", "level": "INFO", "message": "refused"}, False),
        ({"level": "ERROR", "errorType": "NotFound"}, False),
        ({"type": "platform.report", "record": {"status": "success"}}, False),
        ({"type": "platform.report", "record": {"status": "timeout"}}, True),
        ({"type": "platform.runtimeDone", "record": {"status": "timeout"}}, False),
        (
            {
                "type": "platform.report",
                "record": {"status": "error", "errorType": "Runtime.OutOfMemory"},
            },
            True,
        ),
        (
            {"type": "platform.report", "record": {"status": "error", "errorType": "NotFound"}},
            False,
        ),
    ],
)
def test_errors_timeouts_and_crashes_are_bugs_once_each_and_refusals_are_none(
    line: dict[str, Any], is_bug: bool
) -> None:
    """What a function refuses its caller is an error to Lambda, too."""
    assert matches(FILTERS["BugsFilter"]["FilterPattern"], line) is is_bug


def test_whatever_nobody_asks_for_and_waits_for_has_an_alarm_for_breaking_down() -> None:
    unasked = {
        name
        for name, function in resources("AWS::Serverless::Function").items()
        for event in function["Events"].values()
        if event["Type"] in ("Schedule", "DynamoDB")
    }
    assert watched("Errors") == unasked


def test_slowness_is_watched_where_nobody_waits_on_purpose() -> None:
    following = {name for name in OPERATIONS if "wait" in payload_fields(name)}
    assert following == {
        *("list_chat_events", "list_chat_messages", "list_tool_events", "list_tool_requests")
    }
    functions = resources("AWS::Serverless::Function")
    slow = {functions[name]["CodeUri"].removeprefix("functions/") for name in watched("Duration")}
    assert slow == {"chat", "tool_execution"}
    assert "Latency" not in {alarm["MetricName"] for alarm in ALARMS.values()}


def payload_fields(operation: str) -> set[str]:
    payload: Any = load(operation).request_type.model_fields["payload"].annotation
    return set(payload.model_fields)


def test_what_an_index_turns_away_is_watched_as_what_the_table_does() -> None:
    """WriteThrottleEvents and ReadThrottleEvents of a table leave its indexes out."""
    throttled = [
        {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        for alarm in ALARMS.values()
        if "Throttle" in alarm["MetricName"] and alarm["Namespace"] == "AWS/DynamoDB"
    ]
    assert sorted(each["Operation"] for each in throttled) == sorted(single_calls())
    assert all(each["TableName"] == {"Ref": "Table"} for each in throttled)


def test_the_dashboard_shows_of_every_call_how_often_the_table_turns_it_away() -> None:
    told = json.dumps(dashboard())
    shown = re.findall(r'"ThrottledRequests", "TableName", "\${Table}", "Operation", "(\w+)"', told)
    assert sorted(shown) == sorted(single_calls())


def single_calls() -> list[str]:
    """The calls that the code makes, but those of which DynamoDB hands back what it didn't do."""
    others = ("_", "close", "batch_")
    return [camel(name) for name in vars(transport.Client) if not name.startswith(others)]


def test_alarms_and_dashboard_name_metrics_that_there_are() -> None:
    known = {(space, name) for space, names in AWS_METRICS.items() for name in names}
    ours = {(OURS["Fn::Sub"], name) for name in FILTERED | set(metrics.UNITS)}
    alarmed = {
        (OURS["Fn::Sub"] if alarm["Namespace"] == OURS else alarm["Namespace"], alarm["MetricName"])
        for alarm in ALARMS.values()
    }
    assert alarmed <= known | ours
    assert ours <= set(shown()) <= known | ours


@pytest.mark.parametrize("is_complete", [True, False])
def test_the_dashboard_shows_every_alarm_and_names_only_what_there_is(is_complete: bool) -> None:
    shown = dashboard(is_complete=is_complete)
    there = {
        name
        for name, resource in template()["Resources"].items()
        if is_complete or "Condition" not in resource
    }
    (told,) = (widget for widget in shown["widgets"] if widget["type"] == "alarm")
    assert set(told["properties"]["alarms"]) == {
        f"${{{name}.Arn}}" for name in ALARMS if name in there
    }
    named = re.findall(r"\${(?!AWS::)(\w+)", json.dumps(shown))
    assert set(named) <= there


def test_the_dashboard_shows_every_dead_letter_queue() -> None:
    queues = dead_letter_queues(template()["Resources"])
    (told,) = (
        each for each in dashboard()["widgets"] if each["properties"]["title"] == "Dead letters"
    )
    named = re.findall(r"\${(\w+)\.QueueName}", json.dumps(told))
    assert sorted(named) == sorted(queues)


def test_what_watches_the_webhook_is_there_with_it() -> None:
    names = ("EventsUndelivered", "UndeliveredEventsPolicy", "WebhookRule")
    assert {template()["Resources"][name]["Condition"] for name in names} == {"HasWebhook"}
    assert "Condition" not in template()["Resources"]["UndeliveredEvents"], "its letters would go"
    parts = resources("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"][1]
    assert {part["Fn::If"][0] for part in parts.values()} == {"HasWebhook"}


def test_all_metrics_of_a_stack_are_in_one_namespace() -> None:
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["METRICS_NAMESPACE"] == OURS
    for properties in FILTERS.values():
        assert properties["LogGroupName"] == {"Ref": "Logs"}
        for transformation in properties["MetricTransformations"]:
            assert transformation["MetricNamespace"] == OURS


def test_requests_are_traced_unless_that_is_turned_off() -> None:
    assert template()["Parameters"]["Tracing"]["Default"] == "Active"
    assert template()["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
    (api,) = resources("AWS::Serverless::Api").values()
    assert api["TracingEnabled"] == {"Fn::If": ["IsTraced", True, False]}
