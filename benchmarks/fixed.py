"""What a stack costs while nobody uses it, read from its template and AWS's list prices.

What is priced by the month is found by its type; queues that Lambda asks for messages and what runs
by the clock, by the functions' events. So the costs page follows the template by itself. What a
parameter brings is told with the condition that brings it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HOURS = 730
"""Of a month."""

Template = dict[str, Any]


@dataclass(frozen=True)
class Fixed:
    """Something that is paid by the month, how many there are, and the condition that they need."""

    what: str
    many: int
    dollars: float
    """Of all of them."""
    condition: str | None = None


def of_template(template: Template, prices: dict[str, Any]) -> list[Fixed]:
    """All that costs something, conditions apart."""
    found: Counter[tuple[str, float, str | None]] = Counter()
    for resource in template["Resources"].values():
        properties, condition = resource.get("Properties", {}), resource.get("Condition")
        match resource["Type"]:
            case "AWS::CloudWatch::Alarm":
                found["alarms, by their metrics", prices["logs"]["alarm_month"], condition] += (
                    metrics_of(properties)
                )
            case "AWS::CloudWatch::Dashboard":
                found["dashboard", prices["logs"]["dashboard_month"], condition] += 1
            case "AWS::KMS::Key":
                found["KMS key", prices["kms"]["key_month"], condition] += 1
            case "AWS::Serverless::Function":
                for what, dollars, needed in _of_events(template, properties, prices):
                    found[what, dollars, needed or condition] += 1
    return [
        Fixed(what, many, many * dollars, condition)
        for (what, dollars, condition), many in found.items()
    ]


def metrics_of(alarm: dict[str, Any]) -> int:
    """What an alarm is priced by: the metrics that it looks at, one unless it reckons with them."""
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1


def _of_events(
    template: Template, function: dict[str, Any], prices: dict[str, Any]
) -> Iterator[tuple[str, float, str | None]]:
    assumed, lambda_ = prices["assumed"], prices["lambda"]
    for event in function.get("Events", {}).values():
        about = event["Properties"]
        if event["Type"] == "SQS":
            queue = template["Resources"][about["Queue"]["Fn::GetAtt"][0]].get("Properties", {})
            kind = "fifo" if queue.get("FifoQueue") else "standard"
            asked = assumed["receives_a_minute"] * 60 * HOURS
            price = prices["sqs"][f"million_{kind}_requests"] / 1_000_000
            yield f"queue that Lambda asks for messages, {kind}", asked * price, None
        elif event["Type"] == "Schedule":
            seconds = assumed["scheduled_seconds"] * assumed["function_gigabytes"]
            each = lambda_["million_requests"] / 1_000_000 + seconds * lambda_["gigabyte_second"]
            often = about["Schedule"]
            runs = HOURS * 60 / _minutes(often)
            yield f"function that runs by the clock, {often}", runs * each, _needed(about)


def _minutes(schedule: str) -> int:
    """Between two runs at a rate."""
    number, unit = schedule.removeprefix("rate(").removesuffix(")").split()
    return int(number) * {"minute": 1, "hour": 60, "day": 1440}[unit.removesuffix("s")]


def _needed(event: dict[str, Any]) -> str | None:
    """The condition of a rule that is enabled by one."""
    state = event.get("State")
    return state["Fn::If"][0] if isinstance(state, dict) else None


def holds(template: Template, condition: str | None) -> bool:
    """Whether a condition holds of a stack whose parameters are as the template has them."""
    return condition is None or bool(_value(template, template["Conditions"][condition]))


def _value(template: Template, told: Any) -> Any:
    """What an expression of a condition comes to."""
    if not isinstance(told, dict):
        return str(told)
    ((function, of),) = told.items()
    match function:
        case "Ref":
            return str(template["Parameters"][of].get("Default", ""))
        case "Condition":
            return holds(template, of)
        case "Fn::Not":
            return not _value(template, of[0])
        case "Fn::Equals":
            return _value(template, of[0]) == _value(template, of[1])
        case "Fn::And":
            return all(_value(template, each) for each in of)
        case "Fn::Or":
            return any(_value(template, each) for each in of)
    raise ValueError(f"A condition has {function}, which is not known here.")
