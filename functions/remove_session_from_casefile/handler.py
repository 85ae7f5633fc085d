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
    asked = request.payload
    total_sessions, at = sessions.take_out(request)
    removed = SessionRemovedPayload(
        casefile_id=asked.casefile_id, session_id=asked.session_id, total_sessions=total_sessions
    )
    return Answer(removed, at=at)
