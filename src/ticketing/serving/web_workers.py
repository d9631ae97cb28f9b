"""The keeper of the workers: Granian's main process, started by the supervisor as `python -m` of this module.

It loads the application while the database is still starting, waits for one line of JSON on its standard input
(`Work`), then forks the workers. They have everything loaded and share its memory.
"""

import gc
import io
import os
import resource
import signal
import threading
import time
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from ticketing.settings import read_settings
from ticketing.web.addresses import parse_networks

from .doorkeeper import Bounds, Doorkeeper
from .handover import DRAIN_SECONDS, Work

IDLE_SECONDS = 75  # clients keep idle connections for 5 to 60 s; whoever closes first must not be us
CONNECTIONS = 2048  # per worker, of up to 24 KB; idle ones count, so this is no bound on work (the pool is)
HEAD_BYTES = 64 * 1024
OTHER_FILES = 256
BACKLOG = 2048
ORPHAN_PROBE_SECONDS = 0.25


def main() -> None:
    """Keep workers until told to stop, or until the supervisor is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to hear
    import ticketing.app  # noqa: F401 - loaded before the fork

    # Unbuffered: a fork while the watching thread holds a buffer's lock would leave the child with it for ever.
    supervisor = io.FileIO(0, closefd=False)
    line = supervisor.readline()
    if not line:
        return
    work = Work.read(line)
    os.environ.update(work.environment)
    threading.Thread(target=_end_with_supervisor, args=(supervisor,), name="supervisor-watch", daemon=True).start()
    gc.collect()
    gc.freeze()  # what is loaded stays shared with the workers
    Server(
        "ticketing.app:app",
        address=work.address,
        port=work.port,
        interface=Interfaces.ASGI,
        workers=work.workers,
        loop=Loops.uvloop,
        websockets=False,
        # Without HTTP/2: its connections have no deadline at all. Browsers speak it to the proxy alone anyway.
        http=HTTPModes.http1,
        backlog=BACKLOG,
        backpressure=_most_connections(),
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000, max_buffer_size=HEAD_BYTES),
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_SECONDS,
    ).serve(target_loader=lambda: load(work.port), wrap_loader=False)


def load(port: int) -> Any:
    """The application, in a worker that has just begun."""
    _raise_open_files()
    keeper = os.getppid()
    threading.Thread(target=_end_with_keeper, args=(keeper,), name="keeper-watch", daemon=True).start()
    from ticketing.app import app

    settings = read_settings()
    bounds = Bounds(
        per_address=settings.connections_per_address if settings.rate_limits == "on" else 0,
        together=_most_connections() * 3 // 4,  # the rest is room for those who come between two looks
    )
    return Doorkeeper(app, port=port, bounds=bounds, exempt=parse_networks(settings.trusted_proxies))


def _raise_open_files() -> None:
    """Allow as many connections as the system lets us; the usual 1024 files are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _most_connections() -> int:
    """As many as a worker has files for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if hard == resource.RLIM_INFINITY else max(128, min(CONNECTIONS, hard - OTHER_FILES))


def _end_with_supervisor(supervisor: io.FileIO) -> None:
    """End in order when the supervisor is gone, however it went: the other end of our standard input is its."""
    while supervisor.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_keeper(keeper: int) -> None:
    """End in order when the keeper was killed: nobody else would tell us to."""
    while os.getppid() == keeper:
        time.sleep(ORPHAN_PROBE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
