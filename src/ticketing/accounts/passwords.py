"""Hashing and checking passwords, without standing in the way of other requests.

Argon2id with OWASP's minimum (19 MiB, two passes, one lane: about 43 a second and core). A process hashes on few
threads, by turns among those who ask, and lets few wait; the rest is told to come back.
"""

import os
import unicodedata
from enum import Enum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ticketing.kit.threads import BoundedThreads
from ticketing.kit.turns import Asker

THREADS = min(4, os.cpu_count() or 1)
# Under way or waiting; at 43 a second and core the last of those who sign in waits less than 2 s.
CHECKS_WAITING, HASHES_WAITING = 64, 32
WAIT_SECONDS = 3.0

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """The hash to keep. Takes 25 ms of a core: in a server use `Passwords`."""
    return _hasher.hash(_plain(password))


def is_right(password_hash: str, password: str) -> bool:
    """Whether this is the password that was hashed; an account without one has no right password."""
    if not password_hash:
        hash_password(password)  # so that the time an answer takes does not tell
        return False
    try:
        return _hasher.verify(password_hash, _plain(password))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def _plain(password: str) -> str:
    # The same keys make é one character or two, depending on the system they are pressed on.
    return unicodedata.normalize("NFKC", password)


class Lane(Enum):
    """Whoever signs in goes before whoever is to get a hash: a registration, a new password."""

    CHECK = "check"
    HASH = "hash"


class Passwords:
    """The threads on which a process hashes, by turns among addresses."""

    def __init__(self, *, threads: int = THREADS, checks: int = CHECKS_WAITING, hashes: int = HASHES_WAITING) -> None:
        waiting: dict[Enum, int] = {Lane.CHECK: checks, Lane.HASH: hashes}
        self._threads = BoundedThreads("passwords", threads=threads, waiting=waiting, seconds=WAIT_SECONDS)

    async def hash(self, password: str, *, asker: Asker) -> str:
        """The hash to keep. Raises Overloaded when too many wait."""
        return await self._threads.run(lambda: hash_password(password), asker=asker, lane=Lane.HASH)

    async def is_right(self, password_hash: str, password: str, *, asker: Asker) -> bool:
        """Whether this is the password that was hashed. Raises Overloaded when too many wait."""
        return await self._threads.run(lambda: is_right(password_hash, password), asker=asker, lane=Lane.CHECK)

    def ensure_room(self, *, asker: Asker) -> None:
        """Raise Overloaded when too many wait already to have a password looked at."""
        self._threads.ensure_room(asker=asker, lane=Lane.CHECK)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()
