"""Payments and refunds as one list: the whole of each, or of each the part that is a host's or an event's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ticketing.accounts.queries import build_short_account, short_columns
from ticketing.hosts.queries import ensure_administers
from ticketing.kit import clock, ids
from ticketing.kit.database import Connection, Row
from ticketing.kit.money import to_amount
from ticketing.web.callers import Caller
from ticketing.web.errors import InvalidValues, Restricted, about
from ticketing.web.paging import Always, Filter, Listing, condition_of, one_of

from .schemas import Transaction

# Ids are made by one rule for everything, so that a payment and a refund never share one. A payment, and a refund of a
# whole one, is for everything that was ordered; other refunds are for their items.
_SOURCE = """(
    SELECT 'payment' AS type, id, order_id, id AS payment_id, reference, amount_cents, currency, status, opened_at,
           true AS whole
      FROM payments
    UNION ALL
    SELECT 'refund', id, order_id, payment_id, reference, amount_cents, currency, status, opened_at, whole
      FROM refunds) entry
    LEFT JOIN payments payment ON payment.id = entry.payment_id
    LEFT JOIN orders ON orders.id = entry.order_id
    LEFT JOIN accounts customer ON customer.id = orders.customer_id"""

_COLUMNS = f"""
    entry.id, entry.type, entry.reference, entry.opened_at, entry.amount_cents AS cents,
    CASE WHEN entry.whole THEN orders.fees_cents
         ELSE (SELECT coalesce(sum(item.fee_cents * item.quantity), 0)::bigint
                 FROM refund_items part JOIN order_items item ON item.id = part.item_id
                WHERE part.refund_id = entry.id) END AS fee_cents,
    orders.number, entry.currency, entry.status, payment.provider, {short_columns("customer", "customer_")}"""

# The part that is a host's or an event's.
_SHARE_SOURCE = """transaction_shares share
    LEFT JOIN payments charge ON charge.id = share.transaction_id
    LEFT JOIN refunds refund ON refund.id = share.transaction_id
    LEFT JOIN payments payment ON payment.id = coalesce(refund.payment_id, charge.id)
    LEFT JOIN orders ON orders.id = share.order_id
    LEFT JOIN accounts customer ON customer.id = orders.customer_id"""

_SHARE_COLUMNS = f"""
    share.transaction_id AS id, CASE WHEN refund.id IS NULL THEN 'payment' ELSE 'refund' END AS type,
    coalesce(refund.reference, charge.reference) AS reference, share.opened_at, share.cents, share.fee_cents,
    orders.number, payment.currency, coalesce(refund.status, charge.status) AS status, payment.provider,
    {short_columns("customer", "customer_")}"""


def build_transaction(row: Row) -> Transaction:
    """A transaction as the API shows it."""
    return Transaction(
        reference=row["reference"] or f"{row['type']}-{row['id']}",
        date=clock.stamp(row["opened_at"]),
        type=row["type"],
        order=f"/orders/{row['number']}",
        customer=build_short_account(row, "customer_"),
        amount=to_amount(row["cents"]),
        fees=to_amount(row["fee_cents"]),
        currency=row["currency"],
        status=row["status"],
        provider=row["provider"],
    )


def parse_day(text: str) -> date | None:
    """The day of the calendar, or None when it is none."""
    return date.fromisoformat(text) if clock.is_date(text) else None


def _parse_number(text: str) -> str | None:
    return text.upper() if _NUMBER.fullmatch(text.upper()) else None


_NUMBER = re.compile(r"[0-9A-F]{12}")
A_DAY = "a day, such as 2034-06-07"
DAY = {"type": "string", "format": "date"}
_PARTY = Filter(
    "",
    lambda text: None if ids.parse(text) is None else "true",
    "an id: digits alone",
    {"type": "string", "pattern": "^[0-9]+$"},
)


def _filters(order_id: str, opened_at: str, kind: Filter, status: Filter) -> dict[str, Filter]:
    """The same for the whole and for a part; whose part, the source knows."""
    return {
        "from": Filter(f"{opened_at} >= {{}}::date::timestamp AT TIME ZONE 'UTC'", parse_day, A_DAY, DAY),
        "to": Filter(f"{opened_at} < ({{}}::date + 1)::timestamp AT TIME ZONE 'UTC'", parse_day, A_DAY, DAY),
        "type": kind,
        "status": status,
        "order": Filter(
            f"{order_id} = (SELECT id FROM orders WHERE number = {{}})",
            _parse_number,
            "an order's number, or asc or desc",
            {"type": "string", "description": "an order's number (or `asc`, `desc`: the direction)"},
        ),
        "customer": Filter(
            f"{order_id} IN (SELECT id FROM orders WHERE customer_id = (SELECT id FROM accounts WHERE number = {{}}))",
            str.upper,
        ),
        "host": _PARTY,
        "event": _PARTY,
    }


TRANSACTIONS: Listing[Transaction] = Listing(
    source=_SOURCE,
    columns=_COLUMNS,
    id="entry.id",
    key="entry.id",
    build=build_transaction,
    filters=_filters(
        "entry.order_id",
        "entry.opened_at",
        one_of("entry.type", {"payment": "payment", "refund": "refund"}),
        one_of("entry.status", {name: name for name in ("Pending", "Authorised", "Declined")}),
    ),
    sorts={"date": Always("entry.opened_at")},
)


# Few are not authorised, and few are refunds: those are looked up, not the status of each share.
def _is_in(statuses: str) -> str:
    return f"""share.transaction_id IN (SELECT id FROM payments WHERE status IN ({statuses})
                                     UNION ALL SELECT id FROM refunds WHERE status IN ({statuses}))"""


# In the scope of one party: `share.party_id = $1`.
SHARES: Listing[Transaction] = Listing(
    source=_SHARE_SOURCE,
    columns=_SHARE_COLUMNS,
    id="share.transaction_id",
    key="share.transaction_id",
    build=build_transaction,
    filters=_filters(
        "share.order_id",
        "share.opened_at",
        condition_of(
            {
                "payment": "share.transaction_id NOT IN (SELECT id FROM refunds)",
                "refund": "share.transaction_id IN (SELECT id FROM refunds)",
            }
        ),
        condition_of(
            {
                "Pending": _is_in("'Pending'"),
                "Authorised": "NOT " + _is_in("'Pending', 'Declined'"),
                "Declined": _is_in("'Declined'"),
            }
        ),
    ),
    sorts={"date": Always("share.opened_at")},
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which list is asked for: everything, or the part of one party (an event or a host)."""

    listing: Listing[Transaction]
    where: str = "true"
    values: tuple[int, ...] = ()


async def asked_for(db: Connection, caller: Caller, query: Mapping[str, str]) -> Asked:
    """What the query asks for, if this caller may have it: administrators all, others the part of a host they run.

    Raises Restricted, NotHostAdministrator.
    """
    host_id, event_id = (ids.parse(query.get(name, "")) for name in ("host", "event"))
    await _ensure_may_report(db, caller, host_id)
    if host_id is None and event_id is None:
        return Asked(TRANSACTIONS)
    party = host_id
    if event_id is not None:
        # An event of another host has no part in anything of this one's.
        party = await db.fetchval(
            "SELECT id FROM events WHERE id = $1 AND ($2::bigint IS NULL OR host_id = $2)", event_id, host_id
        )
    return Asked(SHARES, "share.party_id = $1", (party or 0,))


async def _ensure_may_report(db: Connection, caller: Caller, host_id: int | None) -> None:
    if host_id is not None:
        await ensure_administers(db, caller, host_id)
    elif not caller.administers:
        raise Restricted


def ensure_in_order(query: Mapping[str, str]) -> None:
    """Raise InvalidValues when `to` lies before `from`."""
    since, until = parse_day(query.get("from", "")), parse_day(query.get("to", ""))
    if since and until and until < since:
        raise InvalidValues(about("to", "lies before `from`"))
