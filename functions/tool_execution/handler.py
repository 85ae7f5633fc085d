"""Record a tool execution in a tool session."""

from casefile import session_log, transcript
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.base import RequestStatus
from pydantic_models.operations import (
    ToolExecutionRequest,
    ToolExecutionResponse,
    ToolResponsePayload,
)


@operation(
    ToolExecutionRequest,
    ToolExecutionResponse,
    "POST /tool-sessions/{session_id}/requests",
    needs=Needs(session=EDITOR),
    status=201,
)
def handle(request: ToolExecutionRequest) -> Answer[ToolResponsePayload]:
    """One record, whatever the execution brought; without a result it stays pending."""
    session_id = request.payload.session_id
    record = session_log.append(session_id, request.user_id, transcript.tool_entry(request))
    (recorded,) = transcript.tool_requests(session_id, [record])
    is_pending = recorded.status is RequestStatus.PENDING
    return Answer(
        transcript.tool_response(session_id, recorded, record),
        at=record.at,
        status=RequestStatus.PENDING if is_pending else RequestStatus.COMPLETED,
    )
