"""Turning a paid order into tickets."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ticketing.events.holds import expire_due
from ticketing.kit.database import Connection, Row
from ticketing.tickets.rules import new_serial

from .locking import LockedOrder

TICKET_COLUMNS = 6

_READ_ITEMS = """
SELECT item.id, item.event_id, item.section_id, item.quantity, item.held_until IS NOT NULL AS is_held,
       event.title, section.name,
       section.removed_at IS NULL AND event.removed_at IS NULL AND event.status <> 'Cancelled' AS is_offered,
       event.over_at <= (SELECT clock()) AS is_over
  FROM order_items item JOIN sections section ON section.id = item.section_id
       JOIN events event ON event.id = item.event_id
 WHERE item.order_id = $1 ORDER BY item.id"""

# Whether what the order no longer holds could be had again, at the price it was ordered for.
_HAS_ROOM = """
SELECT NOT EXISTS (
    SELECT FROM (SELECT section_id, sum(quantity) AS wanted FROM order_items
                  WHERE order_id = $1 AND held_until IS NULL GROUP BY section_id) lost
           JOIN sections section ON section.id = lost.section_id
     WHERE section.sold + section.held + lost.wanted > section.capacity)
   AND NOT EXISTS (
    SELECT FROM (SELECT price_id, sum(quantity) AS wanted FROM order_items
                  WHERE order_id = $1 AND held_until IS NULL AND price_id IS NOT NULL GROUP BY price_id) lost
           JOIN prices price ON price.id = lost.price_id
     WHERE price.used + lost.wanted > price.quantity)"""

_FULFIL = """
WITH items AS (
    SELECT id, section_id, price_id, quantity, CASE WHEN held_until IS NULL THEN 0 ELSE quantity END AS held
      FROM order_items WHERE order_id = $1),
counted AS (
    UPDATE sections section SET sold = section.sold + taken.quantity, held = section.held - taken.held
      FROM (SELECT section_id, sum(quantity)::int AS quantity, sum(held)::int AS held FROM items GROUP BY 1) taken
     WHERE section.id = taken.section_id),
priced AS (
    UPDATE prices price SET used = price.used + taken.lost
      FROM (SELECT price_id, sum(quantity - held)::int AS lost FROM items WHERE price_id IS NOT NULL GROUP BY 1) taken
     WHERE price.id = taken.price_id AND taken.lost > 0),
sold AS (
    UPDATE order_items SET held_until = NULL, sold_at = $2, customer_id = $9 WHERE order_id = $1),
paid AS (
    UPDATE orders SET status = 'Fulfilled', held_until = NULL, paying_until = NULL WHERE id = $1)
INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at, changed_at)
SELECT id, serial, item_id, event_id, section_id, owner_id, 'Issued', $2, $2
  FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
       AS new (id, serial, item_id, event_id, section_id, owner_id)"""


async def can_fulfil(db: Connection, order: LockedOrder) -> tuple[bool, bool]:
    """Whether the order's places can be sold to it, and whether it still holds them all.

    Places whose time is over are still the order's while nobody took them; lost ones can be had again as long as
    they are free, on offer, and no event is over. Nothing is sold to a customer who left.
    """
    items = await _read_items(db, order.id)
    if order.customer_left or not all(item["is_offered"] for item in items):
        return False, False
    if all(item["is_held"] for item in items):
        return True, True
    if any(item["is_over"] for item in items):
        return False, False
    await expire_due(db, order.sections, order.now)
    return bool(await db.fetchval(_HAS_ROOM, order.id)), False


async def fulfil(db: Connection, order: LockedOrder, new_id: Callable[[], int]) -> None:
    """Sell a locked order its places and issue its tickets; whether that is possible, `can_fulfil` told."""
    tickets: list[tuple[Any, ...]] = []
    for item in await _read_items(db, order.id):
        tickets += ticket_rows(
            new_id,
            item["title"],
            item["name"],
            item["id"],
            item["event_id"],
            item["section_id"],
            order.customer_id,
            item["quantity"],
        )
    await db.execute(_FULFIL, order.id, order.now, *columns(tickets, TICKET_COLUMNS), order.customer_id)


async def set_hold(db: Connection, order_id: int, held_until: datetime, paying_until: datetime | None) -> None:
    """Move the end of what a locked order holds; items that lost their places do not get them back."""
    await db.execute(
        "UPDATE order_items SET held_until = $2 WHERE order_id = $1 AND held_until IS NOT NULL", order_id, held_until
    )
    await db.execute(
        "UPDATE orders SET held_until = $2, paying_until = $3 WHERE id = $1 AND status = 'Placed'",
        order_id,
        held_until,
        paying_until,
    )


def ticket_rows(
    new_id: Callable[[], int],
    event_title: str,
    section_name: str,
    item_id: int,
    event_id: int,
    section_id: int,
    owner_id: int,
    quantity: int,
) -> list[tuple[Any, ...]]:
    """The tickets of an item: id, serial, item, event, section, owner."""
    return [
        (new_id(), new_serial(event_title, section_name), item_id, event_id, section_id, owner_id)
        for _ in range(quantity)
    ]


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one array per column, for `unnest`."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def _read_items(db: Connection, order_id: int) -> list[Row]:
    return list(await db.fetch(_READ_ITEMS, order_id))
