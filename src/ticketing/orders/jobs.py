"""What recurs around orders."""

from ticketing.events.holds import LOCK_SECTIONS, release
from ticketing.jobs.recurring import Jobs
from ticketing.kit.database import Connection, Database
from ticketing.letters.posting import Letter, post
from ticketing.web.operations import Services

BATCH = 100  # orders in one transaction: while it lasts, nobody buys in their sections
LONGEST_RUN = 200  # batches; the rest waits for the next turn

jobs = Jobs("orders")

_FIND_DUE = """
SELECT id, ARRAY(SELECT section_id FROM order_items WHERE order_id = orders.id) AS sections
  FROM orders WHERE status = 'Placed' AND held_until <= (SELECT clock()) ORDER BY held_until LIMIT $1"""

# Once more, now that the sections are locked: meanwhile it may have been paid, cancelled, or given more time. One that
# somebody decides about at this moment is left to the next turn.
_LOCK_DUE = """
SELECT id, customer_id FROM orders WHERE id = ANY($1::bigint[]) AND status = 'Placed' AND held_until <= clock()
 ORDER BY id FOR UPDATE SKIP LOCKED"""


@jobs.every(30)
async def time_out_orders(services: Services) -> None:
    """Write down that orders have timed out, and free their places.

    For readers they have long been Timed Out, and buyers in the same section get the places without this; here the
    counters are set right where nobody buys.
    """
    database = services.the(Database)
    for _batch in range(LONGEST_RUN):
        async with database.transaction() as db:
            if await time_out_due(db, BATCH) < BATCH:
                return


async def time_out_due(db: Connection, most: int) -> int:
    """Time out at most so many due orders, the longest due first; how many it were."""
    found = await db.fetch(_FIND_DUE, most)
    if not found:
        return 0
    await db.execute(LOCK_SECTIONS, sorted({section for row in found for section in row["sections"]}))
    due = {row["id"]: row["customer_id"] for row in await db.fetch(_LOCK_DUE, [row["id"] for row in found])}
    await release(db, list(due))
    await db.execute("UPDATE orders SET status = 'Timed Out' WHERE id = ANY($1::bigint[])", list(due))
    await post(
        db, [Letter("order_timed_out", account=customer, about={"order": order}) for order, customer in due.items()]
    )
    return len(due)
