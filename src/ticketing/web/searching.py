"""Searches through texts, by turns: a few at once, or nobody else would have a connection or a processor."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from ticketing.kit.turns import Asker, OneLane, Turns

QUICK_SECONDS = 0.05
REST = 2  # times as long as it took

# Of the process: each may take the database 0.4 s, with a processor that others want too.
_TURNS = Turns({OneLane.LANE: 64}, 5.0, at_once=2, each=1)


@contextlib.asynccontextmanager
async def search_turn(asker: Asker) -> AsyncIterator[None]:
    """The asker's turn to search.

    One that took long ends later than it might, so that the database does not look through texts alone.

    Raises Overloaded when too many wait, or for too long.
    """
    async with _TURNS.hold(OneLane.LANE, asker):
        began = time.monotonic()
        try:
            yield
        finally:
            await asyncio.sleep(REST * max(0.0, time.monotonic() - began - QUICK_SECONDS))
