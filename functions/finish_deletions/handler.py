"""Put an end to deletions: of casefiles and sessions a quarter of an hour later, and of users."""

from casefile import erasure
from casefile.schedule import scheduled


@scheduled("finish_deletions")
def handle() -> erasure.Finished:
    """What one run leaves, out of time, the next one finds."""
    return erasure.finish_deletions()
