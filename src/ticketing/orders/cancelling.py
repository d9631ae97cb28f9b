"""Giving an order up before it is paid."""

from dataclasses import dataclass

from ticketing.kit.callers import Caller
from ticketing.kit.database import Connection
from ticketing.kit.errors import NotFound

from . import rules
from .errors import NotCancellable, NotTheCustomer
from .holds import LOCK_SECTIONS, release


@dataclass(frozen=True)
class LockedOrder:
    """An order that nobody else decides about until the transaction ends; its sections are locked too."""

    id: int
    customer_id: int
    status: rules.Status


async def lock_order(db: Connection, caller: Caller, number: str) -> LockedOrder:
    """The order, locked, if this caller may decide about it: its customer or an administrator.

    Sections are locked before the order, as everywhere. Raises NotFound, NotTheCustomer.
    """
    found = await db.fetchrow(
        "SELECT id, customer_id, ARRAY(SELECT section_id FROM order_items WHERE order_id = orders.id) AS sections"
        " FROM orders WHERE number = $1",
        number if number.isalnum() else "",
    )
    if found is None:
        raise NotFound
    if found["customer_id"] != caller.account and not caller.administers:
        raise NotTheCustomer
    await db.execute(LOCK_SECTIONS, found["sections"])
    row = await db.fetchrow(
        "SELECT status, held_until, clock() AS now FROM orders WHERE id = $1 FOR UPDATE", found["id"]
    )
    if row is None:
        raise NotFound
    status = rules.status_now(row["status"], row["held_until"], row["now"])
    return LockedOrder(found["id"], found["customer_id"], status)


async def cancel_order(db: Connection, order: LockedOrder) -> None:
    """Cancel a locked order; its places are free at once.

    Raises NotCancellable unless it waits for payment.
    """
    if order.status is not rules.Status.PLACED:
        raise NotCancellable(order.status)
    await release(db, order.id)
    await db.execute("UPDATE orders SET status = 'Cancelled', held_until = NULL WHERE id = $1", order.id)
