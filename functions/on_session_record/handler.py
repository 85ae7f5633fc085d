"""Bring the lists up to what was recorded."""

from casefile import sessions
from casefile.stream import Batch, following


@following()
def handle(changes: Batch) -> None:
    """Several records of a session are one write; what comes late or twice changes nothing."""
    changes.follow_records(sessions.refresh)
