"""Remove everything that a user owns, and tell what was removed."""

from casefile import erasure
from casefile.access import OWNER, Needs
from casefile.entry import Answer, operation
from pydantic_models.base import RequestStatus
from pydantic_models.operations import (
    ErasedPayload,
    EraseUserRequest,
    EraseUserResponse,
)


@operation(
    EraseUserRequest,
    EraseUserResponse,
    "DELETE /users/{user_id}",
    needs=Needs(session=OWNER, casefile=OWNER),
)
def handle(request: EraseUserRequest) -> Answer[ErasedPayload]:
    """What there is no time for goes on by itself; sent again, it tells how far that has come."""
    receipt = erasure.erase(request)
    is_over = receipt.completed_at is not None
    return Answer(
        receipt.payload,
        at=receipt.completed_at or receipt.started_at,
        status=RequestStatus.COMPLETED if is_over else RequestStatus.PROCESSING,
    )
