"""Voiding tickets, wherever they are; one place for all who do."""

from collections.abc import Sequence

from ticketing.accounts.open_transfers import end_transfers
from ticketing.kit.database import Connection

_FIND_TRANSFERS = """
SELECT DISTINCT transfer_id FROM tickets WHERE item_id = ANY($1::bigint[]) AND transfer_id IS NOT NULL"""

_LOCK = """
SELECT FROM tickets WHERE item_id = ANY($1::bigint[]) AND status <> 'Voided' OR transfer_id = ANY($2::bigint[])
 ORDER BY id FOR UPDATE"""

_VOID = """
UPDATE tickets SET status = 'Voided', transfer_id = NULL, changed_at = clock()
 WHERE item_id = ANY($1::bigint[]) AND status <> 'Voided'"""


async def void_tickets(db: Connection, item_ids: Sequence[int]) -> None:
    """Void the tickets of these order items, whose sections are locked by the caller.

    A transfer that loses a ticket is not what was sent: it is cancelled whole, and its other tickets are usable again.
    """
    transfers = await _lock(db, item_ids)
    await db.execute(_VOID, item_ids)
    await end_transfers(db, sorted(transfers))


async def _lock(db: Connection, item_ids: Sequence[int]) -> set[int]:
    """Lock the tickets, with all others of the transfers they are part of; these transfers.

    Somebody may have sent one of the tickets with others while we waited. Those are locked in order, too: by letting
    go and beginning anew.
    """
    transfers = await _find_transfers(db, item_ids)
    while True:
        attempt = db.transaction()
        await attempt.start()
        await db.execute(_LOCK, item_ids, sorted(transfers))
        found = await _find_transfers(db, item_ids)
        if found <= transfers:
            await attempt.commit()
            return found
        await attempt.rollback()
        transfers = found


async def _find_transfers(db: Connection, item_ids: Sequence[int]) -> set[int]:
    return {row["transfer_id"] for row in await db.fetch(_FIND_TRANSFERS, item_ids)}
