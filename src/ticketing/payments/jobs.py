"""What recurs around money: nothing is left open, nothing owed."""

from ticketing.jobs.recurring import Jobs
from ticketing.web.operations import Services

from . import owing, reconciling

LONGEST_SECONDS = 300

jobs = Jobs("payments")


@jobs.every(2, limit_seconds=LONGEST_SECONDS)
async def finish_payments(services: Services) -> None:
    """See every open payment to its end; somebody is waiting for it."""
    await reconciling.finish_payments(services)


@jobs.every(5, limit_seconds=LONGEST_SECONDS)
async def finish_refunds(services: Services) -> None:
    """See every open refund to its end."""
    await reconciling.finish_refunds(services)


@jobs.every(5, limit_seconds=LONGEST_SECONDS)
async def return_cancelled(services: Services) -> None:
    """Give back what was sold for cancelled events."""
    await owing.return_cancelled(services)


@jobs.every(5, limit_seconds=LONGEST_SECONDS)
async def refund_owed(services: Services) -> None:
    """Open refunds for all that is owed."""
    await owing.refund_owed(services)
