"""Places that orders hold until they are paid, given up, or their time is over; and how they are given back.

Whoever changes what a section holds locks it first, and everybody locks sections in the order of their ids: also to
give back, for an unordered UPDATE deadlocks with a claim. An event is locked before its sections.
"""

from collections.abc import Sequence
from datetime import datetime

from ticketing.kit.database import Connection
from ticketing.letters.posting import Letter, post

LOCK_SECTIONS = "SELECT FROM sections WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"

# What is freed goes back to the counters of sections and prices.
_FREE = """
WITH freed AS (
    UPDATE order_items SET held_until = NULL WHERE {which} RETURNING section_id, price_id, quantity),
counted AS (
    UPDATE sections section SET held = section.held - given.quantity
      FROM (SELECT section_id, sum(quantity)::int AS quantity FROM freed GROUP BY section_id) given
     WHERE section.id = given.section_id)
UPDATE prices price SET used = price.used - given.quantity
  FROM (SELECT price_id, sum(quantity)::int AS quantity FROM freed WHERE price_id IS NOT NULL GROUP BY price_id) given
 WHERE price.id = given.price_id"""
_EXPIRE = _FREE.format(
    which="section_id = ANY($1::bigint[]) AND held_until <= (SELECT coalesce($2::timestamptz, clock()))"
)
_RELEASE = _FREE.format(which="order_id = ANY($1::bigint[]) AND held_until IS NOT NULL")

_OPEN_ORDERS = """
SELECT DISTINCT order_id FROM order_items
 WHERE section_id = ANY($1::bigint[]) AND held_until IS NOT NULL ORDER BY order_id"""

# One whose time is over has timed out, whatever is ended here.
_CANCEL = """
UPDATE orders SET status = CASE WHEN held_until <= (SELECT clock()) THEN 'Timed Out' ELSE 'Cancelled' END,
                  held_until = NULL
 WHERE status = 'Placed' AND id = ANY($1::bigint[])
RETURNING id, customer_id, status"""

_SECTIONS_OF_OPEN_ORDERS = """
SELECT DISTINCT other.section_id FROM order_items item JOIN order_items other ON other.order_id = item.order_id
 WHERE item.section_id = ANY($1::bigint[]) AND item.held_until IS NOT NULL AND other.held_until IS NOT NULL"""


async def expire_due(db: Connection, section_ids: Sequence[int], now: datetime | None = None) -> None:
    """Give back what is due in these sections, which the caller has locked; the orders' own rows are tidied later.

    `now` is the moment of the caller's decision, if that was taken already.
    """
    await db.execute(_EXPIRE, list(section_ids), now)


async def release(db: Connection, order_ids: Sequence[int]) -> None:
    """Free what these orders still hold; their sections are locked by the caller."""
    await db.execute(_RELEASE, list(order_ids))


async def lock_with_open_orders(db: Connection, section_ids: Sequence[int]) -> None:
    """Lock these sections and all others that their open orders hold places in."""
    wanted = await _with_open_orders(db, set(section_ids))
    locked: set[int] = set()
    while not wanted <= locked:
        await db.execute(LOCK_SECTIONS, sorted(wanted))
        locked = wanted
        # What was ordered while we waited; once locked, nothing more is.
        wanted = await _with_open_orders(db, locked)


async def _with_open_orders(db: Connection, section_ids: set[int]) -> set[int]:
    return section_ids | {row["section_id"] for row in await db.fetch(_SECTIONS_OF_OPEN_ORDERS, list(section_ids))}


async def end_holds(db: Connection, section_ids: Sequence[int]) -> None:
    """End every open order that holds places in these sections, wherever else it holds some.

    An order for a part of what was asked is not what was asked, so it is cancelled whole. One that is being paid is
    ended too: its payment is cancelled at the provider, or the money goes back. The caller has locked with
    `lock_with_open_orders`.
    """
    orders = [row["order_id"] for row in await db.fetch(_OPEN_ORDERS, list(section_ids))]
    await release(db, orders)
    ended = await db.fetch(_CANCEL, orders)
    await post(
        db,
        [
            Letter("order_timed_out", account=order["customer_id"], about={"order": order["id"]})
            for order in ended
            if order["status"] == "Timed Out"
        ],
    )
