"""The embedded PostgreSQL as the rest of ticketing sees it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ticketing.embedded.binaries import binaries_for
from ticketing.embedded.cluster import ensure_cluster
from ticketing.embedded.errors import EmbeddedError, FolderInUseError, Purpose, file_errors_explained
from ticketing.embedded.folder import Folder, FolderLock, lock_folder, open_folder
from ticketing.embedded.postmaster import Postmaster, answers

WAIT_SECONDS = 0.05
NOTE_SECONDS = 5
STEADY_SECONDS = 60
LONGEST_PAUSE_SECONDS = 30


class EmbeddedPostgres:
    """A PostgreSQL in a data folder, run by this process alone.

    `progress` gets a sentence for each thing the person at the terminal should know of.
    """

    def __init__(self, data_dir: Path, *, progress: Callable[[str], None], purpose: Purpose = Purpose.SERVE) -> None:
        self._data_dir = data_dir
        self._progress = progress
        self._purpose = purpose
        self._lock: FolderLock | None = None
        self._postmaster: Postmaster | None = None

    async def start(self) -> str:
        """Start it, making it first when the folder is empty, and return the DSN when it answers.

        The DSN carries the password: do not print it.

        Raises FolderInUseError when another process serves from it, EmbeddedError when it cannot start.
        """
        try:
            with file_errors_explained(self._data_dir):
                folder = open_folder(self._data_dir, self._progress)
                self._lock = await _lock_when_free(folder, self._purpose, self._progress)
                binaries = binaries_for(folder.account, self._progress)
                await ensure_cluster(folder, binaries, self._progress)
                self._postmaster = await Postmaster.launch(folder, binaries, self._progress)
                return folder.dsn
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server in order and let go of the folder; nothing happens when it does not run.

        Cancel `supervise` first.
        """
        postmaster, self._postmaster = self._postmaster, None
        if postmaster is not None:
            await postmaster.stop()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    async def supervise(self) -> None:
        """Start the server again whenever it ends by itself; runs until cancelled.

        A server that cannot start is reported and tried again, with ever longer pauses.
        """
        pause = 0
        while (postmaster := self._postmaster) is not None:
            watched_since = time.monotonic()
            await postmaster.until_it_ends()
            if self._postmaster is None:
                return
            steady = time.monotonic() - watched_since > STEADY_SECONDS
            pause = 0 if steady else pause
            again = f"in {pause} s" if pause else "now"
            self._progress(f"PostgreSQL is not running; starting it again {again}.")
            await asyncio.sleep(pause)
            pause = min(max(1, 2 * pause), LONGEST_PAUSE_SECONDS)
            try:
                self._postmaster = await postmaster.relaunch()
                self._progress("PostgreSQL is running again.")
            except EmbeddedError as error:
                self._progress(str(error))


@asynccontextmanager
async def reach(data_dir: Path, *, progress: Callable[[str], None]) -> AsyncIterator[str]:
    """The DSN of the database in a data folder, for the length of a command.

    That of the running `serve` where there is one; else the server is started here, and stopped at the end.

    Raises EmbeddedError when it cannot be reached.
    """
    server = EmbeddedPostgres(data_dir, progress=progress, purpose=Purpose.COMMAND)
    try:
        yield await _start_or_join(server, data_dir, progress)
    finally:
        await server.stop()


async def _start_or_join(server: EmbeddedPostgres, data_dir: Path, progress: Callable[[str], None]) -> str:
    notes = _notes(progress, f"Waiting for the database that another process is starting in {data_dir}")
    while True:
        try:
            return await server.start()
        except FolderInUseError:
            folder = open_folder(data_dir, progress)
            with file_errors_explained(data_dir):
                if await answers(folder):
                    return folder.dsn
        notes()
        await asyncio.sleep(WAIT_SECONDS)


async def _lock_when_free(folder: Folder, purpose: Purpose, progress: Callable[[str], None]) -> FolderLock:
    """Take the folder; a command that has it is waited for, since it ends soon by itself.

    Raises FolderInUseError when a `serve` has it.
    """
    notes = _notes(progress, f"Waiting for another ticketing command to finish with {folder.data_dir}")
    while True:
        try:
            return lock_folder(folder, purpose)
        except FolderInUseError as in_use:
            if in_use.purpose is Purpose.SERVE:
                raise
        notes()
        await asyncio.sleep(WAIT_SECONDS)


def _notes(progress: Callable[[str], None], text: str) -> Callable[[], None]:
    """A function that reports `text` after a second, then every few seconds, however often it is called."""
    started = time.monotonic()
    due = started + 1

    def note() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + NOTE_SECONDS
            progress(f"{text} ({now - started:.0f} s so far).")

    return note
