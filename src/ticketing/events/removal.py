"""Ending what was on sale: removing a section, removing an event, cancelling one."""

from ticketing.kit.database import Connection
from ticketing.letters.posting import Letter, post
from ticketing.web.callers import announce

from .changes import FORGET_PICTURES, WITHDRAW
from .errors import AlreadySubmitted, HasPaidTickets, HasSoldTickets, HasTakenPlace
from .holds import end_holds, lock_with_open_orders
from .queries import RunEvent
from .returning import close_orders, return_items
from .taking_place import has_taken_place

# Sold and not given back; a ticket that cost something makes its item a paid one.
_HAS_PAID = """
SELECT true FROM order_items item JOIN orders ON orders.id = item.order_id
 WHERE item.section_id = $1 AND item.price_cents > 0 AND item.returned_at IS NULL AND orders.status = 'Fulfilled'
 LIMIT 1"""

_LIVE_ITEMS = """
SELECT item.id, item.order_id FROM order_items item JOIN orders ON orders.id = item.order_id
 WHERE item.section_id = $1 AND item.returned_at IS NULL AND orders.status = 'Fulfilled' ORDER BY item.id"""

_LOCK_ORDERS = "SELECT FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"


async def remove_section(db: Connection, section_id: int, *, by_administrator: bool) -> None:
    """Remove a section for which nobody paid (administrators: any); its tickets are voided, its open orders end.

    Raises HasPaidTickets.
    """
    await lock_with_open_orders(db, [section_id])
    if not by_administrator and await db.fetchval(_HAS_PAID, section_id):
        raise HasPaidTickets
    await end_holds(db, [section_id])
    # Before the tickets change: it goes to whoever holds one now.
    event_id = await db.fetchval("SELECT event_id FROM sections WHERE id = $1", section_id)
    await post(db, [Letter("section_removed", about={"event": event_id, "section": section_id})])
    await _give_back(db, section_id)
    await db.execute("UPDATE sections SET removed_at = clock() WHERE id = $1", section_id)


async def _give_back(db: Connection, section_id: int) -> None:
    """Give back all that was sold in a locked section; the money follows by itself, from what is then owed."""
    live = await db.fetch(_LIVE_ITEMS, section_id)
    orders = sorted({row["order_id"] for row in live})
    await db.execute(_LOCK_ORDERS, orders)
    await return_items(db, [row["id"] for row in live])
    await close_orders(db, orders)


async def remove_event(db: Connection, event: RunEvent) -> None:
    """Remove an event nobody holds tickets to; its open orders and its gate keys end.

    Raises HasSoldTickets.
    """
    sections = await _lock_sections(db, event.id)
    if await db.fetchval("SELECT true FROM sections WHERE event_id = $1 AND sold > 0 LIMIT 1", event.id):
        raise HasSoldTickets
    await end_holds(db, sections)
    await _withdraw_submission(db, event.id)
    await db.execute("UPDATE events SET removed_at = clock() WHERE id = $1", event.id)
    await announce(db)


async def cancel_event(db: Connection, event: RunEvent, reason: str, *, by_administrator: bool) -> None:
    """Cancel an event: nothing is sold any more, its open orders end, its money goes back, holders are told why.

    Raises AlreadySubmitted the second time, HasTakenPlace when it ever was over or anybody was admitted (administrators
    may).
    """
    if event.status == "Cancelled":
        raise AlreadySubmitted
    if await has_taken_place(db, event.id) and not by_administrator:
        raise HasTakenPlace
    await end_holds(db, await _lock_sections(db, event.id))
    await _withdraw_submission(db, event.id)
    await db.execute("UPDATE events SET status = 'Cancelled', cancellation_reason = $2 WHERE id = $1", event.id, reason)
    await post(db, [Letter("event_cancelled", about={"event": event.id})])


async def _lock_sections(db: Connection, event_id: int) -> list[int]:
    """The sections of the event, locked with those that share open orders with them."""
    rows = await db.fetch("SELECT id FROM sections WHERE event_id = $1 AND removed_at IS NULL ORDER BY id", event_id)
    sections = [row["id"] for row in rows]
    await lock_with_open_orders(db, sections)
    return sections


async def _withdraw_submission(db: Connection, event_id: int) -> None:
    await db.execute(FORGET_PICTURES, event_id)
    await db.execute(WITHDRAW, event_id)
