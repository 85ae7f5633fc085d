"""Change title, tags or metadata of a tool session."""

from casefile import sessions
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    SessionUpdatedPayload,
    UpdateSessionRequest,
    UpdateSessionResponse,
)


@operation(
    UpdateSessionRequest,
    UpdateSessionResponse,
    "PATCH /tool-sessions/{session_id}",
    needs=Needs(session=EDITOR),
)
def handle(request: UpdateSessionRequest) -> Answer[SessionUpdatedPayload]:
    """What isn't given stays as it is; what was recorded is not touched."""
    head, at = sessions.change(request)
    changed = sorted(request.payload.changes())
    return Answer(SessionUpdatedPayload(**head.about, updated_fields=changed), at=at)
