"""When to send the same request again, and after how long.

Every request names itself and its time, so sending it again changes nothing if it arrived.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .errors import RETRYABLE, CasefileError, RequestFailed


@dataclass(frozen=True)
class Retries:
    """How often to try in all, and how long to wait between tries, in seconds.

    The wait is drawn from a span that doubles with each try, up to `longest`, so that many clients
    don't come back at once. If the service tells how long to wait (Retry-After), it is at least
    that; if that is longer than `longest`, the request is given up.
    """

    attempts: int = 6
    first: float = 0.2
    longest: float = 20.0

    def wait(self, attempt: int, error: CasefileError) -> float | None:
        """Seconds until the next try after the `attempt`th failed so; None to give up."""
        if attempt >= self.attempts or not isinstance(error, RETRYABLE):
            return None
        told = error.retry_after or 0.0 if isinstance(error, RequestFailed) else 0.0
        if told > self.longest:
            return None
        return told + self.pause(attempt)

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`th try failed, drawn anew each time."""
        return random.uniform(0, min(self.longest, self.first * 2.0 ** min(attempt - 1, 30)))
