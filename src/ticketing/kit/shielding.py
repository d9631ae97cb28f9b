"""Work that a request begins and that is done to its end, whether or not the client stays for the answer."""

import asyncio
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

    async def run(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """What the work returns or raises.

        Raises TimeoutError when it takes longer than `seconds`; it goes on then, as it does when the waiting request
        is cancelled.
        """
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(task)
        except (TimeoutError, asyncio.CancelledError):
            task.add_done_callback(_note_failure)
            raise

    async def close(self) -> None:
        """Wait for what is under way, but not for ever."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_SECONDS)


def _note_failure(task: asyncio.Task[Any]) -> None:
    """Nobody else hears of it any more."""
    if not task.cancelled() and (error := task.exception()):
        log.error("request.crashed_unheard", reason=type(error).__name__)
