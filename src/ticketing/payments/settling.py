"""Taking money for an order: the intent is committed, the provider is asked, what it says is recorded.

No transaction is open while the provider is asked. Whatever is not known in time is found out by `reconciling`.
"""

import asyncio
from collections.abc import Sequence

import structlog

from ticketing.history import recording as history
from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE, UNDONE
from ticketing.orders.locking import lock_order
from ticketing.web.callers import Caller

from .asking import CALL_FAILURES, Ended, cancel, guarded
from .attempts import Attempt, conclude, find_repeated, open_attempt, remember_reference
from .providers import Card, Failed, Outcome, Payer, Provider, Refused, Token, Waiting

ATTEMPTS = 3  # of a transaction that the database undid

log = structlog.get_logger()


async def begin(
    database: Database, provider: Provider, caller: Caller, order_id: int, digests: Sequence[bytes]
) -> tuple[Attempt, bool]:
    """Write the attempt down, committed, before anybody is asked for money; whether it is a new one.

    A request that is repeated (the same `digests`) finds the attempt it opened before. Raises NotPayable, PaymentOpen.
    """
    async with database.transaction() as db:
        order = await lock_order(db, order_id)
        if repeated := await find_repeated(db, order.id, digests):
            return repeated, False
        attempt = await open_attempt(
            db, order, database.new_id(), provider.name, digests, by_administrator=caller.administers
        )
        await history.record(db, database.new_id(), caller, "payment.attempted", order.uri, payment=attempt.id)
        return attempt, True


async def charge(
    database: Database, provider: Provider, attempt: Attempt, means: Card | Token, payer: Payer, seconds: float
) -> Attempt:
    """Ask the provider for the money of an open attempt, and record what it says; the attempt as it is then.

    Still pending when the provider gives no answer within `seconds`, or the answer could not be recorded.
    """
    outcome = await _ask(database, provider, attempt, means, payer, seconds)
    try:
        return await record(database, attempt.id, outcome)
    except TROUBLE as error:
        log.error("payments.unrecorded", payment=attempt.id, reason=type(error).__name__)
        return attempt


async def record(database: Database, attempt_id: int, outcome: Outcome) -> Attempt:
    """Record what a provider says about an attempt; again when the database undid it."""
    for tried in range(1, ATTEMPTS + 1):
        try:
            async with database.transaction() as db:
                return await conclude(db, attempt_id, outcome, database.new_id)
        except UNDONE:
            if tried == ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * tried)
    raise AssertionError("unreachable")


async def _ask(
    database: Database, provider: Provider, attempt: Attempt, means: Card | Token, payer: Payer, seconds: float
) -> Outcome:
    async def remember(reference: str) -> None:
        async with database.transaction() as db:
            if not await remember_reference(db, attempt.id, reference):
                raise Ended

    wanted = attempt.charge()
    try:
        return await guarded(provider.charge(wanted, means, payer, remember), seconds)
    except Ended:
        return Refused("", "ended")
    except Failed:
        # It took nothing, it says. Cancelled, it never will, and the customer can try again at once.
        return await cancel(provider, wanted)
    except CALL_FAILURES:
        return Waiting()
