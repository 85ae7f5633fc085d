"""Read a tool session, with its requests and their events if they are asked for."""

from casefile import reading, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    GetSessionRequest,
    GetSessionResponse,
    SessionDataPayload,
)


@operation(
    GetSessionRequest,
    GetSessionResponse,
    "GET /tool-sessions/{session_id}",
    needs=Needs(session=VIEWER),
)
def handle(request: GetSessionRequest) -> Answer[SessionDataPayload]:
    """Counts and state are those of the log's newest record."""
    asked = request.payload
    log = reading.read(
        asked.session_id,
        request.user_id,
        with_content=asked.include_requests or asked.include_events,
    )
    requests = transcript.tool_requests(asked.session_id, log.records)
    return Answer(
        SessionDataPayload(
            **log.about,
            request_count=log.totals.requests,
            pending_count=log.totals.pending,
            event_count=log.totals.events,
            request_ids=[str(tool_request.request_id) for tool_request in requests],
            requests=requests if asked.include_requests else [],
            events=transcript.tool_events(asked.session_id, log.records, log.records)
            if asked.include_events
            else [],
        )
    )
