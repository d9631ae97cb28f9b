"""The figures of hosts and events, read from one index over what was sold."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from ticketing.hosts.queries import ensure_administers
from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.kit.money import to_amount
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound

from .rules import Group, period_key, period_name
from .schemas import EventStatistics, Figures, HostStatistics, SalesRow

# An item's tickets live until they are given back (`returned_at`); its money is given back once a refund of it is done.
_IS_LIVE = "item.returned_at IS NULL"
# Asked for the few items that have a refund, by its id: joined, the database may read all refunds there are.
_IS_REPAID = """CASE WHEN item.refund_id IS NULL THEN false
     ELSE (SELECT refund.status = 'Authorised' FROM refunds refund WHERE refund.id = item.refund_id) END"""

# Of what is live; but the revenue is what was sold less what was given back.
_TOTALS = f"""
count(DISTINCT item.order_id) FILTER (WHERE {_IS_LIVE}) AS orders,
coalesce(sum(item.quantity) FILTER (WHERE {_IS_LIVE}), 0)::bigint AS tickets,
coalesce(sum(item.quantity * item.price_cents) FILTER (WHERE NOT ({_IS_REPAID})), 0)::bigint AS cents"""

_EVENT = f"""
SELECT {_TOTALS},
       (SELECT coalesce(sum(capacity), 0) FROM sections WHERE event_id = $1 AND removed_at IS NULL) AS capacity
  FROM order_items item WHERE item.event_id = $1 AND item.sold_at IS NOT NULL"""

# Of removed events too: what they sold was given back, or stays the host's.
_HOST = f"""
SELECT {_TOTALS}, count(DISTINCT item.customer_id) FILTER (WHERE {_IS_LIVE}) AS customers,
       (SELECT count(*) FROM events WHERE host_id = $1 AND removed_at IS NULL) AS events
  FROM order_items item
 WHERE item.event_id IN (SELECT id FROM events WHERE host_id = $1) AND item.sold_at IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Reported:
    """An event that the caller may see the sales of."""

    id: int
    timezone: str

    @property
    def uri(self) -> str:
        """What it is called."""
        return f"/events/{self.id}"


async def reported_event(db: Connection, caller: Caller, segment: str) -> Reported:
    """The event, for its host's administrators and the platform's. Raises NotFound, NotHostAdministrator."""
    row = await db.fetchrow(
        "SELECT id, host_id, timezone FROM events WHERE id = $1 AND removed_at IS NULL", ids.parse(segment)
    )
    if row is None:
        raise NotFound
    await ensure_administers(db, caller, row["host_id"])
    return Reported(row["id"], row["timezone"])


async def event_statistics(db: Connection, event: Reported) -> EventStatistics:
    """What the event has sold."""
    row = _found(await db.fetchrow(_EVENT, event.id))
    return EventStatistics(
        uri=f"{event.uri}/statistics",
        capacity=row["capacity"],
        orders=row["orders"],
        revenue=to_amount(row["cents"]),
        tickets=row["tickets"],
    )


async def host_statistics(db: Connection, host_id: int) -> HostStatistics:
    """What the host has sold."""
    row = _found(await db.fetchrow(_HOST, host_id))
    return HostStatistics(
        uri=f"/hosts/{host_id}/statistics",
        events=row["events"],
        orders=row["orders"],
        revenue=to_amount(row["cents"]),
        tickets=row["tickets"],
        customers=row["customers"],
    )


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of a day to the end of another; None is open."""

    since: date | None
    until: date | None


# The day of the order, where the event takes place. The order's row is read only for what asks for its day.
_PLACED = "(orders.placed_at AT TIME ZONE $2)"
_BUCKETS = {
    Group.SECTION: "item.section_id",
    Group.DAY: f"{_PLACED}::date",
    Group.WEEK: f"date_trunc('week', {_PLACED})::date",
    Group.MONTH: f"date_trunc('month', {_PLACED})::date",
}
_FIGURES = f"""
count(DISTINCT item.order_id) FILTER (WHERE {_IS_LIVE}) AS orders,
coalesce(sum(item.quantity) FILTER (WHERE {_IS_LIVE}), 0)::bigint AS tickets,
coalesce(sum(item.quantity * item.price_cents), 0)::bigint AS gross,
coalesce(sum(item.quantity * item.fee_cents) FILTER (WHERE NOT ({_IS_REPAID})), 0)::bigint AS fees,
coalesce(sum(item.quantity * item.price_cents) FILTER (WHERE {_IS_REPAID}), 0)::bigint AS refunded"""


async def event_sales(
    db: Connection, event: Reported, group: Group, period: Period, section_id: int | None
) -> tuple[list[SalesRow], Figures]:
    """What the event has sold, by section or by time, and in total.

    Sections without sales have a row, days without have none.
    """
    values: list[Any] = [event.id, event.timezone]
    conditions = ["item.event_id = $1", "item.sold_at IS NOT NULL", "$2 <> ''"]
    for condition, value in (
        ("orders.placed_at >= (SELECT local_instant({}::date::timestamp, $2))", period.since),
        ("orders.placed_at < (SELECT local_instant(({}::date + 1)::timestamp, $2))", period.until),
        ("item.section_id = {}", section_id),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
    rows = await db.fetch(
        f"SELECT {_BUCKETS[group]} AS bucket, {_FIGURES}, grouping({_BUCKETS[group]}) AS is_total"
        f" FROM order_items item LEFT JOIN orders ON orders.id = item.order_id"
        f" WHERE {' AND '.join(conditions)} GROUP BY GROUPING SETS (({_BUCKETS[group]}), ()) ORDER BY 1",
        *values,
    )
    totals = _figures(next(row for row in rows if row["is_total"]))
    sold = {row["bucket"]: _figures(row) for row in rows if not row["is_total"]}
    if group is Group.SECTION:
        return await _section_rows(db, event, sold, section_id), totals
    return [_row(period_key(group, first), period_name(group, first), sold[first]) for first in sold], totals


async def has_section(db: Connection, event: Reported, section_id: int) -> bool:
    """Whether this is, or was, a section of the event."""
    return bool(await db.fetchval("SELECT true FROM sections WHERE id = $1 AND event_id = $2", section_id, event.id))


async def _section_rows(
    db: Connection, event: Reported, sold: dict[int, Figures], section_id: int | None
) -> list[SalesRow]:
    """The sections on offer, and those removed that sold something."""
    sections: Iterable[Row] = await db.fetch(
        "SELECT id, name, removed_at IS NULL AS is_there FROM sections"
        " WHERE event_id = $1 AND ($2::bigint IS NULL OR id = $2) ORDER BY id",
        event.id,
        section_id,
    )
    nothing = Figures(0, 0, 0.0, 0.0, 0.0, 0.0)
    return [
        _row(str(section["id"]), section["name"], sold.get(section["id"], nothing))
        for section in sections
        if section["is_there"] or section["id"] in sold or section["id"] == section_id
    ]


def _figures(row: Row) -> Figures:
    return Figures(
        orders=row["orders"],
        tickets=row["tickets"],
        gross=to_amount(row["gross"]),
        fees=to_amount(row["fees"]),
        refunded=to_amount(row["refunded"]),
        net=to_amount(row["gross"] - row["refunded"]),
    )


def _row(key: str, name: str, figures: Figures) -> SalesRow:
    return SalesRow(
        key, name, figures.orders, figures.tickets, figures.gross, figures.fees, figures.refunded, figures.net
    )


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound
    return row
