"""Put closed sessions in the archive, and take from the table those that were there long enough."""

from datetime import timedelta

from pydantic import NonNegativeInt

from casefile import retention
from casefile.schedule import scheduled


@scheduled
def handle(keep_days: NonNegativeInt) -> retention.Retained:
    """What one run leaves, out of time, the next one finds. With 0, nothing leaves the table."""
    return retention.archive_sessions(timedelta(days=keep_days) if keep_days else None)
