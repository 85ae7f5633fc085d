"""Export a chat session as JSON Lines, with the chain of its seals."""

from casefile import reading
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ExportChatSessionRequest,
    ExportChatSessionResponse,
    ExportPayload,
)


@operation(
    ExportChatSessionRequest,
    ExportChatSessionResponse,
    "GET /chat-sessions/{session_id}/export",
    needs=Needs(session=VIEWER),
)
def handle(request: ExportChatSessionRequest) -> Answer[ExportPayload]:
    """Whoever holds the lines can verify them without us."""
    return Answer(reading.export(request))
