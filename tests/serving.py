"""A real server for tests: its own process, real workers, a port of its own."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import log_watch

START_SECONDS = 60
STOP_SECONDS = 30
LONGEST_LINE = 2**24
SECRET = "a secret that only the tests know, long enough"


class Server:
    """A running `ticketing serve`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.url = ""
        self.said: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode())
            log_watch.read_lines(self.said[-1:])

    async def until_said(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Wait until the server prints a line with the pattern."""
        async with asyncio.timeout(seconds):
            while True:
                if found := re.search(pattern, "".join(self.said)):
                    return found
                assert not self._reading.done(), f"the server ended: {''.join(self.said)}"
                await asyncio.sleep(0.01)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end; the exit code."""
        code = await asyncio.wait_for(self.process.wait(), seconds)
        if code < 0:  # killed: its workers may still hold the pipe
            self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        return code


@contextlib.asynccontextmanager
async def running(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Server]:
    """`ticketing ARGUMENTS` in a process of its own, ended afterwards; not necessarily ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ticketing", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LONGEST_LINE,
        env=clean_environment() | dict(environment or {}),
    )
    server = Server(process)
    try:
        yield server
    finally:
        if process.returncode is None:
            await server.stop()


def clean_environment() -> dict[str, str]:
    """Ours, without settings of the platform."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TICKETING_", "DATABASE_URL"))}


@contextlib.asynccontextmanager
async def serve(
    dsn: str, *, workers: int = 2, environment: Mapping[str, str] | None = None, data_dir: Path | None = None
) -> AsyncIterator[str]:
    """A server on a database and any free port, ready; the URL before `/v3`.

        async with serve(dsn, workers=2, environment={"TICKETING_HOLD_SECONDS": "2"}) as url:

    Rate limits are off and the secret is the one of `conftest.settings` unless `environment` says otherwise.
    """
    settings = {"DATABASE_URL": dsn, "TICKETING_SECRET": SECRET, "TICKETING_RATE_LIMITS": "off"}
    folder = [] if data_dir is None else ["--data-dir", str(data_dir)]
    arguments = ["serve", "--port", "0", "--workers", str(workers), *folder]
    async with running(*arguments, environment=settings | dict(environment or {})) as server:
        yield await ready(server)


async def ready(server: Server) -> str:
    """Wait until a server answers; the URL before `/v3`."""
    server.url = (await server.until_said(r"answers at (http://\S+)/v3 "))[1]
    return server.url
