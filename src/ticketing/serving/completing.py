"""The settings of a process, completed by what its data folder holds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ticketing.embedded.errors import file_errors_explained
from ticketing.kit.vault import make_secret, read_secret, write_secret
from ticketing.settings import Settings

from .errors import CannotServe

SECRET_FILE = "secret"  # noqa: S105 - a name


def complete(settings: Settings, dsn: str, data_dir: Path, progress: Callable[[str], None] | None = None) -> Settings:
    """The settings with the database that was found, and the secret and mail of the data folder when none are set.

    Who gives `progress` gets a secret where there is none, and is told; for others there must be one. Raises
    CannotServe when there is none, EmbeddedError when the folder cannot be read or written.
    """
    secret = settings.secret or _find_secret(data_dir, progress)
    mail_folder = settings.mail_folder or str(data_dir.absolute() / "mail")
    return dataclasses.replace(settings, database_url=dsn, secret=secret, mail_folder=mail_folder)


def _find_secret(data_dir: Path, progress: Callable[[str], None] | None) -> str:
    path = data_dir / SECRET_FILE
    with file_errors_explained(data_dir):
        if secret := read_secret(path):
            return secret
        if progress is None:
            raise CannotServe(f"There is no secret in {data_dir}: set TICKETING_SECRET to the server's, or --data-dir.")
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(path, make_secret())
        progress(f"Made the server's secret, {path}: keep a copy, the database is worth little without it.")
        return read_secret(path)
