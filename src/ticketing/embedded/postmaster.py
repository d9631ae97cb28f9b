"""The running server: started, probed until it answers, watched, stopped; and what a killed one left."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Self

import asyncpg
import psutil

from ticketing.embedded.binaries import Binaries
from ticketing.embedded.errors import EmbeddedError, complaint, file_errors_explained
from ticketing.embedded.folder import PORT, Folder, make_socket_directory, open_private, trim_log, write_whole

PROBE_SECONDS = 0.02
CONNECT_SECONDS = 10
WATCH_SECONDS = 0.2
NOTE_SECONDS = 5
ORPHANS_SECONDS = 5
FAST_SHUTDOWN_SECONDS = 60
IMMEDIATE_SHUTDOWN_SECONDS = 10

HBA = """\
# Rewritten at each start. Only through the socket, which only its owner and root can reach.
local all ticketing scram-sha-256
local all postgres  peer map=keeper
"""

# On the command line, where postgresql.conf cannot undo them.
FIXED_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_destination": "stderr",
    "logging_collector": "off",
    "lc_messages": "C",
    # Not posix: logind removes a user's segments at logout, and a container's /dev/shm is small.
    "dynamic_shared_memory_type": "mmap",
}


class Postmaster:
    """One run of the `postgres` program on a cluster."""

    def __init__(
        self, folder: Folder, binaries: Binaries, process: Popen[bytes], progress: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._binaries = binaries
        self._process = process
        self._progress = progress

    @classmethod
    async def launch(cls, folder: Folder, binaries: Binaries, progress: Callable[[str], None]) -> Self:
        """Start the server and return when it answers, however long it has to recover from a crash.

        The folder's lock must be held. Raises EmbeddedError when the server gives up.
        """
        await _end_survivors(folder, progress)
        make_socket_directory(folder)
        trim_log(folder.log)
        log = open_private(folder.log, os.O_WRONLY | os.O_APPEND)
        try:
            log_start = os.fstat(log).st_size
            process = folder.account.spawn(
                _command(folder, binaries), output=log, environment=_disown_stale_pid(folder)
            )
        finally:
            os.close(log)
        postmaster = cls(folder, binaries, process, progress)
        try:
            await postmaster._until_it_answers(log_start)
        except BaseException:
            await postmaster.stop()
            raise
        return postmaster

    async def relaunch(self) -> Self:
        """The next run after this one has ended. Raises EmbeddedError when the server gives up."""
        with file_errors_explained(self._folder.data_dir):
            return await self.launch(self._folder, self._binaries, self._progress)

    def runs(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    async def until_it_ends(self) -> None:
        """Wait for the process to end; its log is kept short meanwhile."""
        while self.runs():
            trim_log(self._folder.log)
            await asyncio.sleep(WATCH_SECONDS)

    async def stop(self) -> None:
        """Stop it in order: sessions end, what is in memory is written down."""
        await _shut_down(self._process.send_signal, lambda: not self.runs(), self._progress)

    async def _until_it_answers(self, log_start: int) -> None:
        started = noted = time.monotonic()
        while not await answers(self._folder):
            if not self.runs():
                raise complaint(
                    "start",
                    _log_since(self._folder.log, log_start),
                    folder=self._folder.data_dir,
                    user=self._folder.account.name,
                    log=self._folder.log,
                )
            now = time.monotonic()
            if now - noted > (1 if noted == started else NOTE_SECONDS):
                noted = now
                crashed = "was interrupted" in _log_since(self._folder.log, log_start)
                doing = "recovering from a crash" if crashed else "starting"
                self._progress(f"PostgreSQL is {doing} ({now - started:.0f} s so far).")
            await asyncio.sleep(PROBE_SECONDS)


async def answers(folder: Folder) -> bool:
    """Whether the server lets us in. False while it starts or recovers, and when there is none.

    Raises EmbeddedError when it refuses our password.
    """
    if not folder.has_private_socket() or not folder.password.exists():
        return False
    try:
        connection = await asyncpg.connect(folder.dsn, timeout=CONNECT_SECONDS)
    except asyncpg.TooManyConnectionsError:
        return True
    except asyncpg.InvalidPasswordError as error:
        raise EmbeddedError(
            f"{folder.password} does not open the database; remove it and start again for a new password."
        ) from error
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    await connection.close()
    return True


def _command(folder: Folder, binaries: Binaries) -> list[str | Path]:
    hba, ident = folder.home / "pg_hba.conf", folder.home / "pg_ident.conf"
    write_whole(hba, HBA, 0o644)
    write_whole(ident, f'keeper "{folder.account.name}" postgres\n', 0o644)
    quoted = str(folder.socket.resolve()).replace('"', '""')
    settings = FIXED_SETTINGS | {
        "unix_socket_directories": f'"{quoted}"',
        "hba_file": str(hba),
        "ident_file": str(ident),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [binaries.bin / "postgres", "-D", folder.cluster, *options]


def _disown_stale_pid(folder: Folder) -> dict[str, str]:
    """An environment in which PostgreSQL takes the process number in its old pid file for a leftover.

    After a kill or a reboot that number may be anybody's, and PostgreSQL would refuse to start. Removing the
    file would also switch off its check that no old server process still uses the data. PG_GRANDPARENT_PID,
    by which pg_ctl says "that number is my caller's, not a server's", keeps it.
    """
    pid = _recorded_pid(folder)
    if pid is None:
        (folder.cluster / "postmaster.pid").unlink(missing_ok=True)  # empty or torn: no server came up with it
        return {}
    return {"PG_GRANDPARENT_PID": str(pid)}


def _recorded_pid(folder: Folder) -> int | None:
    try:
        first_line = (folder.cluster / "postmaster.pid").read_text().partition("\n")[0]
    except FileNotFoundError:
        return None
    number = first_line.strip().removeprefix("-")  # single-user mode marks its own with a minus
    return int(number) if number.isdigit() else None


async def _end_survivors(folder: Folder, progress: Callable[[str], None]) -> None:
    """End the server that a killed owner left running, or the sessions that a killed server left.

    It is stopped rather than adopted: only a child can be watched, and the programs may have been upgraded.
    """
    if not (folder.cluster / "postmaster.pid").exists():
        return
    survivors = [process for process in psutil.process_iter() if _works_on(process, folder.cluster)]
    server = next((process for process in survivors if process.pid == _recorded_pid(folder)), None)
    if server is not None:
        progress(f"Stopping the PostgreSQL (process {server.pid}) that an earlier run left behind.")
        await _shut_down(server.send_signal, lambda: not _works_on(server, folder.cluster), progress)
    await _end_orphans(survivors, folder.cluster)


async def _end_orphans(survivors: list[psutil.Process], cluster: Path) -> None:
    """Give sessions that lost their server time to notice, then end them; their work is void anyway."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    while orphans := [process for process in survivors if _works_on(process, cluster)]:
        if time.monotonic() > deadline:
            for process in orphans:
                _send(process.send_signal, signal.SIGQUIT)
            deadline = float("inf")
        await asyncio.sleep(PROBE_SECONDS)


def _works_on(process: psutil.Process, cluster: Path) -> bool:
    """Whether this is a living PostgreSQL process of this cluster, which each has as working directory."""
    try:
        at_work = process.is_running() and process.name() == "postgres"
        return at_work and Path(process.cwd()) == cluster.resolve()
    except (psutil.Error, OSError):
        return False


async def _shut_down(send: Callable[[int], None], ended: Callable[[], bool], progress: Callable[[str], None]) -> None:
    """Shut down fast; when that drags on, at once: the next start recovers what was committed."""
    started = time.monotonic()
    for how, seconds in (
        (signal.SIGINT, FAST_SHUTDOWN_SECONDS),
        (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_SECONDS),
        (signal.SIGKILL, float("inf")),
    ):
        if ended():
            return
        _send(send, how)
        deadline = time.monotonic() + seconds
        noted = time.monotonic()
        while not ended() and time.monotonic() < deadline:
            await asyncio.sleep(PROBE_SECONDS)
            if time.monotonic() - noted > NOTE_SECONDS:
                noted = time.monotonic()
                progress(f"PostgreSQL is writing its last changes to disk ({noted - started:.0f} s so far).")


def _send(send: Callable[[int], None], how: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        send(how)


def _log_since(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return file.read(1024 * 1024).decode(errors="replace")
