"""How a database comes to its shape: step by step, once, and without standing in anybody's way."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from conftest import drop_database, dsn_of
from ticketing.migrations import newest, revision_of, runner, steps
from ticketing.migrations.runner import NewerDatabase, migrate, statements


@contextlib.asynccontextmanager
async def empty_database(postgres: str, name: str) -> AsyncIterator[str]:
    admin = await asyncpg.connect(dsn_of(postgres, "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield dsn_of(postgres, name)
    finally:
        await drop_database(admin, name)
        await admin.close()


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    async with empty_database(postgres, "migrating") as dsn:
        yield dsn


@pytest.fixture
def write_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Steps of a test's own: what is put in here by file name is what there is to apply."""
    texts: dict[str, str] = {}

    def listed() -> list[Path]:
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return sorted(tmp_path / name for name in texts)

    monkeypatch.setattr(runner, "steps", listed)
    monkeypatch.setattr(runner, "revisions", lambda: [revision_of(step) for step in listed()])
    monkeypatch.setattr(runner, "LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(runner, "PAUSE_SECONDS", 0.05)
    return texts


async def test_two_at_once_apply_each_step_once(empty: str) -> None:
    applied = await asyncio.gather(*[migrate(empty) for _ in range(3)])
    assert sorted(itertools.chain(*applied)) == [revision_of(step) for step in steps()]
    assert await migrate(empty) == []
    db = await asyncpg.connect(empty)
    assert await db.fetchval("SELECT max(revision) FROM schema_migrations") == newest()
    await db.close()


async def test_a_step_that_fails_leaves_what_came_before_and_nothing_of_itself(
    empty: str, write_steps: dict[str, str]
) -> None:
    write_steps["0001_one.sql"] = "CREATE TABLE one (id int)"
    write_steps["0002_two.sql"] = "CREATE TABLE two (id int); SELECT 1 / 0"
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)
    db = await asyncpg.connect(empty)
    assert await db.fetchval("SELECT to_regclass('one') IS NOT NULL AND to_regclass('two') IS NULL")
    write_steps["0002_two.sql"] = "CREATE TABLE two (id int)"
    assert await migrate(empty) == ["0002"]
    await db.close()


async def test_a_step_in_python_is_given_the_connection(empty: str, write_steps: dict[str, str]) -> None:
    write_steps["0001_one.sql"] = "CREATE TABLE one (name text)"
    write_steps["0002_fill.py"] = (
        "async def run(db):\n    await db.execute('INSERT INTO one VALUES ($1)', 'ΝΊΚΟΣ'.casefold())\n"
    )
    assert await migrate(empty) == ["0001", "0002"]
    db = await asyncpg.connect(empty)
    assert await db.fetchval("SELECT name FROM one") == "νίκοσ"
    await db.close()


async def test_who_waits_for_a_lock_lets_the_others_through(empty: str, write_steps: dict[str, str]) -> None:
    write_steps["0001_one.sql"] = "CREATE TABLE one (id int)"
    await migrate(empty)
    write_steps["0002_more.sql"] = "ALTER TABLE one ADD COLUMN name text"
    writer, reader = await asyncpg.connect(empty), await asyncpg.connect(empty)
    async with contextlib.AsyncExitStack() as stack:
        transaction = await stack.enter_async_context(asyncio.TaskGroup())
        held = writer.transaction()
        await held.start()
        await writer.execute("INSERT INTO one VALUES (1)")
        migrating = transaction.create_task(migrate(empty))
        # Behind an ALTER TABLE that waits for good, not even a SELECT would come through.
        for _ in range(10):
            await asyncio.wait_for(reader.fetch("SELECT * FROM one"), 20)
            await asyncio.sleep(0.05)
        assert not migrating.done()
        await held.commit()
    assert migrating.result() == ["0002"]
    await writer.close()
    await reader.close()


async def test_an_index_is_made_concurrently_while_another_waits_to_migrate(
    empty: str, write_steps: dict[str, str]
) -> None:
    write_steps["0001_one.sql"] = "CREATE TABLE one (id int)"
    write_steps["0002_index.sql"] = (
        "-- outside a transaction\n-- Found by id.\nDROP INDEX CONCURRENTLY IF EXISTS one_id;\n"
        "CREATE INDEX CONCURRENTLY one_id\n    ON one (id);\n"
    )
    applied = await asyncio.wait_for(asyncio.gather(migrate(empty), migrate(empty)), 60)
    assert sorted(applied) == [[], ["0001", "0002"]]
    db = await asyncpg.connect(empty)
    assert await db.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass")
    await db.close()


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    assert statements("-- outside a transaction\nSELECT ';' AS a;\n-- why\nSELECT\n    2;") == [
        "SELECT ';' AS a",
        "SELECT\n    2",
    ]


async def test_a_database_of_tomorrow_is_left_alone(empty: str, write_steps: dict[str, str]) -> None:
    write_steps["0001_one.sql"] = "CREATE TABLE one (id int)"
    write_steps["0002_two.sql"] = "CREATE TABLE two (id int)"
    await migrate(empty)
    del write_steps["0002_two.sql"]
    with pytest.raises(NewerDatabase, match="at revision 0002, which this software does not know"):
        await migrate(empty)


async def test_a_history_kept_by_another_tool_goes_on(empty: str, write_steps: dict[str, str]) -> None:
    write_steps["0001_one.sql"] = "CREATE TABLE one (id int)"
    write_steps["0002_two.sql"] = "CREATE TABLE two (id int)"
    db = await asyncpg.connect(empty)
    await db.execute("CREATE TABLE one (id int); CREATE TABLE alembic_version (version_num text)")
    await db.execute("INSERT INTO alembic_version VALUES ('0001')")
    assert await migrate(empty) == ["0002"]
    assert await db.fetchval("SELECT to_regclass('alembic_version')") is None
    await db.close()
