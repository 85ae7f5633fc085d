"""Close the sessions in which nothing has happened for a time, so that their logs are sealed."""

from datetime import timedelta

from pydantic import PositiveFloat

from casefile import idle
from casefile.rounds import Round
from casefile.schedule import scheduled


@scheduled
def handle(idle_hours: PositiveFloat) -> Round:
    """What one run leaves, out of time, the next one finds."""
    return idle.close_sessions(timedelta(hours=idle_hours))
