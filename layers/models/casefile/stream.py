"""The table's stream: what was written, in batches, after it was written.

Records of one session come in their order; some come twice, and some late. What follows from them
must therefore hold for the newest of them, whatever came before. A session whose following fails
is reported, and its records come again; the others are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_models.canonical.record import Record

from . import dynamodb, records
from .attempts import time_limit
from .config import configuration, is_lambda
from .log import logger


@dataclass(frozen=True)
class Follower:
    """A Lambda handler for records from the stream."""

    follow: Callable[[str, Record], None]

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Follow the newest record of each session; answer which failed."""
        newest: dict[str, Record] = {}
        first_numbers: dict[str, str] = {}
        failed: list[dict[str, str]] = []
        for change in event["Records"]:
            number = change["dynamodb"]["SequenceNumber"]
            try:
                item = dynamodb.from_stream(change["dynamodb"]["NewImage"])
                session_id, record = item["pk"].partition("#")[2], records.from_item(item)
            except Exception:
                logger.exception("bug", sequence_number=number)
                failed.append({"itemIdentifier": number})
                continue
            first_numbers.setdefault(session_id, number)
            if session_id not in newest or newest[session_id].number < record.number:
                newest[session_id] = record
        with time_limit(context.get_remaining_time_in_millis() / 1000):
            for session_id, record in newest.items():
                try:
                    self.follow(session_id, record)
                except Exception:
                    logger.exception("bug", session_id=session_id, record=record.number)
                    failed.append({"itemIdentifier": first_numbers[session_id]})
        logger.info("followed", records=len(event["Records"]), sessions=len(newest))
        return {"batchItemFailures": failed}


def following(follow: Callable[[str, Record], None]) -> Follower:
    """Make a function of a session's id and its newest record the Lambda handler of the stream."""
    if is_lambda():  # While the function starts.
        configuration()
        dynamodb.client()
    return Follower(follow)
