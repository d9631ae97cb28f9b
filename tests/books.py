"""The books, kept a second time: every figure of a report from orders, payments, refunds and tickets, in plain Python.

What was sold is told by the tickets alone - one was issued for each place, and it is Voided when its place was given
back - and what was repaid by the parts of the refunds that are done, so that nothing the reports themselves go by is
looked at. All amounts are in cents.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from conftest import Client

_TICKETS = """
SELECT ticket.status, item.event_id, item.section_id, item.order_id, item.price_cents, item.fee_cents,
       event.host_id, event.timezone, orders.customer_id, orders.placed_at,
       EXISTS (SELECT FROM refund_items part JOIN refunds refund ON refund.id = part.refund_id
                WHERE part.item_id = item.id AND refund.status = 'Authorised') AS is_repaid
  FROM tickets ticket JOIN order_items item ON item.id = ticket.item_id JOIN orders ON orders.id = item.order_id
       JOIN events event ON event.id = item.event_id"""


@dataclass
class Books:
    """What happened, ticket by ticket, and every payment and refund."""

    tickets: list[asyncpg.Record]
    payments: list[asyncpg.Record]
    refunds: list[asyncpg.Record]

    def of(self, **facts: Any) -> "Figures":
        """The figures of the tickets with these facts: `of(event_id=1)`."""
        figures = Figures()
        for ticket in self.tickets:
            if all(ticket[name] == value for name, value in facts.items()):
                figures.add(ticket)
        return figures

    def by(self, group: str, event_id: int, since: date = date.min, until: date = date.max) -> dict[str, "Figures"]:
        """The rows of an event's sales report, by their keys."""
        rows: dict[str, Figures] = defaultdict(Figures)
        for ticket in self.tickets:
            day = ticket["placed_at"].astimezone(ZoneInfo(ticket["timezone"])).date()
            if ticket["event_id"] == event_id and since <= day <= until:
                rows[_key(group, ticket, day)].add(ticket)
        return dict(rows)


@dataclass
class Figures:
    """Sums over tickets."""

    orders: set[int] = field(default_factory=set)
    customers: set[int] = field(default_factory=set)
    tickets: int = 0
    gross: int = 0
    fees: int = 0
    refunded: int = 0

    def add(self, ticket: asyncpg.Record) -> None:
        self.gross += ticket["price_cents"]
        if ticket["is_repaid"]:
            self.refunded += ticket["price_cents"]
        else:
            self.fees += ticket["fee_cents"]
        if ticket["status"] != "Voided":
            self.orders.add(ticket["order_id"])
            self.customers.add(ticket["customer_id"])
            self.tickets += 1

    def shown(self) -> dict[str, Any]:
        """As a row of a sales report shows them."""
        return {
            "orders": len(self.orders),
            "tickets": self.tickets,
            "gross": self.gross / 100,
            "fees": self.fees / 100,
            "refunded": self.refunded / 100,
            "net": (self.gross - self.refunded) / 100,
        }


async def read_books(db: asyncpg.Connection) -> Books:
    """Everything, as it is now."""
    return Books(
        await db.fetch(_TICKETS),
        await db.fetch("SELECT * FROM payments"),
        await db.fetch("SELECT * FROM refunds"),
    )


async def check_books(db: asyncpg.Connection, auditor: Client) -> Books:
    """Compare every report of every event and host, and the list of transactions, with the books."""
    books = await read_books(db)
    for event in await db.fetch("SELECT id, host_id FROM events WHERE removed_at IS NULL"):
        await _check_event(db, auditor, books, event["id"])
    parts = 0
    for host in await db.fetch("SELECT id FROM hosts WHERE removed_at IS NULL"):
        parts += await _check_host(db, auditor, books, host["id"])
    assert await _check_money(auditor, books) == parts
    return books


async def _check_event(db: asyncpg.Connection, auditor: Client, books: Books, event_id: int) -> None:
    figures = books.of(event_id=event_id)
    capacity = "SELECT coalesce(sum(capacity), 0) FROM sections WHERE event_id = $1 AND removed_at IS NULL"
    sold = "SELECT coalesce(sum(sold), 0) FROM sections WHERE event_id = $1"
    assert figures.tickets == await db.fetchval(sold, event_id)
    assert (await auditor.get(f"/events/{event_id}/statistics")).body == {
        "self": f"/events/{event_id}/statistics",
        "capacity": await db.fetchval(capacity, event_id),
        "orders": len(figures.orders),
        "revenue": (figures.gross - figures.refunded) / 100,
        "tickets": figures.tickets,
    }
    days = sorted(date.fromisoformat(day) for day in books.by("day", event_id))
    spans = [(date.min, date.max)]
    if days:
        spans += [(days[0], days[len(days) // 2]), (days[-1], days[-1]), (days[0] + timedelta(1), date.max)]
    for since, until in spans:
        for group in ("section", "day", "week", "month"):
            await _check_sales(auditor, books, event_id, group, since, until)


async def _check_sales(auditor: Client, books: Books, event_id: int, group: str, since: date, until: date) -> None:
    report = await auditor.get(f"/events/{event_id}/sales", **{"from": since, "to": until, "group": group})
    assert report.status == 200, report.body
    expected = books.by(group, event_id, since, until)
    shown = {row.pop("key"): row for row in report["rows"]}
    for row in shown.values():
        assert row.pop("name")
    nothing = Figures().shown()
    assert {key: row for key, row in shown.items() if row != nothing} == {
        key: row.shown() for key, row in expected.items() if row.shown() != nothing
    }
    total = Figures()
    for ticket in books.tickets:
        if expected and ticket["event_id"] == event_id:
            day = ticket["placed_at"].astimezone(ZoneInfo(ticket["timezone"])).date()
            if since <= day <= until:
                total.add(ticket)
    assert report["totals"] == total.shown()


async def _check_host(db: asyncpg.Connection, auditor: Client, books: Books, host_id: int) -> int:
    """Returns what the host's transactions come to."""
    figures = books.of(host_id=host_id)
    assert (await auditor.get(f"/hosts/{host_id}/statistics")).body == {
        "self": f"/hosts/{host_id}/statistics",
        "events": await db.fetchval("SELECT count(*) FROM events WHERE host_id = $1 AND removed_at IS NULL", host_id),
        "orders": len(figures.orders),
        "revenue": (figures.gross - figures.refunded) / 100,
        "tickets": figures.tickets,
        "customers": len(figures.customers),
    }
    moved = await _moved(auditor, host=host_id)
    events = await db.fetch("SELECT id FROM events WHERE host_id = $1", host_id)
    assert moved == sum([await _moved(auditor, event=event["id"]) for event in events])
    return moved


async def _check_money(auditor: Client, books: Books) -> int:
    """Returns what all transactions come to: what was sold and not given back, with its fees, and what is too late."""
    charged = sum(row["amount_cents"] for row in books.payments if row["status"] == "Authorised")
    given_back = sum(row["amount_cents"] for row in books.refunds if row["status"] == "Authorised")
    to_return = sum(row["amount_cents"] for row in books.payments if row["status"] == "Authorised" and not row["kept"])
    returned = sum(row["amount_cents"] for row in books.refunds if row["status"] == "Authorised" and row["whole"])
    everything = books.of()
    kept = everything.gross - everything.refunded + everything.fees
    assert charged - given_back == kept + to_return - returned
    moved = await _moved(auditor)
    assert moved == charged - given_back
    return moved


async def _moved(auditor: Client, **party: int) -> int:
    """What the transactions of a party come to: authorised payments less authorised refunds."""
    total, page = 0, 0
    while True:
        page += 1
        listed = await auditor.get("/transactions", status="Authorised", records=500, page=page, **party)
        assert listed.status == 200, listed.body
        total += sum(round(one["amount"] * 100) * (1 if one["type"] == "payment" else -1) for one in listed["entries"])
        if page * 500 >= listed["total"]:
            return total


def _key(group: str, ticket: asyncpg.Record, day: date) -> str:
    if group == "section":
        return str(ticket["section_id"])
    return day.strftime({"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[group])
