"""Working the jobs off: the queue through PgQueuer, and the recurring tasks.

Any number of workers may run, in any number of processes: a job is claimed with SKIP LOCKED, a recurring task by
moving its row in `recurring_tasks`. That row, and not an advisory lock or PgQueuer's cron: nothing has to be held
while a task runs, a worker that dies holds nobody up beyond the next turn, and the health check sees in it that
workers live.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

from .database import Database
from .jobs import Jobs, Recurring, Task
from .operations import Services

POLL_SECONDS = 1.0
AT_ONCE = 20  # jobs a worker has under way, at most
HEARTBEAT_SECONDS = 30.0  # a job whose worker gave no sign of life for so long is another's
LOST_TRIES = 3  # a job that so often took its worker with it, or was left behind, is given up
RECONNECT_SECONDS = 1.0
LOG_DAYS = 7
LOG_BATCH = 10_000

DATABASE_TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

log = structlog.get_logger()


class LostTooOften(Exception):
    """The job was begun again and again without an end that anybody heard of."""


def queue_settings() -> DBSettings:
    """The names of the queue's tables, as our migrations made them, whatever the environment says."""
    return DBSettings(
        prefix="",
        db_schema=None,
        channel=Channel("ch_pgqueuer"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.balanced,
        widen_id=False,
    )


async def work_off(dsn: str, jobs: Jobs, services: Services, stop: asyncio.Event) -> None:
    """Do what is queued and what recurs until `stop` is set; then end what is under way, and return.

    Outlives the loss of the database. Cancelled, it puts the jobs under way back into the queue.
    """
    _forward_log()
    turns: list[Coroutine[Any, Any, None]] = [_repeat(one, services, stop) for one in (*jobs.recurring, *_OWN)]
    if jobs.tasks:  # with none declared there is nothing to ask for
        turns.append(_keep_queue(dsn, jobs, services, stop))
    async with asyncio.TaskGroup() as group:
        for turn in turns:
            group.create_task(turn)


async def _keep_queue(dsn: str, jobs: Jobs, services: Services, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with _connection(dsn) as connection:
                await _work_queue(connection, jobs, services, stop)
        except DATABASE_TROUBLE as error:
            log.warning("jobs.queue_unreachable", reason=type(error).__name__)
        except Exception:
            log.exception("jobs.queue_failed")
        await _wait(stop, RECONNECT_SECONDS)


@contextlib.asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The queue's own connection: PgQueuer listens on it. When it breaks, nothing half-written can follow."""
    connection = await asyncpg.connect(
        dsn,
        timeout=10,
        command_timeout=30,
        server_settings={"application_name": "ticketing jobs", "timezone": "UTC", "jit": "off", "lock_timeout": "3s"},
    )
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=2)
        except DATABASE_TROUBLE:
            connection.terminate()


async def _work_queue(connection: asyncpg.Connection, jobs: Jobs, services: Services, stop: asyncio.Event) -> None:
    names = queue_settings()
    queries = Queries(
        AsyncpgDriver(connection),
        qbe=QueryBuilderEnvironment(names),
        qbq=QueryQueueBuilder(names),
        qbs=QuerySchedulerBuilder(names),
    )
    manager = QueueManager(queries, channel=names.channel)
    for task in jobs.tasks:
        manager.entrypoint(task.name, on_failure="hold", accepts_context=False)(_handler(task, services))

    async def heed_stop() -> None:
        await stop.wait()
        manager.shutdown.set()

    heeding = asyncio.create_task(heed_stop())
    try:
        await manager.run(
            dequeue_timeout=timedelta(seconds=POLL_SECONDS),
            batch_size=AT_ONCE // 2,
            max_concurrent_tasks=AT_ONCE,
            heartbeat_timeout=timedelta(seconds=HEARTBEAT_SECONDS),
            log_aggregation_interval=timedelta(0),
        )
    finally:
        heeding.cancel()


def _handler(task: Task[Any], services: Services) -> Any:
    """The task as PgQueuer runs it: one try, and what follows when it fails."""

    async def try_once(job: Job) -> None:
        try:
            await _ensure_not_lost_too_often(job, services)
            async with asyncio.timeout(task.limit_seconds):
                await task.run(services, msgspec.json.decode(job.payload or b"", type=task.payload))
        except asyncio.CancelledError:
            # PgQueuer would drop it.
            raise RetryRequested(timedelta(0), "the worker was told to end") from None
        except LostTooOften:
            log.error("job.dead", job=job.id, task=task.name, reason="LostTooOften")
            raise
        except Exception as error:
            pause = task.pause_after(job.attempts + 1)
            if pause is None:
                log.error("job.dead", job=job.id, task=task.name, reason=type(error).__name__)
                raise
            pause *= random.uniform(0.8, 1.2)  # noqa: S311 - what failed together need not come back together
            log.warning(
                "job.failed", job=job.id, task=task.name, reason=type(error).__name__, again_in_seconds=round(pause, 1)
            )
            raise RetryRequested(timedelta(seconds=pause), type(error).__name__) from error

    return try_once


async def _ensure_not_lost_too_often(job: Job, services: Services) -> None:
    """Raises LostTooOften: a job that kills its worker never gets to say that it failed, but its starts are noted."""
    async with services.the(Database).reading() as db:
        starts: int = await db.fetchval(
            "SELECT count(*) FROM pgqueuer_log WHERE job_id = $1 AND status = 'picked'", job.id
        )
    if starts - 1 - job.attempts >= LOST_TRIES:
        raise LostTooOften(f"begun {starts} times, failed {job.attempts} times")


# Operational time, not clock(): a moved clock must not stop the tidying when it is moved back.
_CLAIM = """
INSERT INTO recurring_tasks AS task (name, started_at) VALUES ($1, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET started_at = clock_timestamp()
   WHERE task.started_at NOT BETWEEN clock_timestamp() - make_interval(secs => $2) AND clock_timestamp()
RETURNING true"""


async def _repeat(task: Recurring, services: Services, stop: asyncio.Event) -> None:
    database = services.the(Database)
    while not stop.is_set():
        try:
            async with database.reading() as db:
                claimed = await db.fetchval(_CLAIM, task.name, float(task.every_seconds))
            if claimed:
                async with asyncio.timeout(task.limit_seconds):
                    await task.run(services)
                async with database.reading() as db:
                    await db.execute(
                        "UPDATE recurring_tasks SET ended_at = clock_timestamp() WHERE name = $1", task.name
                    )
        except DATABASE_TROUBLE as error:
            log.warning("jobs.recurring_failed", task=task.name, reason=type(error).__name__)
        except Exception:
            log.exception("jobs.recurring_failed", task=task.name)
        await _wait(stop, min(task.every_seconds / 5, 60) * random.uniform(0.8, 1.2))  # noqa: S311 - spreading


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


_own = Jobs("jobs")


@_own.every(3600)
async def forget_old_log(services: Services) -> None:
    """Drop what the queue noted about jobs of long ago."""
    async with services.the(Database).reading() as db:
        await db.execute(
            "DELETE FROM pgqueuer_log WHERE id IN (SELECT id FROM pgqueuer_log"
            " WHERE created < now() - make_interval(days => $1) ORDER BY created LIMIT $2)",
            LOG_DAYS,
            LOG_BATCH,
        )


_OWN = _own.recurring


class _Forward(logging.Handler):
    """PgQueuer's lines, among ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one of its records."""
        log.log(record.levelno, "pgqueuer", line=record.getMessage(), exc_info=record.exc_info)


def _forward_log() -> None:
    logger = logging.getLogger("pgqueuer")
    logger.handlers = [_Forward()]
    logger.setLevel(logging.WARNING)
    logger.propagate = False
