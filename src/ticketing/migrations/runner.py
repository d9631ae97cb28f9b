"""Steps from one shape of the tables to the next; plain SQL, run by Alembic under an advisory lock."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
from alembic import op
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

HERE = Path(__file__).parent
LOCK = 0x7155  # advisory: one migrates, the others wait and find it done


class NewerDatabase(Exception):
    """The database was migrated by a newer version of the software."""


def run_script(name: str) -> None:
    """Run a file of SQL statements beside the version that names it."""
    script = (HERE / "versions" / name).read_text()
    connection: Any = op.get_bind().connection
    connection.run_async(lambda driver: driver.execute(script))


async def migrate(dsn: str) -> list[str]:
    """Bring the database to the newest shape; the revisions that were applied, oldest first.

    Raises NewerDatabase when the database knows a revision that this version does not.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            applied = await connection.run_sync(_upgrade)
            await connection.commit()
            return applied
    finally:
        await engine.dispose()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(HERE), version_locations=[str(HERE / "versions")])


def _upgrade(connection: Connection) -> list[str]:
    connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    scripts = _scripts()
    current = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    if current is not None and current not in known:
        raise NewerDatabase(
            f"The database is at revision {current}, which this version does not know: it was used by a newer "
            "version of TickeTing. Run that version, or restore a backup made before the upgrade."
        )
    applied: list[str] = []

    def steps(revision: Any, _context: Any) -> Any:
        upgrades = scripts._upgrade_revs("head", revision)
        applied.extend(step.revision.revision for step in upgrades)
        return upgrades

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()
    return applied


def migrate_now(dsn: str) -> list[str]:
    """`migrate`, from code that has no event loop."""
    return asyncio.run(migrate(dsn))
