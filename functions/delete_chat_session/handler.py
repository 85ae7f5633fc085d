"""Delete a chat session for good, whatever its state."""

from casefile import creation, deletion
from casefile.access import OWNER, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    DeleteChatSessionRequest,
    DeleteChatSessionResponse,
    SessionDeletedPayload,
)


@operation(
    DeleteChatSessionRequest,
    DeleteChatSessionResponse,
    "DELETE /chat-sessions/{session_id}",
    needs=Needs(session=OWNER),
)
def handle(request: DeleteChatSessionRequest) -> Answer[SessionDeletedPayload]:
    """Interrupted, it goes on when sent again; done, it gives its first answer again."""
    creation.check_not_in_future(request.made_at(), request.request_id)
    session_id = request.payload.session_id
    deleted_at = deletion.delete(session_id, request.user_id)
    deleted = SessionDeletedPayload(session_id=session_id, deleted_at=text_of(deleted_at))
    return Answer(deleted, at=deleted_at)
