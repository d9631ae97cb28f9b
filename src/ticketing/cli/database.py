"""The database as the commands reach it: the one of DATABASE_URL, or the data folder's, whether it is served or not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketing.embedded import default_data_dir, reach
from ticketing.embedded.errors import file_errors_explained
from ticketing.kit.database import Connection, Database
from ticketing.serving import CannotServe
from ticketing.serving.databases import ensure_shape, prepare_database
from ticketing.settings import read_settings
from ticketing.web.errors import Refusal

from .terminal import fail, faults_explained, progress


@contextlib.asynccontextmanager
async def reached(data_dir: Path | None, *, existing: bool = False) -> AsyncIterator[str]:
    """The DSN of the database, made when missing unless it must be an `existing` one.

    Raises EmbeddedError, CannotServe.
    """
    if dsn := read_settings().database_url:
        yield dsn
        return
    if existing:
        _ensure_there(data_dir or default_data_dir())
    async with reach(data_dir or default_data_dir(), progress=progress) as dsn:
        yield dsn


def _ensure_there(data_dir: Path) -> None:
    with file_errors_explained(data_dir):
        if not (data_dir.expanduser() / "database" / "cluster").exists():
            raise CannotServe(f"There is no database in {data_dir}; check --data-dir, and whether its disk is mounted.")


@dataclass(frozen=True)
class Desk:
    """One transaction, and new ids for it."""

    db: Connection
    new_id: Callable[[], int]


@contextlib.asynccontextmanager
async def desk(data_dir: Path | None, *, existing: bool = False) -> AsyncIterator[Desk]:
    """A transaction on a database of the newest shape; committed at the end of the block.

    A command that looks, or changes what must be there, wants an `existing` one: it makes and migrates nothing.

    Raises CannotServe, EmbeddedError or BadSetting when the database cannot be used.
    """
    async with reached(data_dir, existing=existing) as dsn:
        await (ensure_shape(dsn) if existing else prepare_database(dsn, progress))
        database = Database(dsn, pool_size=1)
        await database.open()
        try:
            async with database.transaction() as db:
                yield Desk(db, database.new_id)
        finally:
            await database.close()


def run(command: Coroutine[Any, Any, None]) -> None:
    """Run a command; what is refused or faulty ends it with one sentence."""
    with faults_explained():
        try:
            asyncio.run(command)
        except Refusal as refusal:
            fail(refusal.text)
