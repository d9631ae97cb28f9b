"""Giving back what was sold: tickets are voided, places are for sale again, orders come to their end.

The one place where that happens, whoever caused it: a refund, a section that is removed, a cancelled event.
"""

from collections.abc import Sequence

from ticketing.kit.database import Connection

from .voiding import void_tickets

# Of the items that are live: each counter under its section's lock.
_RETURN = """
WITH returned AS (
    UPDATE order_items SET returned_at = clock() WHERE id = ANY($1::bigint[]) AND returned_at IS NULL
    RETURNING section_id, price_id, quantity),
counted AS (
    UPDATE sections section SET sold = section.sold - given.quantity
      FROM (SELECT section_id, sum(quantity)::int AS quantity FROM returned GROUP BY section_id) given
     WHERE section.id = given.section_id)
UPDATE prices price SET used = price.used - given.quantity
  FROM (SELECT price_id, sum(quantity)::int AS quantity FROM returned WHERE price_id IS NOT NULL GROUP BY 1) given
 WHERE price.id = given.price_id"""

# An order that cost something is Refunded when all its money has gone back, and not while some is owed.
_CLOSE_ORDERS = """
UPDATE orders SET status = CASE WHEN subtotal_cents + fees_cents = 0 THEN 'Voided' ELSE 'Refunded' END
 WHERE id = ANY($1::bigint[]) AND status = 'Fulfilled'
   AND NOT EXISTS (
       SELECT FROM order_items item LEFT JOIN refunds refund ON refund.id = item.refund_id
        WHERE item.order_id = orders.id
          AND (item.returned_at IS NULL
               OR item.price_cents + item.fee_cents > 0 AND refund.status IS DISTINCT FROM 'Authorised'))"""


async def return_items(db: Connection, item_ids: Sequence[int]) -> None:
    """End these items of fulfilled orders: their tickets are Voided wherever they are, their places for sale again.

    Each once: what was given back before is left alone. Their sections and orders are locked by the caller. A transfer
    that a ticket is part of ends, too. What was paid for the items is owed from now on; `close_orders` tells whether
    their orders have come to an end.
    """
    items = list(item_ids)
    await void_tickets(db, items)
    await db.execute(_RETURN, items)


async def close_orders(db: Connection, order_ids: Sequence[int]) -> None:
    """Write down which of these orders have come to their end: nothing of them is live, and nothing owed.

    A free order is Voided, one that was paid Refunded.
    """
    await db.execute(_CLOSE_ORDERS, list(order_ids))
