"""How much memory of a process the bodies of requests and answers under way may take, and how much of it one client's.

What is small counts for nothing: nobody is refused an order because others hold large pages.
"""

from collections import Counter

from .addresses import network
from .errors import Busy

MIB = 1024 * 1024


class Budget:
    """So many bytes in all, and so many for one client."""

    def __init__(self, total: int, each: int) -> None:
        self.total = total
        self.each = each
        self._taken: Counter[str] = Counter()
        self._sum = 0

    def take(self, address: str, size: int) -> None:
        """Take some for the client with this address. Raises Busy when there is not enough left."""
        client = network(address)
        if self._sum + size > self.total or self._taken[client] + size > self.each:
            raise Busy(2)
        self._sum += size
        self._taken[client] += size

    def give_back(self, address: str, size: int) -> None:
        """Give back what was taken."""
        client = network(address)
        self._sum -= size
        self._taken[client] -= size
        if self._taken[client] <= 0:
            del self._taken[client]


# Two bodies with pictures of one client, three in all; they are held about twice while they are read.
REQUESTS = Budget(48 * MIB, 33 * MIB)
ANSWERS = Budget(32 * MIB, 16 * MIB)
SMALL_REQUEST = 64 * 1024
SMALL_ANSWER = 256 * 1024
