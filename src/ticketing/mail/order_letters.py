"""Letters about orders, payments and refunds."""

from typing import Any

from ticketing.kit.database import Row

from .content import Compose, Content, Desk
from .happenings import find_happenings
from .rendering import title, words

_ORDER = """
SELECT id, number, status, currency, subtotal_cents, fees_cents, subtotal_cents + fees_cents AS total_cents
  FROM orders WHERE id = $1 AND customer_id = $2"""

_ITEMS = """
SELECT item.event_id, section.name, item.quantity, item.price_cents * item.quantity AS amount_cents
  FROM order_items item JOIN sections section ON section.id = item.section_id
 WHERE {which} ORDER BY item.id"""
_ITEMS_OF_ORDER = _ITEMS.format(which="item.order_id = $1")
_ITEMS_OF_REFUND = _ITEMS.format(which="item.id IN (SELECT item_id FROM refund_items WHERE refund_id = $1)")

_REFUND = """
SELECT refund.id, refund.order_id, refund.amount_cents, refund.currency, refund.reason, orders.number
  FROM refunds refund JOIN orders ON orders.id = refund.order_id
 WHERE refund.id = $1 AND orders.customer_id = $2"""


def money(cents: int, currency: str) -> str:
    """`31.98 USD`."""
    return f"{cents // 100:,}.{cents % 100:02d} {currency}"


async def _order_fulfilled(desk: Desk) -> Content | None:
    order = await _find_order(desk)
    if order is None or order["status"] != "Fulfilled":
        return None
    return Content(await _order_facts(desk, order), tickets_of=order["id"])


async def _order_timed_out(desk: Desk) -> Content | None:
    order = await _find_order(desk)
    if order is None:
        return None
    return Content(await _order_facts(desk, order))


async def _refund(desk: Desk) -> Content | None:
    refund = await desk.db.fetchrow(_REFUND, desk.about["refund"], desk.person.id)
    if refund is None:
        return None
    lines = await desk.db.fetch(_ITEMS_OF_REFUND, refund["id"])
    return Content(
        {
            "number": refund["number"],
            "amount": money(refund["amount_cents"], refund["currency"]),
            "reason": words(refund["reason"]),
            **await _lines(desk, lines, refund["currency"]),
        }
    )


async def _find_order(desk: Desk) -> Row | None:
    return await desk.db.fetchrow(_ORDER, desk.about["order"], desk.person.id)


async def _order_facts(desk: Desk, order: Row) -> dict[str, Any]:
    """`number`, the sums, `events` with their `lines`, and how many tickets."""
    currency = order["currency"]
    return {
        "number": order["number"],
        "free": order["total_cents"] == 0,
        "subtotal": money(order["subtotal_cents"], currency),
        "fees": money(order["fees_cents"], currency) if order["fees_cents"] else "",
        "total": money(order["total_cents"], currency),
        **await _lines(desk, await desk.db.fetch(_ITEMS_OF_ORDER, order["id"]), currency),
    }


async def _lines(desk: Desk, rows: list[Row], currency: str) -> dict[str, Any]:
    """`events`: pairs of an event and its lines (section, quantity, amount); `count` of tickets over all."""
    happenings = await find_happenings(desk.db, list({row["event_id"] for row in rows}))
    events = [
        (
            happening,
            [
                {
                    "section": title(row["name"]),
                    "quantity": row["quantity"],
                    "amount": money(row["amount_cents"], currency) if row["amount_cents"] else "free",
                }
                for row in rows
                if row["event_id"] == happening.id
            ],
        )
        for happening in happenings
    ]
    return {"events": events, "count": sum(row["quantity"] for row in rows)}


COMPOSERS: dict[str, Compose] = {
    "order_fulfilled": _order_fulfilled,
    "order_timed_out": _order_timed_out,
    "refund": _refund,
    "payment_returned": _refund,
}
