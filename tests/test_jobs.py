"""Jobs: queued with what causes them, done by any worker, given up visibly; and what recurs."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import asyncpg
import msgspec
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager

from conftest import SECRET, Client, clock_moved, scratch_database
from makers import list_event, make_event, make_host, make_section, section_uri
from ticketing.jobs import JOBS
from ticketing.kit.database import Database
from ticketing.kit.job_worker import LOST_TRIES, queue_settings
from ticketing.kit.jobs import Jobs, Task, enqueue, queue_state, revive
from ticketing.kit.operations import Services
from ticketing.orders.jobs import time_out_due, time_out_orders
from ticketing.sessions.jobs import forget_failures, forget_idempotency_keys
from ticketing.settings import Settings
from ticketing.worker import run_worker

pytestmark = pytest.mark.filterwarnings("default:remaining connection:ResourceWarning")

Work = Callable[..., Any]


class Letter(msgspec.Struct):
    """What a test's job is about."""

    to: str


class Post:
    """A post office: it notes what was sent, and fails as it is told."""

    def __init__(self, *, fails: int = 0, attempts: int = 10, pause_seconds: float = 0.2) -> None:
        self.sent: Counter[str] = Counter()
        self.tried: list[float] = []
        self.jobs = Jobs("post")

        @self.jobs.task(attempts=attempts, pause_seconds=pause_seconds)
        async def send(services: Services, letter: Letter) -> None:
            self.tried.append(asyncio.get_running_loop().time())
            if len(self.tried) <= fails:
                raise ConnectionRefusedError("no post today")
            self.sent[letter.to] += 1

        self.send: Task[Letter] = send


@pytest.fixture(scope="module")
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn


@pytest.fixture
async def own(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database of the queue, which is empty."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("TRUNCATE pgqueuer, pgqueuer_log, recurring_tasks")
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


async def queued(db: asyncpg.Connection) -> int:
    """How many jobs are in the queue, dead ones included."""
    count: int = await db.fetchval("SELECT count(*) FROM pgqueuer")
    return count


async def test_the_queue_is_as_pgqueuer_expects_it(own: asyncpg.Connection) -> None:
    queries = Queries(AsyncpgDriver(own), qbe=QueryBuilderEnvironment(queue_settings()))
    plan = await queries.plan_upgrade()
    assert (plan.statements, plan.notes) == ((), ())
    await QueueManager(queries).verify_structure()


async def test_queueing_wakes_nobody(own: asyncpg.Connection, dsn: str) -> None:
    # A notification would keep transactions from being flushed together.
    heard: list[Any] = []
    listener = await asyncpg.connect(dsn)
    await listener.add_listener("ch_pgqueuer", lambda *told: heard.append(told))
    await enqueue(own, Post().send, [Letter("alice")])
    await listener.fetchval("SELECT 1")
    await listener.close()
    assert heard == []


async def test_a_job_goes_the_way_of_its_transaction(own: asyncpg.Connection, dsn: str) -> None:
    post = Post()
    undone = own.transaction()
    await undone.start()
    await enqueue(own, post.send, [Letter("nobody")])
    await undone.rollback()
    async with own.transaction():
        await enqueue(own, post.send, [Letter(f"person {number}") for number in range(100)])
        await enqueue(own, post.send, [])
    async with workers(dsn, post.jobs, count=2):
        await until(lambda: len(post.sent) == 100)
        await until(lambda: _is_empty(own))
    assert post.sent == Counter({f"person {number}": 1 for number in range(100)})


async def _is_empty(db: asyncpg.Connection) -> bool:
    return await queued(db) == 0


async def test_a_job_may_wait(own: asyncpg.Connection, dsn: str) -> None:
    post = Post()
    await enqueue(own, post.send, [Letter("later")], after_seconds=3600)
    await enqueue(own, post.send, [Letter("now")])
    async with workers(dsn, post.jobs):
        await until(lambda: post.sent["now"])
    assert post.sent == {"now": 1}
    assert (await queue_state(own)).lag_seconds == 0


async def test_a_failing_job_is_tried_again_after_growing_pauses(own: asyncpg.Connection, dsn: str) -> None:
    post = Post(fails=2, pause_seconds=0.4)
    await enqueue(own, post.send, [Letter("bob")])
    async with workers(dsn, post.jobs):
        await until(lambda: post.sent["bob"])
    assert len(post.tried) == 3
    first, second = post.tried[1] - post.tried[0], post.tried[2] - post.tried[1]
    assert 0.3 < first < second


def test_pauses_double_up_to_an_hour() -> None:
    send = Post(attempts=20, pause_seconds=5).send
    assert [send.pause_after(failures) for failures in (1, 2, 3, 10, 11, 19, 20)] == [
        5, 10, 20, 2560, 3600, 3600, None,
    ]  # fmt: skip


async def test_a_job_that_always_fails_is_kept_as_dead_and_can_be_revived(own: asyncpg.Connection, dsn: str) -> None:
    post = Post(fails=2, attempts=2, pause_seconds=0.1)
    await enqueue(own, post.send, [Letter("carol")])

    async def is_dead() -> bool:
        return (await queue_state(own)).dead == 1

    async with workers(dsn, post.jobs):
        await until(is_dead)
        assert len(post.tried) == 2
        assert await revive(own, "somebody.else") == 0
        assert await revive(own) == 1
        await until(lambda: post.sent["carol"])
        await until(lambda: _is_empty(own))


async def test_a_job_that_takes_its_worker_with_it_is_given_up(own: asyncpg.Connection, dsn: str) -> None:
    post = Post()
    await enqueue(own, post.send, [Letter("the bomb")])
    await own.execute(
        "INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority)"
        " SELECT id, 'picked', entrypoint, 0 FROM pgqueuer, generate_series(1, $1)",
        LOST_TRIES,
    )

    async def is_dead() -> bool:
        return (await queue_state(own)).dead == 1

    async with workers(dsn, post.jobs):
        await until(is_dead)
    assert post.tried == []


async def test_a_job_that_hangs_is_a_job_that_failed(own: asyncpg.Connection, dsn: str) -> None:
    jobs, began = Jobs("slow"), []

    @jobs.task(attempts=1, limit_seconds=0.1)
    async def wait(services: Services, letter: Letter) -> None:
        began.append(letter)
        await asyncio.sleep(60)

    await enqueue(own, wait, [Letter("x")])

    async def is_dead() -> bool:
        return (await queue_state(own)).dead == 1

    async with workers(dsn, jobs):
        await until(is_dead)
    assert len(began) == 1


async def test_a_worker_that_must_end_puts_its_jobs_back(
    own: asyncpg.Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketing.worker.DRAIN_SECONDS", 0.1)
    jobs, began = Jobs("slow"), asyncio.Event()

    @jobs.task()
    async def wait(services: Services, letter: Letter) -> None:
        began.set()
        await asyncio.sleep(60)

    await enqueue(own, wait, [Letter("x")])
    async with workers(dsn, jobs):
        await asyncio.wait_for(began.wait(), 10)
    assert [tuple(row) for row in await own.fetch("SELECT status::text, attempts FROM pgqueuer")] == [("queued", 1)]


async def test_a_worker_outlives_its_connections(own: asyncpg.Connection, dsn: str) -> None:
    post = Post()
    async with workers(dsn, post.jobs):
        for name in ("before", "after"):
            await enqueue(own, post.send, [Letter(name)])
            await until(lambda name=name: post.sent[name])  # type: ignore[misc]
            await own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        await enqueue(own, post.send, [Letter("at last")])
        await until(lambda: post.sent["at last"])


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
    assert min(pauses) > 0.45
    quiet = (await queue_state(own)).quiet_seconds
    assert quiet is not None
    assert quiet < 5


async def test_what_recurs_goes_on_when_the_clock_is_set_back(own: asyncpg.Connection, dsn: str) -> None:
    jobs, ran = Jobs("clock"), asyncio.Event()

    @jobs.every(60)
    async def strike(services: Services) -> None:
        ran.set()

    await own.execute("INSERT INTO recurring_tasks VALUES ('clock.strike', now() + interval '1 day', NULL)")
    async with workers(dsn, jobs):
        await asyncio.wait_for(ran.wait(), 5)


def test_names_are_the_packages_and_unique() -> None:
    names = [one.name for one in (*JOBS.tasks, *JOBS.recurring)]
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
        "ticketing.worker",
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
