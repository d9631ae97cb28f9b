"""Ending what is on its way from one account to another: one place for all who do.

Tickets are locked before their transfer, and all of a transfer's together, in the order of their ids; then nobody who
claims, cancels, admits or voids waits for one who waits for him.
"""

from collections.abc import Sequence

from ticketing.kit.database import Connection
from ticketing.letters.posting import Letter, post

_LOCK_TICKETS_OF = """
SELECT transfer_id FROM tickets
 WHERE transfer_id IN (SELECT id FROM transfers WHERE status = 'Pending' AND (sender_id = $1 OR recipient_id = $1))
 ORDER BY id FOR UPDATE"""

_END = """
WITH now AS MATERIALIZED (SELECT clock() AS at),
freed AS (
    UPDATE tickets SET status = 'Issued', transfer_id = NULL, changed_at = now.at
      FROM now WHERE transfer_id = ANY($1::bigint[]))
UPDATE transfers SET status = 'Cancelled', closed_at = now.at
  FROM now WHERE id = ANY($1::bigint[]) AND status = 'Pending' RETURNING id, sender_id, recipient_id"""


async def end_transfers(db: Connection, transfer_ids: Sequence[int], *, by: int | None = None) -> None:
    """Cancel what is open among these transfers, whose tickets the caller has locked; the tickets are usable again.

    Both sides are written to, but not the one who did it (`by`).
    """
    ended = await db.fetch(_END, transfer_ids)
    await post(
        db,
        [
            Letter("transfer_cancelled", account=account, about={"transfer": row["id"]})
            for row in ended
            for account in (row["sender_id"], row["recipient_id"])
            if account != by
        ],
    )


async def end_transfers_of(db: Connection, account_id: int) -> None:
    """Cancel what is on its way from or to an account, which the caller has locked; the other sides are told."""
    tickets = await db.fetch(_LOCK_TICKETS_OF, account_id)
    await end_transfers(db, sorted({ticket["transfer_id"] for ticket in tickets}), by=account_id)
