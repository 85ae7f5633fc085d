"""Bring the heads of sessions, and so the lists, up to what was recorded."""

from casefile import sessions
from casefile.stream import following
from pydantic_models.canonical.record import Record


@following
def handle(session_id: str, newest: Record) -> None:
    """Several records of a session are one write; what comes late or twice changes nothing."""
    sessions.refresh(session_id, newest)
