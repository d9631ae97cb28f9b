"""Verified addresses that accounts have left, which can take them back for a while.

Whoever gets hold of a session can change the address at once, as its owner can. So that he does not get the account
with it, the address left behind goes on being good for one thing: a code that is mailed there makes it the account's
again. Several may stand, for an address may be changed many times. The one that was left first is the surest to be
the owner's, so using one drops those that were left after it, and none that was left before.
"""

from ticketing.kit.database import Connection

DAYS = 7
LIVE = f"former.replaced_at > clock() - interval '{DAYS} days'"


async def remember(db: Connection, account_id: int, email: str, email_key: str) -> None:
    """Keep a verified address that the account leaves."""
    await db.execute(
        "INSERT INTO former_addresses (account_id, email, email_key, replaced_at) VALUES ($1, $2, $3, clock())"
        " ON CONFLICT (account_id, email_key) DO UPDATE SET email = excluded.email, replaced_at = excluded.replaced_at",
        account_id,
        email,
        email_key,
    )


async def find_account(db: Connection, email_key: str) -> int | None:
    """The account that can be taken back from this address; None when there is none."""
    found: int | None = await db.fetchval(
        f"SELECT account_id FROM former_addresses former WHERE email_key = $1 AND {LIVE} ORDER BY id LIMIT 1", email_key
    )
    return found


async def find_address(db: Connection, account_id: int, email_key: str) -> str | None:
    """The address as it was written, when the account can be taken back from it."""
    found: str | None = await db.fetchval(
        f"SELECT email FROM former_addresses former WHERE account_id = $1 AND email_key = $2 AND {LIVE}",
        account_id,
        email_key,
    )
    return found


async def settle(db: Connection, account_id: int, email_key: str) -> None:
    """Drop an address that is the account's own again, verified, and those that it left after it."""
    await db.execute(
        "DELETE FROM former_addresses WHERE account_id = $1 AND id >= ("
        " SELECT id FROM former_addresses WHERE account_id = $1 AND email_key = $2)",
        account_id,
        email_key,
    )


FORGET = """
DELETE FROM former_addresses WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM former_addresses WHERE replaced_at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY replaced_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""
