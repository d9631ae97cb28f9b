"""`/metrics` for Prometheus, on a port of its own that is off unless a setting opens it.

The job worker shows it: the sum of what all processes count (`kit.metrics`), and what the database knows - places held
and sold, how the jobs stand - which is asked for when somebody looks, and at most every few seconds.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import structlog

from ticketing.jobs.recurring import JobsState, jobs_state
from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE
from ticketing.kit.metrics import FOLDER, PREFIX, are_counted
from ticketing.letters.posting import unsent_letters
from ticketing.settings import Settings

if TYPE_CHECKING:  # the library is loaded only where somebody wants to know
    from prometheus_client import Metric

ANSWER_SECONDS = 3.0
REMEMBERED_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Figure:
    """A figure: one value, or one for each value of a label."""

    name: str
    meaning: str
    value: float | Mapping[str, float]
    label: str = ""


_PLACES = """
SELECT coalesce(sum(section.capacity), 0)::int8 AS capacity, coalesce(sum(section.sold), 0)::int8 AS sold,
       coalesce(sum(section.held), 0)::int8 AS held
  FROM sections section JOIN events event ON event.id = section.event_id
 WHERE section.removed_at IS NULL AND event.removed_at IS NULL AND event.status = 'Listed'"""


@contextlib.asynccontextmanager
async def shown(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Answer Prometheus while the block lasts, if the settings and the supervisor want it."""
    if not settings.metrics_port or not are_counted():
        yield
        return
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(Processes(Path(os.environ[FOLDER])))
    registry.register(DatabaseFigures(database, asyncio.get_running_loop()))
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, registry)
    except OSError as error:
        log.error("metrics.not_shown", reason=os.strerror(error.errno or 0))
        yield
        return
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)


class Processes:
    """What all processes have counted since the server was started; levels are those of the living."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable["Metric"]:
        """The sums as the library wants them."""
        from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

        for file in self._folder.glob("gauge_live*_*.db"):
            number = int(file.stem.rpartition("_")[2])
            if not psutil.pid_exists(number):
                mark_process_dead(number, str(self._folder))
        yield from MultiProcessCollector(None, path=str(self._folder)).collect()

    def describe(self) -> Iterable["Metric"]:
        """Nothing beforehand."""
        return []


class DatabaseFigures:
    """What the database says, asked from the thread that answers Prometheus."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._loop = loop
        self._last: list[Figure] = []
        self._last_at = float("-inf")

    def collect(self) -> Iterable["Metric"]:
        """The figures as the library wants them; `ticketing_database_up` is 0 while it does not answer."""
        from prometheus_client.core import GaugeMetricFamily

        for figure in self._figures():
            if isinstance(figure.value, Mapping):
                family = GaugeMetricFamily(PREFIX + figure.name, figure.meaning, labels=[figure.label])
                for which, value in figure.value.items():
                    family.add_metric([which], value)
                yield family
            else:
                yield GaugeMetricFamily(PREFIX + figure.name, figure.meaning, figure.value)

    def describe(self) -> Iterable["Metric"]:
        """Nothing beforehand: registering must not ask the database."""
        return []

    def _figures(self) -> list[Figure]:
        if time.monotonic() - self._last_at < REMEMBERED_SECONDS:
            return self._last
        asking = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        try:
            self._last = asking.result(ANSWER_SECONDS)
        except TROUBLE as error:
            asking.cancel()
            log.warning("metrics.database_silent", reason=type(error).__name__)
            return [_up(0)]
        self._last_at = time.monotonic()
        return self._last

    async def _read(self) -> list[Figure]:
        async with self._database.reading() as db:
            places = await db.fetchrow(_PLACES)
            jobs = await jobs_state(db)
            unsent = await unsent_letters(db)
        assert places is not None  # noqa: S101 - for the type checker: the statement always has one row
        return [
            _up(1),
            Figure("places", "Places of listed events.", places["capacity"]),
            Figure("places_sold", "Places of listed events that are sold.", places["sold"]),
            Figure("places_held", "Places of listed events that unpaid orders hold.", places["held"]),
            *_jobs(jobs),
            Figure("mail_oldest_seconds", "How long the oldest unsent letter has been waiting.", unsent.oldest_seconds),
        ]


def _jobs(state: JobsState) -> list[Figure]:
    return [
        Figure(
            "job_success_age_seconds",
            "How long ago each recurring task last succeeded.",
            {task.name: task.seconds for task in state.tasks},
            "job",
        ),
        Figure(
            "job_failures",
            "How often in a row each recurring task failed since.",
            {task.name: task.failures for task in state.tasks},
            "job",
        ),
        Figure(
            "job_late",
            "1 for a recurring task that somebody should look at.",
            {task.name: int(task.is_late) for task in state.tasks},
            "job",
        ),
    ]


def _up(value: int) -> Figure:
    return Figure("database_up", "Whether the database answers the job worker.", value)
