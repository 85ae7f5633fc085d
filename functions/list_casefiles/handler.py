"""List one's own casefiles, or those that others share."""

from casefile import casefiles
from casefile.access import ONES_OWN
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    CasefileListPayload,
    ListCasefilesRequest,
    ListCasefilesResponse,
)


@operation(
    ListCasefilesRequest,
    ListCasefilesResponse,
    "GET /casefiles",
    needs=ONES_OWN,
)
def handle(request: ListCasefilesRequest) -> Answer[CasefileListPayload]:
    """What is not one's own is shown as long as its grant holds."""
    page = casefiles.listed(request)
    summaries = [casefiles.summary(entry) for entry in page.items]
    return Answer(CasefileListPayload(casefiles=summaries, **page.place))
