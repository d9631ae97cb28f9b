"""Ids: time-ordered integers below 2^53, made without asking anybody.

37 bits count 8 ms ticks since 2025 (34 years), 8 bits name the node, 8 bits count within the tick. A node number is
one process's alone while its advisory lock is held (`database`); 256 processes may hold one, each making up to
32,000 ids a second without running ahead of the clock.
"""

import time

EPOCH = 1_735_689_600.0  # 2025-01-01T00:00:00Z
TICKS_PER_SECOND = 125
NODES = 256


class Ids:
    """Makes the ids of one process, rising strictly, also when the clock steps back."""

    def __init__(self, node: int) -> None:
        self.node = node
        self._tick = 0
        self._count = 0

    def new(self) -> int:
        """The next id."""
        tick = int((time.time() - EPOCH) * TICKS_PER_SECOND)
        if tick > self._tick:
            self._tick, self._count = tick, 0
        elif self._count == 255:
            self._tick, self._count = self._tick + 1, 0
        else:
            self._count += 1
        return self._tick << 16 | self.node << 8 | self._count


def parse(text: str) -> int | None:
    """The id that a URI segment or a filter names, or None when it cannot be one: each has one spelling."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and text[0] != "0":
        number = int(text)
        if number < 2**53:
            return number
    return None


def parse_uri(text: object, collection: str) -> int | None:
    """The id in `/collection/ID`, or None when the text is no such URI."""
    if isinstance(text, str) and text.startswith(f"/{collection}/"):
        return parse(text[len(collection) + 2 :])
    return None
