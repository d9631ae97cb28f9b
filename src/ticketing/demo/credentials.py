"""What lets into the demo: known to everybody on the machine of who looks at it, its own where others can reach it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from ticketing.accounts.actions import set_password
from ticketing.accounts.passwords import hash_password, is_right
from ticketing.accounts.rules import ChangedBy
from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault, hash_key
from ticketing.sessions.actions import new_key
from ticketing.sessions.gate_keys import change_code, new_code

from .content import ADMINISTRATOR, GATE_CODE, OPEN_EVENT, PASSWORD, PEOPLE, PUBLIC_KEY, SHOP


@dataclass(frozen=True)
class Credentials:
    """The passwords by username, the shop's public key, and the code of the open event's gate."""

    passwords: Mapping[str, str]
    public_key: str
    gate_code: str

    def hashes(self) -> dict[str, str]:
        """What is kept of the passwords, by username."""
        hashed = {password: hash_password(password) for password in set(self.passwords.values())}
        return {username: hashed[password] for username, password in self.passwords.items()}


def _usernames() -> list[str]:
    return [username for username, *_ in PEOPLE]


KNOWN = Credentials(dict.fromkeys(_usernames(), PASSWORD), PUBLIC_KEY, GATE_CODE)


def own_credentials() -> Credentials:
    """Credentials that nobody knows, each person's another."""
    return Credentials({one: secrets.token_urlsafe(12) for one in _usernames()}, new_key(), new_code())


async def set_credentials(db: Connection, vault: Vault, credentials: Credentials) -> None:
    """Let these alone open a demo that stands; sessions end where a password changes."""
    rows = await db.fetch(
        "SELECT id, username, password_hash FROM accounts WHERE username = ANY($1::text[]) AND removed_at IS NULL",
        list(credentials.passwords),
    )
    people = {row["username"]: row for row in rows}
    if is_right(people[ADMINISTRATOR]["password_hash"], credentials.passwords[ADMINISTRATOR]):
        return  # they were set together
    hashes = credentials.hashes()
    for username, row in people.items():
        await set_password(db, row["id"], hashes[username], by=ChangedBy.SERVER)
    await db.execute(
        "UPDATE integrations SET key_hash = $2 WHERE name = $1 AND revoked_at IS NULL",
        SHOP,
        hash_key(credentials.public_key),
    )
    token_id = await db.fetchval(
        "SELECT token.id FROM tokens token JOIN events event ON event.id = token.event_id"
        " WHERE event.title = $1 AND token.global ORDER BY token.id LIMIT 1",
        OPEN_EVENT,
    )
    if token_id is not None:
        await change_code(db, vault, token_id, credentials.gate_code)
