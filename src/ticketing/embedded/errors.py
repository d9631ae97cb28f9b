"""What can go wrong with the embedded PostgreSQL, each as one sentence for the person at the terminal."""

import enum
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_FULL = "The disk that holds {folder} is full; free some space and start again."
NOT_ALLOWED = "{folder} cannot be written to ({reason}); choose another folder with --data-dir."
UNUSABLE = "{folder} cannot be used as data folder: {reason}."

# What PostgreSQL says (with lc_messages = C) and what we say instead. The first match wins.
KNOWN_COMPLAINTS = {
    "No space left on device": DISK_FULL,
    "Disk quota exceeded": DISK_FULL,
    "wrote only": DISK_FULL,  # the last block went in by half
    "Read-only file system": NOT_ALLOWED.replace("{reason}", "the file system is read-only"),
    "Permission denied": UNUSABLE.replace("{reason}", "PostgreSQL, running as {user}, is denied access"),
    "Cannot allocate memory": "There is not enough free memory to run PostgreSQL for {folder}.",
    "pre-existing shared memory block": "{folder} is still used by another PostgreSQL; stop that one first.",
    "database files are incompatible": "{folder} was made by a PostgreSQL that this one cannot read.",
}

# PostgreSQL calls FATAL what it answers to us when we ask whether it is there already.
OUR_PROBES = "FATAL:  the database system is "


class Purpose(enum.Enum):
    """What a process holds a data folder for."""

    SERVE = "serve"
    COMMAND = "command"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot do what was asked; its text is one clear sentence."""


class FolderInUseError(EmbeddedError):
    """Another process holds the data folder; what for, where it has written that down already."""

    def __init__(self, data_dir: Path, pid: int | None, purpose: Purpose | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{data_dir} is in use by {holder}; stop that one, or choose another --data-dir.")
        self.purpose = purpose


def complaint(doing: str, output: str, *, folder: Path, user: str, log: Path | None = None) -> EmbeddedError:
    """What a PostgreSQL program printed before it gave up, as one sentence."""
    for theirs, ours in KNOWN_COMPLAINTS.items():
        if theirs in output:
            return EmbeddedError(ours.format(folder=folder, user=user))
    where = f" ({log} has the details)" if log else ""
    return EmbeddedError(f"PostgreSQL could not {doing} in {folder}: {_last_words(output)}{where}.")


def _last_words(output: str) -> str:
    """The line that names the failure, without time stamp and severity."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and OUR_PROBES not in line]
    for line in lines:
        for severity in ("FATAL:", "PANIC:", "error:"):
            if severity in line:
                return line.partition(severity)[2].strip().rstrip(".")
    return lines[-1].rstrip(".") if lines else "it gave no reason"


@contextmanager
def file_errors_explained(folder: Path) -> Iterator[None]:
    """Turn an OSError inside the block into an EmbeddedError about `folder`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            text = DISK_FULL
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            text = NOT_ALLOWED
        else:
            text = UNUSABLE
        raise EmbeddedError(text.format(folder=folder, reason=reason)) from error
