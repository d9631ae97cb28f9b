"""What recurs around accounts."""

from ticketing.kit.database import Database
from ticketing.kit.jobs import Jobs
from ticketing.kit.operations import Services

from . import codes

jobs = Jobs("accounts")


@jobs.every(3600)
async def forget_codes(services: Services) -> None:
    """Drop the requests for codes of long ago."""
    async with services.the(Database).transaction() as db:
        await codes.tidy(db)
