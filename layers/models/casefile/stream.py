"""The table's stream: what was written, in batches, after it was written.

Changes come in their order, those of a session together; some come twice, and some late. What is
done about them must bear that. What fails is reported, and its changes come again, with those after
them; the others are done.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_models.canonical.record import Record

from . import dynamodb, records
from .attempts import time_limit
from .dynamodb import Item
from .errors import Unavailable
from .log import logger
from .parallel import in_parallel
from .starting import Client, start


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
            with self.reporting("a change can't be read", number):
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
            with self.reporting("a record can't be read", number):
                session_id, record = dynamodb.identifier(new), records.from_item(new)
                first.setdefault(session_id, number)
                if session_id not in newest or newest[session_id].number < record.number:
                    newest[session_id] = record

        def follow_one(session_id: str) -> None:
            record = newest[session_id]
            about = {"session_id": session_id, "record": record.number}
            with self.reporting("a session can't be followed", first[session_id], **about):
                follow(session_id, record)

        in_parallel(follow_one, list(newest))

    @contextlib.contextmanager
    def reporting(self, why: str, *numbers: str, **about: Any) -> Iterator[None]:
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


def following(
    *beside: Callable[[], Client],
) -> Callable[[Callable[[Batch], None]], Callable[[Any, Any], Any]]:
    """Make a function of a batch of changes a Lambda handler of the stream.

    `beside` are the clients that it needs beside the table's.
    """
    start(dynamodb.client, *beside)

    def made(follow: Callable[[Batch], None]) -> Callable[[Any, Any], Any]:
        def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
            batch = Batch()
            with time_limit(context.get_remaining_time_in_millis() / 1000):
                batch.read(event)
                follow(batch)
            logger.info("followed", changes=len(event["Records"]), failed=len(batch.failed))
            return {
                "batchItemFailures": [{"itemIdentifier": each} for each in sorted(batch.failed)]
            }

        return handle

    return made
