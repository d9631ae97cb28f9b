"""Changing the secret while the platform sells: another comes into use at once, then everything is sealed anew.

The one before is kept in the database, sealed with the new one, until what cannot be sealed anew is over: mailed codes
and the requests behind Idempotency-Keys are only compared, by keyed hashes. So nobody has to keep it in his settings.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ticketing.history import recording as history
from ticketing.kit.database import Connection, Database
from ticketing.kit.vault import Vault
from ticketing.web.idempotency import KEPT_SECONDS

from .keeping import CHANGED, KNOWN_HERE, RETIRED_PURPOSE, lock_number
from .sweeping import Swept, seal_anew
from .things import OPEN_CODES, SEALED

# What a process that hears of the change late may still hash with the secret before.
SPARE_SECONDS = 3600


class Unprepared(Exception):
    """Processes run that do not know the new secret; `count` of them."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def is_in_use(vault: Vault, secret: str) -> bool:
    """Whether it is the secret that the vault seals with, which the database named."""
    return Vault(secret).fingerprints() == vault.fingerprints()[:1]


_PROCESSES = f"""
SELECT count(*) FROM (
    SELECT pid FROM pg_locks
     WHERE locktype = 'advisory' AND classid = {KNOWN_HERE} AND objsubid = 2 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     GROUP BY pid HAVING bool_or(objid = $1::bigint::oid) AND NOT coalesce(bool_or(objid = $2::bigint::oid), false)
) AS process"""


async def processes_knowing(db: Connection, secret: bytes, *, but_not: bytes | None = None) -> int:
    """How many processes know the secret of one fingerprint, and not that of another; the asking one may be among."""
    return int(await db.fetchval(_PROCESSES, lock_number(secret), lock_number(but_not) if but_not else None))


_RETIRE = f"""
UPDATE secrets SET sealed = $1, needed_until = make_interval(secs => {SPARE_SECONDS}) + greatest(
    clock() + make_interval(secs => {KEPT_SECONDS}), (SELECT max(expires_at) FROM ({OPEN_CODES}) AS code))
 WHERE sealed IS NULL"""


async def put_in_use(database: Database, vault: Vault, secret: str) -> None:
    """Let everybody seal with the new secret, which the vault knows; at the end it does itself.

    Raises Unprepared when processes run that know the one in use alone.
    """
    new = Vault(secret)
    [new_fingerprint] = new.fingerprints()
    async with database.transaction() as db:
        old = await db.fetchrow("SELECT fingerprint FROM secrets WHERE sealed IS NULL FOR UPDATE")
        if old is None or old["fingerprint"] == new_fingerprint:
            raise RuntimeError("the secret in use was changed by somebody else")
        if count := await processes_knowing(db, old["fingerprint"], but_not=new_fingerprint):
            raise Unprepared(count)
        for row in await db.fetch("SELECT fingerprint, sealed FROM secrets WHERE sealed IS NOT NULL FOR UPDATE"):
            sealed = new.encrypt(RETIRED_PURPOSE, vault.decrypt(RETIRED_PURPOSE, row["sealed"]))
            await db.execute("UPDATE secrets SET sealed = $2 WHERE fingerprint = $1", row["fingerprint"], sealed)
        await db.execute(_RETIRE, new.encrypt(RETIRED_PURPOSE, vault.reveal(old["fingerprint"])))
        await db.execute("DELETE FROM secrets WHERE fingerprint = $1", new_fingerprint)  # back to the one before
        await db.execute("INSERT INTO secrets (fingerprint, since) VALUES ($1, clock())", new_fingerprint)
        await history.record(db, database.new_id(), None, "secret.changed", "/secret")
        await db.execute("SELECT pg_notify($1, $2)", CHANGED, new_fingerprint.hex())
    vault.turn_to(new_fingerprint)


async def seal_all_anew(
    database: Database, vault: Vault, progress: Callable[[str, Swept], None] = lambda _name, _swept: None
) -> Swept:
    """Seal everything with the secret in use; may be broken off and begun again at any time.

    `progress(name, swept)` is told of each kind when it is through. What is left is to be done in another turn.
    """
    total = Swept()
    for sealed in SEALED:
        swept = await seal_anew(database, vault, sealed)
        progress(sealed.name, swept)
        total.anew, total.left, total.lost = total.anew + swept.anew, total.left + swept.left, total.lost + swept.lost
    return total


async def forget_retired(db: Connection) -> None:
    """Drop the secrets that nothing needs any more, once everything is sealed anew."""
    await db.execute("DELETE FROM secrets WHERE needed_until <= clock()")


@dataclass(frozen=True)
class Known:
    """A secret as operators see it: the first letters of its fingerprint, and moments in UTC; `needed_until` is "" for
    the one in use."""

    fingerprint: str
    since: str
    needed_until: str


async def list_known(db: Connection) -> list[Known]:
    """The secrets that the database knows, the one in use first."""
    rows = await db.fetch(
        "SELECT fingerprint, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS since,"
        " coalesce(to_char(needed_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), '') AS needed_until"
        " FROM secrets ORDER BY sealed IS NOT NULL, since DESC"
    )
    return [Known(row["fingerprint"].hex()[:12], row["since"], row["needed_until"]) for row in rows]
