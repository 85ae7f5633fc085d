"""Open a casefile."""

from casefile import casefiles
from casefile.access import ONES_OWN
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    CasefileCreatedPayload,
    CreateCasefileRequest,
    CreateCasefileResponse,
)


@operation(
    CreateCasefileRequest,
    CreateCasefileResponse,
    "POST /casefiles",
    needs=ONES_OWN,
    status=201,
)
def handle(request: CreateCasefileRequest) -> Answer[CasefileCreatedPayload]:
    """The same request opens one casefile, and gets its first answer again."""
    head = casefiles.create(request)
    created = CasefileCreatedPayload(
        casefile_id=head.casefile_id,
        title=request.payload.title,
        created_at=text_of(head.created_at),
        created_by=request.user_id,
    )
    return Answer(created, at=head.created_at)
