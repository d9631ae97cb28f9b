"""How often something happened within the minute under way, in one process.

Not the library `limits`: its count and its statistics cost 6.5 microseconds, it keeps a timer thread in each worker,
and its memory has no bound; this costs one, and forgets everything at once when the minute is over or too many names
were seen.
"""

import time
from collections.abc import Callable, Hashable
from math import ceil

SECONDS = 60
NAMES = 100_000


class Minute:
    """Counts by name, at most `limit` of each within a minute; the minutes of all names begin together."""

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        self._counts: dict[Hashable, int] = {}
        self._over = 0.0

    def count(self, name: Hashable) -> int:
        """Count one more; how many are left after it, below zero when it is one too many."""
        counts = self._current()
        counted = counts.get(name, 0) + 1
        if len(counts) >= NAMES:
            counts.clear()
        counts[name] = counted
        return self.limit - counted

    def remaining(self, name: Hashable) -> int:
        """How many are left, zero when there are none."""
        return max(0, self.limit - self._current().get(name, 0))

    def is_past(self, name: Hashable, times: int = 1) -> bool:
        """Whether more happened than the limit, so many times over."""
        return self._current().get(name, 0) > self.limit * times

    def seconds_left(self) -> int:
        """Until the minute is over, rounded up."""
        return max(1, min(SECONDS, ceil(self._over - self._now())))

    def _current(self) -> dict[Hashable, int]:
        now = self._now()
        if now >= self._over:
            self._over = now - now % SECONDS + SECONDS
            self._counts.clear()
        return self._counts
