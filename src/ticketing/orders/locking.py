"""Having an order to oneself: found, allowed, and locked until the transaction ends.

Everybody locks customers, then sections (each in id order), before orders, so that no two wait for each other.
"""

from dataclasses import dataclass
from datetime import datetime

from ticketing.accounts.locks import lock_accounts
from ticketing.events.holds import LOCK_SECTIONS
from ticketing.kit.database import Connection
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound

from . import rules
from .errors import NotTheCustomer

_FIND = "SELECT id, customer_id FROM orders WHERE number = $1"

_SECTIONS = "SELECT DISTINCT section_id FROM order_items WHERE order_id = $1 ORDER BY section_id"

_LOCK = """
SELECT id, number, customer_id, status, held_until, paying_until, subtotal_cents + fees_cents AS total_cents, currency,
       (SELECT removed_at IS NOT NULL OR NOT activated FROM accounts WHERE id = customer_id) AS customer_left,
       clock() AS now
  FROM orders WHERE id = $1 FOR UPDATE"""


@dataclass(frozen=True, slots=True)
class LockedOrder:
    """An order that nobody else decides about until the transaction ends; its sections are locked too.

    `status` is that for every reader, `stored` the one written down (a due order may still be Placed there).
    `customer_left` says that he was deleted or deactivated.
    """

    id: int
    number: str
    customer_id: int
    customer_left: bool
    status: rules.Status
    stored: rules.Status
    held_until: datetime | None
    paying_until: datetime | None
    total_cents: int
    currency: str
    sections: tuple[int, ...]
    now: datetime

    @property
    def uri(self) -> str:
        """What it is called."""
        return f"/orders/{self.number}"


async def find_managed(db: Connection, caller: Caller, number: str) -> int:
    """The id of the order, if this caller may decide about it: its customer or an administrator.

    Raises NotFound, NotTheCustomer.
    """
    row = await db.fetchrow(_FIND, rules.storable(number))
    if row is None:
        raise NotFound
    if row["customer_id"] != caller.account and not caller.administers:
        raise NotTheCustomer
    return int(row["id"])


async def lock_order(db: Connection, order_id: int) -> LockedOrder:
    """The order, locked, as it is then; its customer and its sections first."""
    await lock_accounts(db, [await db.fetchval("SELECT customer_id FROM orders WHERE id = $1", order_id) or 0])
    sections = [row["section_id"] for row in await db.fetch(_SECTIONS, order_id)]
    await db.execute(LOCK_SECTIONS, sections)
    row = await db.fetchrow(_LOCK, order_id)
    if row is None:
        raise NotFound
    return LockedOrder(
        id=row["id"],
        number=row["number"],
        customer_id=row["customer_id"],
        customer_left=bool(row["customer_left"]),
        status=rules.status_now(row["status"], row["held_until"], row["now"]),
        stored=rules.Status(row["status"]),
        held_until=row["held_until"],
        paying_until=row["paying_until"],
        total_cents=row["total_cents"],
        currency=row["currency"],
        sections=tuple(sections),
        now=row["now"],
    )
