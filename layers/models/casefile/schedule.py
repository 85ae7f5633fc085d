"""The clock: functions that run at intervals, asked by nobody.

What the schedule tells a function are its arguments. It works until its time is nearly up, and
what it leaves is found by the next run; so it may also run twice at once, or be stopped anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import validate_call

from . import dynamodb, metrics
from .attempts import time_limit
from .log import logger
from .starting import start

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Scheduled:
    """A Lambda handler for a schedule, whose input holds the arguments."""

    name: str
    run: Callable[..., DataclassInstance]

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Run once; answer, and log, what was done. What breaks a run is logged, and raised."""
        metrics.begin()
        try:
            with time_limit(context.get_remaining_time_in_millis() / 1000):
                done = asdict(self.run(**event))
        except Exception:
            logger.exception("bug", operation=self.name, **metrics.counted())
            raise
        logger.info("done", operation=self.name, **done, **metrics.counted())
        return done


def scheduled(
    name: str,
) -> Callable[[Callable[..., DataclassInstance]], Scheduled]:
    """Make a function that tells what it did the Lambda handler of a schedule, by its name.

    Its arguments are checked: pydantic's ValidationError is raised for a wrong input.
    """
    start(dynamodb.client)
    return lambda run: Scheduled(name, validate_call(run))
