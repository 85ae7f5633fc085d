"""Hand each request that came by a queue or the bus to the function of its operation."""

from typing import Any

from casefile import dispatch
from casefile.dispatch import receiving


@receiving
def handle(envelope: dict[str, Any], invocation: str) -> None:
    """What can't be done comes again, and then to the queue's dead letters."""
    dispatch.invoke(envelope, invocation)
