"""The supervisor: starts everything in order, watches it, and stops it in the opposite order."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ticketing.embedded import EmbeddedPostgres
from ticketing.kit.metrics import FOLDER
from ticketing.settings import Settings, read_settings

from .children import Child
from .completing import complete_for_serving
from .databases import prepare_database
from .handover import WORKERS_MODULE, Work
from .port import Port, take_port
from .readiness import until_ready

Progress = Callable[[str], None]
Watch = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Options:
    """What `serve` was asked for; `defaults` are settings that hold unless the environment says otherwise."""

    host: str
    port: int
    data_dir: Path
    workers: int
    defaults: dict[str, str] = field(default_factory=dict)


async def serve(
    options: Options,
    *,
    progress: Progress,
    ready: Callable[[str], None],
    prepare: Callable[[Settings], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; a second one ends the workers at once.

    `prepare(settings)` runs once the database is in shape and before anybody is answered; `ready(url)` once the first
    request would be. Raises CannotServe, UnknownSecret, EmbeddedError or BadSetting when the server cannot start.
    """
    settings = read_settings(options.defaults | os.environ)
    port = await take_port(options.host, options.port, progress)
    await _ensure_metrics_port(settings, progress)
    # The keeper loads the application while the database starts, and waits for its work.
    children = [await Child.launch("workers", ["-m", WORKERS_MODULE], progress)]
    try:
        with _stopped_by_signals(children), _counting_folder(settings) as counting:
            async with _database(settings, options.data_dir, progress) as (dsn, watch_database):
                await prepare_database(dsn, progress)
                settings = await complete_for_serving(settings, dsn, options.data_dir, progress)
                if prepare is not None:
                    await prepare(settings)
                try:
                    await _put_to_work(
                        children, _environment(options, settings) | counting, options.workers, port, progress
                    )
                    ready(port.url)
                    async with asyncio.TaskGroup() as watching:
                        for watch in (watch_database, *(child.watch for child in children)):
                            watching.create_task(watch())
                finally:
                    await _stop(children)
    finally:
        for child in children:
            child.kill()
            await child.until_it_ends()  # else its end is told to a loop that is closed
        port.release()


async def _put_to_work(
    children: list[Child], environment: dict[str, str], workers: int, port: Port, progress: Progress
) -> None:
    [keeper] = children
    await keeper.tell(Work(port.address, port.number, workers, environment).line())
    await until_ready(port, keeper, progress)
    children.append(
        await Child.launch(
            "jobs' workers", ["-m", "ticketing.serving.job_worker", "--supervised"], progress, environment
        )
    )


async def _ensure_metrics_port(settings: Settings, progress: Progress) -> None:
    """Raise CannotServe when the port for metrics, if one is wanted, cannot be had."""
    if settings.metrics_port:
        (await take_port(settings.metrics_host, settings.metrics_port, progress)).release()


@contextlib.contextmanager
def _counting_folder(settings: Settings) -> Iterator[dict[str, str]]:
    """The environment that makes our processes count, if somebody wants to know; its folder goes with the server."""
    if not settings.metrics_port:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="ticketing-metrics-", ignore_cleanup_errors=True) as folder:
        yield {FOLDER: folder}


async def _stop(children: list[Child]) -> None:
    await asyncio.gather(*(child.stop() for child in children))


def _environment(options: Options, settings: Settings) -> dict[str, str]:
    defaults = {name: value for name, value in options.defaults.items() if name not in os.environ}
    return defaults | {
        "DATABASE_URL": settings.database_url,
        "TICKETING_SECRET": settings.secret,
        "TICKETING_SECRET_PREVIOUS": settings.secret_previous,
        "TICKETING_MAIL_FOLDER": settings.mail_folder,
    }


@contextlib.asynccontextmanager
async def _database(settings: Settings, data_dir: Path, progress: Progress) -> AsyncIterator[tuple[str, Watch]]:
    """The DSN of the database, and what watches over it: the one that is set, or the embedded one."""
    if settings.database_url:
        yield settings.database_url, _nothing_to_watch
        return
    server = EmbeddedPostgres(data_dir, progress=progress)
    dsn = await server.start()
    try:
        yield dsn, server.supervise
    finally:
        progress("Stopping PostgreSQL.")
        await server.stop()


async def _nothing_to_watch() -> None:
    """The workers reconnect by themselves to a database that others run."""


@contextlib.contextmanager
def _stopped_by_signals(children: list[Child]) -> Iterator[None]:
    """Leave the block, by way of its clean-up, when somebody wants the server to end."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: we run in one
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            task.cancel()
        else:
            for child in children:
                child.kill()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not asked or task.uncancel():
            raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
