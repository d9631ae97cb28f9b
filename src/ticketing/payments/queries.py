"""Reading payments and refunds, for who may see their order."""

from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.kit.money import to_amount
from ticketing.orders.queries import STATUS_NOW
from ticketing.web.paging import Listing, one_of

from . import attempts, refunds
from .attempts import Attempt, build_attempt
from .refunds import Giving, build_giving
from .rules import State
from .schemas import Payment, Refund

_STATUSES = {state.value: state.value for state in State}


def build_payment(attempt: Attempt) -> Payment:
    """A payment as the API shows it."""
    return Payment(
        date=clock.stamp(attempt.opened_at),
        amount=to_amount(attempt.amount_cents),
        status=attempt.state.value,
        code=attempt.code,
        action=attempt.action,
    )


def build_refund(giving: Giving) -> Refund:
    """A refund as the API shows it."""
    return Refund(
        date=clock.stamp(giving.opened_at),
        amount=to_amount(giving.amount_cents),
        status=giving.state.value,
        code=giving.code,
    )


def _payment_of(row: Row) -> Payment:
    return build_payment(build_attempt(row))


def _refund_of(row: Row) -> Refund:
    return build_refund(build_giving(row))


PAYMENTS: Listing[Payment] = Listing(
    source="payments payment",
    columns=attempts.COLUMNS,
    id="payment.id",
    build=_payment_of,
    filters={"status": one_of("payment.status", _STATUSES)},
    sorts={"date": "payment.opened_at"},
)

REFUNDS: Listing[Refund] = Listing(
    source=refunds.SOURCE,
    columns=refunds.COLUMNS,
    id="refund.id",
    build=_refund_of,
    filters={"status": one_of("refund.status", _STATUSES)},
    sorts={"date": "refund.opened_at"},
)


async def order_status(db: Connection, order_id: int) -> str:
    """The order's status, as every reader sees it."""
    return str(await db.fetchval(f"SELECT {STATUS_NOW} FROM orders WHERE id = $1", order_id))
