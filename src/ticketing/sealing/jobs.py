"""What recurs around the secret."""

from ticketing.jobs.recurring import Jobs
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.web.operations import Services

from .rotating import forget_retired, seal_all_anew

jobs = Jobs("sealing")


@jobs.every(600, limit_seconds=600)
async def finish_rotation(services: Services) -> None:
    """Seal anew what a secret before this one sealed, and forget that one when nothing needs it any more."""
    database = services.the(Database)
    async with database.reading() as db:
        if not await db.fetchval("SELECT true FROM secrets WHERE sealed IS NOT NULL LIMIT 1"):
            return
    swept = await seal_all_anew(database, services.the(Vault))
    if not swept.left:
        async with database.reading() as db:
            await forget_retired(db)
