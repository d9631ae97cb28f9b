"""Hashing and checking passwords, without standing in the way of other requests.

Argon2id with OWASP's minimum (19 MiB, two passes, one lane: about 43 a second and core). A process hashes on few
threads and lets few callers wait; the rest is told to come back.
"""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ticketing.web.errors import Busy

T = TypeVar("T")

THREADS = min(4, os.cpu_count() or 1)
WAITING = 64  # hashes under way or queued; at 43 a second and core the last of them waits less than 2 s
WAIT_SECONDS = 3.0

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """The hash to keep. Takes 25 ms of a core: in a server use `Passwords`."""
    return _hasher.hash(_plain(password))


def is_right(password_hash: str, password: str) -> bool:
    """Whether this is the password that was hashed; an account without one has no right password."""
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


class Passwords:
    """The threads on which a process hashes."""

    def __init__(self, *, threads: int = THREADS, waiting: int = WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._waiting = waiting
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """The hash to keep. Raises Busy when too many wait."""
        return await self._run(lambda: hash_password(password))

    async def is_right(self, password_hash: str, password: str) -> bool:
        """Whether this is the password that was hashed. Raises Busy when too many wait."""
        return await self._run(lambda: is_right(password_hash, password))

    def ensure_room(self) -> None:
        """Raise Busy when too many wait already."""
        if self._under_way >= self._waiting:
            raise Busy(2)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        self.ensure_room()
        future = self._pool.submit(work)
        self._under_way += 1
        # Counted until the thread is done with it: a caller that gave up does not make room.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _done: loop.call_soon_threadsafe(self._one_less))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), WAIT_SECONDS)
        except TimeoutError:
            raise Busy(2) from None

    def _one_less(self) -> None:
        self._under_way -= 1
