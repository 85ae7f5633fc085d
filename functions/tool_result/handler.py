"""Complete a pending tool request, or fail it: once, however much later."""

from casefile import records, session_log, transcript
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ToolResponsePayload,
    ToolResultRequest,
    ToolResultResponse,
)


@operation(
    ToolResultRequest,
    ToolResultResponse,
    "POST /tool-sessions/{session_id}/requests/{request_id}/result",
    needs=Needs(session=EDITOR),
    status=201,
)
def handle(request: ToolResultRequest) -> Answer[ToolResponsePayload]:
    """The same result again gets the same answer, a different one is refused."""
    session_id = request.payload.session_id
    outcome = session_log.append(session_id, request.user_id, transcript.result_entry(request))
    beginning = records.get(session_id, outcome.completes[0])
    (recorded,) = transcript.tool_requests(session_id, [beginning, outcome])
    return Answer(transcript.tool_response(session_id, recorded, outcome), at=outcome.at)
