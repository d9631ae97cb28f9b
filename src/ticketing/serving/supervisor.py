"""The supervisor: starts everything in order, watches it, and stops it in the opposite order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from ticketing.embedded import EmbeddedPostgres
from ticketing.embedded.errors import file_errors_explained
from ticketing.kit.vault import ensure_secret
from ticketing.settings import Settings, read_settings

from .databases import prepare_database
from .keeper import Keeper
from .port import Port, take_port
from .work import Work

Progress = Callable[[str], None]


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
    prepare: Callable[[str, Settings], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; a second one ends the workers at once.

    `prepare(dsn, settings)` runs once the database is in shape and before anybody is answered; `ready(url)` once the
    first request would be. Raises CannotServe, EmbeddedError or BadSetting when the server cannot start.
    """
    settings = read_settings(options.defaults | os.environ)
    port = await take_port(options.host, options.port, progress)
    keeper = await Keeper.launch(progress)
    try:
        with _stopped_by_signals(keeper):
            async with _database(settings, options.data_dir, progress) as (dsn, watch_database):
                await prepare_database(dsn, progress)
                settings = settings_for(settings, dsn, options.data_dir)
                if prepare is not None:
                    await prepare(dsn, settings)
                try:
                    await keeper.work(_work(options, settings, port), port)
                    ready(port.url)
                    async with asyncio.TaskGroup() as watching:
                        watching.create_task(watch_database())
                        watching.create_task(keeper.watch())
                finally:
                    progress("Stopping: what is under way gets its answer.")
                    await keeper.stop()
    finally:
        keeper.kill()
        port.release()
