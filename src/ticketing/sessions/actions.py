"""Starting and ending sessions."""

import secrets

from ticketing.kit.database import Connection
from ticketing.kit.vault import hash_key
from ticketing.settings import Settings
from ticketing.web.callers import announce

from .queries import IS_OPEN
from .rules import idle_seconds

AGENT_LENGTH = 300

_END_TOO_MANY = f"""
UPDATE sessions SET ended_at = clock() WHERE id = ANY (ARRAY(
    SELECT id FROM sessions session WHERE account_id = $1 AND {IS_OPEN}
     ORDER BY idle_until DESC, id DESC OFFSET $2))
RETURNING id"""


def new_key() -> str:
    """An API key: 32 hex characters, 128 random bits."""
    return secrets.token_hex(16)


async def keep_password(db: Connection, account_id: int, known_hash: str, better_hash: str | None) -> bool:
    """Lock an account whose password was found right; False when it was closed or its password changed meanwhile.

    `better_hash`, when given, replaces a hash that was made with yesterday's parameters.
    """
    if not await db.fetchval(
        "SELECT true FROM accounts"
        " WHERE id = $1 AND password_hash = $2 AND activated AND removed_at IS NULL FOR NO KEY UPDATE",
        account_id,
        known_hash,
    ):
        return False
    if better_hash is not None:
        await db.execute("UPDATE accounts SET password_hash = $2 WHERE id = $1", account_id, better_hash)
    return True


async def start_session(
    db: Connection, settings: Settings, session_id: int, account_id: int, *, key: str, ip: str, agent: str
) -> None:
    """Open a session, in which the key stands for the account until it lies idle too long, or is old.

    An account that has too many loses the one that was not used for longest.
    """
    await db.execute(
        "INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at, idle_until, expires_at)"
        " SELECT $1, $2, $3, $4, $5, at, coalesce(at + make_interval(secs => $6), 'infinity'),"
        "        coalesce(at + make_interval(mins => nullif($7::int, 0)), 'infinity') FROM clock() AS at",
        session_id,
        account_id,
        hash_key(key),
        ip,
        agent.replace("\x00", "")[:AGENT_LENGTH],
        idle_seconds(settings.session_idle_minutes)[1],
        settings.session_minutes,
    )
    if settings.sessions_per_account and await db.fetch(_END_TOO_MANY, account_id, settings.sessions_per_account):
        await announce(db)


async def end_session(db: Connection, session_id: int) -> bool:
    """End a session; its key stops at once, in every process. False when it has ended before."""
    ended = await db.fetchval(
        "UPDATE sessions SET ended_at = clock() WHERE id = $1 AND ended_at IS NULL RETURNING true", session_id
    )
    await announce(db)
    return bool(ended)
