"""The settings of a process, completed by what its data folder holds; and whether their secret is the right one."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import asyncpg

from ticketing.embedded.errors import file_errors_explained
from ticketing.kit.database_errors import TROUBLE
from ticketing.kit.vault import make_secret, read_secret, write_secret
from ticketing.sealing import is_sealed, open_vault, take_up
from ticketing.sealing.rotating import is_in_use
from ticketing.settings import Settings

from .databases import CONNECT_SECONDS, explain
from .errors import CannotServe

SECRET_FILE = "secret"  # noqa: S105 - a name
PREVIOUS_FILE = "secret.previous"  # the one before, while it is being changed

MISSING = "There is no secret in {folder}: set TICKETING_SECRET to the server's, or --data-dir."
LOST = (
    "There is no secret in {folder}, and this database is sealed with one: put it back there, or in TICKETING_SECRET;"
    " or, when it is lost, run `ticketing secret give-up`, which says what is lost with it."
)


def complete(settings: Settings, dsn: str, data_dir: Path) -> Settings:
    """The settings with the database that was found, and the secret and mail of the data folder when none are set.

    Raises CannotServe when there is no secret, EmbeddedError when the folder cannot be read.
    """
    secret, previous = settings.secret, settings.secret_previous
    if not secret:
        with file_errors_explained(data_dir):
            secret = read_secret(data_dir / SECRET_FILE)
            previous = previous or read_secret(data_dir / PREVIOUS_FILE)
        if not secret:
            raise CannotServe(MISSING.format(folder=data_dir))
    mail_folder = settings.mail_folder or str(data_dir.absolute() / "mail")
    return dataclasses.replace(
        settings, database_url=dsn, secret=secret, secret_previous=previous, mail_folder=mail_folder
    )


async def complete_for_serving(
    settings: Settings, dsn: str, data_dir: Path, progress: Callable[[str], None]
) -> Settings:
    """`complete`, with a secret that is made for a database that never had one, and found to be the one in use.

    Raises CannotServe and UnknownSecret when there is no secret or another is in use, EmbeddedError when the folder
    cannot be read or written.
    """
    try:
        db = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
        try:
            if not settings.secret and not has_secret(data_dir):
                if await is_sealed(db):
                    raise CannotServe(LOST.format(folder=data_dir))
                make_secret_file(data_dir, progress)
            settings = complete(settings, dsn, data_dir)
            vault = open_vault(settings)
            await take_up(db, vault)
        finally:
            await db.close(timeout=CONNECT_SECONDS)
    except TROUBLE as error:
        raise CannotServe(explain(dsn, error)) from error
    if not is_in_use(vault, settings.secret):
        progress("The secret before this one is still in use: `ticketing secret rotate` changes it.")
    return settings


def has_secret(data_dir: Path) -> bool:
    """Whether the data folder keeps a secret. Raises EmbeddedError when it cannot be read."""
    with file_errors_explained(data_dir):
        return bool(read_secret(data_dir / SECRET_FILE))


def make_secret_file(data_dir: Path, progress: Callable[[str], None]) -> None:
    """Make a secret in the data folder; one that is there becomes the one before. Raises EmbeddedError."""
    path = data_dir / SECRET_FILE
    with file_errors_explained(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if old := read_secret(path):
            write_secret(data_dir / PREVIOUS_FILE, old)
        write_secret(path, make_secret())
    progress(f"Made the server's secret, {path}: keep a copy, the database is worth little without it.")
