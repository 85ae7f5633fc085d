"""Metrics: counted while a request is done, and told in the line that is logged of it anyway.

That line is then in CloudWatch's embedded metric format, so its numbers become metrics without a
call, a client or a library. What a request counts is told once, also if the request is refused;
one that counts nothing is logged as plainly as ever. A metric names the operation, and nobody.

Source: the CloudWatch user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

from .config import configuration

Metric: TypeAlias = Literal[
    "Appends", "Conflicts", "LookBacks", "Replays", "OffloadedBytes", "ArchiveLag"
]

UNITS: dict[str, str] = {
    "Appends": "Count",  # slots won
    "Conflicts": "Count",  # slots lost to another request
    "LookBacks": "Count",  # pages read below what was known, to look for a request
    "Replays": "Count",  # requests sent again, and answered as the first time
    "OffloadedBytes": "Bytes",  # of content put in the bucket
    "ArchiveLag": "Seconds",  # since the closing of the first session that is not archived
}

_counts: ContextVar[dict[str, int] | None] = ContextVar("counts", default=None)


def begin() -> None:
    """Count for a request, from nothing, until it is told."""
    _counts.set({})


def count(metric: Metric, by: int = 1) -> None:
    """Add to a metric of the request that is being done."""
    counts = _counts.get()
    if counts is not None:
        counts[metric] = counts.get(metric, 0) + by


def counted() -> dict[str, Any]:
    """What was counted, as members of a log line that also has a member `operation`.

    Nothing is counted after that until `begin`, so what is done once more, to answer by links, is
    not counted twice.
    """
    counts = _counts.get()
    _counts.set(None)
    if not counts:
        return {}
    directive = {
        "Namespace": configuration().metrics_namespace,
        "Dimensions": [["operation"]],
        "Metrics": [{"Name": metric, "Unit": UNITS[metric]} for metric in counts],
    }
    about = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [directive]}
    return {"_aws": about, **counts}
