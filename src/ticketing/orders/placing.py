"""Placing what arrived together, in one transaction.

Everything is read and written set-based: the number of statements does not depend on the number of orders. Locks are
taken in one order by everybody - customers, then sections, each by id - so a deadlock needs somebody who does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from ticketing.accounts.locks import lock_accounts
from ticketing.accounts.queries import ShortAccount, build_short_account, short_columns
from ticketing.events.holds import LOCK_SECTIONS, expire_due
from ticketing.kit.database import Connection, Row
from ticketing.letters.posting import Letter, post

from . import rules
from .fulfilling import TICKET_COLUMNS, columns, ticket_rows
from .rules import Granted, Limits, PriceState, Refused, SectionState, Usage, Wish

# After the lock: whoever was deleted or deactivated meanwhile orders nothing, and two processes cannot both see room
# for one more. An open order is told by its hold, not by `status = 'Placed'`: by that the database may find it among
# all open orders, as long as its statistics are from before the on-sale. Of the events in $2 a customer has his live
# tickets, what is held, and holds that lapsed or were given up less than the length of a hold ($3) ago: otherwise who
# cancels and orders anew has the places for ever.
_READ_CUSTOMERS = f"""
SELECT customer.id, {short_columns("customer")}, customer.verified,
       (SELECT count(*) FROM orders
         WHERE orders.customer_id = customer.id AND orders.held_until > (SELECT clock())
           AND orders.status <> 'Timed Out')::int
       AS open_orders,
       (SELECT json_object_agg(counted.event_id, counted.tickets)::text
          FROM (SELECT had.event_id, sum(had.quantity)::int AS tickets
                  FROM (SELECT item.event_id, item.quantity FROM order_items item
                         WHERE item.customer_id = customer.id AND item.event_id = ANY($2::bigint[])
                           AND item.sold_at IS NOT NULL AND item.returned_at IS NULL
                        UNION ALL
                        SELECT item.event_id, item.quantity
                          FROM orders JOIN order_items item ON item.order_id = orders.id
                         WHERE orders.customer_id = customer.id
                           AND orders.held_until > (SELECT clock() - make_interval(secs => $3))
                           AND item.event_id = ANY($2::bigint[])) had
                 GROUP BY had.event_id) counted)
       AS tickets
  FROM accounts customer WHERE customer.id = ANY($1::bigint[]) AND customer.removed_at IS NULL AND customer.activated"""

# After the lock, in a statement (so a snapshot, and a clock) of its own: a cancelled event or a removed section that
# committed while we waited is seen. What is due is asked of the first hold to end: asked whether any has ended, the
# database may expect to meet one soon by reading on, and reads all there are.
_READ_SECTIONS = """
WITH now AS MATERIALIZED (SELECT clock() AS at)
SELECT now.at, section.id, section.event_id, event.title, section.name, section.description,
       section.capacity - section.sold - section.held AS free, section.base_price_cents,
       event.status = 'Cancelled' AS cancelled, event.tickets_per_customer,
       event.status = 'Listed' AND event.over_at > now.at AND section.active
           AND (section.sales_start IS NULL OR section.sales_start <= now.at)
           AND (section.sales_end IS NULL OR section.sales_end > now.at) AS on_sale,
       coalesce((SELECT item.held_until FROM order_items item
                  WHERE item.section_id = section.id AND item.held_until IS NOT NULL
                  ORDER BY item.held_until LIMIT 1) <= now.at, false) AS has_due,
       (SELECT json_agg(json_build_array(price.id, price.price_cents, price.quantity - price.used))
          FROM prices price
         WHERE price.section_id = section.id AND price.removed_at IS NULL
           AND (price.opens_at IS NULL OR price.opens_at <= now.at)
           AND (price.closes_at IS NULL OR price.closes_at > now.at))::text AS prices
  FROM now, sections section JOIN events event ON event.id = section.event_id
 WHERE section.id = ANY($1::bigint[]) AND section.removed_at IS NULL AND event.removed_at IS NULL"""

_WRITE = """
WITH counted AS (
    UPDATE sections section SET sold = section.sold + taken.sold, held = section.held + taken.held
      FROM unnest($1::bigint[], $2::int[], $3::int[]) AS taken (id, sold, held)
     WHERE section.id = taken.id),
priced AS (
    UPDATE prices price SET used = price.used + taken.used
      FROM unnest($4::bigint[], $5::int[]) AS taken (id, used)
     WHERE price.id = taken.id),
placed AS (
    INSERT INTO orders (id, number, customer_id, status, placed_at, held_until, subtotal_cents, fees_cents, currency)
    SELECT id, number, customer_id, status, $6, held_until, subtotal_cents, fees_cents, $7
      FROM unnest($8::bigint[], $9::text[], $10::bigint[], $11::text[], $12::timestamptz[], $13::bigint[],
                  $14::bigint[])
           AS new (id, number, customer_id, status, held_until, subtotal_cents, fees_cents)),
itemised AS (
    INSERT INTO order_items (id, order_id, event_id, section_id, price_id, number, quantity, price_cents, fee_cents,
                             held_until, sold_at, customer_id)
    SELECT * FROM unnest($15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::uuid[],
                         $21::int[], $22::bigint[], $23::bigint[], $24::timestamptz[], $25::timestamptz[],
                         $26::bigint[]))
INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at, changed_at)
SELECT id, serial, item_id, event_id, section_id, owner_id, 'Issued', $6, $6
  FROM unnest($27::bigint[], $28::text[], $29::bigint[], $30::bigint[], $31::bigint[], $32::bigint[])
       AS new (id, serial, item_id, event_id, section_id, owner_id)"""


_tickets = msgspec.json.Decoder(dict[int, int], strict=False)


@dataclass(frozen=True, slots=True)
class Placement:
    """A placed order with all that its answer says."""

    granted: Granted
    customer: ShortAccount
    placed_at: datetime
    held_until: datetime | None
    item_numbers: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What orders are placed under: limits, fees by price in cents, hold time, currency."""

    limits: Limits
    fee: Callable[[int], int]
    hold_seconds: int
    currency: str


async def place_orders(
    db: Connection, wishes: Sequence[Wish], terms: Terms, new_id: Callable[[], int]
) -> list[Placement | Refused]:
    """Place what arrived together, in arrival order; each wish is placed or refused by itself.

    Inside the caller's transaction. Raises what the database raises; then nothing is placed.
    """
    everybody = sorted({wish.customer_id for wish in wishes})
    await lock_accounts(db, everybody)
    events = {line[0] for wish in wishes for line in wish.lines}
    rows = await db.fetch(_READ_CUSTOMERS, everybody, list(events), terms.hold_seconds)
    customers = {row["id"]: row for row in rows}
    now, sections = await lock_sections(db, {line[1] for wish in wishes for line in wish.lines})
    usage = {customer: _usage(row) for customer, row in customers.items()}
    decisions = rules.decide(wishes, sections, usage, terms.limits, terms.fee)
    held_until = now + timedelta(seconds=terms.hold_seconds)
    outcomes: list[Placement | Refused] = [
        decision
        if isinstance(decision, Refused)
        else Placement(
            decision,
            build_short_account(customers[decision.wish.customer_id]),
            now,
            None if decision.is_free else held_until,
            tuple(uuid4() for _ in decision.lines),
        )
        for decision in decisions
    ]
    placements = [outcome for outcome in outcomes if isinstance(outcome, Placement)]
    if placements:
        await _write(db, placements, now, terms.currency, new_id)
        await post(db, [_tickets_letter(placement) for placement in placements if placement.granted.is_free])
    return outcomes


def _tickets_letter(placement: Placement) -> Letter:
    wish = placement.granted.wish
    return Letter("order_fulfilled", account=wish.customer_id, about={"order": wish.order_id})


async def lock_sections(db: Connection, ids: set[int]) -> tuple[datetime, dict[int, SectionState]]:
    """The moment after the locks were had, and the sections that exist as they are then; due holds are expired."""
    ordered = sorted(ids)
    await db.execute(LOCK_SECTIONS, ordered)
    rows = await db.fetch(_READ_SECTIONS, ordered)
    if any(row["has_due"] for row in rows):
        await expire_due(db, ordered, rows[0]["at"])
        rows = await db.fetch(_READ_SECTIONS, ordered)
    now = rows[0]["at"] if rows else await db.fetchval("SELECT clock()")
    return now, {row["id"]: _section_state(row) for row in rows}


def _section_state(row: Row) -> SectionState:
    prices = msgspec.json.decode(row["prices"]) if row["prices"] else []
    return SectionState(
        id=row["id"],
        event_id=row["event_id"],
        event_title=row["title"],
        name=row["name"],
        description=row["description"],
        free=row["free"],
        base_cents=row["base_price_cents"],
        on_sale=row["on_sale"],
        cancelled=row["cancelled"],
        prices=[PriceState(*price) for price in prices],
        tickets_per_customer=row["tickets_per_customer"],
    )


def _usage(row: Row) -> Usage:
    tickets = _tickets.decode(row["tickets"]) if row["tickets"] else {}
    return Usage(row["open_orders"], tickets, row["verified"])


async def _write(
    db: Connection, placements: Sequence[Placement], now: datetime, currency: str, new_id: Callable[[], int]
) -> None:
    """One statement for counters, orders, items and the tickets of free orders."""
    sold: dict[int, int] = {}
    held: dict[int, int] = {}
    used: dict[int, int] = {}
    orders: list[tuple[Any, ...]] = []
    items: list[tuple[Any, ...]] = []
    tickets: list[tuple[Any, ...]] = []
    for placement in placements:
        granted, wish = placement.granted, placement.granted.wish
        status = rules.Status.FULFILLED if granted.is_free else rules.Status.PLACED
        orders.append(
            (
                wish.order_id,
                wish.number,
                wish.customer_id,
                status.value,
                placement.held_until,
                granted.subtotal_cents,
                granted.fees_cents,
            )
        )
        for line, number in zip(granted.lines, placement.item_numbers, strict=True):
            item_id, section = new_id(), line.section
            taken = sold if granted.is_free else held
            taken[section.id] = taken.get(section.id, 0) + line.quantity
            if line.price_id is not None:
                used[line.price_id] = used.get(line.price_id, 0) + line.quantity
            items.append(
                (
                    item_id,
                    wish.order_id,
                    section.event_id,
                    section.id,
                    line.price_id,
                    number,
                    line.quantity,
                    line.price_cents,
                    line.fee_cents,
                    placement.held_until,
                    now if granted.is_free else None,
                    wish.customer_id if granted.is_free else None,
                )
            )
            if granted.is_free:
                tickets += ticket_rows(
                    new_id,
                    section.event_title,
                    section.name,
                    item_id,
                    section.event_id,
                    section.id,
                    wish.customer_id,
                    line.quantity,
                )
    touched = list(sold.keys() | held.keys())
    await db.execute(
        _WRITE,
        touched,
        [sold.get(section, 0) for section in touched],
        [held.get(section, 0) for section in touched],
        list(used),
        list(used.values()),
        now,
        currency,
        *columns(orders, 7),
        *columns(items, 12),
        *columns(tickets, TICKET_COLUMNS),
    )
