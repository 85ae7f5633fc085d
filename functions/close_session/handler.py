"""Close a tool session: seal its log and tell its totals."""

from casefile import session_log, transcript
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    CloseSessionRequest,
    CloseSessionResponse,
    SessionClosedPayload,
)


@operation(
    CloseSessionRequest,
    CloseSessionResponse,
    "POST /tool-sessions/{session_id}/close",
    needs=Needs(session=EDITOR),
)
def handle(request: CloseSessionRequest) -> Answer[SessionClosedPayload]:
    """The first closing is the one that counts: each later one gets its answer."""
    session_id = request.payload.session_id
    closing = session_log.close(session_id, request.user_id, transcript.closing_entry(request))
    return Answer(
        SessionClosedPayload(
            session_id=session_id,
            closed_at=text_of(closing.record.at),
            total_requests=closing.record.totals.requests,
            total_events=closing.record.totals.events,
            duration_seconds=closing.duration_seconds,
        ),
        at=closing.record.at,
        metadata={"seal": closing.record.seal.hex()},
    )
