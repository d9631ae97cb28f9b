"""Whether the server is well, told to whoever asks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import SECRET
from ticketing.health import LATE_SECONDS, QUIET_SECONDS, judge
from ticketing.kit.database import Database
from ticketing.kit.jobs import QueueState
from ticketing.migrations import newest
from ticketing.settings import Settings


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is asked anew."""
    monkeypatch.setattr("ticketing.health.REMEMBERED_SECONDS", 0)


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    return Settings(database_url=database, secret=SECRET, rate_limits="off", pool_size=2)


@pytest.fixture
async def working(db: asyncpg.Connection) -> AsyncIterator[None]:
    """A worker was seen a moment ago, and nothing is queued."""
    await db.execute("INSERT INTO recurring_tasks VALUES ('orders.time_out_orders', now(), now())")
    yield
    await db.execute("DELETE FROM recurring_tasks")
    await db.execute("DELETE FROM pgqueuer")


async def ask(http: httpx.AsyncClient) -> tuple[int, Any]:
    answer = await http.get("/health/ready")
    return answer.status_code, answer.json()


async def add_job(db: asyncpg.Connection, status: str, seconds_ago: int, name: str = "mail.send") -> None:
    await db.execute(
        "INSERT INTO pgqueuer (priority, entrypoint, status, execute_after)"
        " VALUES (0, $1, $2::pgqueuer_status, now() - make_interval(secs => $3))",
        name,
        status,
        float(seconds_ago),
    )


async def test_alive_without_key_or_version(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


async def test_ready(http: httpx.AsyncClient, working: None) -> None:
    status, body = await ask(http)
    quiet = body["checks"]["jobs"].pop("quietSeconds")
    assert 0 <= quiet < 10
    assert (status, body) == (
        200,
        {
            "ready": True,
            "degraded": False,
            "checks": {
                "database": {"ok": True},
                "migrations": {"ok": True, "revision": newest()},
                "jobs": {"ok": True, "lagSeconds": 0.0, "dead": 0},
                "mail": {"ok": True, "waiting": 0, "oldestUnsentSeconds": 0.0},
            },
        },
    )


@pytest.mark.parametrize(
    ("queue", "reason"),
    [
        (QueueState(0, 0, None), "No worker runs."),
        (QueueState(0, 0, QUIET_SECONDS + 1), "No worker runs."),
        (QueueState(LATE_SECONDS + 1, 0, 1), "Jobs wait too long."),
        (QueueState(LATE_SECONDS + 1, 1, 1), "Jobs wait too long. Jobs were given up."),
    ],
)
def test_jobs_are_judged(queue: QueueState, reason: str) -> None:
    judged = judge(queue)
    assert (judged["ok"], judged["reason"]) == (False, reason)


async def test_late_and_dead_jobs_degrade_but_the_shop_stays_open(
    http: httpx.AsyncClient, db: asyncpg.Connection, working: None
) -> None:
    await add_job(db, "queued", -500)  # not due yet
    await add_job(db, "queued", 40)
    await add_job(db, "queued", 300, name="never.heard_of")
    await add_job(db, "picked", 200)
    await add_job(db, "failed", 9000)
    status, body = await ask(http)
    jobs = body["checks"]["jobs"]
    assert (status, body["ready"], body["degraded"]) == (200, True, True)
    assert 300 <= jobs["lagSeconds"] < 310
    assert (jobs["dead"], jobs["reason"]) == (1, "Jobs wait too long. Jobs were given up.")


async def test_a_busy_server_stays_ready(http: httpx.AsyncClient, app: Any, db: asyncpg.Connection) -> None:
    assert (await ask(http))[0] == 200
    database = _database(app)
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(2):
            await taken.enter_async_context(database.pool.acquire())
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(ask(http) for _ in range(20)))
        assert asyncio.get_running_loop().time() - began < 2
    for status, body in answers:
        assert (status, body["ready"], body["degraded"]) == (200, True, True)
        assert body["checks"]["database"]["reason"] == "All connections are in use; the rest is as last seen."


def _database(app: Any) -> Database:
    """The application's own, found where the health check has it."""
    for route in app.app.routes:
        if route.path == "/health/ready":
            for cell in route.endpoint.__closure__:
                database: Database = cell.cell_contents._database
                return database
    raise AssertionError


async def test_an_old_database_is_not_ready_a_newer_one_is(http: httpx.AsyncClient, db: asyncpg.Connection) -> None:
    history = await db.fetch("SELECT * FROM schema_migrations")
    try:
        await db.execute("DELETE FROM schema_migrations WHERE revision > '0001'")
        status, body = await ask(http)
        assert (status, body["ready"]) == (503, False)
        assert body["checks"]["migrations"] == {
            "ok": False,
            "revision": "0001",
            "reason": f"The database is at 0001, this version needs {newest()}: run `ticketing migrate`.",
        }
        await db.execute("INSERT INTO schema_migrations (revision, name) VALUES ('9999', 'of_tomorrow')")
        status, body = await ask(http)
        assert (status, body["ready"], body["degraded"]) == (200, True, True)
    finally:
        await db.execute("TRUNCATE schema_migrations")
        await db.copy_records_to_table("schema_migrations", records=history)


async def test_without_a_database_it_is_not_ready_and_tells_nothing(
    http: httpx.AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ConnectionRefusedError("connect to secret-host as secret-user")

    monkeypatch.setattr(_database(app), "reading", refuse)
    assert await ask(http) == (
        503,
        {
            "ready": False,
            "degraded": True,
            "checks": {"database": {"ok": False, "reason": "The database does not answer."}},
        },
    )


async def test_asked_often_it_asks_once(http: httpx.AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketing.health.REMEMBERED_SECONDS", 60)
    asked, reading = [], _database(app).reading

    def count() -> Any:
        asked.append(1)
        return reading()

    monkeypatch.setattr(_database(app), "reading", count)
    assert {status for status, _ in await asyncio.gather(*(ask(http) for _ in range(50)))} == {200}
    assert {status for status, _ in [await ask(http), await ask(http)]} == {200}
    assert len(asked) <= 1
