"""List one's own tool sessions, or a casefile's."""

from casefile import sessions
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ListSessionsRequest,
    ListSessionsResponse,
    SessionListPayload,
)


@operation(
    ListSessionsRequest,
    ListSessionsResponse,
    "GET /tool-sessions",
    needs=Needs(casefile=VIEWER),
)
def handle(request: ListSessionsRequest) -> Answer[SessionListPayload]:
    """The newest fifty of ten thousand are one query, as of fifty."""
    page = sessions.listed(request, "tool")
    summaries = [sessions.tool_summary(entry) for entry in page.items]
    return Answer(SessionListPayload(sessions=summaries, **page.place))
