"""The doors: every event that AWS can send becomes a request envelope, and its answer an answer.

An operation is written once, as a function from its request to its answer, and is served by API
Gateway, by direct invocation, by EventBridge and by SQS. So a handler reads as the definition of
its operation, and what a failure means at each door is decided here alone.

| door | an answer | a request that can't be done | a bug |
|---|---|---|---|
| API | the response envelope | the envelope with status failed, and the error's HTTP status | 500 |
| direct | the response envelope | raised: errorType names the class | raised |
| EventBridge | ignored | raised, so that it is tried again and then dead-lettered | raised |
| SQS | nothing failed | that message alone is reported failed | the same |

Five things are set here for as long as a request is done, and are asked for where they count, so
that nobody in between hands them on: what it needs (`access`), when it must end (`attempts`), what
it counted (`metrics`), whether it read the archive (`archives`), and whether large contents are
told by links (`contents`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from pydantic_models.base import (
    BaseRequest,
    BaseResponse,
    FailedResponse,
    RequestStatus,
    ResponsePayload,
    SessionId,
    UserId,
    uuid7,
)
from pydantic_models.base.times import now_text, text_of
from pydantic_models.operations import ExportPayload

from . import access, api, archives, contents, dynamodb, inbox, metrics, origins
from .access import Needs
from .attempts import time_limit
from .config import is_lambda
from .errors import AnswerTooLarge, BadRequest, CasefileError, Fault
from .log import logger, named
from .starting import start

RequestT = TypeVar("RequestT", bound="BaseRequest[Any]")
PayloadT = TypeVar("PayloadT", bound=ResponsePayload)

_NAMES: dict[str, Any] = {"user_id": UserId, "session_id": SessionId}
"""What is logged of a request that was not yet checked, if it has the form of such a name."""

MAX_FAULTS = 20
"""How many faults of one request are listed."""


@dataclass(frozen=True)
class Answer(Generic[PayloadT]):
    """What an operation answers, and when it took effect: for a retry, when the first try did.

    `at` is in milliseconds since 1970; without it, the answer is of now. `metadata` goes with the
    response envelope.
    """

    payload: PayloadT
    at: int | None = None
    status: RequestStatus = RequestStatus.COMPLETED
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation(Generic[RequestT, PayloadT]):
    """One operation: a Lambda handler for every door."""

    request_type: type[RequestT]
    response_type: type[BaseResponse[PayloadT]]
    route: str
    status: int
    needs: Needs
    run: Callable[[RequestT], Answer[PayloadT]]

    @cached_property
    def name(self) -> str:
        """The operation as envelopes name it."""
        return str(self.request_type.model_fields["operation"].default)

    def __call__(self, event: Any, context: Any) -> Any:
        """Handle a Lambda event from any door."""
        invocation: str = context.aws_request_id
        with time_limit(context.get_remaining_time_in_millis() / 1000):
            if isinstance(event, dict):
                if api.is_api_event(event):
                    return origins.readable(event, self._answer_api(event, invocation))
                if inbox.is_queue_event(event):
                    return inbox.do_each(
                        event, context, lambda envelope: self._perform(envelope, invocation)
                    )
                if inbox.is_bus_event(event):
                    return self._perform(inbox.of_bus(event), invocation)
            return self._perform(inbox.completed(event, request_id=invocation), invocation)

    def _answer_api(self, event: dict[str, Any], invocation: str) -> dict[str, Any]:
        envelope: dict[str, Any] = {}
        try:
            envelope = api.to_envelope(event, self.route, self.request_type)
            if "request_id" not in envelope:  # Nobody will send it again, and a UUIDv7 tells that.
                envelope["request_id"] = invocation if "timestamp" in envelope else str(uuid7())
            return self._respond(envelope, lambda response: _http_answer(self.status, response))
        except CasefileError as error:
            fields = self._log_fields(envelope, invocation)
            logger.info("refused", outcome=error.code, **fields)
            return api.answer(error.status, _failed(fields["request_id"], error), error.headers)
        except Exception:
            fields = self._log_fields(envelope, invocation)
            logger.exception("bug", **fields)
            return api.answer(500, _failed(fields["request_id"], None))

    def _perform(self, envelope: dict[str, Any], invocation: str) -> dict[str, Any]:
        """Do what an envelope from a trusted door asks."""
        try:
            return self._respond(envelope, lambda response: response.model_dump(mode="json"))
        except CasefileError as error:
            logger.info("refused", outcome=error.code, **self._log_fields(envelope, invocation))
            raise
        except Exception:
            logger.exception("bug", **self._log_fields(envelope, invocation))
            raise

    def _respond(
        self,
        envelope: dict[str, Any],
        carry: Callable[[BaseResponse[PayloadT]], dict[str, Any]],
    ) -> dict[str, Any]:
        """The answer as a door gives it: with contents whole or, if that is too much, by links."""
        request = self._request(envelope)
        metrics.begin()
        archives.begin()
        try:
            return api.check_size(carry(self._answer(request)))
        except AnswerTooLarge:
            pass
        with contents.linked():
            return api.check_size(carry(self._answer(request)))

    def _answer(self, request: RequestT) -> BaseResponse[PayloadT]:
        with access.needing(self.needs):
            answer = self.run(request)
        logger.info(
            "done",
            operation=self.name,
            request_id=str(request.request_id),
            user_id=request.user_id,
            session_id=getattr(answer.payload, "session_id", None),
            casefile_id=getattr(answer.payload, "casefile_id", None),
            outcome=answer.status.value,
            **metrics.counted(),
        )
        return self.response_type(
            request_id=request.request_id,
            status=answer.status,
            payload=answer.payload,
            timestamp=now_text() if answer.at is None else text_of(answer.at),
            metadata=answer.metadata | archives.metadata(),
        )

    def _request(self, envelope: dict[str, Any]) -> RequestT:
        try:
            return self.request_type.model_validate(envelope)
        except ValidationError as error:
            faults = [
                Fault(
                    where=".".join(str(step) for step in fault["loc"])[:200] or "the request",
                    what=fault["msg"].removeprefix("Value error, ")[:500],
                )
                for fault in error.errors(
                    include_url=False, include_context=False, include_input=False
                )
            ]
            listed = "; ".join(
                f"{fault['where']}: {fault['what']}" for fault in faults[:MAX_FAULTS]
            )
            raise BadRequest(
                f"The request to {self.name} is not valid. {listed}", faults[:MAX_FAULTS]
            ) from None

    def _log_fields(self, envelope: dict[str, Any], invocation: str) -> dict[str, Any]:
        """What the line of a request tells that came to nothing: of what it says, only names."""
        payload = envelope.get("payload")
        names = {
            "user_id": envelope.get("user_id"),
            "session_id": payload.get("session_id") if isinstance(payload, dict) else None,
        }
        fields: dict[str, Any] = {}
        for name, value in names.items():
            with contextlib.suppress(ValidationError):
                fields[name] = TypeAdapter(_NAMES[name]).validate_python(value, strict=True)
        request_id = named(envelope.get("request_id"), invocation)
        return {"operation": self.name, "request_id": request_id} | fields | metrics.counted()


def operation(
    request_type: type[RequestT],
    response_type: type[BaseResponse[PayloadT]],
    route: str,
    *,
    needs: Needs,
    status: int = 200,
) -> Callable[[Callable[[RequestT], Answer[PayloadT]]], Operation[RequestT, PayloadT]]:
    """Make a function from a request to its answer the Lambda handler of an operation.

    `route` is its HTTP method and path template; the path's parameters are fields of the payload.
    `needs` are the levels that who asks must have; `status` is the HTTP status of an answer.
    """
    if is_lambda():  # Here, and not in the first request: while it starts, a function has more CPU.
        request_type.model_rebuild()
        response_type.model_rebuild()
    start(dynamodb.client)
    return lambda run: Operation(request_type, response_type, route, status, needs, run)


def _http_answer(status: int, response: BaseResponse[Any]) -> dict[str, Any]:
    """A response envelope as HTTP; lines of an export are a body of their own."""
    if isinstance(response.payload, ExportPayload):
        return api.lines(response.payload)
    return api.answer(status, response.model_dump_json())


def _failed(request_id: str, error: CasefileError | None) -> str:
    """The envelope of a failure; a bug is named as one, and nothing of it is shown."""
    metadata: dict[str, Any] = {"error_code": error.code if error else "internal_error"}
    if isinstance(error, BadRequest) and error.faults:
        metadata["errors"] = error.faults
    reason = str(error) if error else "Something went wrong in Casefile itself. It has been logged."
    return FailedResponse(
        request_id=UUID(request_id), error=reason, metadata=metadata
    ).model_dump_json()
