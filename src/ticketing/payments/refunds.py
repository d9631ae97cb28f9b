"""Refunds: opened before the provider is asked, and closed by what it answers.

A refund gives back items of a paid order, each once, or the whole of a payment that could not be kept. Its row is
committed first; the request that opened it or `reconciling` asks the provider, under a key made from the row's id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from ticketing.events.returning import close_orders, return_items
from ticketing.history import recording as history
from ticketing.kit.database import Connection, Row
from ticketing.letters.posting import Letter, post
from ticketing.orders.locking import LockedOrder, lock_order
from ticketing.web.callers import Caller

from . import rules
from .errors import NotRefundable, RefundOpen
from .providers import Done, Outcome, Refused, Repayment
from .rules import Item, NoRefund, RefundStep, State

ASK_AFTER_SECONDS = 15  # longer than a request lasts
REPEATED_SECONDS = 24 * 3600

log = structlog.get_logger()

COLUMNS = """
refund.id, refund.order_id, refund.whole, refund.reference, refund.amount_cents, refund.currency, refund.status,
refund.code, refund.opened_at, payment.provider, payment.reference AS charge_reference"""

SOURCE = "refunds refund JOIN payments payment ON payment.id = refund.payment_id"

_REPEATED = f"""
SELECT {COLUMNS} FROM {SOURCE}
 WHERE refund.order_id = $1 AND refund.request_digest = ANY($2::bytea[])
   AND refund.opened_at > clock() - make_interval(secs => $3)"""

_READ_ITEMS = """
SELECT id, (price_cents + fee_cents) * quantity AS cents, returned_at IS NULL AS is_live,
       refund_id IS NOT NULL AS is_claimed
  FROM order_items WHERE order_id = $1 ORDER BY id"""

_OPEN = """
INSERT INTO refunds (id, order_id, payment_id, amount_cents, currency, reason, requested_by, request_digest, opened_at,
                     ask_at)
SELECT new.id, payment.order_id, payment.id, new.cents, payment.currency, $4, $5, $6, now.at,
       now.at + make_interval(secs => $7)
  FROM (SELECT clock() AS at) AS now,
       unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, order_id, cents)
       JOIN payments payment ON payment.order_id = new.order_id AND payment.status = 'Authorised' AND payment.kept"""

_CLAIM_ITEMS = """
WITH claimed AS (
    UPDATE order_items item SET refund_id = new.refund_id
      FROM unnest($1::bigint[], $2::bigint[]) AS new (refund_id, item_id) WHERE item.id = new.item_id
    RETURNING item.id, item.refund_id, (item.price_cents + item.fee_cents) * item.quantity AS cents)
INSERT INTO refund_items (refund_id, item_id, amount_cents) SELECT refund_id, id, cents FROM claimed"""

_OPEN_WHOLE = """
INSERT INTO refunds (id, order_id, payment_id, whole, amount_cents, currency, reason, opened_at, ask_at)
SELECT $1, payment.order_id, payment.id, true, payment.amount_cents, payment.currency,
       'The payment came after the order had ended.', now.at, now.at
  FROM payments payment, (SELECT clock() AS at) AS now WHERE payment.id = $2"""

_CLOSE = """
UPDATE refunds SET status = $2, code = $3, closed_at = clock(),
       reference = CASE WHEN reference = '' THEN $4 ELSE reference END
 WHERE id = $1"""

_UNDO = """
WITH undone AS (UPDATE refund_items SET undone = true WHERE refund_id = $1)
UPDATE order_items SET refund_id = NULL WHERE refund_id = $1"""


@dataclass(frozen=True, slots=True)
class Giving:
    """A refund as it stands; `key` is what the provider knows it by."""

    id: int
    order_id: int
    provider: str
    reference: str
    charge_reference: str
    amount_cents: int
    currency: str
    state: State
    code: str
    whole: bool
    opened_at: datetime

    def repayment(self) -> Repayment:
        """What the provider is told about it."""
        return Repayment(f"refund-{self.id}", self.reference, self.charge_reference, self.amount_cents, self.currency)


# Who holds what a customer handed on; of an event that is cancelled they have heard already.
_OTHER_HOLDERS = """
SELECT ticket.owner_id, ticket.event_id, count(*)::int AS count
  FROM tickets ticket JOIN events event ON event.id = ticket.event_id
 WHERE ticket.item_id = ANY($1::bigint[]) AND ticket.owner_id <> $2 AND ticket.status <> 'Voided'
   AND event.status <> 'Cancelled'
 GROUP BY 1, 2 ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants money to go back, and why; `digests` tell a request from its repetition."""

    reason: str
    account_id: int | None = None
    digests: Sequence[bytes] = ()


def build_giving(row: Row) -> Giving:
    """A refund from COLUMNS."""
    return Giving(
        id=row["id"],
        order_id=row["order_id"],
        provider=row["provider"],
        reference=row["reference"],
        charge_reference=row["charge_reference"],
        amount_cents=row["amount_cents"],
        currency=row["currency"],
        state=State(row["status"]),
        code=row["code"],
        whole=row["whole"],
        opened_at=row["opened_at"],
    )


async def find_repeated(db: Connection, order_id: int, digests: Sequence[bytes]) -> Giving | None:
    """The refund that this very request opened when it was sent before, if it did."""
    if not digests:
        return None
    row = await db.fetchrow(_REPEATED, order_id, digests, REPEATED_SECONDS)
    return build_giving(row) if row else None


async def get_refund(db: Connection, refund_id: int) -> Giving:
    """The refund with this id, which exists."""
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM {SOURCE} WHERE refund.id = $1", refund_id)
    if row is None:
        raise LookupError(f"there is no refund {refund_id}")
    return build_giving(row)


async def open_refund(db: Connection, order: LockedOrder, refund_id: int, request: Request) -> Giving:
    """Write down that all of a locked order that is live, or owed, goes back.

    Raises NotRefundable, RefundOpen.
    """
    items = [Item(**row) for row in await db.fetch(_READ_ITEMS, order.id)]
    chosen = rules.choose_items(order.status, order.total_cents, items)
    if chosen is NoRefund.UNDER_WAY:
        raise RefundOpen
    if isinstance(chosen, NoRefund):
        raise NotRefundable("free" if chosen is NoRefund.FREE else order.status)
    await write_refunds(db, {refund_id: (order.id, chosen)}, request, ask_after_seconds=ASK_AFTER_SECONDS)
    return await get_refund(db, refund_id)


async def write_refunds(
    db: Connection, wanted: Mapping[int, tuple[int, Sequence[Item]]], request: Request, *, ask_after_seconds: int
) -> None:
    """Open refunds (by id: of which order, which items), all in two statements; the orders are locked by the caller."""
    await db.execute(
        _OPEN,
        list(wanted),
        [order_id for order_id, _items in wanted.values()],
        [sum(item.cents for item in items) for _order, items in wanted.values()],
        request.reason,
        request.account_id,
        next(iter(request.digests), None),
        ask_after_seconds,
    )
    pairs = [(refund_id, item.id) for refund_id, (_order, items) in wanted.items() for item in items]
    await db.execute(_CLAIM_ITEMS, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


async def open_whole_refund(db: Connection, refund_id: int, payment_id: int) -> None:
    """Write down that a payment that could not be kept goes back whole; `reconciling` sees to it."""
    await db.execute(_OPEN_WHOLE, refund_id, payment_id)


async def conclude_refund(db: Connection, refund_id: int, outcome: Outcome, new_id: Callable[[], int]) -> Giving:
    """Record what the provider says about a refund, with all that follows from it; the refund as it is then.

    Bears being told the same twice. A refund that had succeeded and fails after all is owed again.
    """
    order = await lock_order(db, (await get_refund(db, refund_id)).order_id)
    await db.execute("SELECT FROM refunds WHERE id = $1 FOR UPDATE", refund_id)
    giving = await get_refund(db, refund_id)
    step = rules.next_refund_step(giving.state, outcome)
    if step is RefundStep.REPAID and isinstance(outcome, Done):
        await _repaid(db, order, giving, outcome, new_id)
    elif step is RefundStep.REFUSED and isinstance(outcome, Refused):
        await _refused(db, order, giving, outcome, new_id)
    return await get_refund(db, refund_id)


async def _repaid(db: Connection, order: LockedOrder, giving: Giving, outcome: Done, new_id: Callable[[], int]) -> None:
    await db.execute(_CLOSE, giving.id, State.AUTHORISED.value, "", outcome.reference)
    if not giving.whole:
        items = await db.fetch("SELECT item_id FROM refund_items WHERE refund_id = $1 ORDER BY item_id", giving.id)
        holders = await db.fetch(_OTHER_HOLDERS, [row["item_id"] for row in items], order.customer_id)
        await return_items(db, [row["item_id"] for row in items])
        await close_orders(db, [order.id])
        letters = [
            Letter("tickets_voided", account=one["owner_id"], about={"event": one["event_id"], "count": one["count"]})
            for one in holders
        ]
        await post(db, letters)
    name: Any = "payment_returned" if giving.whole else "refund"
    await post(db, [Letter(name, account=order.customer_id, about={"refund": giving.id})])
    await _record(db, new_id, "order.refunded" if not giving.whole else "payment.repaid", order, giving)


async def _refused(
    db: Connection, order: LockedOrder, giving: Giving, outcome: Refused, new_id: Callable[[], int]
) -> None:
    """The items may be taken up by another refund."""
    await db.execute(_CLOSE, giving.id, State.DECLINED.value, outcome.code, outcome.reference)
    await db.execute(_UNDO, giving.id)
    await _record(db, new_id, "refund.declined", order, giving, code=outcome.code)
    log.error("refunds.declined", order=order.number, refund=giving.id, code=outcome.code)


async def _record(
    db: Connection, new_id: Callable[[], int], act: str, order: LockedOrder, giving: Giving, **detail: Any
) -> None:
    who: Caller | None = None  # the act is the provider's
    await history.record(db, new_id(), who, act, order.uri, refund=giving.id, cents=giving.amount_cents, **detail)
