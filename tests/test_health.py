"""Whether the server is well, told to whoever asks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import SECRET
from ticketing.jobs.recurring import JobsState, TaskState
from ticketing.kit.database import Database
from ticketing.migrations import newest
from ticketing.monitoring.health import QUIET_SECONDS, judge
from ticketing.settings import Settings


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is asked anew."""
    monkeypatch.setattr("ticketing.monitoring.health.REMEMBERED_SECONDS", 0)
    monkeypatch.setattr("ticketing.monitoring.health.WRITTEN_SECONDS", 0)


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    return Settings(database_url=database, secret=SECRET, rate_limits="off", pool_size=2)


@pytest.fixture
async def working(db: asyncpg.Connection) -> AsyncIterator[None]:
    """A worker did its work a moment ago."""
    await db.execute(
        "INSERT INTO recurring_tasks (name, late_after_seconds, first_started_at, started_at, succeeded_at)"
        " VALUES ('orders.time_out_orders', 240, now(), now(), now())"
    )
    yield
    await db.execute("DELETE FROM recurring_tasks")


async def ask(http: httpx.AsyncClient) -> tuple[int, Any]:
    answer = await http.get("/health/ready")
    return answer.status_code, answer.json()


async def test_alive_without_key_or_version(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


async def test_ready(http: httpx.AsyncClient, working: None) -> None:
    status, body = await ask(http)
    quiet = body["checks"]["jobs"].pop("quietSeconds")
    assert 0 <= quiet < 60
    assert 0 <= body["checks"]["jobs"]["tasks"]["orders.time_out_orders"].pop("succeededSecondsAgo") < 60
    assert (status, body) == (
        200,
        {
            "ready": True,
            "degraded": False,
            "checks": {
                "database": {"ok": True},
                "migrations": {"ok": True, "revision": newest()},
                "jobs": {"ok": True, "tasks": {"orders.time_out_orders": {"ok": True, "error": ""}}},
                "mail": {"ok": True, "waiting": 0, "oldestUnsentSeconds": 0.0},
            },
        },
    )


FINE = TaskState("a.fine", 1, 240, 0, "")
LATE = TaskState("a.late", 301, 240, 7, "ZeroDivisionError")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (JobsState(None, []), "No worker runs."),
        (JobsState(QUIET_SECONDS + 1, [FINE, LATE]), "No worker runs."),
        (JobsState(1, [FINE, LATE]), "a.late has not succeeded for 301 s."),
        (JobsState(1, [FINE]), None),
    ],
)
def test_jobs_are_judged(state: JobsState, reason: str | None) -> None:
    judged = judge(state)
    assert (judged["ok"], judged.get("reason")) == (reason is None, reason)


async def test_a_task_that_keeps_failing_degrades_but_the_shop_stays_open(
    http: httpx.AsyncClient, db: asyncpg.Connection, working: None
) -> None:
    await db.execute(
        "UPDATE recurring_tasks SET failures = 9, error = 'KeyError', succeeded_at = now() - interval '5 minutes'"
    )
    status, body = await ask(http)
    jobs = body["checks"]["jobs"]
    assert (status, body["ready"], body["degraded"]) == (200, True, True)
    assert jobs["reason"].startswith("orders.time_out_orders has not succeeded for 30")
    assert jobs["tasks"]["orders.time_out_orders"]["error"] == "KeyError"


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
    monkeypatch.setattr("ticketing.monitoring.health.REMEMBERED_SECONDS", 60)
    asked, reading = [], _database(app).reading

    def count() -> Any:
        asked.append(1)
        return reading()

    monkeypatch.setattr(_database(app), "reading", count)
    assert {status for status, _ in await asyncio.gather(*(ask(http) for _ in range(50)))} == {200}
    assert {status for status, _ in [await ask(http), await ask(http)]} == {200}
    assert len(asked) <= 1


@contextlib.asynccontextmanager
async def refusing_changes(db: asyncpg.Connection, code: str) -> AsyncIterator[None]:
    """The database, as it answers whoever changes something while its disk is full, or while it is a standby."""
    await db.execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN RAISE 'it will not' USING ERRCODE = '{code}'; END$$;"
        " CREATE TRIGGER refuse BEFORE UPDATE ON write_probe FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        yield
    finally:
        await db.execute("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("disk_full", "The database's disk is full: nothing can be written."),
        ("read_only_sql_transaction", "The database only reads (a standby, perhaps)."),
        ("internal_error", "The database does not answer."),
    ],
)
async def test_a_database_that_takes_no_change_is_not_ready_until_it_does(
    http: httpx.AsyncClient, db: asyncpg.Connection, code: str, reason: str
) -> None:
    assert (await ask(http))[0] == 200
    async with refusing_changes(db, code):
        for _ in range(2):
            status, body = await ask(http)
            assert (status, body["checks"]) == (503, {"database": {"ok": False, "reason": reason}})
        assert (await http.get("/health/live")).status_code == 200
    assert (await ask(http))[0] == 200


async def test_a_proof_that_it_can_be_changed_holds_for_a_while(
    http: httpx.AsyncClient, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await ask(http))[0] == 200
    monkeypatch.setattr("ticketing.monitoring.health.WRITTEN_SECONDS", 3600)
    place = await db.fetchval("SELECT ctid FROM write_probe")
    async with refusing_changes(db, "disk_full"):
        assert (await ask(http))[0] == 200
    assert await db.fetchval("SELECT ctid FROM write_probe") == place


async def test_every_change_of_the_probe_needs_another_page(http: httpx.AsyncClient, db: asyncpg.Connection) -> None:
    pages = set()
    for _ in range(3):
        assert (await ask(http))[0] == 200
        pages.add((await db.fetchval("SELECT ctid FROM write_probe"))[0])
    assert len(pages) > 1


async def test_what_nobody_foresaw_is_no_crash(
    http: httpx.AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down() -> None:
        raise KeyError("of the driver")

    monkeypatch.setattr(_database(app), "reading", break_down)
    assert (await ask(http))[0] == 503


async def test_a_probe_that_finds_all_well_leaves_no_line(
    http: httpx.AsyncClient, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(
        "ticketing.kit.logs.write_request",
        lambda _id, _method, _operation, _caller, status, _milliseconds: statuses.append(status),
    )
    assert (await ask(http))[0] == 200
    assert (await http.get("/health/live")).status_code == 200
    async with refusing_changes(db, "disk_full"):
        await ask(http)
    await http.get("/health/nowhere")
    assert statuses == [503, 404]
