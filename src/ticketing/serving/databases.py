"""The database of a server: reached, found fit, brought to the newest shape."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from ticketing.kit.database_errors import TROUBLE
from ticketing.migrations import HAS_HISTORY, REVISION, newest, revisions
from ticketing.migrations.runner import NewerDatabase, migrate

from .errors import CannotServe

OLDEST_VERSION = 14
CONNECT_SECONDS = 10
NEWER = (
    "The database is at revision {revision}, which this version of TickeTing does not know: a newer one used it;"
    " run that version, or restore a backup made before the upgrade."
)


async def prepare_database(dsn: str, progress: Callable[[str], None]) -> None:
    """Bring the database to the shape that this version needs.

    Raises CannotServe when it cannot be reached, is no PostgreSQL of version 14 or later, or was used by a newer
    version of TickeTing.
    """
    revision = await find_revision(dsn)
    if revision == newest():
        return
    if revision is not None and revision not in revisions():
        raise CannotServe(NEWER.format(revision=revision))
    progress("Preparing the database." if revision is None else f"Migrating the database from revision {revision}.")
    try:
        await migrate(dsn)
    except NewerDatabase as error:
        raise CannotServe(str(error)) from None
    except TROUBLE as error:
        raise CannotServe(explain(dsn, error)) from error


async def ensure_shape(dsn: str) -> None:
    """Raise CannotServe unless the database has the shape that this version needs; nothing is written."""
    revision = await find_revision(dsn)
    if revision is None:
        raise CannotServe(f"The database {_name(dsn)} at {place(dsn)} has nothing of TickeTing in it.")
    if revision not in revisions():
        raise CannotServe(NEWER.format(revision=revision))
    if revision != newest():
        raise CannotServe(f"The database is at revision {revision}: run `ticketing migrate` first.")


async def find_revision(dsn: str) -> str | None:
    """The revision of the database; None for an empty one.

    Raises CannotServe when it cannot be reached, or is no PostgreSQL of version 14 or later.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
        try:
            number = int(connection.get_server_version().major)
            if number < OLDEST_VERSION:
                raise CannotServe(
                    f"The PostgreSQL at {place(dsn)} is version {number}; {OLDEST_VERSION} or later is needed."
                )
            encoding = connection.get_settings().server_encoding
            if encoding != "UTF8":
                raise CannotServe(
                    f"The database {_name(dsn)} at {place(dsn)} is in {encoding}, which cannot hold every text;"
                    " create one with ENCODING 'UTF8' and name it in DATABASE_URL."
                )
            if not await connection.fetchval(HAS_HISTORY):
                return None
            revision: str | None = await connection.fetchval(REVISION)
            return revision
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
    except (*TROUBLE, ValueError) as error:
        raise CannotServe(explain(dsn, error)) from error


def explain(dsn: str, error: BaseException) -> str:
    """Why the database cannot be used, in one sentence without the password."""
    where = place(dsn)
    for kinds, text in _SENTENCES:
        if isinstance(error, kinds):
            return text.format(where=where, name=_name(dsn), reason=_reason(error))
    return f"The PostgreSQL at {where} refuses: {_reason(error)}."


_SENTENCES: list[tuple[tuple[type[BaseException], ...], str]] = [
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "The PostgreSQL at {where} does not accept the user or the password in DATABASE_URL.",
    ),
    (
        (asyncpg.InvalidCatalogNameError,),
        "The PostgreSQL at {where} has no database {name}; create it, or correct DATABASE_URL.",
    ),
    ((asyncpg.DiskFullError,), "The disk of the PostgreSQL at {where} is full; free some space and start again."),
    (
        (asyncpg.TooManyConnectionsError,),
        "The PostgreSQL at {where} has no connection left for us; raise its max_connections.",
    ),
    (
        (asyncpg.InsufficientPrivilegeError,),
        "The user in DATABASE_URL may not do what is needed in database {name} at {where}: {reason}.",
    ),
    (
        (asyncpg.ReadOnlySQLTransactionError,),
        "The PostgreSQL at {where} only reads (a standby, perhaps); DATABASE_URL must name the primary.",
    ),
    ((asyncpg.CannotConnectNowError,), "The PostgreSQL at {where} is not ready: {reason}; try again in a moment."),
    ((TimeoutError,), f"No PostgreSQL answers at {{where}} within {CONNECT_SECONDS} s; check DATABASE_URL."),
    (
        (
            ConnectionResetError,
            EOFError,
            asyncpg.ConnectionDoesNotExistError,
            asyncpg.ProtocolError,
            asyncpg.InternalClientError,
        ),
        "What answers at {where} does not speak like PostgreSQL; check DATABASE_URL.",
    ),
    ((OSError,), "No PostgreSQL can be reached at {where} ({reason}); check DATABASE_URL."),
    (
        (asyncpg.InterfaceError, ValueError),
        "DATABASE_URL is not the URL of a PostgreSQL, like postgresql://user:password@host:5432/database.",
    ),
]


def place(dsn: str) -> str:
    """Host and port (or the socket's folder) that a DSN names; never its password."""
    try:
        url = urlsplit(dsn)
        query = parse_qs(url.query)
        host = url.hostname or query.get("host", ["localhost"])[0]
        port = url.port or query.get("port", ["5432"])[0]
    except ValueError:
        return "the address in DATABASE_URL"
    return host if Path(host).is_absolute() else f"{host}:{port}"


def _name(dsn: str) -> str:
    try:
        return urlsplit(dsn).path.lstrip("/") or "of that user's name"
    except ValueError:
        return "of that name"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own texts name addresses twice
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")
