"""Forgetting what was kept long enough, a bounded number of rows at a time."""

from typing import Any

from ticketing.kit.database import Database

BATCH = 5000  # rows in one transaction
LONGEST_RUN = 100  # batches; the rest waits for the next turn


async def forget(database: Database, statement: str, *values: Any) -> int:
    """Run a DELETE of at most `$1` rows, with further values, until nothing is left for it; how many rows went.

    Stops after LONGEST_RUN batches. The statement finds the rows by their place (`ctid`), locked: joined by an id, the
    database may read the whole table to delete a few.
    """
    forgotten = 0
    for _batch in range(LONGEST_RUN):
        async with database.transaction() as db:
            outcome: str = await db.execute(statement, BATCH, *values)
        count = int(outcome.rsplit(" ", 1)[1])
        forgotten += count
        if count < BATCH:
            break
    return forgotten


async def forget_after(database: Database, days: int, statement: str) -> int:
    """`forget` with the days of a retention setting as `$2`; nothing when they are 0: kept for ever."""
    return await forget(database, statement, days) if days else 0
