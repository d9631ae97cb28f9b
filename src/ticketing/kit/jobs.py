"""Jobs: work that is queued in the transaction that causes it, and tasks that recur.

The queue is PgQueuer's, in our database: what is rolled back was never queued, what is committed is done, also after
a crash. It is done *at least* once - a worker that dies between the work and its note leaves it to the next one - so
a handler must bear being run again. This module declares and queues, and is all that answering requests needs;
`job_worker` does the work.

A package declares its jobs in `jobs.py`:

    jobs = Jobs("orders")

    @jobs.task()
    async def send_receipt(services: Services, receipt: Receipt) -> None: ...

    @jobs.every(30)
    async def time_out_orders(services: Services) -> None: ...

and queues them with `await enqueue(db, send_receipt, [Receipt(order=1), Receipt(order=2)])`.
"""

import typing
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from .database import Connection
from .operations import Services

P = TypeVar("P", bound=msgspec.Struct)

LONGEST_PAUSE_SECONDS = 3600.0

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Task(Generic[P]):
    """Something that is done once for each payload queued.

    It is tried `attempts` times, each within `limit_seconds`; the first pause is `pause_seconds`, each further one
    twice as long. After the last failure the job is dead: kept, shown by the health check, and waiting for `revive`.
    """

    name: str
    payload: type[P]
    run: Callable[[Services, P], Awaitable[None]]
    attempts: int
    pause_seconds: float
    limit_seconds: float

    def pause_after(self, failures: int) -> float | None:
        """Seconds to wait after so many failures (one or more); None when there is no further try."""
        if failures >= self.attempts:
            return None
        return float(min(self.pause_seconds * 2 ** min(failures - 1, 30), LONGEST_PAUSE_SECONDS))


@dataclass(frozen=True)
class Recurring:
    """Something that is done every so often, by one worker at a time; it must bear being run by two."""

    name: str
    run: Callable[[Services], Awaitable[None]]
    every_seconds: float
    limit_seconds: float


class Jobs:
    """The jobs of one package, collected by decorators; a job's name is the package's and the function's."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.tasks: list[Task[Any]] = []
        self.recurring: list[Recurring] = []

    def task(
        self, *, attempts: int = 10, pause_seconds: float = 5, limit_seconds: float = 60
    ) -> Callable[[Callable[[Services, P], Awaitable[None]]], Task[P]]:
        """Declare the decorated function as a task; its second parameter's type is the payload's."""

        def declare(run: Callable[[Services, P], Awaitable[None]]) -> Task[P]:
            name: str = run.__name__
            hints = typing.get_type_hints(run)
            hints.pop("return", None)
            _services, payload = hints.values()
            task = Task(f"{self.package}.{name}", payload, run, attempts, pause_seconds, limit_seconds)
            self.tasks.append(task)
            return task

        return declare

    def every(
        self, seconds: float, *, limit_seconds: float = 60
    ) -> Callable[[Callable[[Services], Awaitable[None]]], Recurring]:
        """Declare the decorated function as a recurring task."""

        def declare(run: Callable[[Services], Awaitable[None]]) -> Recurring:
            name: str = run.__name__
            recurring = Recurring(f"{self.package}.{name}", run, seconds, limit_seconds)
            self.recurring.append(recurring)
            return recurring

        return declare

    def include(self, others: Iterable["Jobs"]) -> "Jobs":
        """This, with the jobs of other packages too."""
        for other in others:
            self.tasks += other.tasks
            self.recurring += other.recurring
        return self


# The queue's times are now(), not clock(): the library that works it off knows no other.
_ENQUEUE = """
INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, status)
SELECT 0, $1, payload, now() + make_interval(secs => $2), 'queued' FROM unnest($3::bytea[]) AS payload"""


async def enqueue(db: Connection, task: Task[P], payloads: Sequence[P], *, after_seconds: float = 0) -> None:
    """Queue a job for each payload, all in one statement, in the caller's transaction.

    A worker takes them up within about a second of the commit, or of `after_seconds`.
    """
    if payloads:
        await db.execute(_ENQUEUE, task.name, float(after_seconds), [_encoder.encode(one) for one in payloads])


@dataclass(frozen=True)
class QueueState:
    """How the queue stands.

    `lag_seconds`: how long the oldest due job has been waiting (0: none is due). `dead`: jobs that were given up, a
    thousand or more counted as a thousand. `quiet_seconds`: since a worker last began a recurring task; None: never.
    """

    lag_seconds: float
    dead: int
    quiet_seconds: float | None


# Each name's oldest job through the index (entrypoint, execute_after): as fast with a million jobs waiting.
_STATE = """
WITH RECURSIVE names AS (
    (SELECT entrypoint FROM pgqueuer WHERE status = 'queued' ORDER BY entrypoint LIMIT 1)
    UNION ALL
    SELECT (SELECT queued.entrypoint FROM pgqueuer queued
             WHERE queued.status = 'queued' AND queued.entrypoint > names.entrypoint
             ORDER BY queued.entrypoint LIMIT 1)
      FROM names WHERE names.entrypoint IS NOT NULL),
due AS (
    SELECT (SELECT min(execute_after) FROM pgqueuer queued
             WHERE queued.status = 'queued' AND queued.entrypoint = names.entrypoint) AS since FROM names
    UNION ALL
    SELECT min(execute_after) FROM pgqueuer WHERE status = 'picked')
SELECT (SELECT greatest(extract(epoch FROM now() - min(since)), 0)::float8 FROM due) AS lag_seconds,
       (SELECT count(*)::int FROM (SELECT FROM pgqueuer WHERE status = 'failed' LIMIT 1000) AS dead) AS dead,
       (SELECT greatest(extract(epoch FROM now() - max(started_at)), 0)::float8 FROM recurring_tasks) AS quiet_seconds
"""


async def queue_state(db: Connection) -> QueueState:
    """How the queue stands."""
    row = await db.fetchrow(_STATE)
    assert row is not None  # noqa: S101 - for the type checker: the statement always has one row
    return QueueState(row["lag_seconds"] or 0.0, row["dead"], row["quiet_seconds"])


# The log goes too: what it says about lost tries is about the life before.
_REVIVE = """
WITH revived AS (
    UPDATE pgqueuer SET status = 'queued', attempts = 0, execute_after = now(), updated = now()
     WHERE status = 'failed' AND ($1::text IS NULL OR entrypoint = $1) RETURNING id),
forgotten AS (DELETE FROM pgqueuer_log WHERE job_id IN (SELECT id FROM revived))
SELECT count(*)::int FROM revived"""


async def revive(db: Connection, name: str | None = None) -> int:
    """Queue the dead jobs (of one name) once more, with all their tries; how many there were."""
    revived: int = await db.fetchval(_REVIVE, name)
    return revived
