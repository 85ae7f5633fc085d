"""Tell the bus what happened."""

from casefile import bus, contents, news
from casefile.stream import Batch, following


@following(bus.client, contents.client)
def handle(changes: Batch) -> None:
    """What is told twice has the same ids."""
    news.tell(changes)
