"""Workers and PostgreSQL are killed while people buy: what was answered is there, and every promise is kept."""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
from bench.seed import Seeded, seed

from conftest import clock_moved, ensure_well
from makers import card
from serving import Server, ready, running
from test_scarcity import open_sessions
from ticketing.embedded import reach
from ticketing.serving.handover import WORKERS_MODULE

BUYERS = 24
UNKNOWN = "whether the last orders were placed is not known"
RECOVERY_SECONDS = 90  # what dies again and again is started with ever longer pauses


@dataclass
class Answers:
    """What customers were told: the orders by number, and statuses of answers that nobody should get."""

    placed: set[str] = field(default_factory=set)
    fulfilled: set[str] = field(default_factory=set)
    broken: list[int] = field(default_factory=list)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    """A server with a PostgreSQL of its own and two workers, and the DSN of the database."""
    with tempfile.TemporaryDirectory(prefix="ticketing-tests-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        folder = Path(path) / "data"
        settings = {
            "TICKETING_RATE_LIMITS": "off",
            "TICKETING_OPEN_ORDERS_PER_CUSTOMER": "1000000",
            "TICKETING_TICKETS_PER_CUSTOMER": "0",
        }
        arguments = ["serve", "--port", "0", "--workers", "2", "--data-dir", str(folder)]
        async with running(*arguments, environment=settings) as one:
            await ready(one)
            async with reach(folder, progress=lambda _line: None) as dsn:
                yield one, dsn


def victim(server: Server, kind: str) -> psutil.Process:
    """A worker that answers, or PostgreSQL."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    if kind == "postgres":
        return next(one for one in family if one.name() == "postgres" and one.ppid() == server.process.pid)
    return next(one for one in family if WORKERS_MODULE in one.cmdline() and one.ppid() != server.process.pid)


async def buy(url: str, key: str, stage: Seeded, number: int, answers: Answers, is_over: Callable[[], bool]) -> None:
    """Order, and pay where it costs something, again and again; connections may break and servers be busy."""
    headers = {"X-API-Key": key, "X-Client-Version": "3.0.0"}
    section = f"/events/{stage.event}/sections/{stage.sections[number % len(stage.sections)]}"
    while not is_over():
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(base_url=f"{url}/v3", headers=headers, timeout=30) as client:
                await buy_once(client, section, answers)
        await asyncio.sleep(0.02)


async def buy_once(client: httpx.AsyncClient, section: str, answers: Answers) -> None:
    order = await client.post("/orders", json={"items": {section: 1}})
    if order.status_code != 201:
        answers.broken += [order.status_code] if order.status_code != 503 else []
        return
    placed = order.json()
    (answers.placed if placed["total"] else answers.fulfilled).add(placed["number"])
    if placed["total"]:
        paid = await client.post(placed["payments"], json=card())
        if paid.status_code == 201:
            assert paid.json()["status"] == "Authorised"
            answers.fulfilled.add(placed["number"])
        elif paid.status_code not in (202, 503):
            answers.broken.append(paid.status_code)


async def serves(url: str) -> None:
    """Wait until the server is ready again."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        while True:
            with contextlib.suppress(httpx.TransportError):
                async with httpx.AsyncClient(timeout=5) as client:
                    if (await client.get(f"{url}/health/ready")).status_code == 200:
                        return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.heavy)])
async def test_no_answer_is_made_untrue_by_a_kill_under_load(server: tuple[Server, str], rounds: int) -> None:
    process, dsn = server
    db = await asyncpg.connect(dsn)
    stage = await seed(dsn, sections=2)
    await db.execute("UPDATE sections SET base_price_cents = 2000 WHERE id = $1", stage.sections[0])
    keys = await open_sessions(db, BUYERS)
    await db.close()
    answers, over = Answers(), asyncio.Event()
    buying = [
        asyncio.create_task(buy(process.url, key, stage, number, answers, over.is_set))
        for number, key in enumerate(keys)
    ]
    for kind in ("worker", "postgres") * rounds:
        before = len(answers.fulfilled)
        while len(answers.fulfilled) < before + BUYERS:
            await asyncio.sleep(0.01)
        victim(process, kind).send_signal(signal.SIGKILL)
        await serves(process.url)
    over.set()
    await asyncio.gather(*buying)
    # While PostgreSQL takes longer to come back than clients wait, nobody knows: no other answer would be true then.
    crashed = [line for line in process.said if "request.crashed" in line]
    assert set(answers.broken) <= {500}
    assert len(answers.broken) <= sum(UNKNOWN in line for line in crashed), "".join(crashed)
    await everything_told_is_true(dsn, answers)


async def everything_told_is_true(dsn: str, answers: Answers) -> None:
    db = await asyncpg.connect(dsn)
    async with clock_moved(db, 60):  # what a request would have finished is the job worker's by now
        async with asyncio.timeout(RECOVERY_SECONDS):
            while await db.fetchval("SELECT count(*) FROM payments WHERE status = 'Pending'"):
                await asyncio.sleep(0.1)
        rows = await db.fetch("SELECT number, status FROM orders")
        states = {row["number"]: row["status"] for row in rows}
        assert {states.get(number) for number in answers.fulfilled} == {"Fulfilled"}
        assert {states.get(number) for number in answers.placed - answers.fulfilled} <= {"Placed", "Fulfilled"}
    await db.close()
    await ensure_well(dsn)
