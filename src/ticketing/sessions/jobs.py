"""What recurs around callers."""

from ticketing.accounts import failures
from ticketing.kit.database import Database
from ticketing.kit.jobs import Jobs
from ticketing.kit.operations import Services

BATCH = 5000
LONGEST_RUN = 100  # batches; the rest waits for the next turn

jobs = Jobs("sessions")

_FORGET_REPEATS = """
DELETE FROM idempotency_keys WHERE (caller, key) IN (
    SELECT caller, key FROM idempotency_keys WHERE expires_at <= clock() LIMIT $1 FOR UPDATE SKIP LOCKED)"""


@jobs.every(60)
async def forget_failures(services: Services) -> None:
    """Drop the counts of wrong tries that no longer bound anything."""
    async with services.the(Database).transaction() as db:
        await failures.tidy(db)


@jobs.every(60)
async def forget_idempotency_keys(services: Services) -> None:
    """Drop stored answers whose day is over."""
    for _batch in range(LONGEST_RUN):
        async with services.the(Database).transaction() as db:
            outcome = await db.execute(_FORGET_REPEATS, BATCH)
        if outcome != f"DELETE {BATCH}":
            return
