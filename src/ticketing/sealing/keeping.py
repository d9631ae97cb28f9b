"""Which secret is in use. The database knows it by a fingerprint, and every process asks before it seals anything.

A process may know two: the setting, and the one before it. It seals with the one in use, which the database names, and
opens with both; so all processes agree at every moment, whichever of them was started first with the new one.
"""

import signal

import structlog

from ticketing.kit.database import Connection, Database, Row
from ticketing.kit.vault import Vault
from ticketing.settings import Settings

from .sweeping import newest, opens
from .things import SEALED

CHANGED = "secret_changed"  # notification: the fingerprint of the secret that is in use from now on
KNOWN_HERE = 0x7157  # the class of the advisory locks, shared, that stand for a secret known to a living process
RETIRED_PURPOSE = "server secret"

log = structlog.get_logger()


class UnknownSecret(Exception):
    """The secret in use is none of those that were given; its text is one sentence for the person at the terminal."""


def open_vault(settings: Settings) -> Vault:
    """The vault of the settings' secrets. What it seals with, the database has yet to say: `take_up` or `keep_up`.

    Raises UnknownSecret without a secret.
    """
    if not settings.secret:
        raise UnknownSecret("There is no secret: set TICKETING_SECRET to the server's.")
    return Vault(settings.secret, *filter(None, [settings.secret_previous]))


def keep_up(database: Database, vault: Vault) -> None:
    """Let this process seal with the secret in use, from `database.open` on, which raises UnknownSecret.

    Others see in the locks of its connection which secrets it knows. When one comes into use that it does not know it
    ends: whatever it sealed nobody else could open.
    """

    is_kept_up = False

    async def attend(own: Connection) -> None:
        nonlocal is_kept_up
        await own.execute(
            f"SELECT pg_advisory_lock_shared({KNOWN_HERE}, known) FROM unnest($1::int[]) AS known",
            [lock_number(fingerprint) for fingerprint in vault.fingerprints()],
        )
        try:
            await take_up(own, vault)
        except UnknownSecret:
            if is_kept_up:  # changed while this connection was away
                end()
            raise
        is_kept_up = True

    def heard(payload: str) -> None:
        if vault.turn_to(bytes.fromhex(payload)):
            log.info("secret.changed")
        else:
            end()

    def end() -> None:
        log.critical("secret.unknown")
        signal.raise_signal(signal.SIGTERM)

    database.on_connecting(attend)
    database.listen(CHANGED, heard)


def lock_number(fingerprint: bytes) -> int:
    """What stands for a secret in an advisory lock: 31 bits, equal by chance for one in two milliards."""
    return int.from_bytes(fingerprint[:4]) & 0x7FFF_FFFF


async def take_up(db: Connection, vault: Vault) -> None:
    """Let the vault seal with the secret in use, and open with those retired; the first ever comes into use here.

    Raises UnknownSecret when the vault has not the secret in use.
    """
    if not await recognise(db, vault):
        await _put_in_use(db, vault)
        await recognise(db, vault)  # another process may have been quicker


async def recognise(db: Connection, vault: Vault) -> bool:
    """`take_up` that writes nothing; False when the database has not been told of its secret yet.

    Raises UnknownSecret.
    """
    rows = await db.fetch(
        "SELECT fingerprint, sealed, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS since FROM secrets"
    )
    if not rows:
        vault.turn_to(await _fitting(db, vault))
        return False
    [current] = [row for row in rows if row["sealed"] is None]
    if not vault.turn_to(current["fingerprint"]):
        raise UnknownSecret(_refusal(vault, current, [row["fingerprint"] for row in rows]))
    for row in rows:
        if row["sealed"] is not None:
            vault.learn(vault.decrypt(RETIRED_PURPOSE, row["sealed"]))
    return True


async def is_sealed(db: Connection) -> bool:
    """Whether there is anything that takes a secret to open; such a database must not get another one by itself."""
    if await db.fetchval("SELECT true FROM secrets LIMIT 1"):
        return True
    return any([await newest(db, sealed) is not None for sealed in SEALED])


def _refusal(vault: Vault, current: Row, known: list[bytes]) -> str:
    if vault.fingerprints()[0] in known:
        return (
            f"The server's secret was changed at {current['since']} UTC, and this is the one before: set"
            " TICKETING_SECRET to the one in use."
        )
    return (
        f"The server's secret is another than the one in use here since {current['since']} UTC: set TICKETING_SECRET to"
        " that one; or, to change it, set TICKETING_SECRET_PREVIOUS to that one beside the new one and run `ticketing"
        " secret rotate`; or, when that one is lost, run `ticketing secret give-up`, which says what is lost with it."
    )


async def _put_in_use(db: Connection, vault: Vault) -> None:
    async with db.transaction():
        await db.execute(
            "INSERT INTO secrets (fingerprint, since) VALUES ($1, clock()) ON CONFLICT DO NOTHING",
            vault.fingerprints()[0],
        )
        await db.execute("INSERT INTO calendar_salt VALUES ($1) ON CONFLICT DO NOTHING", vault.salt("calendar"))


async def _fitting(db: Connection, vault: Vault) -> bytes:
    """The secret that what is sealed was sealed with, of a database that was never told; the setting for a new one.

    Raises UnknownSecret when there is something, and none of them opens any of it.
    """
    samples = [(sealed, row) for sealed in SEALED if (row := await newest(db, sealed))]
    fingerprints = vault.fingerprints()
    if not samples:
        return fingerprints[0]
    for fingerprint in fingerprints:
        if any(opens(vault.alone(fingerprint), sealed, row) for sealed, row in samples):
            return fingerprint
    raise UnknownSecret(
        "The server's secret opens nothing of what is sealed in this database: set TICKETING_SECRET to the one it was"
        " used with; or, when that one is lost, run `ticketing secret give-up`, which says what is lost with it."
    )
