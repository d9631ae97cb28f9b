"""What recurs: done by one worker in turn, whatever fails, and visibly."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from conftest import SECRET, Client, clock_moved, scratch_database
from makers import list_event, make_event, make_host, make_section, section_uri
from ticketing.jobs.recurring import Jobs, TaskState, jobs_state
from ticketing.jobs.running import forget_tasks
from ticketing.kit.database import Database
from ticketing.orders.jobs import time_out_due, time_out_orders
from ticketing.serving.job_worker import JOBS, run_worker
from ticketing.sessions.jobs import forget_failures, forget_idempotency_keys
from ticketing.settings import Settings
from ticketing.web.operations import Services

pytestmark = pytest.mark.filterwarnings("default:remaining connection:ResourceWarning")


@pytest.fixture(scope="module")
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn


@pytest.fixture
async def own(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database of the workers, in which nothing was ever done."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("TRUNCATE recurring_tasks")
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def workers(dsn: str, jobs: Jobs, count: int = 1) -> AsyncIterator[None]:
    """Workers that do these jobs, as many processes would, told to end afterwards."""
    stop = asyncio.Event()
    settings = Settings(database_url=dsn, secret=SECRET)
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(run_worker(settings, stop, jobs))
        try:
            yield
        finally:
            stop.set()


async def until(true: Callable[[], Awaitable[Any]] | Callable[[], Any], seconds: float = 10) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while True:
            outcome = true()
            if await outcome if isinstance(outcome, Awaitable) else outcome:
                return
            await asyncio.sleep(0.02)


async def test_a_worker_outlives_its_connections(own: asyncpg.Connection, dsn: str) -> None:
    jobs, runs = Jobs("clock"), []

    @jobs.every(0.1)
    async def strike(services: Services) -> None:
        async with services.the(Database).reading() as db:
            runs.append(await db.fetchval("SELECT 1"))

    async with workers(dsn, jobs):
        for _ in range(3):
            count = len(runs)
            await until(lambda count=count: len(runs) > count)  # type: ignore[misc]
            await own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        count = len(runs)
        await until(lambda: len(runs) > count)


async def test_a_task_that_fails_every_time_is_seen(own: asyncpg.Connection, dsn: str) -> None:
    jobs, fails = Jobs("clock"), True

    @jobs.every(0.05)
    async def strike(services: Services) -> None:
        if fails:
            raise ZeroDivisionError("as it does every time")

    async def failed_often() -> bool:
        return any(task.failures >= 5 for task in (await jobs_state(own)).tasks)

    async with workers(dsn, jobs):
        await until(failed_often)
        [task] = [task for task in (await jobs_state(own)).tasks if task.name == "clock.strike"]
        assert (task.error, task.is_late) == ("ZeroDivisionError", False)  # it may be over soon
        await own.execute("UPDATE recurring_tasks SET first_started_at = first_started_at - interval '3 minutes'")
        assert "clock.strike" in [task.name for task in (await jobs_state(own)).late]
        fails = False

        async def is_well() -> bool:
            return not (await jobs_state(own)).late

        await until(is_well)
    [task] = [task for task in (await jobs_state(own)).tasks if task.name == "clock.strike"]
    assert (task.error, task.failures) == ("", 0)


async def test_a_task_that_hangs_is_a_task_that_failed(own: asyncpg.Connection, dsn: str) -> None:
    jobs = Jobs("clock")

    @jobs.every(60, limit_seconds=0.1)
    async def strike(services: Services) -> None:
        await asyncio.sleep(60)

    async def failed() -> bool:
        return any(task.error == "TimeoutError" for task in (await jobs_state(own)).tasks)

    async with workers(dsn, jobs):
        await until(failed)


@pytest.mark.parametrize(
    ("state", "late"),
    [
        (TaskState("a", 100, 300, 0, ""), False),
        (TaskState("a", 301, 300, 0, ""), True),
        (TaskState("a", 100, 300, 50, "OSError"), False),
        (TaskState("a", 121, 300, 4, "OSError"), False),
        (TaskState("a", 121, 300, 5, "OSError"), True),
    ],
)
def test_a_task_is_late_after_its_time_or_many_failures(state: TaskState, late: bool) -> None:
    assert state.is_late is late


async def test_what_no_worker_knows_any_more_is_forgotten(own: asyncpg.Connection, dsn: str) -> None:
    for name, days in (("gone.task", 2), ("clock.strike", 0)):
        await own.execute(
            "INSERT INTO recurring_tasks (name, late_after_seconds, first_started_at, started_at)"
            " SELECT $1, 60, at, at FROM (SELECT clock_timestamp() - make_interval(days => $2) AS at) moment",
            name,
            days,
        )
    database = Database(dsn, pool_size=1)
    await database.open()
    await forget_tasks.run(Services(database))
    await database.close()
    assert [row["name"] for row in await own.fetch("SELECT name FROM recurring_tasks")] == ["clock.strike"]


async def test_what_recurs_is_done_by_one_worker_in_turn(own: asyncpg.Connection, dsn: str) -> None:
    jobs, runs = Jobs("clock"), []

    @jobs.every(0.5)
    async def strike(services: Services) -> None:
        runs.append(asyncio.get_running_loop().time())
        if len(runs) == 1:
            raise ZeroDivisionError("the first stroke fails, the clock goes on")

    async with workers(dsn, jobs, count=3):
        await until(lambda: len(runs) >= 4)
    pauses = [later - earlier for earlier, later in pairwise(runs)]
    # Three workers that took no turns would strike thrice in each half second. A stroke that was late by a busy
    # machine's doing shortens the pause after it, so it is the sum that counts.
    assert sum(pauses) > 0.45 * len(pauses)
    quiet = (await jobs_state(own)).quiet_seconds
    assert quiet is not None
    assert quiet < 5


async def test_what_recurs_goes_on_when_the_clock_is_set_back(own: asyncpg.Connection, dsn: str) -> None:
    jobs, ran = Jobs("clock"), asyncio.Event()

    @jobs.every(60)
    async def strike(services: Services) -> None:
        ran.set()

    await own.execute(
        "INSERT INTO recurring_tasks (name, late_after_seconds, first_started_at, started_at)"
        " VALUES ('clock.strike', 60, now() + interval '1 day', now() + interval '1 day')"
    )
    async with workers(dsn, jobs):
        await asyncio.wait_for(ran.wait(), 5)


def test_names_are_the_packages_and_unique() -> None:
    names = [one.name for one in JOBS.recurring]
    assert "orders.time_out_orders" in names
    assert len(set(names)) == len(names)


# Tidying


@pytest.fixture
async def services(settings: Settings, app: Any) -> AsyncIterator[Services]:
    database = Database(settings.database_url, pool_size=4)
    await database.open()
    yield Services(settings, database)
    await database.close()


async def _stage(administrator: Client, alice: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    host = await make_host(alice)
    event = await make_event(alice, administrator, host)
    section = await make_section(alice, event, basePrice=20, capacity=5)
    await list_event(administrator, event)
    return event, section


async def test_a_due_order_is_written_down_as_timed_out_and_its_places_are_free(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection, services: Services
) -> None:
    event, section = await _stage(administrator, alice)
    uri = section_uri(event, section)
    due = await bob.post("/orders", items={uri: 3})
    cancelled = await bob.post("/orders", items={uri: 1})
    assert (await bob.delete(cancelled["self"])).status == 200
    await time_out_orders.run(services)
    assert await _row(db, due) == ("Placed", 3)
    async with clock_moved(db, 3600):
        fresh = await bob.post("/orders", items={uri: 1})  # frees what is due, but leaves the order's own row
        assert await _row(db, due) == ("Placed", 1)
        await time_out_orders.run(services)
        assert await _row(db, due) == ("Timed Out", 1)
        assert await _row(db, fresh) == ("Placed", 1)
        assert await _row(db, cancelled) == ("Cancelled", 1)
        assert (await bob.get(due["self"]))["status"] == "Timed Out"
    async with clock_moved(db, 7200):
        await time_out_orders.run(services)
        assert await _row(db, fresh) == ("Timed Out", 0)
        assert await db.fetchval("SELECT count(*) FROM order_items WHERE held_until IS NOT NULL") == 0


async def _row(db: asyncpg.Connection, order: Any) -> tuple[str, int]:
    """The order's stored status, and how many places all its sections hold."""
    row = await db.fetchrow(
        "SELECT status, (SELECT sum(held)::int FROM sections WHERE id IN"
        " (SELECT section_id FROM order_items WHERE order_id = orders.id)) FROM orders WHERE number = $1",
        order["number"],
    )
    assert row is not None
    return row[0], row[1]


async def test_timing_out_goes_in_batches_and_leaves_what_others_decide_about(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection, database: str, services: Services
) -> None:
    event, section = await _stage(administrator, alice)
    orders = [await bob.post("/orders", items={section_uri(event, section): 1}) for _ in range(3)]
    payer = await asyncpg.connect(database)
    async with clock_moved(db, 3600):
        paying = payer.transaction()
        await paying.start()
        await payer.execute("SELECT FROM orders WHERE number = $1 FOR UPDATE", orders[0]["number"])
        async with services.the(Database).transaction() as own:
            assert await time_out_due(own, 2) == 1
        await payer.execute(
            "UPDATE orders SET held_until = clock() + interval '10 minutes' WHERE number = $1", orders[0]["number"]
        )
        await paying.commit()
        await time_out_orders.run(services)
    await payer.close()
    stored = [(await _row(db, order))[0] for order in orders]
    assert stored == ["Placed", "Timed Out", "Timed Out"]
    assert (await _row(db, orders[0]))[1] == 1


async def test_timing_out_and_cancelling_at_once_free_each_place_once(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection, services: Services
) -> None:
    event, section = await _stage(administrator, alice)
    other = await make_section(alice, event, basePrice=20, capacity=50)
    uris = [section_uri(event, section), section_uri(event, other)]
    orders = [await bob.post("/orders", items={uris[0]: 1, uris[1]: 2}) for _ in range(5)]
    async with clock_moved(db, 3600):
        again = [bob.post("/orders", items={uri: 1}) for uri in (uris[1], uris[0], uris[1])]
        cancelling = [bob.delete(order["self"]) for order in orders]
        answers = await asyncio.gather(
            *again, *cancelling, *(time_out_orders.run(services) for _ in range(3)), return_exceptions=False
        )
        assert [answer.status for answer in answers[:3]] == [201, 201, 201]
        assert {answer.status for answer in answers[3:8]} == {409}
    held = [
        row["held"] for row in await db.fetch("SELECT held FROM sections WHERE event_id = $1 ORDER BY id", _id(event))
    ]
    assert held == [1, 2]


def _id(thing: dict[str, Any]) -> int:
    return int(thing["self"].rsplit("/", 1)[1])


async def test_what_no_longer_counts_is_forgotten(db: asyncpg.Connection, services: Services) -> None:
    for shift, name in ((-60, "past"), (60, "present")):
        await db.execute(
            "INSERT INTO failures VALUES ($1, 3, clock() + make_interval(secs => $2))", f"jobs {name}", float(shift)
        )
        await db.execute(
            "INSERT INTO idempotency_keys (caller, key, operation, request_hmac, lease_until, expires_at)"
            " VALUES ('jobs', $1, '', '', clock(), clock() + make_interval(secs => $2))",
            name,
            float(shift),
        )
    await forget_failures.run(services)
    await forget_idempotency_keys.run(services)
    assert [row[0] for row in await db.fetch("SELECT target FROM failures WHERE target ~ '^jobs'")] == ["jobs present"]
    assert [row[0] for row in await db.fetch("SELECT key FROM idempotency_keys WHERE caller = 'jobs'")] == ["present"]


# The process


async def _start(dsn: str, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ticketing.serving.job_worker",
        *arguments,
        env={**os.environ, "DATABASE_URL": dsn, "TICKETING_SECRET": SECRET, **environment},
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _works(db: asyncpg.Connection) -> bool:
    return bool(await db.fetchval("SELECT true FROM recurring_tasks WHERE name = 'orders.time_out_orders'"))


@pytest.mark.parametrize("end", ["SIGTERM", "the parent is gone"])
async def test_a_worker_process_works_and_ends_in_order(dsn: str, own: asyncpg.Connection, end: str) -> None:
    process = await _start(dsn, "--supervised")
    assert process.stdin is not None
    try:
        await until(lambda: _works(own), 20)
        if end == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        _, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")


async def test_a_worker_without_a_database_says_so() -> None:
    process = await _start("")
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said == b"DATABASE_URL is not set: a worker needs the database of a server.\n"
