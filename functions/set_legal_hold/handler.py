"""Put a casefile under legal hold, or lift it."""

from casefile import casefiles
from casefile.access import ADMIN, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    LegalHoldPayload,
    SetLegalHoldRequest,
    SetLegalHoldResponse,
)


@operation(
    SetLegalHoldRequest,
    SetLegalHoldResponse,
    "PUT /casefiles/{casefile_id}/legal-hold",
    needs=Needs(casefile=ADMIN),
)
def handle(request: SetLegalHoldRequest) -> Answer[LegalHoldPayload]:
    """While it lasts, nothing of the casefile, or filed in it, is deleted or leaves the table."""
    held = casefiles.hold(request)
    return Answer(LegalHoldPayload(casefile_id=request.payload.casefile_id, legal_hold=held))
