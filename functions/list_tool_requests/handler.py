"""Read the requests of a tool session in pages, with their outcomes and events."""

from casefile import reading, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ListToolRequestsRequest,
    ListToolRequestsResponse,
    ToolRequestPagePayload,
)


@operation(
    ListToolRequestsRequest,
    ListToolRequestsResponse,
    "GET /tool-sessions/{session_id}/requests",
    needs=Needs(session=VIEWER),
)
def handle(request: ListToolRequestsRequest) -> Answer[ToolRequestPagePayload]:
    """A request shows its outcome, though that may be recorded beyond the page."""
    page = reading.page(request, transcript.request_count)
    pending = transcript.unfinished(page.records)
    page, outcomes = reading.with_outcomes(page, pending)
    requests = transcript.tool_requests(page.session_id, [*page.records, *outcomes])
    return Answer(ToolRequestPagePayload(requests=page.arrange(requests), **page.place))
