"""Work that a request begins and that is done to its end, whether or not the client stays for the answer."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

CLOSE_SECONDS = 10.0

log = structlog.get_logger()


class Shield:
    """The work of one process that no client's disconnect ends."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin some work; whoever wants its end uses `wait`."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def wait(self, task: asyncio.Task[T], seconds: float | None = None) -> T:
        """What the work returns or raises.

        Raises TimeoutError when it takes longer than `seconds`; it goes on then, as it does when the waiting request
        is cancelled.
        """
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(task)
        except (TimeoutError, asyncio.CancelledError):
            task.add_done_callback(_note_failure)
            raise

    async def close(self) -> None:
        """Wait for what is under way, and what follows from it, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._under_way:
                    await asyncio.wait(set(self._under_way))


def _note_failure(task: asyncio.Task[Any]) -> None:
    """Nobody else hears of it any more."""
    if not task.cancelled() and (error := task.exception()):
        log.error("request.crashed_unheard", reason=type(error).__name__)
