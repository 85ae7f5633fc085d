"""Change title, tags or metadata of a chat session."""

from casefile import sessions
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    SessionUpdatedPayload,
    UpdateChatSessionRequest,
    UpdateChatSessionResponse,
)


@operation(
    UpdateChatSessionRequest,
    UpdateChatSessionResponse,
    "PATCH /chat-sessions/{session_id}",
    needs=Needs(session=EDITOR),
)
def handle(request: UpdateChatSessionRequest) -> Answer[SessionUpdatedPayload]:
    """What isn't given stays as it is; what was recorded is not touched."""
    head, at = sessions.change(request)
    changed = sorted(request.payload.changes())
    return Answer(SessionUpdatedPayload(**head.about, updated_fields=changed), at=at)
