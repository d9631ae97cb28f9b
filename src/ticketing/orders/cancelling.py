"""Giving an order up before it is paid."""

from ticketing.events.holds import release
from ticketing.kit.database import Connection

from . import rules
from .errors import BeingPaid, NotCancellable
from .locking import LockedOrder


async def cancel_order(db: Connection, order: LockedOrder) -> None:
    """Cancel a locked order; its places are free at once.

    They count against its customer for the length of a hold, see `placing`.

    Raises NotCancellable unless it waits for payment, BeingPaid while the money may be on its way.
    """
    if order.status is not rules.Status.PLACED:
        raise NotCancellable(order.status)
    if order.paying_until is not None:
        raise BeingPaid
    await release(db, [order.id])
    await db.execute("UPDATE orders SET status = 'Cancelled', held_until = clock() WHERE id = $1", order.id)
