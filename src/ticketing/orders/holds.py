"""Holds: places that an order keeps until it is paid, given up, or its time is over."""

from collections.abc import Sequence
from datetime import datetime

from ticketing.kit.database import Connection

# In id order, by everybody: also to give back, for an unordered UPDATE deadlocks with a claim.
LOCK_SECTIONS = "SELECT FROM sections WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"

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
_EXPIRE = _FREE.format(which="section_id = ANY($1::bigint[]) AND held_until <= $2")
_RELEASE = _FREE.format(which="order_id = ANY($1::bigint[]) AND held_until IS NOT NULL")


async def expire_due(db: Connection, section_ids: Sequence[int], now: datetime) -> None:
    """Free what is due in these sections, which the caller has locked. The orders' own rows are tidied later."""
    await db.execute(_EXPIRE, section_ids, now)


async def release(db: Connection, order_id: int) -> None:
    """Free what an order still holds; its sections are locked by the caller."""
    await db.execute(_RELEASE, [order_id])


async def release_all(db: Connection, order_ids: Sequence[int]) -> None:
    """Free what these orders still hold; their sections are locked by the caller."""
    await db.execute(_RELEASE, order_ids)
