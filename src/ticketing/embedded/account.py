"""The operating system account that PostgreSQL runs as.

A normal user runs it as themselves. PostgreSQL refuses to run as root, so root runs it as a system user.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ticketing.embedded.errors import EmbeddedError

SYSTEM_USER = "ticketing"
SYSTEM_HOME = Path("/var/lib/ticketing")
FALLBACK_USER = "nobody"

# The caller's environment stays out: a PGDATA or PGOPTIONS set for another server would reach ours.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL; `switch` says that we are root and have to become that user."""

    name: str
    uid: int
    gid: int
    switch: bool

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        output: int,
        stdin: int = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program as this user, in a session of its own: Ctrl-C is meant for us, not for it."""
        # Not asyncio's: uvloop has no `user`, and a child of ours must be waited for without threads.
        return subprocess.Popen(  # noqa: S603 - the command is ours, and no shell reads it
            command,
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**ENVIRONMENT, **(environment or {})},
            start_new_session=True,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def own(self, path: Path) -> None:
        """Give a file or folder that we made to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user gets through every parent of `folder` and into it."""
        if not self.switch:
            return True
        attempt = self.spawn(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder], output=subprocess.DEVNULL)
        return attempt.wait() == 0


def account_for(cluster: Path, progress: Callable[[str], None]) -> Account:
    """Who runs the server on this cluster: its owner when it exists, else whom we would give it to.

    Raises EmbeddedError when we are root and the machine has no user to run it as.
    """
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()), switch=False)
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        return _account(pwd.getpwuid(owner), switch=True)
    return _account(_system_user(progress), switch=True)


def _account(entry: pwd.struct_passwd, *, switch: bool) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch)


def _system_user(progress: Callable[[str], None]) -> pwd.struct_passwd:
    if (found := _find_user(SYSTEM_USER)) is not None:
        return found
    problem = _create_system_user()
    if (created := _find_user(SYSTEM_USER)) is not None:
        progress(f"Created the system user {SYSTEM_USER}: PostgreSQL refuses to run as root.")
        return created
    if (fallback := _find_user(FALLBACK_USER)) is not None:
        progress(f"PostgreSQL will run as {FALLBACK_USER}: no user {SYSTEM_USER} could be made ({problem}).")
        return fallback
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and no user {SYSTEM_USER} could be made to run it ({problem});"
        " start ticketing as a normal user."
    )


def _find_user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create_system_user() -> str:
    """Try to create the system user; the answer says why that failed, if it did."""
    home = str(SYSTEM_HOME)
    attempts = {
        "useradd": ["--system", "--user-group", "--no-create-home", "-d", home, "-s", "/bin/false"],
        "adduser": ["-S", "-D", "-H", "-h", home, "-s", "/bin/false"],  # BusyBox
    }
    for program, options in attempts.items():
        path = shutil.which(program, path=f"{os.defpath}:/usr/sbin:/sbin")
        if path is not None:
            command = [path, *options, SYSTEM_USER]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            return " ".join(done.stderr.split()) or "no reason given"
    return "neither useradd nor adduser is here"
