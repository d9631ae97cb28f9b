"""The supervisor's child processes: started, watched, started again, stopped."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Self

from .handover import DRAIN_SECONDS

GRACE_SECONDS = 5  # beyond what the child itself allows for draining
STEADY_SECONDS = 60
LONGEST_PAUSE_SECONDS = 30


class Child:
    """A process of ours that should always run.

    It leads a session of its own, so that Ctrl-C reaches the supervisor alone. Its standard input is a pipe whose end
    tells it that the supervisor is gone, however that went.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        progress: Callable[[str], None],
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._progress = progress
        self._environment = environment
        self._line = b""
        self._process: asyncio.subprocess.Process

    @classmethod
    async def launch(
        cls,
        name: str,
        arguments: Sequence[str],
        progress: Callable[[str], None],
        environment: dict[str, str] | None = None,
    ) -> Self:
        """Start `python ARGUMENTS`; `name` is the plural the person at the terminal reads."""
        child = cls(name, arguments, progress, environment)
        await child._spawn()
        return child

    async def tell(self, line: bytes) -> None:
        """Write to its standard input, now and each time it is started again."""
        self._line = line
        await self._write()

    async def until_it_ends(self) -> None:
        """Wait for its end."""
        await self._process.wait()

    async def watch(self) -> None:
        """Start it again whenever it ends by itself, with ever longer pauses; runs until cancelled."""
        pause = 0
        while True:
            began = time.monotonic()
            await self._process.wait()
            pause = 0 if time.monotonic() - began > STEADY_SECONDS else pause
            when = f"in {pause} s" if pause else "now"
            self._progress(f"The {self.name} ended by themselves; starting them again {when}.")
            await asyncio.sleep(pause)
            pause = min(max(1, 2 * pause), LONGEST_PAUSE_SECONDS)
            await self._spawn()
            await self._write()

    async def stop(self) -> None:
        """End it in order: what is under way gets DRAIN_SECONDS."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), DRAIN_SECONDS + GRACE_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it and its own children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=None if self._environment is None else os.environ | self._environment,
        )

    async def _write(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        with contextlib.suppress(ConnectionError):  # it has ended; whoever watches will see
            self._process.stdin.write(self._line)
            await self._process.stdin.drain()
