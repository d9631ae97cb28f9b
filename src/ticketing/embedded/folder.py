"""The data folder: where its parts are, whose they are, and the lock on it."""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import platformdirs

from ticketing.embedded.account import SYSTEM_HOME, Account, account_for
from ticketing.embedded.errors import FolderInUseError, Purpose, file_errors_explained

DATABASE = ROLE = "ticketing"
PORT = 5432  # a socket has a port too: it is part of its file name
SOCKET_NAME = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107
LOG_BYTES = 8 * 1024 * 1024


def default_data_dir() -> Path:
    """Where data goes when nobody says otherwise: the user's data folder, or /var/lib/ticketing for root."""
    return SYSTEM_HOME if os.geteuid() == 0 else platformdirs.user_data_path("ticketing")


@dataclass(frozen=True)
class Folder:
    """The part of a data folder that is the embedded server's."""

    data_dir: Path
    home: Path
    account: Account

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "cluster"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the server, and names it."""
        return self.home / "lock"

    @property
    def password(self) -> Path:
        """The password of the role `ticketing`."""
        return self.home / "password"

    @property
    def log(self) -> Path:
        """What PostgreSQL has to say."""
        return self.home / "server.log"

    @property
    def socket(self) -> Path:
        """The directory of the socket, or a link to a shorter one."""
        return self.home / "socket"

    @property
    def dsn(self) -> str:
        """How asyncpg and PostgreSQL's own tools reach the database, with the password."""
        password = self.password.read_text().strip()
        host = quote(str(self.socket.resolve()))
        # Everything is said here, or a PGPORT or PGSSLMODE set for another server would have its say.
        return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={host}&port={PORT}&sslmode=disable"

    def has_private_socket(self) -> bool:
        """Whether the socket directory exists and is closed to everybody else."""
        try:
            found = self.socket.stat()
        except FileNotFoundError:
            return False
        return found.st_uid == self.account.uid and not stat.S_IMODE(found.st_mode) & 0o077


def open_folder(data_dir: Path, progress: Callable[[str], None]) -> Folder:
    """The server's part of a data folder, made when missing.

    Raises EmbeddedError when it cannot be made or entered.
    """
    data_dir = data_dir.expanduser().absolute()
    home = data_dir / "database"
    with file_errors_explained(data_dir):
        _make_folder(data_dir)
        account = account_for(home / "cluster", progress)
        if not home.exists():
            _make_home(home, account, progress)
    return Folder(data_dir, home.resolve(), account)


def _make_folder(folder: Path) -> None:
    """Make a folder that only we can list; root's lets others pass, for the system user below it."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _make_home(home: Path, account: Account, progress: Callable[[str], None]) -> None:
    if account.can_enter(home.parent):
        _make_folder(home)
        return
    # Never loosen folders that are not ours, /root first of all: go where the system user can follow.
    elsewhere = SYSTEM_HOME / "databases"
    for folder in (SYSTEM_HOME, elsewhere):
        _make_folder(folder)
    substitute = Path(tempfile.mkdtemp(prefix=f"{home.parent.name}-", dir=elsewhere))
    substitute.chmod(0o711)
    try:
        home.symlink_to(substitute, target_is_directory=True)
    except OSError:
        substitute.rmdir()
        if not home.is_symlink():  # else another process was quicker
            raise
    else:
        progress(f"PostgreSQL's user {account.name} cannot enter {home.parent}; its files go to {substitute}.")


def make_socket_directory(folder: Folder) -> None:
    """Make the private directory of the socket; a short one elsewhere when the path would be too long."""
    path = str(folder.socket / SOCKET_NAME)
    # libpq takes a comma for a list of hosts.
    fits = len(os.fsencode(path)) <= SOCKET_PATH_BYTES and "," not in path
    if folder.has_private_socket() and folder.socket.is_symlink() is not fits:
        return
    remove_socket_directory(folder)
    if fits:
        folder.socket.mkdir(mode=0o700)
        folder.account.own(folder.socket)
    else:
        short = Path(tempfile.mkdtemp(prefix="ticketing-", dir="/tmp"))
        folder.account.own(short)
        folder.socket.symlink_to(short, target_is_directory=True)


def remove_socket_directory(folder: Folder) -> None:
    """Remove the directory of the socket, wherever it is."""
    if not folder.socket.is_symlink():
        shutil.rmtree(folder.socket, ignore_errors=True)
        return
    if folder.has_private_socket():
        shutil.rmtree(folder.socket.resolve(), ignore_errors=True)
    folder.socket.unlink()


def open_private(path: Path, flags: int = os.O_RDWR) -> int:
    """Open a file of ours, made when missing, that nobody else may read; never through a link."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def write_whole(path: Path, text: str, mode: int) -> None:
    """Write a file so that it is there with all of its text or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(open_private(unfinished, os.O_WRONLY | os.O_EXCL), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    rename_for_good(unfinished, path)


def rename_for_good(unfinished: Path, finished: Path) -> None:
    """Rename so that also a power cut cannot undo it."""
    unfinished.rename(finished)
    descriptor = os.open(finished.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_password() -> str:
    """A password nobody has to type."""
    return secrets.token_hex(24)


def trim_log(log: Path) -> None:
    """Keep the server's log within bounds: a long one replaces `server.log.1` and starts anew."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        with contextlib.suppress(OSError):  # a full disk is no reason to let it grow
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)  # PostgreSQL has it open for appending and goes on at the new end


class FolderLock:
    """Whose the folder is. The kernel lets go of it when its process dies, also by kill -9 or power cut."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _held_locks.add(descriptor)

    def release(self) -> None:
        """Let the next one have the folder."""
        os.ftruncate(self._descriptor, 0)
        _held_locks.discard(self._descriptor)
        os.close(self._descriptor)


def lock_folder(folder: Folder, purpose: Purpose) -> FolderLock:
    """Take the folder for this process.

    Raises FolderInUseError when another one has it, EmbeddedError when the folder cannot be written.
    """
    with file_errors_explained(folder.data_dir):
        descriptor = open_private(folder.lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{purpose.value} {os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            in_use = _holder(folder.data_dir, os.pread(descriptor, 100, 0).decode())
            os.close(descriptor)
            raise in_use from None
        except BaseException:
            os.close(descriptor)
            raise
    return FolderLock(descriptor)


def _holder(data_dir: Path, text: str) -> FolderInUseError:
    purpose, _, pid = text.strip().partition(" ")
    if not pid.isdigit():  # caught between taking the lock and writing it down
        return FolderInUseError(data_dir, None, None)
    return FolderInUseError(data_dir, int(pid), Purpose(purpose))


_held_locks: set[int] = set()


def _leave_locks_to_parent() -> None:
    for descriptor in _held_locks:
        os.close(descriptor)
    _held_locks.clear()


# A forked worker that outlives a killed `serve` must not keep the folder locked.
os.register_at_fork(after_in_child=_leave_locks_to_parent)
