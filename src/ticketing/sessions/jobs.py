"""What recurs around callers."""

from ticketing.guesses import counting as failures
from ticketing.history import recording as history
from ticketing.jobs.recurring import Jobs
from ticketing.jobs.retention import forget, forget_after
from ticketing.kit.database import Database
from ticketing.settings import Settings
from ticketing.web.operations import Services

from . import sign_ins
from .queries import ENDS_AT

jobs = Jobs("sessions")

_FORGET_REPEATS = """
DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_keys WHERE expires_at <= (SELECT clock())
     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""

# A session that is over has started before, so the index over starts narrows the search.
_FORGET_SESSIONS = f"""
DELETE FROM sessions WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM sessions session
     WHERE started_at < (SELECT clock()) - make_interval(days => $2)
       AND coalesce(ended_at, {ENDS_AT}) < (SELECT clock()) - make_interval(days => $2)
     ORDER BY started_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""


@jobs.every(60)
async def forget_failures(services: Services) -> None:
    """Drop the counts of wrong tries that no longer bound anything."""
    await forget(services.the(Database), failures.FORGET)


@jobs.every(60)
async def forget_idempotency_keys(services: Services) -> None:
    """Drop stored answers whose day is over."""
    await forget(services.the(Database), _FORGET_REPEATS)


@jobs.every(3600)
async def forget_sessions(services: Services) -> None:
    """Drop sessions that ended long ago."""
    await forget_after(services.the(Database), services.the(Settings).keep_sessions_days, _FORGET_SESSIONS)


@jobs.every(3600)
async def forget_sign_ins(services: Services) -> None:
    """Drop the requests for codes of the days before."""
    await forget_after(services.the(Database), sign_ins.KEPT_DAYS, sign_ins.FORGET)


@jobs.every(3600)
async def forget_history(services: Services) -> None:
    """Drop what was done long ago."""
    await forget_after(services.the(Database), services.the(Settings).keep_history_days, history.FORGET)
