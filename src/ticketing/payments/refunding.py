"""Giving money back: the intent is committed, the provider is asked, what it says is recorded."""

import asyncio

import structlog

from ticketing.history import recording as history
from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE, UNDONE
from ticketing.orders.locking import lock_order
from ticketing.web.callers import Caller

from .asking import CALL_FAILURES, guarded
from .providers import Done, Outcome, Provider, Waiting
from .refunds import Giving, Request, conclude_refund, find_repeated, open_refund
from .settling import ATTEMPTS

log = structlog.get_logger()


async def begin_refund(database: Database, caller: Caller, order_id: int, request: Request) -> tuple[Giving, bool]:
    """Write the refund of a whole order down, committed, before anybody is asked; whether it is a new one.

    Raises NotRefundable, RefundOpen.
    """
    async with database.transaction() as db:
        order = await lock_order(db, order_id)
        if repeated := await find_repeated(db, order.id, request.digests):
            return repeated, False
        giving = await open_refund(db, order, database.new_id(), request)
        await history.record(
            db, database.new_id(), caller, "refund.requested", order.uri, refund=giving.id, reason=request.reason
        )
        return giving, True


async def repay(
    database: Database, provider: Provider | None, giving: Giving, seconds: float, *, again: bool
) -> Giving:
    """Ask the provider to give the money of an open refund back, and record what it says; the refund as it is then.

    Still pending when there is no answer, or it could not be recorded: then it is asked again later.
    """
    outcome = await _ask(provider, giving, seconds, again=again)
    try:
        return await record_refund(database, giving.id, outcome)
    except TROUBLE as error:
        log.error("refunds.unrecorded", refund=giving.id, reason=type(error).__name__)
        return giving


async def record_refund(database: Database, refund_id: int, outcome: Outcome) -> Giving:
    """Record what a provider says about a refund; again when the database undid it."""
    for tried in range(1, ATTEMPTS + 1):
        try:
            async with database.transaction() as db:
                return await conclude_refund(db, refund_id, outcome, database.new_id)
        except UNDONE:
            if tried == ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * tried)
    raise AssertionError("unreachable")


async def _ask(provider: Provider | None, giving: Giving, seconds: float, *, again: bool) -> Outcome:
    if giving.amount_cents == 0:
        return Done("")  # places that cost nothing: there is nothing to ask for
    if provider is None:
        log.error("refunds.provider_missing", refund=giving.id, provider=giving.provider)
        return Waiting()
    try:
        return await guarded(provider.repay(giving.repayment(), again=again), seconds)
    except CALL_FAILURES:
        return Waiting()
