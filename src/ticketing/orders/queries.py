"""Reading orders, for who may."""

from typing import Any

import msgspec

from ticketing.accounts.queries import ShortAccount, build_short_account, short_columns
from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.kit.money import to_amount
from ticketing.tickets.printing import has_sheets
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound
from ticketing.web.paging import Always, Filter, Listing, condition_of

from .errors import NothingToSend, NotTheCustomer
from .rules import Status, storable
from .schemas import Item, Order

# The status for every reader; see rules.status_now.
STATUS_NOW = (
    "CASE WHEN orders.status = 'Placed' AND orders.held_until <= clock() THEN 'Timed Out' ELSE orders.status END"
)

_COLUMNS = f"""
    orders.number, {STATUS_NOW} AS status, orders.placed_at,
    coalesce(orders.paying_until, orders.held_until) AS held_until, orders.subtotal_cents,
    orders.fees_cents, {short_columns("customer", "customer_")},
    (SELECT json_agg(json_build_array(item.event_id, item.section_id, replace(item.number::text, '-', ''), event.title,
                                      section.name, section.description, item.price_cents, item.quantity)
                     ORDER BY item.id)
       FROM order_items item JOIN sections section ON section.id = item.section_id
            JOIN events event ON event.id = item.event_id
      WHERE item.order_id = orders.id)::text AS items"""

# An outer join although it finds its row: who only counts does not read it.
_SOURCE = "orders LEFT JOIN accounts customer ON customer.id = orders.customer_id"

_IS_DUE = "orders.status = 'Placed' AND orders.held_until <= (SELECT clock())"
_STATUS_FILTER = condition_of(
    {status.value: f"orders.status = '{status.value}'" for status in Status}
    | {
        Status.PLACED: "orders.status = 'Placed' AND (orders.held_until > (SELECT clock())) IS NOT FALSE",
        Status.TIMED_OUT: f"(orders.status = 'Timed Out' OR ({_IS_DUE}))",
        "Returned": "orders.status = 'Refunded'",
    }
)


def build_order(row: Row) -> Order:
    """An order as the API shows it."""
    items = msgspec.json.decode(row["items"]) if row["items"] else []
    return order_on_the_wire(
        number=row["number"],
        status=row["status"],
        placed_at=row["placed_at"],
        held_until=row["held_until"],
        subtotal_cents=row["subtotal_cents"],
        fees_cents=row["fees_cents"],
        items=[build_item(*item) for item in items],
        customer=build_short_account(row, "customer_"),
    )


def build_order_without_customer(row: Row) -> Order:
    """An entry of somebody's order history."""
    order = build_order(row)
    order.customer = msgspec.UNSET
    return order


def build_item(
    event_id: int, section_id: int, number: str, title: str, name: str, description: str, cents: int, quantity: int
) -> Item:
    """An item of an order; `cents` per ticket."""
    return Item(
        section=f"/events/{event_id}/sections/{section_id}",
        number=number,
        name=f"{title}: {name}",
        description=description,
        price=to_amount(cents),
        quantity=quantity,
    )


def order_on_the_wire(
    *,
    number: str,
    status: str,
    placed_at: Any,
    held_until: Any,
    subtotal_cents: int,
    fees_cents: int,
    items: list[Item],
    customer: ShortAccount,
) -> Order:
    """An order from its facts; `expires` is told while it waits for payment."""
    return Order(
        uri=f"/orders/{number}",
        number=number,
        status=status,
        placed=clock.stamp(placed_at),
        subtotal=to_amount(subtotal_cents),
        fees=to_amount(fees_cents),
        total=to_amount(subtotal_cents + fees_cents),
        items=items,
        payments=f"/orders/{number}/payments",
        refunds=f"/orders/{number}/refunds",
        expires=clock.stamp(held_until) if held_until and status == Status.PLACED else "",
        customer=customer,
    )


_SORTS = {"date": Always("orders.placed_at")}

ORDERS: Listing[Order] = Listing(
    source=_SOURCE,
    columns=_COLUMNS,
    id="orders.id",
    build=build_order,
    filters={
        "customer": Filter("orders.customer_id = (SELECT id FROM accounts WHERE number = {})", str),
        "status": _STATUS_FILTER,
    },
    sorts=_SORTS,
    key="orders.id",
)

ORDER_HISTORY: Listing[Order] = Listing(
    source=_SOURCE,
    columns=_COLUMNS,
    id="orders.id",
    build=build_order_without_customer,
    filters={"status": _STATUS_FILTER},
    sorts=_SORTS,
    key="orders.id",
)


async def order_for(db: Connection, caller: Caller, number: str) -> Order:
    """The order, if this caller may see it: its customer, support, administrators.

    Raises NotFound for a number nobody has, NotTheCustomer for another's order.
    """
    row = await db.fetchrow(
        f"SELECT orders.customer_id, {_COLUMNS} FROM {_SOURCE} WHERE orders.number = $1", storable(number)
    )
    return build_order(_if_seen(caller, row))


async def readable_order(db: Connection, caller: Caller, number: str) -> int:
    """The id of the order, if this caller may see it. Raises NotFound, NotTheCustomer."""
    row = await db.fetchrow("SELECT id, customer_id FROM orders WHERE number = $1", storable(number))
    return int(_if_seen(caller, row)["id"])


async def sendable_order(db: Connection, caller: Caller, number: str) -> Row:
    """The id and customer of an order whose tickets can be mailed to its customer, if this caller may see it.

    Raises NotFound, NotTheCustomer, NothingToSend.
    """
    row = await db.fetchrow(
        "SELECT orders.id, orders.customer_id, orders.status = 'Fulfilled' AND customer.email <> ''"
        " AND customer.removed_at IS NULL AND NOT customer.integration AS has_reader"
        f" FROM {_SOURCE} WHERE orders.number = $1",
        storable(number),
    )
    order = _if_seen(caller, row)
    if not (order["has_reader"] and await has_sheets(db, order["id"])):
        raise NothingToSend
    return order


def _if_seen(caller: Caller, row: Row | None) -> Row:
    if row is None:
        raise NotFound
    if row["customer_id"] != caller.account and not caller.reads_people:
        raise NotTheCustomer
    return row


async def get_order(db: Connection, order_id: int) -> Order:
    """The order with this id. Raises NotFound."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE orders.id = $1", order_id)
    if row is None:
        raise NotFound
    return build_order(row)
