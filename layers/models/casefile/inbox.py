"""The inbox: request envelopes that other systems sent, by a queue or by the event bus.

Whoever was let in there by IAM is trusted to name the user. What an envelope leaves out its carrier
fills: the request's id from the message's or event's, its time from when that was sent. So a
message that is delivered again is the same request again, and takes effect once.

A message that can't be done is reported, alone, and comes again until its queue gives it up; in a
FIFO queue those of its group that follow are reported with it, so that none overtakes another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from pydantic_core import from_json

from pydantic_models.base.envelopes import without_nulls
from pydantic_models.base.times import text_of

from .errors import BadRequest, CasefileError
from .log import logger

_DOOR_IDS = UUID("2b4f2ac8-9d5e-4a57-8a5f-6f1d2d0f4a11")
"""Namespace of request ids derived from a door's own ids where those are no UUIDs."""


def is_queue_event(event: dict[str, Any]) -> bool:
    """Whether Lambda was sent a batch of messages."""
    records = event.get("Records")
    return (
        isinstance(records, list)
        and bool(records)
        and isinstance(records[0], dict)
        and records[0].get("eventSource") == "aws:sqs"
    )


def is_bus_event(event: Any) -> bool:
    """Whether this is an event from EventBridge."""
    return isinstance(event, dict) and "detail-type" in event and "detail" in event


def of_bus(event: dict[str, Any]) -> dict[str, Any]:
    """The envelope that is an event's detail; raises BadRequest if it is none."""
    return completed(event["detail"], request_id=event.get("id"), timestamp=event.get("time"))


def completed(envelope: Any, *, request_id: Any, timestamp: Any = None) -> dict[str, Any]:
    """An envelope with what it left out; raises BadRequest if it is none."""
    if not isinstance(envelope, dict):
        raise BadRequest(
            'The event must be a request envelope: {"user_id": …, "operation": …, "payload": {…}}.'
        )
    given = {"request_id": _as_uuid(request_id)}
    if timestamp and not _tells_time(envelope.get("request_id")):
        given["timestamp"] = timestamp
    return given | without_nulls(envelope)


def do_each(
    event: dict[str, Any], context: Any, do: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """Do what each message of a batch asks, in their order; answer which could not be done."""
    # Imported here, since most functions never see a queue and the import is not cheap.
    from aws_lambda_powertools.utilities.batch import (
        BatchProcessor,
        EventType,
        SqsFifoPartialProcessor,
        process_partial_response,
    )

    def do_one(message: dict[str, Any]) -> None:
        try:
            do(_of_message(message))
        except CasefileError as error:
            message_id = _as_uuid(message["messageId"])
            logger.info("not done", message_id=message_id, outcome=error.code)
            raise

    processor: BatchProcessor
    if str(event["Records"][0].get("eventSourceARN")).endswith(".fifo"):
        processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    else:
        processor = BatchProcessor(event_type=EventType.SQS)
    processor.raise_on_entire_batch_failure = False
    answer: dict[str, Any] = dict(
        process_partial_response(
            event=event,
            record_handler=lambda record: do_one(record.raw_event),
            processor=processor,
            context=context,
        )
    )
    return answer


def _of_message(message: dict[str, Any]) -> dict[str, Any]:
    """The envelope in a message, which may have come to the queue by the bus."""
    try:
        body = from_json(message["body"].encode(), allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"The message is not JSON: {error}.") from None
    if is_bus_event(body):
        return of_bus(body)
    sent = message.get("attributes", {}).get("SentTimestamp")
    return completed(
        body, request_id=message["messageId"], timestamp=text_of(int(sent)) if sent else None
    )


def _tells_time(identifier: Any) -> bool:
    """Whether a request id is a UUIDv7, so that what carries it has nothing to add."""
    try:
        return UUID(identifier).version == 7
    except (ValueError, TypeError, AttributeError):
        return False


def _as_uuid(identifier: Any) -> str:
    """A request id from a door's own id: itself if it is a UUID, else derived from it."""
    try:
        return str(UUID(identifier))
    except (ValueError, TypeError, AttributeError):
        return str(uuid5(_DOOR_IDS, str(identifier)))
