"""Making a database cluster, whole or not at all, and checking one that is there."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen
from typing import IO

from ticketing.embedded.binaries import Binaries
from ticketing.embedded.errors import EmbeddedError, complaint
from ticketing.embedded.folder import DATABASE, ROLE, Folder, new_password, rename_for_good, write_whole

POLL_SECONDS = 0.01
UNFINISHED = "cluster.unfinished-"

# Written into postgresql.conf once: whoever runs the server may tune these there.
INITIAL_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # solid state disks
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # details repeat the values of the row: people's names and addresses
    "log_min_error_statement": "panic",
}


async def ensure_cluster(folder: Folder, binaries: Binaries, progress: Callable[[str], None]) -> None:
    """Have a cluster of our version with our database and role in it. The folder's lock must be held.

    Raises EmbeddedError when it cannot be made, or belongs to another PostgreSQL version.
    """
    for leftover in folder.home.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if not folder.cluster.exists():
        progress(f"Making a new database in {folder.data_dir}.")
        await _make_cluster(folder, binaries)
        return
    _check_version(folder, binaries)
    if not folder.password.exists():
        progress("The database's password file is missing; setting a new password.")
        await _set_password(folder, folder.cluster, binaries, "ALTER")


def _check_version(folder: Folder, binaries: Binaries) -> None:
    try:
        found = (folder.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedError(
            f"{folder.cluster} holds no PostgreSQL data; move it away, or choose another --data-dir."
        ) from None
    if found != str(binaries.major):
        raise EmbeddedError(
            f"The database in {folder.data_dir} was made by PostgreSQL {found}, and this ticketing brings"
            f" PostgreSQL {binaries.major}; use the ticketing that made it, or choose another --data-dir."
        )


async def _make_cluster(folder: Folder, binaries: Binaries) -> None:
    # A new name each time: an initdb whose caller was killed goes on, and clears its folder when it fails.
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.home))
    try:
        folder.account.own(unfinished)
        await _run_initdb(folder, unfinished, binaries)
        await _set_password(folder, unfinished, binaries, "CREATE")
        rename_for_good(unfinished, folder.cluster)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


async def _run_initdb(folder: Folder, cluster: Path, binaries: Binaries) -> None:
    command: list[str | Path] = [
        binaries.bin / "initdb",
        f"--pgdata={cluster}",
        "--username=postgres",
        "--auth=reject",  # never used: the server is given our own pg_hba.conf
        "--encoding=UTF8",
        # The one UTF-8 order that is the same on every machine and needs neither ICU nor an installed locale.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *(f"--set={name}={value}" for name, value in INITIAL_SETTINGS.items()),
    ]
    await _run(folder, command, doing="make a database")


async def _set_password(folder: Folder, cluster: Path, binaries: Binaries, verb: str) -> None:
    """Create or alter the role, in single-user mode: no server has to listen, no superuser to log in."""
    password = new_password()
    # CREATEDB: a restore, or a test, builds its database beside the one in use.
    statements = [f"{verb} ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'"]
    if verb == "CREATE":
        statements.append(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    command: list[str | Path] = [binaries.bin / "postgres", "--single", "-D", cluster]
    command += ["-c", "exit_on_error=on", "-c", "log_checkpoints=off", "postgres"]
    await _run(folder, command, doing="set up its role", lines=statements)
    write_whole(folder.password, f"{password}\n", 0o600)


async def _run(folder: Folder, command: Sequence[str | Path], *, doing: str, lines: Sequence[str] = ()) -> None:
    """Run a program of PostgreSQL to its end; when we are cancelled, it is ended too."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
        stdin.write("".join(f"{line}\n" for line in lines).encode())
        stdin.seek(0)
        process = folder.account.spawn(command, stdin=stdin.fileno(), output=output.fileno())
        await _finish(process)
        if process.returncode != 0:
            raise complaint(doing, _text(output), folder=folder.data_dir, user=folder.account.name)


async def _finish(process: Popen[bytes]) -> None:
    try:
        while process.poll() is None:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(POLL_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
