"""The codes that were mailed, as their addressees would read them."""

import asyncpg

from conftest import SECRET, Client
from ticketing.kit.vault import Vault
from ticketing.letters.posting import unseal


async def mailed_code(db: asyncpg.Connection, person: Client, letter: str) -> str:
    """The code in the last letter of this name to the person."""
    sealed = await db.fetchval(
        "SELECT sealed FROM mails WHERE letter = $1 AND account_id = $2 ORDER BY id DESC LIMIT 1",
        letter,
        await account_id(db, person),
    )
    return unseal(Vault(SECRET), sealed)["code"]


async def stranger_code(db: asyncpg.Connection, email: str) -> str:
    """The code in the last letter to an address that no account has."""
    rows = await db.fetch("SELECT sealed FROM mails WHERE letter = 'sign_in' AND account_id = 0 ORDER BY id DESC")
    found = (unseal(Vault(SECRET), row["sealed"]) for row in rows)
    return next(secrets["code"] for secrets in found if secrets["email"] == email)


async def letters(db: asyncpg.Connection, person: Client) -> list[str]:
    """What was posted to the person, oldest first."""
    rows = await db.fetch("SELECT letter FROM mails WHERE account_id = $1 ORDER BY id", await account_id(db, person))
    return [row["letter"] for row in rows]


async def account_id(db: asyncpg.Connection, person: Client) -> int:
    found: int = await db.fetchval("SELECT id FROM accounts WHERE number = $1", person.number)
    return found


def another(code: str) -> str:
    """Six digits that are not these."""
    return f"{(int(code) + 1) % 1_000_000:06}"
