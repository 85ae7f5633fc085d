"""News: what the changes of a batch tell the world, sent to the bus.

Whatever is written to be told says so (`news`), so the stream gives only that. What is told leaves
in the order of the changes; what fails comes again, and with it what comes after it, under the same
ids.
"""

from __future__ import annotations

from pydantic_models.domain_events import DomainEvent

from . import bus, domain_events
from .log import logger
from .parallel import AT_ONCE, in_parallel
from .stream import Batch, Change

READ_AT_ONCE = 2 * AT_ONCE
"""Changes of which the events are known before any is sent: some take a read of the bucket."""


def tell(batch: Batch) -> None:
    """Send the bus the events that follow from each change, a few at a time.

    So what was sent before the time is up, or the bus doesn't answer, need not come again.
    """

    def events_of(change: Change) -> list[tuple[str, DomainEvent]]:
        with batch.reporting("a change can't be told", change.number):
            events = domain_events.of_change(change.old, change.new)
            return [(change.number, event) for event in events]
        return []

    waiting: list[tuple[str, DomainEvent]] = []
    for begin in range(0, len(batch.changes), READ_AT_ONCE):
        some = batch.changes[begin : begin + READ_AT_ONCE]
        waiting += [each for events in in_parallel(events_of, some) for each in events]
        is_last = some[-1] is batch.changes[-1]
        while len(waiting) >= bus.MAX_EVENTS or (waiting and is_last):
            if not _send(batch, waiting[: bus.MAX_EVENTS]):
                return  # What comes after these comes again with them.
            waiting = waiting[bus.MAX_EVENTS :]


def _send(batch: Batch, waiting: list[tuple[str, DomainEvent]]) -> bool:
    """Send events, each of a change; whether the bus answered."""
    with batch.reporting("events can't be sent", *(number for number, _ in waiting)):
        refused = bus.publish([event for _, event in waiting])
        if refused:
            batch.failed.update(waiting[place][0] for place in refused)
            logger.error("bug", why="the bus refused events", events=len(refused))
        return True
    return False
