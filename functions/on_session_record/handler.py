"""Follow what was written: bring the lists up to it, and tell the bus what happened."""

from casefile import domain_events, sessions
from casefile.stream import Batch, following


@following
def handle(changes: Batch) -> None:
    """Several records of a session are one write; what comes late or twice changes nothing."""
    changes.follow_records(sessions.refresh)
    changes.tell(domain_events.of_change)
