"""Change title, description, tags or notes of a casefile."""

from casefile import casefiles
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import from_text, to_milliseconds
from pydantic_models.operations import (
    CasefileUpdatedPayload,
    UpdateCasefileRequest,
    UpdateCasefileResponse,
)


@operation(
    UpdateCasefileRequest,
    UpdateCasefileResponse,
    "PATCH /casefiles/{casefile_id}",
    needs=Needs(casefile=EDITOR),
)
def handle(request: UpdateCasefileRequest) -> Answer[CasefileUpdatedPayload]:
    """What isn't given stays as it is."""
    casefile = casefiles.change(request)
    changed = sorted(request.payload.changes())
    return Answer(
        CasefileUpdatedPayload(casefile=casefile, updated_fields=changed),
        at=to_milliseconds(from_text(casefile.metadata.updated_at)),
    )
