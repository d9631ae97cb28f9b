"""What recurs around gates."""

from ticketing.jobs.recurring import Jobs
from ticketing.jobs.retention import forget_after
from ticketing.kit.database import Database
from ticketing.settings import Settings
from ticketing.web.operations import Services

jobs = Jobs("admissions")

_FORGET = """
DELETE FROM refused_scans WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM refused_scans WHERE scanned_at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY scanned_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""

_FORGET_TALLIES = """
DELETE FROM refusal_tallies WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM refusal_tallies WHERE day < ((SELECT clock()) AT TIME ZONE 'UTC')::date - $2::int
     ORDER BY day LIMIT $1 FOR UPDATE SKIP LOCKED))"""


@jobs.every(3600)
async def forget_refused_scans(services: Services) -> None:
    """Drop what gates refused long ago."""
    days = services.the(Settings).keep_refused_scans_days
    for statement in (_FORGET, _FORGET_TALLIES):
        await forget_after(services.the(Database), days, statement)
