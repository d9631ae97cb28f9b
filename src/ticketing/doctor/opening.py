"""Whether the server's secret opens everything that is sealed: each thing is opened, and closed again."""

from collections.abc import Callable

from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.sealing import SEALED
from ticketing.sealing.sweeping import opens, pages

from .examining import Diagnosis, Finding

PROMISE = "The server's secret opens everything that is sealed."
NAME = "sealed things"
FAULT = "the server's secret does not open it (`ticketing secret give-up` says what that means, and gives it up)"


async def open_sealed(database: Database, vault: Vault, diagnosis: Diagnosis, progress: Callable[[str], None]) -> None:
    """Open each sealed thing, and add those that cannot be opened to the diagnosis; nothing is written."""
    diagnosis.checks += 1
    progress(f"{diagnosis.checks}/{diagnosis.checks} {PROMISE}")
    for sealed in SEALED:
        async for rows in pages(database, sealed):
            for row in rows:
                if not opens(vault, sealed, row):
                    diagnosis.add(Finding(NAME, row["thing"], FAULT))
