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
from .config import configuration, is_lambda
from .log import logger

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Scheduled:
    """A Lambda handler for a schedule, whose input holds the arguments."""

    name: str
    run: Callable[..., DataclassInstance]

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Run once; answer, and log, what was done."""
        metrics.begin()
        with time_limit(context.get_remaining_time_in_millis() / 1000):
            done = asdict(self.run(**event))
        logger.info("done", operation=self.name, **done, **metrics.told())
        return done


def scheduled(run: Callable[..., DataclassInstance]) -> Scheduled:
    """Make a function that tells what it did the Lambda handler of a schedule.

    Its arguments are checked: pydantic's ValidationError is raised for a wrong input.
    """
    if is_lambda():  # While the function starts.
        configuration()
        dynamodb.client()
    return Scheduled(run.__module__.split(".")[-2], validate_call(run))
