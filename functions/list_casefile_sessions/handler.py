"""List the sessions filed in a casefile, of both kinds."""

from casefile import sessions
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    CasefileSessionListPayload,
    ListCasefileSessionsRequest,
    ListCasefileSessionsResponse,
)


@operation(
    ListCasefileSessionsRequest,
    ListCasefileSessionsResponse,
    "GET /casefiles/{casefile_id}/sessions",
    needs=Needs(casefile=VIEWER),
)
def handle(request: ListCasefileSessionsRequest) -> Answer[CasefileSessionListPayload]:
    """Open ones and closed ones, unless only those that are active are asked for."""
    page = sessions.listed(request, "tool", "chat")
    return Answer(
        CasefileSessionListPayload(
            casefile_id=request.payload.casefile_id,
            sessions=[sessions.summary(entry) for entry in page.items],
            **page.place,
        )
    )
