"""The lock under which it is decided what one account may still have."""

from collections.abc import Sequence

from ticketing.kit.database import Connection

CLASS = 0x7156  # of advisory locks; they write nothing, a row lock would write each customer's row with every order


async def lock_accounts(db: Connection, ids: Sequence[int]) -> None:
    """Keep other orders of these accounts, and their deletion, waiting until the transaction ends.

    In id order, and before any section is locked.
    """
    await db.execute(
        f"SELECT pg_advisory_xact_lock({CLASS}, (id % 2147483647)::int)"
        "  FROM (SELECT unnest($1::bigint[]) AS id ORDER BY 1 OFFSET 0) account",
        sorted(ids),
    )
