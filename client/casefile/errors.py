"""Every way in which a request can fail, as classes by the service's stable codes.

    CasefileError
    ├── Unreachable                no answer came, however often it was tried
    ├── BufferFull                 see casefile.buffer
    └── RequestFailed              the service answered that it failed
        ├── BadRequest             400  invalid_request; also what is wrong before it is sent
        │   ├── NotJson                 what is to be recorded is no JSON; a TypeError, too
        │   └── ContentMissing          content_missing
        ├── Unauthenticated        401  unauthenticated
        ├── Forbidden              403  forbidden
        ├── NotFound               404  not_found
        │   └── SessionDeleted          session_deleted
        ├── Conflict               409
        │   ├── RequestIdReused         request_id_reused
        │   ├── SessionClosed           session_closed
        │   ├── AlreadyFiled            session_already_filed
        │   ├── AlreadyCompleted        request_already_completed
        │   ├── PendingRequests         requests_pending
        │   ├── LegalHold               legal_hold
        │   ├── NotStanding             message_not_standing
        │   └── Outdated                request_outdated
        ├── TooLarge               413  too_large
        │   └── AnswerTooLarge          where functions are called directly
        ├── TooManyRequests        429  too_many_requests
        ├── InternalError          500  internal_error
        └── Unavailable            502, 503, 504  unavailable

A code that is newer than this client is the class of its HTTP status. A 500 without a code is none
of Casefile's own but of something on the way, and passes: it is Unavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from pydantic import ValidationError


class Fault(TypedDict):
    """One thing that is wrong with the input: where it is, and what."""

    where: str
    what: str


class CasefileError(Exception):
    """What can go wrong with Casefile.

    `is_of_bucket` tells that an upload failed, for which the service had given leave.
    """

    is_of_bucket = False


class Unreachable(CasefileError):
    """The service could not be reached. Whether the request took effect is not known."""


class BufferFull(CasefileError):
    """The buffer holds as much as it may."""


class RequestFailed(CasefileError):
    """The service answered that a request failed, and why.

    `retry_after` are the seconds after which to try again, if the service told. `is_final` tells
    that Casefile itself refused it, or would if it were sent, and would again; or that it is too
    large to reach it.
    """

    code = "failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        faults: Sequence[Fault] = (),
        retry_after: float | None = None,
        is_final: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.status = status
        self.request_id = request_id
        self.faults = list(faults)
        self.retry_after = retry_after
        self.is_final = is_final


class BadRequest(RequestFailed):
    """The request itself is wrong; `faults` lists where."""

    code = "invalid_request"


class NotJson(BadRequest, TypeError):
    """What is to be recorded is no JSON; also a TypeError, as `json.dumps` raises."""


class ContentMissing(BadRequest):
    """What a request refers to was not uploaded, or is something else."""

    code = "content_missing"


class Unauthenticated(RequestFailed):
    """The token is missing, wrong or too old."""

    code = "unauthenticated"


class Forbidden(RequestFailed):
    """The caller is known, and may not."""

    code = "forbidden"


class NotFound(RequestFailed):
    """It doesn't exist, or the caller may not see it."""

    code = "not_found"


class SessionDeleted(NotFound):
    """What the request created was deleted since."""

    code = "session_deleted"


class Conflict(RequestFailed):
    """What is stored already forbids it."""

    code = "conflict"


class RequestIdReused(Conflict):
    """The request id stands for another request already."""

    code = "request_id_reused"


class SessionClosed(Conflict):
    """The session takes no more records."""

    code = "session_closed"


class AlreadyFiled(Conflict):
    """The session is in another casefile."""

    code = "session_already_filed"


class AlreadyCompleted(Conflict):
    """The tool request has another result already."""

    code = "request_already_completed"


class PendingRequests(Conflict):
    """The session has requests without a result."""

    code = "requests_pending"


class LegalHold(Conflict):
    """A casefile's legal hold keeps it, and what is filed in it."""

    code = "legal_hold"


class NotStanding(Conflict):
    """The message was withdrawn or replaced."""

    code = "message_not_standing"


class Outdated(Conflict):
    """It would undo what was asked for after it was made."""

    code = "request_outdated"


class TooLarge(RequestFailed):
    """More than can be stored or carried at once."""

    code = "too_large"


class AnswerTooLarge(TooLarge):
    """It was done, but the answer is more than a function may give."""


class TooManyRequests(RequestFailed):
    """Too many at once; the same request may be sent again."""

    code = "too_many_requests"


class InternalError(RequestFailed):
    """A fault of the service, which it has logged."""

    code = "internal_error"


class Unavailable(RequestFailed):
    """It could not be done now; the same request may be sent again."""

    code = "unavailable"


RETRYABLE = (Unreachable, TooManyRequests, Unavailable)
"""What may pass if the same request is sent again."""

_BY_STATUS: dict[int, type[RequestFailed]] = {
    400: BadRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: TooManyRequests,
    500: InternalError,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def _below(kind: type[RequestFailed]) -> list[type[RequestFailed]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _below(child))]


def is_final(kind: type[RequestFailed], code: str | None) -> bool:
    """Whether a failure with this code is one that Casefile itself would answer again.

    Who says that it is too large to be carried need not be Casefile: it never will be smaller.
    """
    if issubclass(kind, TooLarge):
        return True
    passing = (Unauthenticated, TooManyRequests, InternalError, Unavailable)
    return code is not None and code == kind.code and not issubclass(kind, passing)


def of_status(status: int, code: str | None) -> type[RequestFailed]:
    """The class of a failure: by its code, else by its HTTP status."""
    if status == 500 and code != InternalError.code:  # API Gateway's, of a throttled function, say.
        return Unavailable
    by_status = _BY_STATUS.get(status, RequestFailed)
    return next((kind for kind in _below(by_status) if kind.code == code), by_status)


def named(name: str) -> type[RequestFailed] | None:
    """The class of this name, which functions called directly raise errors by."""
    return next((kind for kind in _below(RequestFailed) if kind.__name__ == name), None)


def invalid(error: ValidationError, kind: type[BadRequest] = BadRequest) -> BadRequest:
    """What is wrong with a request before it is sent, as the service would say it."""
    faults = [
        Fault(where=".".join(map(str, each["loc"])) or "payload", what=each["msg"])
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    told = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    return kind(f"The request is not valid: {told}", faults=faults, is_final=True)
