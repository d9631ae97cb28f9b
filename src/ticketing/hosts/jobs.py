"""What recurs around hosts."""

from ticketing.jobs.recurring import Jobs
from ticketing.jobs.retention import forget_after
from ticketing.kit.database import Database
from ticketing.web.operations import Services

from . import invitations

jobs = Jobs("hosts")


@jobs.every(3600)
async def forget_invitations(services: Services) -> None:
    """Drop the invitations of long ago, which nobody can accept any more."""
    await forget_after(services.the(Database), invitations.DAYS, invitations.FORGET)
