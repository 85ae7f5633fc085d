"""File a session in a casefile."""

from casefile import sessions
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    AddSessionToCasefileRequest,
    AddSessionToCasefileResponse,
    SessionAddedPayload,
)


@operation(
    AddSessionToCasefileRequest,
    AddSessionToCasefileResponse,
    "POST /casefiles/{casefile_id}/sessions",
    needs=Needs(session=EDITOR, casefile=EDITOR),
    status=201,
)
def handle(request: AddSessionToCasefileRequest) -> Answer[SessionAddedPayload]:
    """Only its owner files a session, once: to name the same casefile again gets the first answer.

    So it does for the casefile's editors, too.
    """
    asked = request.payload
    filing = sessions.file(request)
    added = SessionAddedPayload(
        casefile_id=filing.casefile_id,
        session_id=asked.session_id,
        session_type=asked.session_type,
        total_sessions=filing.total_sessions,
    )
    return Answer(added, at=filing.at)
