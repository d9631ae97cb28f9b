"""`make bench`: what the platform costs, all on one PostgreSQL, in one run.

Reads and free orders beside a bare endpoint doing the same SQL; orders that arrive together beside pgbench writing the
same rows; and the same with a million tickets sold already. Runs are interleaved and medians compared; fsync is on. The
figures of a machine mean little, their ratios a lot.
"""

import argparse
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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec
import psutil

from bench import fill
from bench.load import Run, drive, ensure_wrk, post_script, versions_of_machine
from bench.seed import Seeded, add_customers, seed
from bench.together import PREPARE, Crowd, find_pgbench, pgbench
from ticketing.embedded import EmbeddedPostgres
from ticketing.migrations.runner import migrate

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 32
BUYERS = 8000
SPREAD = 100


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
    """Set the stages, then measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--orders", type=int, default=fill.ORDERS, help="sold already on the full stage (2.5 tickets each)"
    )
    options = parser.parse_args()
    ensure_wrk()
    find_pgbench()
    print(f"On {versions_of_machine()}; medians of {options.rounds} interleaved rounds of {SECONDS} s.")
    with tempfile.TemporaryDirectory(prefix="ticketing-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        async with database(Path(folder) / "data") as dsn:
            stage = await seed(dsn)
            await asyncio.to_thread(compare, dsn, stage, options.rounds)
            full = await second_database(dsn, "full_house")
            print(f"Filling the other stage with {options.orders * 5 // 2:,} tickets.", flush=True)
            await fill.fill(full, orders=options.orders)
            stages = {"none": await set_stage(dsn), "full": await set_stage(full)}
            await asyncio.to_thread(compare_crowds, stages, options.rounds)


@dataclass(frozen=True)
class Stage:
    """A database with an event whose hundred sections are on sale, and people who want to go."""

    dsn: str
    seeded: Seeded
    keys: list[str]


async def set_stage(dsn: str) -> Stage:
    """An on-sale in this database."""
    db = await asyncpg.connect(dsn)
    seeded = await seed(dsn, sections=SPREAD, price_cents=2000)
    try:
        await db.execute(PREPARE)
        await db.executemany("INSERT INTO bench_sections VALUES ($1, $2)", list(enumerate(seeded.sections)))
    finally:
        await db.close()
    return Stage(dsn, seeded, await add_customers(dsn, BUYERS))


async def second_database(dsn: str, name: str) -> str:
    """Another migrated database on the same server."""
    db = await asyncpg.connect(dsn)
    await db.execute(f"CREATE DATABASE {name}")
    await db.close()
    head, _, query = dsn.partition("?")
    other = f"{head.rsplit('/', 1)[0]}/{name}?{query}"
    await migrate(other)
    return other


def compare_crowds(stages: Mapping[str, Stage], rounds: int) -> None:
    """Orders over HTTP by how many ask at once and where, beside pgbench, with nothing and with much sold before."""
    with contextlib.ExitStack() as servers:
        crowds = {}
        for name, stage in stages.items():
            server = servers.enter_context(serving("ticketing.app:app", {"DATABASE_URL": stage.dsn}))
            crowds[name] = Crowd(server.url, stage.seeded, stage.keys)
            crowds[name].warm_up()
        none, full, dsn = crowds["none"], crowds["full"], stages["none"].dsn
        http = {
            "one section, 1 connection": lambda: none.order(connections=1, seconds=SECONDS, sections=1),
            "one section, 16 connections": lambda: none.order(connections=16, seconds=SECONDS, sections=1),
            "one section, 64 connections": lambda: none.order(connections=64, seconds=SECONDS, sections=1),
            "the same, much sold before": lambda: full.order(connections=64, seconds=SECONDS, sections=1),
            "100 sections, 64 connections": lambda: none.order(connections=64, seconds=SECONDS, sections=SPREAD),
        }
        alone = {
            "one section, 1 connection": lambda: pgbench(dsn, clients=1, seconds=SECONDS, sections=1, together=False),
            "one section, 16 connections": lambda: pgbench(
                dsn, clients=16, seconds=SECONDS, sections=1, together=False
            ),
            "one section, 64 connections": lambda: pgbench(
                dsn, clients=64, seconds=SECONDS, sections=1, together=False
            ),
            "100 sections, 64 connections": lambda: pgbench(
                dsn, clients=64, seconds=SECONDS, sections=SPREAD, together=False
            ),
            "64 orders in a transaction": lambda: pgbench(dsn, clients=4, seconds=SECONDS, sections=1, together=True),
        }
        runs: dict[str, list[Run]] = {name: [] for name in http}
        rates: dict[str, list[float]] = {name: [] for name in alone}
        names = list(dict.fromkeys([*http, *alone]))
        for turn in range(rounds):
            # Back and forth, so that nothing always follows the same: what was written last is still being flushed.
            for name in names if turn % 2 else reversed(names):
                if name in alone:
                    rates[name].append(alone[name]())
                if name in http:
                    runs[name].append(http[name]())
    report_crowds(runs, {name: statistics.median(found) for name, found in rates.items()})


def report_crowds(runs: Mapping[str, list[Run]], alone: Mapping[str, float]) -> None:
    """Print medians and ratios."""
    together = alone["64 orders in a transaction"]
    medians = {name: statistics.median(run.rate for run in found) for name, found in runs.items()}
    for name, found in runs.items():
        beside = alone.get(name, alone["one section, 64 connections"])
        p99 = statistics.median(run.p99_ms for run in found)
        print(
            f"orders, {name}: {medians[name]:,.0f}/s, p99 {p99:.1f} ms; pgbench, one in a transaction: {beside:,.0f}/s,"
            f" ratio {medians[name] / beside:.2f}; failed {sum(run.failed for run in found)}",
            flush=True,
        )
    hot = medians["one section, 64 connections"]
    print(f"pgbench, 64 orders in a transaction: {together:,.0f}/s; ratio of 64 connections to it {hot / together:.2f}")
    print(f"much sold before to nothing sold: {medians['the same, much sold before'] / hot:.2f}")


def compare(dsn: str, stage: Seeded, rounds: int) -> None:
    """Both servers side by side, reads and free orders."""
    environment = {
        "DATABASE_URL": dsn,
        "BENCH_EVENT": str(stage.event),
        "BENCH_CUSTOMER": str(stage.customer),
        "TICKETING_TICKETS_PER_CUSTOMER": "0",  # one customer orders all there is
    }
    with serving("ticketing.app:app", environment) as ours, serving("bench.bare:app", environment) as bare:
        headers = {"X-API-Key": stage.key, "X-Client-Version": "3.0.0"}
        uri = f"/events/{stage.event}/sections/{stage.sections[0]}"
        our_order = post_script([msgspec.json.encode({"items": {uri: 1}}).decode()])
        bare_order = post_script([msgspec.json.encode({"section": stage.sections[1]}).decode()])
        report(
            "reads, GET /events/{event}",
            lambda: drive(f"{ours.url}/v3/events/{stage.event}", headers, connections=CONNECTIONS, seconds=SECONDS),
            lambda: drive(f"{bare.url}/event", {}, connections=CONNECTIONS, seconds=SECONDS),
            rounds,
        )
        report(
            "free orders, POST /orders",
            lambda: drive(f"{ours.url}/v3/orders", headers, connections=CONNECTIONS, seconds=SECONDS, script=our_order),
            lambda: drive(f"{bare.url}/order", {}, connections=CONNECTIONS, seconds=SECONDS, script=bare_order),
            rounds,
        )
        print(f"memory of the worker after all this: {ours.worker_mb:.0f} MB (aim: below 150)")


def report(what: str, ours: Callable[[], Run], bare: Callable[[], Run], rounds: int) -> None:
    """Interleave the two and print medians and their ratio."""
    our_runs, bare_runs = [], []
    for _ in range(rounds):
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
