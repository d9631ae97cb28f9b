"""Work that takes a processor for long, done beside the event loop: on few threads, by turns, with few waiting."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from .overload import Overloaded
from .turns import Asker, OneLane, Turns

T = TypeVar("T")


class BoundedThreads:
    """A few threads, and turns at them; `waiting` pieces of work wait or are under way, in all or in each lane."""

    def __init__(self, name: str, *, threads: int, waiting: int | Mapping[Enum, int], seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        lanes: Mapping[Enum, int] = {OneLane.LANE: waiting} if isinstance(waiting, int) else waiting
        self._turns = Turns(lanes, seconds, at_once=threads)

    async def run(self, work: Callable[[], T], *, asker: Asker = (), lane: Enum = OneLane.LANE) -> T:
        """What the work returns or raises. Raises Overloaded when too many wait, or it takes too long.

        A thread is taken until it is done: a caller that gave up makes no room.
        """
        return await self._turns.run(lane, asker, lambda: self._do(work))

    def ensure_room(self, *, asker: Asker = (), lane: Enum = OneLane.LANE) -> None:
        """Raise Overloaded when too many wait already."""
        self._turns.ensure_room(lane, asker)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            future = self._pool.submit(work)
        except RuntimeError:  # the server is ending
            raise Overloaded(2) from None
        return await asyncio.wrap_future(future)
