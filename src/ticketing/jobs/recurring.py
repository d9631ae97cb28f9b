"""Work that recurs: declared by the packages, done by one worker at a time, and whether it succeeds.

A package declares its own in `jobs.py`:

    jobs = Jobs("orders")

    @jobs.every(30)
    async def time_out_orders(services: Services) -> None: ...

What is caused by one thing and must happen later - a letter, a refund - waits in a table of its subject, written in the
transaction that causes it, and a recurring task sees to it. This module declares and tells how things stand, and is all
that answering requests needs; `job_worker` does the work.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ticketing.kit.database import Connection
from ticketing.web.operations import Services

SPARE_SECONDS = 120  # beyond two turns and one that takes as long as it may
FAILURES = 5  # so many in a row are no hiccup


@dataclass(frozen=True)
class Recurring:
    """Something that is done every so often, by one worker at a time; it must bear being run by two."""

    name: str
    run: Callable[[Services], Awaitable[None]]
    every_seconds: float
    limit_seconds: float

    @property
    def late_after_seconds(self) -> float:
        """How long after a success the next one is late."""
        return 2 * self.every_seconds + self.limit_seconds + SPARE_SECONDS


class Jobs:
    """The recurring tasks of one package, collected by a decorator; each is named for the package and the function."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.recurring: list[Recurring] = []

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
        """This, with the tasks of other packages too."""
        for other in others:
            self.recurring += other.recurring
        return self


@dataclass(frozen=True)
class TaskState:
    """How a recurring task stands.

    `seconds`: since it last succeeded, or, when it never did, since it was first begun. `failures`: in a row, since
    then. `error`: what the last of them was, the name of its type; "" when the last try succeeded.
    """

    name: str
    seconds: float
    late_after_seconds: float
    failures: int
    error: str

    @property
    def is_late(self) -> bool:
        """Whether somebody should look."""
        return self.seconds > self.late_after_seconds or (self.failures >= FAILURES and self.seconds > SPARE_SECONDS)


@dataclass(frozen=True)
class JobsState:
    """How the work stands: seconds since any worker began a task (None: never), and each task that was ever begun."""

    quiet_seconds: float | None
    tasks: list[TaskState]

    @property
    def late(self) -> list[TaskState]:
        """The tasks that somebody should look at."""
        return [task for task in self.tasks if task.is_late]


# Operational time, not clock(): see `job_worker`.
_STATE = """
SELECT name, late_after_seconds, failures, error,
       greatest(extract(epoch FROM clock_timestamp() - started_at), 0)::float8 AS quiet,
       greatest(extract(epoch FROM clock_timestamp() - coalesce(succeeded_at, first_started_at)), 0)::float8 AS seconds
  FROM recurring_tasks ORDER BY name"""


async def jobs_state(db: Connection) -> JobsState:
    """How the work stands."""
    rows = await db.fetch(_STATE)
    return JobsState(
        min((row["quiet"] for row in rows), default=None),
        [
            TaskState(row["name"], row["seconds"], row["late_after_seconds"], row["failures"], row["error"])
            for row in rows
        ],
    )
