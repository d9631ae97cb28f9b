"""Doing what recurs.

Any number of workers may run, in any number of processes: a task is claimed by moving its row in `recurring_tasks`.
That row, and not an advisory lock: nothing has to be held while a task runs, a worker that dies holds nobody up beyond
the next turn, and the health check sees in it that workers live, and whether what they do succeeds.
"""

import asyncio
import contextlib
import random

import structlog

from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE
from ticketing.web.operations import Services

from .recurring import Jobs, Recurring

FORGET_DAYS = 1  # a task that nobody has begun for so long exists no more: it was renamed, or removed

log = structlog.get_logger()


async def run_jobs(jobs: Jobs, services: Services, stop: asyncio.Event) -> None:
    """Do what recurs until `stop` is set; then end what is under way, and return.

    Outlives the loss of the database, and every failure of a task.
    """
    async with asyncio.TaskGroup() as group:
        for task in (*jobs.recurring, forget_tasks):
            group.create_task(_repeat(task, services, stop))


# Operational time, not clock(): a moved clock must not stop the work when it is moved back.
_CLAIM = """
INSERT INTO recurring_tasks AS task (name, late_after_seconds, first_started_at, started_at)
VALUES ($1, $3, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET started_at = clock_timestamp(), late_after_seconds = excluded.late_after_seconds
   WHERE task.started_at NOT BETWEEN clock_timestamp() - make_interval(secs => $2) AND clock_timestamp()
RETURNING true"""

_SUCCEEDED = """
UPDATE recurring_tasks SET succeeded_at = clock_timestamp(), failures = 0, error = '' WHERE name = $1"""

_FAILED = "UPDATE recurring_tasks SET failures = failures + 1, error = $2 WHERE name = $1"


async def _repeat(task: Recurring, services: Services, stop: asyncio.Event) -> None:
    database = services.the(Database)
    while not stop.is_set():
        try:
            async with database.reading() as db:
                claimed = await db.fetchval(_CLAIM, task.name, task.every_seconds, task.late_after_seconds)
            if claimed:
                await _run(task, services)
        except Exception as error:
            _tell(task, error)
        await _wait(stop, min(task.every_seconds / 5, 60) * random.uniform(0.8, 1.2))  # noqa: S311 - spreading


async def _run(task: Recurring, services: Services) -> None:
    """One turn, and a note of how it ended: the text of an error may repeat what it was about, its type does not."""
    database = services.the(Database)
    try:
        async with asyncio.timeout(task.limit_seconds):
            await task.run(services)
    except Exception as error:
        _tell(task, error)
        async with database.reading() as db:
            await db.execute(_FAILED, task.name, type(error).__name__)
    else:
        async with database.reading() as db:
            await db.execute(_SUCCEEDED, task.name)


def _tell(task: Recurring, error: Exception) -> None:
    if isinstance(error, TROUBLE):
        log.warning("jobs.failed", task=task.name, reason=type(error).__name__)
    else:
        log.error("jobs.failed", task=task.name, exc_info=error)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


_own = Jobs("jobs")


@_own.every(3600)
async def forget_tasks(services: Services) -> None:
    """Drop what is noted about tasks that no worker knows any more."""
    async with services.the(Database).reading() as db:
        await db.execute(
            "DELETE FROM recurring_tasks WHERE started_at < clock_timestamp() - make_interval(days => $1)", FORGET_DAYS
        )
