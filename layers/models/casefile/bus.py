"""The event bus: domain events for whoever listens. What it didn't take is sent again, or told."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import aws
from .config import configuration

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from pydantic_models.domain_events import DomainEvent

MAX_EVENTS = 10
"""Of one PutEvents (EventBridge quotas)."""

TRIES = 4
PAUSE = 0.1
"""Seconds before the second try; each later one waits twice as long."""


@functools.cache
def client() -> EventBridgeClient:
    """The one client of this execution environment."""
    made: EventBridgeClient = aws.client("events")
    return made


def publish(events: Sequence[DomainEvent]) -> list[int]:
    """Send events, in their order; return the places of those that were not taken.

    Raises Unavailable when the bus does not answer.
    """
    refused: list[int] = []
    for begin in range(0, len(events), MAX_EVENTS):
        waiting = list(range(begin, min(begin + MAX_EVENTS, len(events))))
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            with aws.Calling():
                answer = client().put_events(Entries=[_entry(events[place]) for place in waiting])
            waiting = [
                place
                for place, result in zip(waiting, answer["Entries"], strict=True)
                if "ErrorCode" in result
            ]
            if not waiting:
                break
        refused += waiting
    return refused


def _entry(event: DomainEvent) -> PutEventsRequestEntryTypeDef:
    return {
        "EventBusName": configuration().bus_name,
        "Source": "casefile",
        "DetailType": event.event_type,
        "Detail": json.dumps(event.detail()),
        "Time": event.occurred_at,
    }
