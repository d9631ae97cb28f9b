"""A process's own connection: it hears the others, or knows that it does not, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from conftest import scratch_database
from ticketing.kit import database as module
from ticketing.kit.database import Database


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("got result for unknown protocol state 0"),
        asyncpg.TargetServerAttributeNotMatched("the primary is gone"),
        asyncpg.ReadOnlySQLTransactionError("read-only"),
        EOFError(),
        KeyError("what nobody thought of"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_keeper_survives_anything_and_says_so(
    dsn: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.02)
    hearing: list[bool] = []
    heard: asyncio.Queue[str] = asyncio.Queue()
    database = Database(dsn, pool_size=1)
    database.on_hearing(hearing.append)
    database.listen("news", heard.put_nowait)
    await database.open()
    try:
        failing = iter([error, error])
        connect = database._connect_own

        async def connect_badly() -> None:
            if broken := next(failing, None):
                raise broken
            await connect()

        monkeypatch.setattr(database, "_connect_own", connect_badly)
        assert database._own is not None
        database._own.terminate()
        async with asyncio.timeout(20):
            while hearing != [True, False, False, True]:
                await asyncio.sleep(0.01)
        async with database.reading() as db:
            await db.execute("SELECT pg_notify('news', 'a key was revoked')")
        assert await asyncio.wait_for(heard.get(), 20) == "a key was revoked"
    finally:
        await database.close()
