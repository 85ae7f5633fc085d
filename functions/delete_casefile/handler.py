"""Delete a casefile for good; its sessions stay with their owners, unless told otherwise."""

from casefile import creation, deletion
from casefile.access import OWNER, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    CasefileDeletedPayload,
    DeleteCasefileRequest,
    DeleteCasefileResponse,
)


@operation(
    DeleteCasefileRequest,
    DeleteCasefileResponse,
    "DELETE /casefiles/{casefile_id}",
    needs=Needs(session=OWNER, casefile=OWNER),
)
def handle(request: DeleteCasefileRequest) -> Answer[CasefileDeletedPayload]:
    """Interrupted, it goes on when sent again; done, it gives its first answer again."""
    creation.check_not_in_future(request.made_at(), request.request_id)
    asked = request.payload
    deleted = deletion.delete_casefile(
        asked.casefile_id, request.user_id, with_sessions=asked.delete_sessions
    )
    return Answer(
        CasefileDeletedPayload(
            casefile_id=asked.casefile_id, deleted_at=text_of(deleted.at), title=deleted.title
        ),
        at=deleted.at,
    )
