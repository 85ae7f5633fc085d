"""Every way in which a request can fail, raised where it is known and mapped once, at the door.

    CasefileError
    ├── BadRequest            400  invalid_request
    │   └── ContentMissing         content_missing
    ├── Unauthenticated       401  unauthenticated
    ├── Forbidden             403  forbidden
    ├── NotFound              404  not_found
    │   └── SessionDeleted         session_deleted
    ├── MethodNotAllowed      405  method_not_allowed
    ├── Conflict              409
    │   ├── RequestIdReused        request_id_reused
    │   ├── SessionClosed          session_closed
    │   ├── AlreadyFiled           session_already_filed
    │   ├── AlreadyCompleted       request_already_completed
    │   ├── PendingRequests        requests_pending
    │   ├── LegalHold              legal_hold
    │   ├── NotStanding            message_not_standing
    │   ├── Outdated               request_outdated
    │   └── Overtaken
    ├── TooLarge              413  too_large
    │   └── AnswerTooLarge
    └── Unavailable           503  unavailable

A class names its HTTP status and its stable code; the message is written for strangers. What a
caller may not see is NotFound, the same as what doesn't exist. Beside these, a
`dispatch.OperationFailed` tells of an error that another function raised.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict


class Fault(TypedDict):
    """One thing that is wrong with the input: where it is, and what."""

    where: str
    what: str


class CasefileError(Exception):
    """A request that can't be done, and why."""

    status: int
    code: str
    headers: ClassVar[dict[str, str]] = {}


class BadRequest(CasefileError):
    """The request itself is wrong; `metadata.errors` of the answer lists where."""

    status, code = 400, "invalid_request"

    def __init__(self, message: str, faults: list[Fault] | None = None) -> None:
        super().__init__(message)
        self.faults = faults or []


class ContentMissing(BadRequest):
    """What a request refers to was not uploaded, or is something else."""

    code = "content_missing"


class Unauthenticated(CasefileError):
    """Nobody whom we know is asking."""

    status, code = 401, "unauthenticated"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class Forbidden(CasefileError):
    """The caller is known, and may not."""

    status, code = 403, "forbidden"


class NotFound(CasefileError):
    """It doesn't exist, or the caller may not see it."""

    status, code = 404, "not_found"


class SessionDeleted(NotFound):
    """What the request created was deleted since."""

    code = "session_deleted"


class MethodNotAllowed(CasefileError):
    """The route answers to another method."""

    status, code = 405, "method_not_allowed"


class Conflict(CasefileError):
    """What is stored already forbids it."""

    status = 409


class RequestIdReused(Conflict):
    """The request id stands for another request already."""

    code = "request_id_reused"

    def __init__(self, request_id: object) -> None:
        super().__init__(
            f"Request id {request_id} was used before for a different request. "
            "A retry must repeat its request unchanged; a new request needs an id of its own."
        )


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

    def __init__(self, casefile_id: str) -> None:
        super().__init__(
            f"Casefile {casefile_id} is under legal hold: neither it nor what is filed in it can "
            "be deleted or taken out, until an admin of it lifts the hold."
        )


class NotStanding(Conflict):
    """The message was withdrawn or replaced."""

    code = "message_not_standing"


class Outdated(Conflict):
    """It would undo what was asked for after it was made."""

    code = "request_outdated"


class Overtaken(Conflict):
    """Something else was recorded first. No caller can ask for that, so it has no code."""


class TooLarge(CasefileError):
    """More than can be stored or carried at once."""

    status, code = 413, "too_large"


class AnswerTooLarge(TooLarge):
    """It was done, but the answer is more than a function may give."""


class Unavailable(CasefileError):
    """It could not be done now, or not to its end. Sent again, it takes effect once."""

    status, code = 503, "unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}
