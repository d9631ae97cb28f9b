"""The worker: a process of its own that does the jobs, so that no heavy one ever stands before a request.

`serve` runs one beside the processes that answer; `ticketing worker` runs more, on any machine that reaches the
database. `python -m ticketing.serving.job_worker` takes its settings from the environment.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import structlog

from ticketing.accounts.jobs import jobs as accounts
from ticketing.admissions.jobs import jobs as admissions
from ticketing.hosts.jobs import jobs as hosts
from ticketing.jobs.recurring import Jobs
from ticketing.jobs.running import run_jobs
from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE
from ticketing.kit.logs import configure_logs
from ticketing.mail.jobs import jobs as mail
from ticketing.mail.postman import Postmen
from ticketing.monitoring import prometheus as metrics
from ticketing.orders.jobs import jobs as orders
from ticketing.payments.jobs import jobs as payments
from ticketing.payments.providers.choosing import build_providers
from ticketing.sealing import UnknownSecret, keep_up, open_vault
from ticketing.sealing.jobs import jobs as sealing
from ticketing.sessions.jobs import jobs as sessions
from ticketing.settings import BadSetting, Settings, read_settings
from ticketing.tickets.press import Press
from ticketing.web.operations import Services

POOL_SIZE = 10
DRAIN_SECONDS = 15
LONGEST_PAUSE_SECONDS = 10
PRINTS_WAIT_SECONDS = 600  # nobody is waiting for the answer, and whoever buys goes first

JOBS = Jobs("ticketing").include([accounts, admissions, hosts, mail, orders, payments, sealing, sessions])

log = structlog.get_logger()


async def run_worker(settings: Settings, stop: asyncio.Event, jobs: Jobs = JOBS) -> None:
    """Do jobs until `stop` is set; what is under way then gets DRAIN_SECONDS.

    Waits for a database that is away, at the start too. Raises UnknownSecret when the secret in use is another.
    """
    database, vault = Database(settings.database_url, pool_size=POOL_SIZE), open_vault(settings)
    keep_up(database, vault)
    if not await _open(database, stop):
        return
    press = Press(seconds=PRINTS_WAIT_SECONDS)
    providers = build_providers(settings, database, vault)
    services = Services(settings, database, vault, press, providers)
    services.add(Postmen(services))
    working = asyncio.create_task(run_jobs(jobs, services, stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        async with metrics.shown(settings, database):
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=DRAIN_SECONDS)
    finally:
        stopping.cancel()
        working.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await working
        finally:
            press.close()
            await providers.close()
            await database.close()


async def _open(database: Database, stop: asyncio.Event) -> bool:
    """Whether the database was opened before `stop` was set."""
    pause = 0.5
    while not stop.is_set():
        try:
            await database.open()
        except TROUBLE as error:
            log.warning("worker.waits_for_database", reason=type(error).__name__)
        else:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return False


async def work_until_told(settings: Settings, *, supervised: bool = False) -> None:
    """Do jobs until SIGTERM or Ctrl-C; `supervised`: or until standard input ends, as it does with the parent."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if supervised:
        # Ctrl-C is the parent's to hear.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        watch = threading.Thread(target=_until_input_ends, args=(loop, stop.set), name="parent-watch", daemon=True)
        watch.start()
    else:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    await run_worker(settings, stop)


def _until_input_ends(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(end)


def main(arguments: Sequence[str] | None = None) -> int:
    """The worker as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m ticketing.serving.job_worker", description="Do what recurs: time-outs, letters, refunds."
    )
    parser.add_argument("--supervised", action="store_true", help="end when standard input ends")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings()
    except BadSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 1
    if not settings.database_url:
        print("DATABASE_URL is not set: a worker needs the database of a server.", file=sys.stderr)  # noqa: T201
        return 1
    configure_logs(settings.log_format)
    try:
        asyncio.run(work_until_told(settings, supervised=options.supervised))
    except UnknownSecret as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
