"""Export a tool session as JSON Lines, with the chain of its seals."""

from casefile import reading
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ExportPayload,
    ExportSessionRequest,
    ExportSessionResponse,
)


@operation(
    ExportSessionRequest,
    ExportSessionResponse,
    "GET /tool-sessions/{session_id}/export",
    needs=Needs(session=VIEWER),
)
def handle(request: ExportSessionRequest) -> Answer[ExportPayload]:
    """Whoever holds the lines can verify them without us."""
    return Answer(reading.export(request))
