"""What tests about money share: the cards of the sandbox, the jobs that see everything to its end, and the books."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from conftest import SECRET
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.payments import owing, reconciling
from ticketing.payments.providers import sandbox
from ticketing.payments.providers.choosing import build_providers
from ticketing.settings import Settings
from ticketing.web.operations import Services

TIMEOUT_BEFORE, TIMEOUT_AFTER, SLOW = "4000000000002008", "4000000000002107", "4000000000003006"
BANK_ASKS, BANK_ASKS_IN_VAIN = "4000002500003155", "4000000000003105"
REFUND_FAILS, REFUND_TIMEOUT = "4000000000004004", "4000000000004103"


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """A sandbox that keeps silent for a moment only before its callers give up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "SILENCE_SECONDS", 0.05)
        yield


@contextlib.asynccontextmanager
async def worker_services(settings: Settings) -> AsyncIterator[Services]:
    """What the jobs around money need, as a worker has it."""
    database = Database(settings.database_url, pool_size=6)
    await database.open()
    try:
        vault = Vault(SECRET)
        yield Services(settings, database, vault, build_providers(settings, database, vault))
    finally:
        await database.close()


async def settle_all(services: Services) -> None:
    """Let the jobs do what is due now; what one leads to, the next finds."""
    await reconciling.finish_payments(services)
    await owing.return_cancelled(services)
    await owing.refund_owed(services)
    await reconciling.finish_refunds(services)


# The counters of every section and price are those of the rows; what is live has its tickets, and nothing else has.
_FAULTS = """
WITH live AS (
    SELECT item.*, orders.status,
           orders.status = 'Fulfilled' AND item.returned_at IS NULL AS is_live, item.held_until IS NOT NULL AS is_held
      FROM order_items item JOIN orders ON orders.id = item.order_id)
SELECT 'sold of ' || section.id FROM sections section WHERE section.sold <> (
       SELECT coalesce(sum(quantity), 0) FROM live WHERE is_live AND section_id = section.id)
UNION ALL
SELECT 'held of ' || section.id FROM sections section WHERE section.held <> (
       SELECT coalesce(sum(quantity), 0) FROM live WHERE is_held AND section_id = section.id)
UNION ALL
SELECT 'used of ' || price.id FROM prices price WHERE price.used <> (
       SELECT coalesce(sum(quantity), 0) FROM live WHERE (is_held OR is_live) AND price_id = price.id)
UNION ALL
SELECT 'tickets of item ' || live.id FROM live
 WHERE (SELECT count(*) FROM tickets WHERE item_id = live.id AND status <> 'Voided')
       <> CASE WHEN is_live THEN quantity ELSE 0 END
UNION ALL
SELECT 'held though ' || status || ': ' || id FROM live WHERE is_held AND status <> 'Placed'
UNION ALL
SELECT 'places on top of tickets: ' || id FROM live WHERE is_held AND is_live"""

# What the provider took for an order, less what it gave back, is what its live items cost, fees included.
_UNBALANCED = """
WITH taken AS (
    SELECT payment.order_id, sum(charge.amount_cents) AS cents, count(*) AS charges
      FROM payments payment JOIN sandbox_charges charge ON charge.key = 'payment-' || payment.id
     WHERE charge.state = 'succeeded' OR charge.succeeds_at <= clock() GROUP BY 1),
given AS (
    SELECT payment.order_id, sum(refund.amount_cents) AS cents
      FROM sandbox_refunds refund JOIN sandbox_charges charge ON charge.reference = refund.charge
           JOIN payments payment ON charge.key = 'payment-' || payment.id
     WHERE refund.state = 'succeeded' GROUP BY 1),
worth AS (
    SELECT order_id, sum((price_cents + fee_cents) * quantity) AS cents
      FROM order_items item JOIN orders ON orders.id = item.order_id
     WHERE orders.status = 'Fulfilled' AND item.returned_at IS NULL GROUP BY 1)
SELECT orders.id, orders.number, orders.status, taken.cents AS taken, given.cents AS given, worth.cents AS worth
  FROM orders LEFT JOIN taken ON taken.order_id = orders.id LEFT JOIN given ON given.order_id = orders.id
       LEFT JOIN worth ON worth.order_id = orders.id
 WHERE coalesce(taken.cents, 0) - coalesce(given.cents, 0) <> coalesce(worth.cents, 0)"""

_OPEN = """
SELECT (SELECT count(*)::int FROM payments WHERE status = 'Pending')
     + (SELECT count(*)::int FROM refunds WHERE status = 'Pending')"""


async def faults(db: asyncpg.Connection) -> list[str]:
    """Where counters, tickets and rows disagree; at no moment may there be any."""
    return [row[0] for row in await db.fetch(_FAULTS)]


async def unbalanced(db: asyncpg.Connection) -> list[dict[str, Any]]:
    """The orders whose money is not where it should be; once nothing is open, there may be none."""
    return [dict(row) for row in await db.fetch(_UNBALANCED)]


async def count_open(db: asyncpg.Connection) -> int:
    """Payments and refunds that are not decided yet."""
    count: int = await db.fetchval(_OPEN)
    return count


async def charges(db: asyncpg.Connection, order: dict[str, Any]) -> list[tuple[str, int]]:
    """What the provider has in its books about an order: state and amount of each charge."""
    rows = await db.fetch(
        "SELECT charge.state, charge.amount_cents FROM sandbox_charges charge"
        "  JOIN payments payment ON charge.key = 'payment-' || payment.id"
        "  JOIN orders ON orders.id = payment.order_id WHERE orders.number = $1 ORDER BY payment.id",
        order["number"],
    )
    return [(row["state"], row["amount_cents"]) for row in rows]


async def repaid(db: asyncpg.Connection, order: dict[str, Any]) -> list[tuple[str, int]]:
    """What the provider gave back for an order: state and amount of each refund."""
    rows = await db.fetch(
        "SELECT refund.state, refund.amount_cents FROM sandbox_refunds refund"
        "  JOIN sandbox_charges charge ON charge.reference = refund.charge"
        "  JOIN payments payment ON charge.key = 'payment-' || payment.id"
        "  JOIN orders ON orders.id = payment.order_id WHERE orders.number = $1 ORDER BY refund.at",
        order["number"],
    )
    return [(row["state"], row["amount_cents"]) for row in rows]
