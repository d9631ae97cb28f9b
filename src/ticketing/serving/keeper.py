"""The keeper of the workers, as the supervisor sees it: a process to start, watch and stop."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

from .errors import CannotServe
from .port import Port
from .work import DRAIN_SECONDS, WORKERS_MODULE, Work

PROBE_SECONDS = 0.02
ANSWER_SECONDS = 5
NOTE_SECONDS = 5
STEADY_SECONDS = 60
LONGEST_PAUSE_SECONDS = 30
QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Keeper:
    """Starts loading the application at once; `work` sets it to work."""

    def __init__(self, process: asyncio.subprocess.Process, progress: Callable[[str], None]) -> None:
        self._process = process
        self._progress = progress
        self._work: Work | None = None

    @classmethod
    async def launch(cls, progress: Callable[[str], None]) -> "Keeper":
        """A keeper that waits for work."""
        return cls(await _spawn(), progress)

    async def work(self, work: Work, port: Port) -> None:
        """Let the workers begin; returns when they answer. Raises CannotServe when they end instead."""
        self._work = work
        await _tell(self._process, work)
        ended = asyncio.create_task(self._process.wait())
        answering = asyncio.create_task(self._until_ready(port))
        try:
            await asyncio.wait({ended, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise CannotServe("The workers could not start; the lines above say why.")
        finally:
            ended.cancel()
            answering.cancel()

    async def watch(self) -> None:
        """Start the workers again whenever all of them end by themselves; runs until cancelled."""
        pause = 0
        while self._work is not None:
            began = time.monotonic()
            await self._process.wait()
            pause = 0 if time.monotonic() - began > STEADY_SECONDS else pause
            self._progress(f"The workers have ended; starting them again {f'in {pause} s' if pause else 'now'}.")
            await asyncio.sleep(pause)
            pause = min(max(1, 2 * pause), LONGEST_PAUSE_SECONDS)
            self._process = await _spawn()
            await _tell(self._process, self._work)

    async def stop(self) -> None:
        """End the workers: what is under way gets its answer, within DRAIN_SECONDS."""
        if self._work is None:
            self.kill()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), DRAIN_SECONDS + NOTE_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End the workers at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _until_ready(self, port: Port) -> None:
        began = noted = time.monotonic()
        while not await _is_ready(port):
            await asyncio.sleep(PROBE_SECONDS)
            if time.monotonic() - noted > NOTE_SECONDS:
                noted = time.monotonic()
                self._progress(f"Waiting for the workers ({noted - began:.0f} s so far).")


async def _spawn() -> asyncio.subprocess.Process:
    # A session of its own: Ctrl-C is meant for the supervisor, which ends the workers in order.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", WORKERS_MODULE, stdin=asyncio.subprocess.PIPE, start_new_session=True
    )


async def _tell(process: asyncio.subprocess.Process, work: Work) -> None:
    assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    with contextlib.suppress(ConnectionError):  # it has ended; whoever waits for it will see
        process.stdin.write(work.line())
        await process.stdin.drain()


async def _is_ready(port: Port) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(port.reachable, port.number)
            try:
                writer.write(QUESTION)
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
