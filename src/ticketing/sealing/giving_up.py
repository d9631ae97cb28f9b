"""When the secret is lost: what was sealed with it is given up, as gently as can be, and another comes into use."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ticketing.history import recording as history
from ticketing.kit.database import Database
from ticketing.kit.sealed import Sealed
from ticketing.kit.vault import Vault

from .keeping import CHANGED, UnknownSecret, recognise
from .rotating import processes_knowing
from .sweeping import lock, opens, pages
from .things import CODES, OPEN, OPEN_CODES, SEALED


class StillKnown(Exception):
    """Processes run that know the secret that is said to be lost; `count` of them."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


@dataclass
class Loss:
    """What nothing opens: how many of each kind, and of codes that were mailed and can no longer be right.

    `is_known` says that the vault has the secret in use, so that only what was sealed with yet another is lost.
    """

    is_known: bool
    counts: list[tuple[Sealed, int]] = field(default_factory=list)
    mailed_codes: int = 0

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to give up, and no other secret to put in use."""
        return self.is_known and not self.counts


async def count_loss(database: Database, vault: Vault) -> Loss:
    """What would be lost if the vault's secrets were the only ones; nothing is written.

    Raises StillKnown when the secret in use is not among them, and a running process knows it.
    """
    loss = Loss(is_known=True)
    async with database.reading() as db:
        try:
            await recognise(db, vault)
        except UnknownSecret:
            current = await db.fetchval("SELECT fingerprint FROM secrets WHERE sealed IS NULL")
            if current and (count := await processes_knowing(db, current)):
                raise StillKnown(count) from None
            loss.is_known = False
            loss.mailed_codes = await db.fetchval(f"SELECT count(*) FROM ({OPEN_CODES}) AS code")
    for sealed in SEALED:
        count = 0
        async for rows in pages(database, sealed):
            count += sum(not opens(vault, sealed, row) for row in rows)
        if count:
            loss.counts.append((sealed, count))
    return loss


async def give_up(database: Database, vault: Vault, loss: Loss, progress: Callable[[str], None]) -> None:
    """Put the vault's secret in use, unless one of its is, and give up whatever it does not open.

    May be broken off and begun again: the secret comes first. What a process still waits for is given up with it.
    """
    if not loss.is_known:
        await _put_in_use(database, vault)
    for sealed, count in loss.counts:
        progress(f"{sealed.name} ({count})")
        async for rows in pages(database, sealed):
            if lost := [row for row in rows if not opens(vault, sealed, row)]:
                async with database.transaction() as db:
                    still = [row for row in await lock(db, sealed, lost) if not opens(vault, sealed, row)]
                    await sealed.lose(db, vault, still)


async def _put_in_use(database: Database, vault: Vault) -> None:
    fingerprint = vault.fingerprints()[0]
    async with database.transaction() as db:
        await db.execute("DELETE FROM secrets")
        await db.execute("INSERT INTO secrets (fingerprint, since) VALUES ($1, clock())", fingerprint)
        await db.execute("INSERT INTO calendar_salt VALUES ($1) ON CONFLICT DO NOTHING", vault.salt("calendar"))
        for table in CODES:
            await db.execute(f"UPDATE {table} SET expires_at = clock() WHERE {OPEN}")
        await history.record(db, database.new_id(), None, "secret.given_up", "/secret")
        await db.execute("SELECT pg_notify($1, $2)", CHANGED, fingerprint.hex())
