"""Take a session out of a casefile."""

from casefile import sessions
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    RemoveSessionFromCasefileRequest,
    RemoveSessionFromCasefileResponse,
    SessionRemovedPayload,
)


@operation(
    RemoveSessionFromCasefileRequest,
    RemoveSessionFromCasefileResponse,
    "DELETE /casefiles/{casefile_id}/sessions/{session_id}",
    needs=Needs(session=EDITOR),
)
def handle(request: RemoveSessionFromCasefileRequest) -> Answer[SessionRemovedPayload]:
    """Whoever may write the session, its owner always: from then on it is the owner's alone."""
    filing = sessions.take_out(request)
    removed = SessionRemovedPayload(
        casefile_id=filing.casefile_id,
        session_id=request.payload.session_id,
        total_sessions=filing.total_sessions,
    )
    return Answer(removed, at=filing.at)
