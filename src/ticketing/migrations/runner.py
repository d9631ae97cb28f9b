"""Brings a database to the newest shape, step by step, while others use it.

Each step commits by itself, and its row in `schema_migrations` with it. No step waits long for a lock, because
everybody who comes after a waiting ALTER TABLE waits behind it: it gives up after seconds, lets the others through and
tries again. A step whose first line is `-- outside a transaction` runs its statements one by one, as CREATE INDEX
CONCURRENTLY asks; it may be interrupted between two of them and must be able to run again.
"""

import asyncio
import importlib.util
import re
from pathlib import Path
from typing import Any

import asyncpg

from ticketing.kit.database_errors import UNDONE

from . import HAS_HISTORY, REVISION, revision_of, revisions, steps

MIGRATING = 0x7155  # advisory: one migrates, the others wait and find it done
POLL_SECONDS = 0.2
LOCK_TIMEOUT = "3s"
LOCK_TRIES = 40
PAUSE_SECONDS = 1.0
OUTSIDE = "-- outside a transaction\n"

_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    revision text PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"""


class NewerDatabase(Exception):
    """The database was migrated by a newer version of the software."""


async def migrate(dsn: str) -> list[str]:
    """Bring the database to the newest shape; the revisions that were applied, oldest first.

    Raises NewerDatabase when the database has a revision that this software does not know, and what the driver raises:
    the steps before the one that failed stand.
    """
    db = await asyncpg.connect(dsn, server_settings={"application_name": "ticketing migrate", "jit": "off"})
    try:
        await _wait_for_turn(db)
        applied = await _read_history(db)
        done = []
        for step in steps():
            if revision_of(step) not in applied:
                await _apply(db, step)
                done.append(revision_of(step))
        return done
    finally:
        await db.close(timeout=10)


async def _wait_for_turn(db: asyncpg.Connection) -> None:
    """Take the lock by asking for it: who waits inside a statement would be waited for by CREATE INDEX CONCURRENTLY."""
    while True:
        if await db.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATING):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _read_history(db: asyncpg.Connection) -> set[str]:
    if not await db.fetchval(HAS_HISTORY):
        async with db.transaction():
            await db.execute(_HISTORY)
            if await db.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
                await _adopt(db)
    applied = {row["revision"] for row in await db.fetch("SELECT revision FROM schema_migrations")}
    if applied - set(revisions()):
        raise NewerDatabase(
            f"The database is at revision {await db.fetchval(REVISION)}, which this software does not know: it was used"
            " by a newer version of TickeTing. Run that version, or restore a backup made before the upgrade."
        )
    return applied


async def _adopt(db: asyncpg.Connection) -> None:
    """Go on from the history of a database that an earlier version kept with another tool."""
    reached = await db.fetchval("SELECT version_num FROM alembic_version")
    for step in steps():
        if revision_of(step) <= reached:
            await _record(db, step)
    await db.execute("DROP TABLE alembic_version")


async def _apply(db: asyncpg.Connection, step: Path) -> None:
    script = await asyncio.to_thread(step.read_text)
    for remaining in reversed(range(LOCK_TRIES)):
        try:
            await _try_to_apply(db, step, script)
            return
        except UNDONE:
            if not remaining:
                raise
            await asyncio.sleep(PAUSE_SECONDS)


async def _try_to_apply(db: asyncpg.Connection, step: Path, script: str) -> None:
    if script.startswith(OUTSIDE):
        await db.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        for statement in statements(script):
            await db.execute(statement)
        await _record(db, step)
        return
    async with db.transaction():
        await db.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        if step.suffix == ".sql":
            await db.execute(script)
        else:
            await _load(step).run(db)
        await _record(db, step)


def _load(step: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"{__package__}.versions.{step.stem}", step)
    if spec is None or spec.loader is None:
        raise ImportError(f"{step.name} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _record(db: asyncpg.Connection, step: Path) -> None:
    await db.execute("INSERT INTO schema_migrations (revision, name) VALUES ($1, $2)", revision_of(step), step.stem[5:])


def statements(script: str) -> list[str]:
    """The statements of a step outside a transaction: each ends with a semicolon at the end of a line."""
    code = re.sub(r"^--.*\n", "", script, flags=re.MULTILINE)
    return [statement.strip() for statement in re.split(r";[ \t]*(?:\n|$)", code) if statement.strip()]
