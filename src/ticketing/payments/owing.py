"""What is owed goes back by itself: paid items of cancelled events and removed sections, payments without an order.

Set-based, in transactions of bounded size: an event may have sold a hundred thousand places.
"""

from collections.abc import Callable

from ticketing.events.holds import LOCK_SECTIONS
from ticketing.events.returning import close_orders, return_items
from ticketing.kit.database import Connection, Database
from ticketing.web.operations import Services

from .refunds import Request, open_whole_refund, write_refunds
from .rules import Item

BATCH = 200
TRIES = 5  # of a refund that the provider refuses; then an administrator has to see to it
PAUSE_SECONDS = 3600  # between them

_REASON = "The event or the section is no longer on offer."

# A cancelled event has sold places until all of them were given back.
_FIND_SECTIONS = """
SELECT section.id FROM events event JOIN sections section ON section.event_id = event.id
 WHERE event.status = 'Cancelled' AND section.sold > 0 ORDER BY section.id"""

_FIND_LIVE = """
SELECT item.id, item.order_id FROM order_items item JOIN orders ON orders.id = item.order_id
 WHERE item.section_id = $1 AND item.id > $2 AND item.returned_at IS NULL AND orders.status = 'Fulfilled'
 ORDER BY item.id LIMIT $3"""

_LOCK_ORDERS = "SELECT id FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"

# Not what was refused a short while ago, or too often.
_FIND_OWED = """
SELECT DISTINCT item.order_id FROM order_items item
  JOIN payments payment ON payment.order_id = item.order_id AND payment.status = 'Authorised' AND payment.kept
 WHERE item.returned_at IS NOT NULL AND item.refund_id IS NULL AND item.price_cents + item.fee_cents > 0
   AND NOT EXISTS (
       SELECT FROM refund_items undone JOIN refunds refund ON refund.id = undone.refund_id
        WHERE undone.item_id = item.id AND undone.undone
       HAVING count(*) >= $2 OR max(refund.closed_at) > clock() - make_interval(secs => $3))
 LIMIT $1"""

# One that somebody decides about at this moment is left to the next turn.
_LOCK_OWED = "SELECT id FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE SKIP LOCKED"

_READ_OWED = """
SELECT order_id, id, (price_cents + fee_cents) * quantity AS cents FROM order_items
 WHERE order_id = ANY($1::bigint[]) AND returned_at IS NOT NULL AND refund_id IS NULL AND price_cents + fee_cents > 0
 ORDER BY id"""

_FIND_UNKEPT = """
SELECT payment.id FROM payments payment,
       LATERAL (SELECT count(*) AS tries, count(*) FILTER (WHERE status <> 'Declined') AS live, max(closed_at) AS last
                  FROM refunds WHERE payment_id = payment.id AND whole) AS refund
 WHERE payment.status = 'Authorised' AND NOT payment.kept AND refund.live = 0 AND refund.tries < $2
   AND coalesce(refund.last < (SELECT clock()) - make_interval(secs => $3), true)
 LIMIT $1"""


async def return_cancelled(services: Services) -> None:
    """Give back all that was sold for cancelled events: tickets are Voided, what was paid is owed."""
    database = services.the(Database)
    async with database.reading() as db:
        sections = [row["id"] for row in await db.fetch(_FIND_SECTIONS)]
    for section_id in sections:
        last: int | None = 0
        while last is not None:
            async with database.transaction() as db:
                last = await return_batch(db, section_id, last)


async def return_batch(db: Connection, section_id: int, after: int) -> int | None:
    """Give back the next items of a section, in the order of their ids; the last of them, None when there is none."""
    await db.execute(LOCK_SECTIONS, [section_id])
    live = await db.fetch(_FIND_LIVE, section_id, after, BATCH)
    if not live:
        return None
    orders = sorted({row["order_id"] for row in live})
    await db.execute(_LOCK_ORDERS, orders)
    await return_items(db, [row["id"] for row in live])
    await close_orders(db, orders)
    return int(live[-1]["id"])


async def refund_owed(services: Services) -> None:
    """Open refunds for what is owed; `reconciling` has the provider pay them."""
    database = services.the(Database)
    while True:
        async with database.transaction() as db:
            if await refund_batch(db, database.new_id) < BATCH:
                break
    async with database.transaction() as db:
        for row in await db.fetch(_FIND_UNKEPT, BATCH, TRIES, PAUSE_SECONDS):
            await open_whole_refund(db, database.new_id(), row["id"])


async def refund_batch(db: Connection, new_id: Callable[[], int]) -> int:
    """Open a refund for each of some orders to which money is owed; how many they were."""
    found = [row["order_id"] for row in await db.fetch(_FIND_OWED, BATCH, TRIES, PAUSE_SECONDS)]
    locked = [row["id"] for row in await db.fetch(_LOCK_OWED, found)]
    owed: dict[int, list[Item]] = {}
    for row in await db.fetch(_READ_OWED, locked):
        item = Item(row["id"], row["cents"], is_live=False, is_claimed=False)
        owed.setdefault(row["order_id"], []).append(item)
    wanted = {new_id(): (order_id, items) for order_id, items in owed.items()}
    await write_refunds(db, wanted, Request(_REASON), ask_after_seconds=0)
    return len(wanted)
