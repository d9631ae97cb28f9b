"""`make bench`: what the platform costs beside a bare endpoint doing the same SQL, on the same PostgreSQL, in one run.

Runs are interleaved and medians compared; fsync is on. The figures of a machine mean little, their ratios a lot.
"""

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from bench.load import Run, drive, ensure_wrk, post_script, versions_of_machine
from bench.seed import Seeded, seed
from ticketing.embedded import EmbeddedPostgres
from ticketing.migrations.runner import migrate

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 32


@dataclass(frozen=True)
class Server:
    """A server under load and the process that answers."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def worker_mb(self) -> float:
        """Resident memory of the largest process below it, in MB."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return max(process.memory_info().rss for process in below) / 1e6


async def main() -> None:
    ensure_wrk()
    print(f"On {versions_of_machine()}; {ROUNDS} interleaved rounds of {SECONDS} s, {CONNECTIONS} connections.")
    with tempfile.TemporaryDirectory(prefix="ticketing-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        async with database(Path(folder) / "data") as dsn:
            stage = await seed(dsn)
            await asyncio.to_thread(compare, dsn, stage)


def compare(dsn: str, stage: Seeded) -> None:
    """Both servers side by side, reads and free orders."""
    environment = {"DATABASE_URL": dsn, "BENCH_EVENT": str(stage.event), "BENCH_CUSTOMER": str(stage.customer)}
    with serving("ticketing.app:app", environment) as ours, serving("bench.bare:app", environment) as bare:
        headers = {"X-API-Key": stage.key, "X-Client-Version": "3.0.0"}
        uri = f"/events/{stage.event}/sections/{stage.sections[0]}"
        our_order = post_script([msgspec.json.encode({"items": {uri: 1}}).decode()])
        bare_order = post_script([msgspec.json.encode({"section": stage.sections[1]}).decode()])
        report(
            "reads, GET /events/{event}",
            lambda: drive(f"{ours.url}/v3/events/{stage.event}", headers, connections=CONNECTIONS, seconds=SECONDS),
            lambda: drive(f"{bare.url}/event", {}, connections=CONNECTIONS, seconds=SECONDS),
        )
        report(
            "free orders, POST /orders",
            lambda: drive(f"{ours.url}/v3/orders", headers, connections=CONNECTIONS, seconds=SECONDS, script=our_order),
            lambda: drive(f"{bare.url}/order", {}, connections=CONNECTIONS, seconds=SECONDS, script=bare_order),
        )
        print(f"memory of the worker after all this: {ours.worker_mb:.0f} MB (aim: below 150)")


def report(what: str, ours: Callable[[], Run], bare: Callable[[], Run]) -> None:
    """Interleave the two and print medians and their ratio."""
    our_runs, bare_runs = [], []
    for _ in range(ROUNDS):
        bare_runs.append(bare())
        our_runs.append(ours())
    our_rate = statistics.median(run.rate for run in our_runs)
    bare_rate = statistics.median(run.rate for run in bare_runs)
    p99 = statistics.median(run.p99_ms for run in our_runs)
    failed = sum(run.failed for run in [*our_runs, *bare_runs])
    print(
        f"{what}: {our_rate:,.0f}/s, bare {bare_rate:,.0f}/s, ratio {our_rate / bare_rate:.2f};"
        f" p99 {p99:.1f} ms; failed {failed}",
        flush=True,
    )


@contextlib.asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """A fresh, migrated PostgreSQL."""
    server = EmbeddedPostgres(folder, progress=lambda line: print(line, flush=True))
    dsn = await server.start()
    try:
        await migrate(dsn)
        yield dsn
    finally:
        await server.stop()


@contextlib.contextmanager
def serving(target: str, environment: dict[str, str]) -> Iterator[Server]:
    """One worker of Granian with this application, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "TICKETING_SECRET": "only for measuring, never for anything else",
        "TICKETING_TRAFFIC_PER_MINUTE": "1000000000",
        "TICKETING_LOG_FORMAT": "json",
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--port", str(port)),
            *("--no-access-log", "--log-level", "error", target),
        ],
        env={**os.environ, **settings, **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/")
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(url: str) -> None:
    """Until the server answers anything; 15 s at most."""
    for _ in range(150):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own URL
            return
        time.sleep(0.1)
    raise SystemExit(f"{url} did not answer.")


if __name__ == "__main__":
    asyncio.run(main())
