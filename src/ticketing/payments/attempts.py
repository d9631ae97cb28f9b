"""Attempts to pay: opened before the provider is asked, and closed by what it answers.

An attempt is a row. It is committed before the first call to the provider, and whatever happens then - an answer, none,
a crash - somebody ends it: the request that opened it, the provider's webhook, or `reconciling`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog

from ticketing.history import recording as history
from ticketing.kit.database import Connection, Row
from ticketing.kit.metrics import Count
from ticketing.letters.posting import Letter, post
from ticketing.orders.fulfilling import can_fulfil, fulfil, set_hold
from ticketing.orders.locking import LockedOrder, lock_order
from ticketing.orders.rules import Status
from ticketing.web.callers import Caller

from . import rules
from .errors import NoOpenPayment, NotPayable, PaymentOpen
from .providers import Action, Charge, Done, Outcome, Refused, Waiting
from .refunds import open_whole_refund
from .rules import Places, State, Step

ASK_AFTER_SECONDS = 15  # longer than a request lasts: until then it is the one that opened it who ends it
REPEATED_SECONDS = 24 * 3600  # how long a request may be repeated under its Idempotency-Key

PAYMENTS = Count("payments", "Attempts to pay that ended, by outcome.", "outcome")

log = structlog.get_logger()

COLUMNS = """
payment.id, payment.order_id, payment.provider, payment.reference, payment.amount_cents, payment.currency,
payment.status, payment.code, payment.kept, payment.action::text AS action, payment.opened_at, payment.held_until,
payment.deadline_at, payment.closed_at,
(SELECT number FROM orders WHERE orders.id = payment.order_id) AS order_number"""

_OPEN = f"""
INSERT INTO payments AS payment (id, order_id, provider, amount_cents, currency, request_digest, opened_at, held_until,
                                 deadline_at, ask_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7::timestamptz + make_interval(secs => {ASK_AFTER_SECONDS}))
RETURNING {COLUMNS}"""

_REPEATED = f"""
SELECT {COLUMNS} FROM payments payment
 WHERE order_id = $1 AND request_digest = ANY($2::bytea[]) AND opened_at > clock() - make_interval(secs => $3)"""

_CLOSE = f"""
UPDATE payments AS payment
   SET status = $2, code = $3, kept = $4, action = NULL, closed_at = clock(),
       reference = CASE WHEN reference = '' THEN $5 ELSE reference END
 WHERE id = $1 RETURNING {COLUMNS}"""

_KEEP_OPEN = f"""
UPDATE payments AS payment
   SET action = coalesce($2::text::jsonb, action), reference = CASE WHEN reference = '' THEN $3 ELSE reference END
 WHERE id = $1 RETURNING {COLUMNS}"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt as it stands; `key` is what the provider knows it by."""

    id: int
    order_id: int
    order_number: str
    provider: str
    reference: str
    amount_cents: int
    currency: str
    state: State
    code: str
    kept: bool
    action: Action | None
    opened_at: datetime
    held_until: datetime
    deadline_at: datetime

    @property
    def key(self) -> str:
        """The provider is asked under this name, however often."""
        return f"payment-{self.id}"

    def charge(self) -> Charge:
        """What the provider is told about it."""
        return Charge(self.key, self.reference, self.amount_cents, self.currency, self.order_number)


def build_attempt(row: Row) -> Attempt:
    """An attempt from COLUMNS."""
    return Attempt(
        id=row["id"],
        order_id=row["order_id"],
        order_number=row["order_number"],
        provider=row["provider"],
        reference=row["reference"],
        amount_cents=row["amount_cents"],
        currency=row["currency"],
        state=State(row["status"]),
        code=row["code"],
        kept=row["kept"],
        action=msgspec.json.decode(row["action"], type=Action) if row["action"] else None,
        opened_at=row["opened_at"],
        held_until=row["held_until"],
        deadline_at=row["deadline_at"],
    )


# Another attempt of his is open, or one was left to its deadline within the hour: found by the holds of his orders.
_STRETCHES_ANOTHER = """
SELECT EXISTS (
    SELECT FROM orders JOIN payments payment ON payment.order_id = orders.id
     WHERE orders.customer_id = $1 AND orders.held_until > $2::timestamptz - interval '1 hour'
       AND (payment.status = 'Pending' OR payment.status = 'Declined' AND payment.closed_at >= payment.deadline_at))"""


async def find_repeated(db: Connection, order_id: int, digests: Sequence[bytes]) -> Attempt | None:
    """The attempt that this very request opened when it was sent before, if it did."""
    if not digests:
        return None
    row = await db.fetchrow(_REPEATED, order_id, digests, REPEATED_SECONDS)
    return build_attempt(row) if row else None


async def open_attempt(
    db: Connection,
    order: LockedOrder,
    payment_id: int,
    provider: str,
    digests: Sequence[bytes],
    *,
    by_administrator: bool,
) -> Attempt:
    """Write an attempt to pay for a locked order down, and keep its places while it is under way.

    It has ten minutes of its own beyond the hold, but a customer has them for one order at a time, and not again
    within the hour after he let them pass: else attempts that nobody means to finish would double every hold.

    Raises NotPayable, PaymentOpen.
    """
    if order.status is not Status.PLACED or order.held_until is None:
        raise NotPayable(order.status)
    if order.paying_until is not None:
        raise PaymentOpen
    stretches = by_administrator or not await db.fetchval(_STRETCHES_ANOTHER, order.customer_id, order.now)
    deadline = rules.deadline_of(order.now, order.held_until, stretches=stretches)
    row = await db.fetchrow(
        _OPEN,
        payment_id,
        order.id,
        provider,
        order.total_cents,
        order.currency,
        next(iter(digests), None),
        order.now,
        order.held_until,
        deadline,
    )
    assert row is not None  # noqa: S101 - for the type checker: INSERT ... RETURNING has a row
    await set_hold(db, order.id, rules.held_while(deadline, under_way=True), deadline)
    return build_attempt(row)


async def remember_reference(db: Connection, attempt_id: int, reference: str) -> bool:
    """Write down what the provider calls the charge; False when the attempt has been ended meanwhile."""
    return bool(
        await db.fetchval(
            "UPDATE payments SET reference = $2 WHERE id = $1 AND status = 'Pending' RETURNING true",
            attempt_id,
            reference,
        )
    )


async def end_open_attempt(db: Connection, order_id: int) -> int:
    """Bring the deadline of the order's open attempt forward to now, so that it is cancelled; its id.

    Raises NoOpenPayment.
    """
    attempt_id: int | None = await db.fetchval(
        "UPDATE payments SET deadline_at = least(deadline_at, clock()), ask_at = clock()"
        " WHERE order_id = $1 AND status = 'Pending' RETURNING id",
        order_id,
    )
    if attempt_id is None:
        raise NoOpenPayment
    return attempt_id


async def find_attempt(db: Connection, attempt_id: int) -> Attempt | None:
    """The attempt with this id, if there is one."""
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM payments payment WHERE id = $1", attempt_id)
    return build_attempt(row) if row else None


async def get_attempt(db: Connection, attempt_id: int) -> Attempt:
    """The attempt with this id, which exists."""
    attempt = await find_attempt(db, attempt_id)
    if attempt is None:
        raise LookupError(f"there is no payment {attempt_id}")
    return attempt


async def conclude(db: Connection, attempt_id: int, outcome: Outcome, new_id: Callable[[], int]) -> Attempt:
    """Record what the provider says about an attempt, with all that follows from it; the attempt as it is then.

    Bears being told the same twice, and being told late: see `rules.next_step`.
    """
    order = await lock_order(db, (await get_attempt(db, attempt_id)).order_id)
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM payments payment WHERE id = $1 FOR UPDATE", attempt_id)
    assert row is not None  # noqa: S101 - for the type checker: it was there before
    attempt = build_attempt(row)
    places = Places.GONE
    if isinstance(outcome, Done) and attempt.state is not State.AUTHORISED:
        places = await _places(db, order)
    step = rules.next_step(attempt.state, outcome, order.stored, places)
    if step is Step.NOTHING:
        return attempt
    if step is Step.WAIT:
        return await _keep_waiting(db, order, attempt, outcome)
    if step is Step.FULFIL:
        return await _fulfil(db, order, attempt, outcome, new_id)
    if step is Step.GIVE_BACK:
        return await _give_back(db, order, attempt, outcome, new_id)
    return await _decline(db, order, attempt, outcome, new_id)


async def _places(db: Connection, order: LockedOrder) -> Places:
    possible, held = await can_fulfil(db, order)
    if not possible:
        return Places.GONE
    return Places.HELD if held else Places.FREE


async def _keep_waiting(db: Connection, order: LockedOrder, attempt: Attempt, outcome: Outcome) -> Attempt:
    """The call has ended without a result: from now on the hold ends with the attempt's deadline."""
    action = outcome.action if isinstance(outcome, Waiting) else None
    written = msgspec.json.encode(action).decode() if action else None
    row = await db.fetchrow(_KEEP_OPEN, attempt.id, written, outcome.reference)
    if order.status is Status.PLACED:
        await set_hold(db, order.id, rules.held_while(attempt.deadline_at, under_way=False), attempt.deadline_at)
    return build_attempt(_found(row))


async def _decline(
    db: Connection, order: LockedOrder, attempt: Attempt, outcome: Outcome, new_id: Callable[[], int]
) -> Attempt:
    """No money was taken: the order has left of its time what it had, less what has passed."""
    code = outcome.code if isinstance(outcome, Refused) else ""
    closed = await _close(db, attempt, State.DECLINED, outcome, code=code)
    await _let_go(db, order, attempt)
    await _record(db, new_id, "payment.declined", order, closed, code=code)
    return closed


async def _fulfil(
    db: Connection, order: LockedOrder, attempt: Attempt, outcome: Outcome, new_id: Callable[[], int]
) -> Attempt:
    await fulfil(db, order, new_id)
    closed = await _close(db, attempt, State.AUTHORISED, outcome)
    await post(db, [Letter("order_fulfilled", account=order.customer_id, about={"order": order.id})])
    await _record(db, new_id, "order.paid", order, closed)
    return closed


async def _give_back(
    db: Connection, order: LockedOrder, attempt: Attempt, outcome: Outcome, new_id: Callable[[], int]
) -> Attempt:
    """Money for an order that is gone: it goes back whole, by itself, and everybody can see it."""
    closed = await _close(db, attempt, State.AUTHORISED, outcome, kept=False)
    await _let_go(db, order, attempt)
    await open_whole_refund(db, new_id(), attempt.id)
    await _record(db, new_id, "payment.returned", order, closed, status=order.status.value)
    log.warning("payments.too_late", order=order.number, payment=attempt.id, status=order.status.value)
    return closed


async def _let_go(db: Connection, order: LockedOrder, attempt: Attempt) -> None:
    """End what the attempt kept for itself: the hold ends when it would have without it.

    An attempt that was ended before keeps nothing (another may be open now), and an order that has timed out meanwhile
    does not come back.
    """
    if attempt.state is not State.PENDING:
        return
    if order.status is Status.PLACED:
        await set_hold(db, order.id, attempt.held_until, None)
    await db.execute("UPDATE orders SET paying_until = NULL WHERE id = $1", order.id)


async def _close(
    db: Connection, attempt: Attempt, state: State, outcome: Outcome, *, code: str = "", kept: bool = True
) -> Attempt:
    PAYMENTS.add(state.value.lower() if kept else "returned")
    return build_attempt(_found(await db.fetchrow(_CLOSE, attempt.id, state.value, code, kept, outcome.reference)))


async def _record(
    db: Connection, new_id: Callable[[], int], act: str, order: LockedOrder, attempt: Attempt, **detail: Any
) -> None:
    who: Caller | None = None  # the act is the provider's
    await history.record(db, new_id(), who, act, order.uri, payment=attempt.id, cents=attempt.amount_cents, **detail)


def _found(row: Row | None) -> Row:
    if row is None:
        raise LookupError("the payment is gone")
    return row
