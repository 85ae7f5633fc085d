"""Open a tool session, filed at once if the request names a casefile."""

from casefile import sessions
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    CreateSessionRequest,
    CreateSessionResponse,
    SessionCreatedPayload,
)


@operation(
    CreateSessionRequest,
    CreateSessionResponse,
    "POST /tool-sessions",
    needs=Needs(casefile=EDITOR),
    status=201,
)
def handle(request: CreateSessionRequest) -> Answer[SessionCreatedPayload]:
    """The same request opens one session, and gets its first answer again."""
    head = sessions.create(request)
    created = SessionCreatedPayload(
        session_id=head.session_id,
        casefile_id=head.casefile_id,
        created_at=text_of(head.created_at),
    )
    return Answer(created, at=head.created_at)
