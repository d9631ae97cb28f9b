"""A section never holds more than its capacity: crowds at the front door of two workers."""

import asyncio
import contextlib
import random
import secrets
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from bench.seed import Seeded, seed

from conftest import NEW_IDS, ensure_well, scratch_database
from serving import SECRET, clean_environment, serve
from ticketing.kit.vault import hash_key

BUYERS = 300
PLACES = 40


@pytest.fixture(scope="module")
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn
        await ensure_well(dsn)


@pytest.fixture(scope="module")
async def db(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def keys(db: asyncpg.Connection) -> list[str]:
    """The keys of 300 customers."""
    return await open_sessions(db, BUYERS)


async def open_sessions(db: asyncpg.Connection, count: int) -> list[str]:
    keys = [secrets.token_hex(16) for _ in range(count)]
    accounts = [NEW_IDS.new() for _ in keys]
    await db.execute(
        """INSERT INTO accounts (id, number, username, username_key, email, email_key, password_hash, role,
                                 created_at)
           SELECT id, name, name, lower(name), name || '@example.com', lower(name) || '@example.com', '', 'customer',
                  clock()
             FROM unnest($1::bigint[], $2::text[]) AS new (id, name)""",
        accounts,
        [f"BU-{secrets.token_hex(4).upper()}" for _ in keys],
    )
    await db.execute(
        """INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at)
           SELECT account_id, account_id, key_hash, '', '', clock()
             FROM unnest($1::bigint[], $2::bytea[]) AS new (account_id, key_hash)""",
        accounts,
        [hash_key(key) for key in keys],
    )
    return keys


async def order(client: httpx.AsyncClient, key: str, items: dict[str, int]) -> int:
    headers = {"X-API-Key": key, "X-Client-Version": "3.0.0"}
    return (await client.post("/v3/orders", json={"items": items}, headers=headers)).status_code


def crowd(url: str, connections: int = BUYERS) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(base_url=url, limits=limits, timeout=30)


async def set_stage(dsn: str, db: asyncpg.Connection, places: int, *, sections: int = 1) -> Seeded:
    stage = await seed(dsn, sections=sections)
    await db.execute("UPDATE sections SET capacity = $2 WHERE event_id = $1", stage.event, places)
    return stage


async def count_sold(db: asyncpg.Connection, event: int) -> tuple[int, int]:
    """By the counters, and by the tickets."""
    row = await db.fetchrow(
        "SELECT (SELECT sum(sold + held)::int FROM sections WHERE event_id = $1),"
        " (SELECT count(*)::int FROM tickets WHERE event_id = $1)",
        event,
    )
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("rounds", [3, pytest.param(10, marks=pytest.mark.heavy)])
async def test_three_hundred_buyers_get_forty_tickets_between_them(
    dsn: str, db: asyncpg.Connection, keys: list[str], rounds: int
) -> None:
    async with serve(dsn, workers=2) as url, crowd(url) as client:
        for _ in range(rounds):
            stage = await set_stage(dsn, db, PLACES)
            items = {f"/events/{stage.event}/sections/{stage.sections[0]}": 1}
            answers = Counter(await asyncio.gather(*(order(client, key, items) for key in keys)))
            assert answers == {201: PLACES, 400: BUYERS - PLACES}
            assert await count_sold(db, stage.event) == (PLACES, PLACES)


@contextlib.asynccontextmanager
async def serve_unguarded(dsn: str) -> AsyncIterator[str]:
    """Two workers of the application without its guard."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "granian", "--interface", "asgi", "--workers", "2", "--port", str(port), "--no-ws"),
        *("--log-level", "error", "--no-access-log", "unguarded:app"),
        env=clean_environment()
        | {"DATABASE_URL": dsn, "TICKETING_SECRET": SECRET, "TICKETING_RATE_LIMITS": "off"}
        | {"PYTHONPATH": str(Path(__file__).parent)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await client.get(f"{url}/health/live")
                    break
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_crowd_would_notice_a_missing_guard(postgres: str) -> None:
    async with scratch_database(postgres) as dsn:
        db = await asyncpg.connect(dsn)
        await db.execute("ALTER TABLE sections DROP CONSTRAINT never_oversold")
        keys = await open_sessions(db, BUYERS)
        async with serve_unguarded(dsn) as url, crowd(url) as client:
            oversold = 0
            for _ in range(5):
                stage = await set_stage(dsn, db, PLACES)
                items = {f"/events/{stage.event}/sections/{stage.sections[0]}": 1}
                await asyncio.gather(*(order(client, key, items) for key in keys))
                oversold = (await count_sold(db, stage.event))[1]
                if oversold > PLACES:
                    break
        await db.close()
        assert oversold > PLACES


@pytest.mark.parametrize("orders", [300, pytest.param(1000, marks=pytest.mark.heavy)])
async def test_orders_over_several_sections_in_any_order_never_deadlock(
    dsn: str, db: asyncpg.Connection, keys: list[str], orders: int
) -> None:
    stages = [await set_stage(dsn, db, 25, sections=4) for _ in range(3)]
    sections = [f"/events/{stage.event}/sections/{section}" for stage in stages for section in stage.sections]
    draw = random.Random(7)
    wishes = [
        (draw.choice(keys), {uri: draw.randint(1, 2) for uri in draw.sample(sections, draw.randint(2, 6))})
        for _ in range(orders)
    ]
    async with (
        serve(dsn, workers=2) as url,
        crowd(url, 100) as client,
    ):
        answers = Counter(await asyncio.gather(*(order(client, key, items) for key, items in wishes)))
    assert set(answers) <= {201, 400}
    assert answers[201] > 0
    for stage in stages:
        sold, tickets = await count_sold(db, stage.event)
        assert sold == tickets <= 25 * 4
    assert await db.fetchval("SELECT bool_and(sold <= capacity) FROM sections")
