"""What recurs around accounts."""

from ticketing.jobs.recurring import Jobs
from ticketing.jobs.retention import forget, forget_after
from ticketing.kit.database import Database
from ticketing.web.operations import Services

from . import codes, former_addresses

jobs = Jobs("accounts")


@jobs.every(3600)
async def forget_codes(services: Services) -> None:
    """Drop the requests for codes of long ago."""
    database = services.the(Database)
    await forget_after(database, codes.KEPT_DAYS, codes.FORGET)
    await forget(database, codes.FORGET_WRONG)


@jobs.every(3600)
async def forget_former_addresses(services: Services) -> None:
    """Drop the addresses that can take no account back any more."""
    await forget_after(services.the(Database), former_addresses.DAYS, former_addresses.FORGET)
