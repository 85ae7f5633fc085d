"""The table's stream: what was written, in batches, after it was written.

Changes come in their order, those of a session together; some come twice, and some late. What is
done about them must bear that. What fails is reported, and its changes come again, with those after
them; the others are done.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_models.canonical.record import Record
from pydantic_models.domain_events import DomainEvent

from . import bus, contents, dynamodb, records
from .attempts import time_limit
from .dynamodb import Item
from .errors import Unavailable
from .log import logger
from .parallel import AT_ONCE, in_parallel
from .starting import start

TOLD_AT_ONCE = 2 * AT_ONCE
"""Changes of which the events are known before any is sent: some take a read of the bucket."""


class Change(NamedTuple):
    """An item as it was, if it was there, and as it is; `number` is its place in the stream."""

    number: str
    old: Item | None
    new: Item


@dataclass(frozen=True)
class Batch:
    """Changes in their order, and the numbers of those that could not be followed."""

    changes: list[Change] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    """What failed for want of time or of an answer: one line tells it for all changes."""

    def read(self, event: dict[str, Any]) -> None:
        """Take in what Lambda was sent. What can't be read has failed, and stops no other."""
        for sent in event["Records"]:
            number = sent["dynamodb"]["SequenceNumber"]
            with self._reporting("a change can't be read", number):
                images = [sent["dynamodb"].get(name) for name in ("OldImage", "NewImage")]
                old, new = (dynamodb.from_stream(image) if image else None for image in images)
                if new is not None:
                    self.changes.append(Change(number, old, new))

    def follow_records(self, follow: Callable[[str, Record], None]) -> None:
        """Do something about the newest record of each session, several at the same time."""
        newest: dict[str, Record] = {}
        first: dict[str, str] = {}
        for number, _, new in self.changes:
            if not records.is_record(new):
                continue
            with self._reporting("a record can't be read", number):
                session_id, record = dynamodb.identifier(new), records.from_item(new)
                first.setdefault(session_id, number)
                if session_id not in newest or newest[session_id].number < record.number:
                    newest[session_id] = record

        def follow_one(session_id: str) -> None:
            record = newest[session_id]
            about = {"session_id": session_id, "record": record.number}
            with self._reporting("a session can't be followed", first[session_id], **about):
                follow(session_id, record)

        in_parallel(follow_one, list(newest))

    def tell(self, of_change: Callable[[Item | None, Item], Iterable[DomainEvent]]) -> None:
        """Send the bus the events that follow from each change, a few at a time.

        So what was sent before the time is up, or the bus doesn't answer, need not come again.
        """

        def events_of(change: Change) -> list[tuple[str, DomainEvent]]:
            with self._reporting("a change can't be told", change.number):
                return [(change.number, event) for event in of_change(change.old, change.new)]
            return []

        waiting: list[tuple[str, DomainEvent]] = []
        for begin in range(0, len(self.changes), TOLD_AT_ONCE):
            some = self.changes[begin : begin + TOLD_AT_ONCE]
            waiting += [each for events in in_parallel(events_of, some) for each in events]
            is_last = some[-1] is self.changes[-1]
            while len(waiting) >= bus.MAX_EVENTS or (waiting and is_last):
                if not self._send(waiting[: bus.MAX_EVENTS]):
                    return  # What comes after these comes again with them.
                waiting = waiting[bus.MAX_EVENTS :]

    def _send(self, waiting: list[tuple[str, DomainEvent]]) -> bool:
        """Send events, each of a change; whether the bus answered."""
        with self._reporting("events can't be sent", *(number for number, _ in waiting)):
            refused = bus.publish([event for _, event in waiting])
            if refused:
                self.failed.update(waiting[place][0] for place in refused)
                logger.error("bug", why="the bus refused events", events=len(refused))
            return True
        return False

    @contextlib.contextmanager
    def _reporting(self, why: str, *numbers: str, **about: Any) -> Iterator[None]:
        """Report these changes as failed if anything goes wrong with them."""
        try:
            yield
        except Exception as error:
            self.failed.update(numbers)
            if isinstance(error, Unavailable):
                if why in self.unanswered:
                    return
                self.unanswered.add(why)
            shown = [number for number in numbers[:10] if re.fullmatch(r"[0-9]{1,40}", number)]
            logger.exception("bug", why=why, sequence_numbers=shown, **about)


def following(follow: Callable[[Batch], None]) -> Callable[[Any, Any], Any]:
    """Make a function of a batch of changes the Lambda handler of the stream."""
    start(dynamodb.client, bus.client, contents.client)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        batch = Batch()
        with time_limit(context.get_remaining_time_in_millis() / 1000):
            batch.read(event)
            follow(batch)
        logger.info("followed", changes=len(event["Records"]), failed=len(batch.failed))
        return {"batchItemFailures": [{"itemIdentifier": each} for each in sorted(batch.failed)]}

    return handle
