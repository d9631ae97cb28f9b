"""Work that takes a processor for long, done beside the event loop: on few threads, with few waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .overload import Overloaded

T = TypeVar("T")


class BoundedThreads:
    """A few threads and a queue of limited length; whoever finds it full is told to come back."""

    def __init__(self, name: str, *, threads: int, waiting: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting = waiting
        self._seconds = seconds
        self._under_way = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What the work returns or raises. Raises Overloaded when too many wait, or it takes too long."""
        if self._under_way >= self._waiting:
            raise Overloaded(2)
        try:
            future = self._pool.submit(work)
        except RuntimeError:  # the server is ending
            raise Overloaded(2) from None
        self._under_way += 1
        # Counted until the thread is done with it: a caller that gave up does not make room.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _done: loop.call_soon_threadsafe(self._one_less))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            raise Overloaded(2) from None

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _one_less(self) -> None:
        self._under_way -= 1
