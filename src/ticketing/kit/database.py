"""The pool, the process's own connection, and the movable clock's only door.

Each process keeps one connection apart from the pool. It holds the process's node number (an advisory lock, see
`ids`), listens for notifications, and is probed twice a second, so that a process that no longer hears the others
knows it. It must reach PostgreSQL itself, not a transaction-level pooler.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import structlog

from .database_errors import TROUBLE
from .ids import NODES, Ids
from .metrics import Level

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Row = asyncpg.Record

NODE_LOCKS = 0x7154  # the class of the advisory locks that stand for node numbers
PROBE_SECONDS = 0.5
ACQUIRE_SECONDS = 3.0
LOCK_TIMEOUT = "3s"  # nobody waits longer for a row; clients give up after ten seconds

CONNECTIONS = Level("pool_connections", "Database connections of the pools, by state.", "state")

log = structlog.get_logger()


class _Connection(asyncpg.Connection):
    """A pooled connection that needs no clean-up on release: we leave no cursor, lock or setting behind."""

    async def reset(self, **details: Any) -> None:
        if self.is_in_transaction():  # its block was left by a cancellation
            await super().reset(**details)

    def get_reset_query(self) -> str:
        return ""


class Database:
    """PostgreSQL, as one process sees it."""

    def __init__(self, dsn: str, *, pool_size: int = 16) -> None:
        self._dsn = dsn
        self._pool_size = pool_size
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._hearing_changed: list[Callable[[bool], None]] = []
        self._attending: list[Callable[[Connection], Awaitable[None]]] = []
        self._ids: Ids | None = None
        self._own: asyncpg.Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.pool: asyncpg.Pool

    async def open(self) -> None:
        """Connect.

        Raises one of `database_errors.TROUBLE` when the server cannot be reached or refuses, and what was asked for
        with `on_connecting` raises.
        """
        self.pool = await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=self._pool_size,
            connection_class=_Connection,
            max_inactive_connection_lifetime=300,
            timeout=ACQUIRE_SECONDS,
            command_timeout=30,
            server_settings={
                "application_name": "ticketing",
                "timezone": "UTC",
                "jit": "off",
                "lock_timeout": LOCK_TIMEOUT,
            },
        )
        try:
            await self._connect_own()
        except BaseException:
            self.pool.terminate()  # whoever tries again makes another
            raise
        self._keeper = asyncio.create_task(self._keep_own(), name="database-keeper")

    async def close(self) -> None:
        """Let go of every connection; what is under way gets a moment to end."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._own and not self._own.is_closed():
            with contextlib.suppress(*TROUBLE):
                await self._own.close(timeout=2)
        try:
            await asyncio.wait_for(self.pool.close(), 10)
        except TimeoutError:
            self.pool.terminate()

    def new_id(self) -> int:
        """A new id; see `ids`."""
        if self._ids is None:
            raise RuntimeError("the database is not open")
        return self._ids.new()

    def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard(payload)` for each notification; to be said before `open`."""
        self._listeners[channel] = heard

    def on_hearing(self, changed: Callable[[bool], None]) -> None:
        """Call `changed(False)` when notifications may be missed from now on, `changed(True)` when no longer."""
        self._hearing_changed.append(changed)

    def on_connecting(self, attend: Callable[[Connection], Awaitable[None]]) -> None:
        """Await `attend(connection)` with the process's own connection, each time it is made anew and listens.

        To be said before `open`, which raises what `attend` raises; later that is as bad as not to hear.
        """
        self._attending.append(attend)

    def reading(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection without a transaction: each statement sees what is committed."""
        return self._acquire()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that is committed at the end of the block, or undone."""
        async with self._acquire() as connection, connection.transaction():
            yield connection

    def _acquire(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """The pool's next connection; a timer runs only when one has to be waited for."""
        acquiring: Any = self.pool.acquire(timeout=None if self.pool.get_idle_size() else ACQUIRE_SECONDS)
        connection: contextlib.AbstractAsyncContextManager[Connection] = acquiring
        return connection

    async def _connect_own(self) -> None:
        own = await asyncpg.connect(self._dsn, timeout=10, server_settings={"application_name": "ticketing keeper"})
        try:
            node = await _take_node(own, self._ids.node if self._ids else None)
            if self._ids is None:
                self._ids = Ids(node)
            self._ids.node = node
            for channel in self._listeners:
                await own.add_listener(channel, self._heard)
            for attend in self._attending:
                await attend(own)
        except BaseException:
            own.terminate()
            raise
        self._own = own
        for changed in self._hearing_changed:
            changed(True)

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._listeners[channel](str(payload))

    async def _keep_own(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            idle = self.pool.get_idle_size()
            CONNECTIONS.set(idle, "idle")
            CONNECTIONS.set(self.pool.get_size() - idle, "busy")
            try:
                if self._own is None or self._own.is_closed():
                    await self._connect_own()
                else:
                    await self._own.execute("SELECT", timeout=PROBE_SECONDS)
            except Exception as error:  # whatever it is: who no longer hears must know it, and try again
                self._lose_own(error)

    def _lose_own(self, error: Exception) -> None:
        if isinstance(error, TROUBLE):
            log.warning("database.unheard", reason=type(error).__name__)
        else:
            log.error("database.unheard", exc_info=error)
        for changed in self._hearing_changed:
            changed(False)
        if self._own is not None:
            self._own.terminate()
            self._own = None


async def _take_node(connection: asyncpg.Connection, favourite: int | None) -> int:
    """A node number that no other process holds.

    Raises RuntimeError when all are taken.
    """
    numbers = random.sample(range(NODES), NODES)
    if favourite is not None:
        numbers.insert(0, favourite)
    for number in numbers:
        if await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", NODE_LOCKS, number):
            return number
    raise RuntimeError(f"{NODES} processes already use this database; no more can.")


def row_values(row: Row) -> dict[str, Any]:
    """The row as a plain dict."""
    return dict(row.items())
