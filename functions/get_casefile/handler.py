"""Read a casefile with the ids of the sessions filed in it."""

from casefile import casefiles
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    CasefileDataPayload,
    GetCasefileRequest,
    GetCasefileResponse,
)


@operation(
    GetCasefileRequest,
    GetCasefileResponse,
    "GET /casefiles/{casefile_id}",
    needs=Needs(casefile=VIEWER),
)
def handle(request: GetCasefileRequest) -> Answer[CasefileDataPayload]:
    """The count of sessions is exact at any moment."""
    casefile, cursor = casefiles.read(request)
    return Answer(CasefileDataPayload(casefile=casefile, cursor=cursor))
