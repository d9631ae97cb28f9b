"""Finding out what became of payments and refunds whose answer never came, and seeing every one to its end.

Asked at the provider are the attempts that are open longer than a request lasts: after a silence, a crash between any
two steps, a customer who never came back from his bank. Several workers may do this at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ticketing.kit.database import Database, Row
from ticketing.kit.database_errors import TROUBLE
from ticketing.orders.queries import STATUS_NOW
from ticketing.orders.rules import Status
from ticketing.web.operations import Services

from . import rules
from .asking import CALL_FAILURES, PATIENTLY_SECONDS, cancel, find
from .attempts import Attempt, get_attempt
from .providers.choosing import Providers
from .refunding import repay
from .refunds import get_refund
from .settling import record

BATCH = 20
AT_ONCE = 4  # calls under way: the worker's pool is small

log = structlog.get_logger()

# Whoever asks moves the time of the next question on: others leave it alone, and a crash leaves it to them later. The
# longer something lasts the less often it is asked for, but at its deadline it is.
_CLAIM_PAYMENTS = """
UPDATE payments payment
   SET ask_at = least(now.at + greatest('5 s', least('1 min'::interval, (now.at - payment.opened_at) / 4)),
                      CASE WHEN payment.deadline_at > now.at THEN payment.deadline_at END)
  FROM (SELECT id FROM payments WHERE status = 'Pending' AND ask_at <= (SELECT clock())
         ORDER BY ask_at LIMIT $1 FOR UPDATE SKIP LOCKED) due, (SELECT clock() AS at) now
 WHERE payment.id = due.id RETURNING payment.id"""

_CLAIM_REFUNDS = """
UPDATE refunds refund
   SET ask_at = now.at + greatest('5 s', least('5 min'::interval, (now.at - refund.opened_at) / 4))
  FROM (SELECT id, ask_at > opened_at AS again FROM refunds WHERE status = 'Pending' AND ask_at <= (SELECT clock())
         ORDER BY ask_at LIMIT $1 FOR UPDATE SKIP LOCKED) due, (SELECT clock() AS at) now
 WHERE refund.id = due.id RETURNING refund.id, due.again"""


async def finish_payments(services: Services) -> None:
    """Ask for every payment that is due to be asked for, and record what the provider says."""
    database, providers = services.the(Database), services.the(Providers)

    async def finish(row: Row) -> None:
        await ask_about_payment(database, providers, row["id"])

    while due := await _claim(database, _CLAIM_PAYMENTS):
        await _each(due, finish)


async def finish_refunds(services: Services) -> None:
    """Ask for every refund that is due to be asked for, and record what the provider says."""
    database, providers = services.the(Database), services.the(Providers)

    async def finish(row: Row) -> None:
        async with database.reading() as db:
            giving = await get_refund(db, row["id"])
        await repay(database, providers.find(giving.provider), giving, PATIENTLY_SECONDS, again=row["again"])

    while due := await _claim(database, _CLAIM_REFUNDS):
        await _each(due, finish)


async def ask_about_payment(database: Database, providers: Providers, attempt_id: int) -> Attempt:
    """Ask the provider what became of an attempt, cancel it there when its time is over, and record the answer.

    Bears any attempt, open or not, at any time. Raises Silent, Failed, Broke when the provider gives no answer.
    """
    async with database.reading() as db:
        attempt = await get_attempt(db, attempt_id)
        order = await db.fetchrow(
            f"SELECT {STATUS_NOW} AS status, clock() AS now FROM orders WHERE id = $1", attempt.order_id
        )
    provider = providers.find(attempt.provider)
    if provider is None or order is None:
        log.error("payments.provider_missing", payment=attempt.id, provider=attempt.provider)
        return attempt
    outcome = await find(provider, attempt)
    if rules.is_to_cancel(outcome, Status(order["status"]), order["now"], attempt.deadline_at):
        outcome = await cancel(provider, attempt.charge(), PATIENTLY_SECONDS)
    return await record(database, attempt.id, outcome)


async def _claim(database: Database, statement: str) -> list[Row]:
    async with database.reading() as db:
        return list(await db.fetch(statement, BATCH))


async def _each(rows: Sequence[Row], finish: Callable[[Row], Awaitable[None]]) -> None:
    """A few at a time; one that fails is asked for again later and keeps nobody waiting."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(row: Row) -> None:
        async with gate:
            try:
                await finish(row)
            except (*TROUBLE, *CALL_FAILURES) as error:
                log.warning("payments.unfinished", id=row["id"], reason=type(error).__name__)

    await asyncio.gather(*(one(row) for row in rows))
