"""What recurs around mail."""

from ticketing.jobs.recurring import Jobs
from ticketing.jobs.retention import forget_after
from ticketing.kit.database import Database
from ticketing.settings import Settings
from ticketing.web.operations import Services

from . import outbox
from .postman import Postmen, distribute

jobs = Jobs("mail")


# The limits are beyond what a round can take (a few letters that a slow server takes its time for, and noting them), so
# that it never ends in the middle of handing one over.
@jobs.every(1, limit_seconds=600)
async def send_security_mail(services: Services) -> None:
    """Send codes, and what owners must know at once."""
    await services.the(Postmen).security.make_round()


@jobs.every(2, limit_seconds=600)
async def send_mail(services: Services) -> None:
    """Send what else waits, to one and to all."""
    await distribute(services.the(Database))
    await services.the(Postmen).letters.make_round()


@jobs.every(2, limit_seconds=600)
async def send_tickets(services: Services) -> None:
    """Send what has tickets attached."""
    await services.the(Postmen).tickets.make_round()


@jobs.every(3600)
async def forget_mail(services: Services) -> None:
    """Drop what was sent long ago."""
    await forget_after(services.the(Database), services.the(Settings).keep_letters_days, outbox.FORGET)
