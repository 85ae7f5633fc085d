"""The deployed functions: each operation's has a name that follows from the operation's.

What came through the inbox is handed to the function of its operation, which does it with its own
rights. Only names of operations lead to a function, so nothing else can be reached by naming it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic_models import operations
from pydantic_models.base import BaseRequest

from . import aws, errors, inbox
from .attempts import time_limit
from .config import configuration
from .errors import BadRequest, CasefileError
from .log import logger, named
from .starting import start

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

OPERATIONS = frozenset(
    str(each.model_fields["operation"].default)
    for each in (getattr(operations, name) for name in operations.__all__)
    if isinstance(each, type) and issubclass(each, BaseRequest)
)
"""The names of all operations."""

READ_SECONDS = 30
ATTEMPTS = 2
"""Longer than a function may take, and once more: whatever it is asked twice it does once."""

LONGEST_CALL = 63.0
"""Seconds that an invocation may take with these."""


class OperationFailed(CasefileError):
    """The operation's own function raised an error of this class; its code is that one's."""

    status = 500

    def __init__(self, operation: str, error: str) -> None:
        super().__init__(f"{operation} raised {error}.")
        self.code = getattr(getattr(errors, error, None), "code", error)


@functools.cache
def client() -> LambdaClient:
    """The one client of this execution environment."""
    made: LambdaClient = aws.client("lambda", read_seconds=READ_SECONDS, attempts=ATTEMPTS)
    return made


def name(operation: str) -> str:
    """What an operation's function is called. No stack's name has an underscore in it."""
    return f"{configuration().stack_name}_{operation}"


def invoke(envelope: dict[str, Any], invocation: str) -> None:
    """Let the function of its operation do what an envelope asks, and wait until it is done.

    The log names it by its own id or, if that is none, by that of the invocation it came with.
    Raises BadRequest if it names no operation or holds what JSON can't, OperationFailed if the
    function raised an error, and Unavailable if it can't be reached.
    """
    operation = envelope.get("operation")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise BadRequest(f"There is no operation {str(operation)[:100]!r}.")
    fields = {"operation": operation, "request_id": named(envelope["request_id"], invocation)}
    try:
        asked = json.dumps(envelope, allow_nan=False)
    except ValueError as error:
        raise BadRequest(f"The message is not JSON: {error}.") from None
    try:
        with aws.Calling(LONGEST_CALL):
            answer = client().invoke(FunctionName=name(operation), Payload=asked)
            returned = answer["Payload"].read()
    except CasefileError:
        raise
    except Exception:
        logger.exception("bug", **fields)
        raise
    if "FunctionError" in answer:
        raise OperationFailed(operation, str(json.loads(returned).get("errorType", "an error")))
    logger.info("handed on", **fields)


def receiving(do: Callable[[dict[str, Any], str], None]) -> Callable[[dict[str, Any], Any], Any]:
    """Make what does an envelope of an invocation the Lambda handler of the inbox's queues."""
    start(client)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        with time_limit(context.get_remaining_time_in_millis() / 1000):
            return inbox.do_each(
                event, context, lambda envelope: do(envelope, context.aws_request_id)
            )

    return handle
