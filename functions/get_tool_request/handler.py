"""Read one tool request, with its outcome and events."""

from casefile import reading, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    GetToolRequestRequest,
    GetToolRequestResponse,
    ToolRequestDataPayload,
)


@operation(
    GetToolRequestRequest,
    GetToolRequestResponse,
    "GET /tool-sessions/{session_id}/requests/{request_id}",
    needs=Needs(session=VIEWER),
)
def handle(request: GetToolRequestRequest) -> Answer[ToolRequestDataPayload]:
    """It is found by its id, however far back."""
    asked = request.payload
    begun = reading.find(asked.session_id, request.user_id, asked.request_id, transcript.BEGINNINGS)
    outcome = reading.outcome(asked.session_id, begun) if transcript.unfinished([begun]) else []
    (found,) = transcript.tool_requests(asked.session_id, [begun, *outcome])
    return Answer(ToolRequestDataPayload(session_id=asked.session_id, request=found))
