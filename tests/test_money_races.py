"""Money under a crowd: two workers over real HTTP, a clock that jumps, processes that are killed."""

import asyncio
import contextlib
import random
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import httpx
import pytest
from bench.seed import Seeded, seed

from conftest import ensure_well, move_clock, scratch_database
from makers import AUTHORISED, DECLINED, card
from money import BANK_ASKS_IN_VAIN, SLOW, TIMEOUT_AFTER, TIMEOUT_BEFORE, count_open, faults, unbalanced
from serving import SECRET, Server, ready, running
from test_scarcity import crowd

SETTINGS = {
    "TICKETING_SECRET": SECRET,
    "TICKETING_RATE_LIMITS": "off",
    "TICKETING_OPEN_ORDERS_PER_CUSTOMER": "100000",
    "TICKETING_TICKETS_PER_CUSTOMER": "0",
    "TICKETING_PAYMENT_TIMEOUT_SECONDS": "1",
    "TICKETING_LOG_FORMAT": "json",
}
SECURITY_CODES = ("9173", "4862")


class Clock:
    """The database's clock, which only goes forward."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self._db = db
        self._offset = 0

    async def jump(self, seconds: int) -> None:
        self._offset += seconds
        await move_clock(self._db, self._offset)


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
def clock(db: asyncpg.Connection) -> Clock:
    return Clock(db)


@contextlib.asynccontextmanager
async def serving(dsn: str) -> AsyncIterator[Server]:
    """Two workers and one for jobs, ready."""
    arguments = ("serve", "--port", "0", "--workers", "2")
    async with running(*arguments, environment={"DATABASE_URL": dsn, **SETTINGS}) as server:
        await ready(server)
        yield server


@pytest.fixture(scope="module")
async def server(dsn: str) -> AsyncIterator[Server]:
    async with serving(dsn) as server:
        yield server


@pytest.fixture(scope="module")
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with crowd(server.url, 100) as client:
        yield client


@pytest.fixture
async def stage(dsn: str) -> Seeded:
    return await seed(dsn, sections=1, price_cents=2000)


@pytest.fixture(autouse=True)
async def the_books(db: asyncpg.Connection) -> AsyncIterator[None]:
    """At the end of every race the counters are those of the rows, and all money is where it should be."""
    yield
    assert await faults(db) == []
    assert await count_open(db) == 0
    assert await unbalanced(db) == []


def sent(stage: Seeded, **more: str) -> dict[str, str]:
    return {"X-API-Key": stage.key, "X-Client-Version": "3.0.0", **more}


async def place(client: httpx.AsyncClient, stage: Seeded, quantity: int = 1) -> str:
    """The path of a new order."""
    items = {f"/events/{stage.event}/sections/{stage.sections[0]}": quantity}
    placed = await client.post("/v3/orders", json={"items": items}, headers=sent(stage))
    assert placed.status_code == 201, placed.text
    return f"/v3{placed.json()['self']}"


async def pay(
    client: httpx.AsyncClient, stage: Seeded, order: str, number: str = AUTHORISED, **headers: str
) -> httpx.Response:
    body = card(number, cvv=random.choice(SECURITY_CODES))
    return await client.post(f"{order}/payments", json=body, headers=sent(stage, **headers))


async def read(client: httpx.AsyncClient, stage: Seeded, path: str) -> Any:
    return (await client.get(path, headers=sent(stage))).json()


async def everything_is_final(db: asyncpg.Connection, seconds: float = 60) -> None:
    """Wait until the workers have seen every payment and refund to its end."""
    async with asyncio.timeout(seconds):
        while await count_open(db):
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=pytest.mark.heavy)])
async def test_an_order_that_is_paid_fifty_times_at_once_is_charged_once(
    rounds: int, client: httpx.AsyncClient, stage: Seeded, db: asyncpg.Connection
) -> None:
    for _ in range(rounds):
        order = await place(client, stage)
        answers = await asyncio.gather(*(pay(client, stage, order) for _ in range(50)))
        counted = Counter((answer.status_code, answer.json().get("error")) for answer in answers)
        assert counted.pop((201, None)) == 1
        assert set(counted) <= {
            (409, "A payment for this order is still being processed."),
            (409, "You cannot pay for a Fulfilled order."),
        }
        assert (await read(client, stage, order))["status"] == "Fulfilled"
    taken = await db.fetchval("SELECT count(*) FROM sandbox_charges WHERE state = 'succeeded'")
    assert taken == await db.fetchval("SELECT count(*) FROM orders WHERE status = 'Fulfilled'")


@pytest.mark.parametrize("keys", ["one key", "many keys"])
async def test_a_payment_that_is_repeated_all_at_once_is_charged_once(
    keys: str, client: httpx.AsyncClient, stage: Seeded
) -> None:
    order = await place(client, stage)
    names = [secrets.token_hex(8) if keys == "many keys" else "the same" for _ in range(30)]
    answers = await asyncio.gather(*(pay(client, stage, order, **{"Idempotency-Key": name}) for name in names))
    authorised = [answer.json() for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({str(body) for body in authorised}) == 1
    if keys == "many keys":
        assert len(authorised) == 1
    assert (await read(client, stage, f"{order}/payments"))["total"] == 1


# What became of an order: its status, and which of the two requests was told that it had succeeded.
OUTCOMES = {
    ("Fulfilled", "Authorised", 409),
    ("Cancelled", 409, 200),
    ("Timed Out", 409, 409),
    ("Timed Out", "Declined", 409),  # asked to be paid in time, but the jump of the clock ended the attempt
}


@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.heavy)])
async def test_of_paying_cancelling_and_expiring_at_once_exactly_one_happens(
    rounds: int, client: httpx.AsyncClient, stage: Seeded, db: asyncpg.Connection, clock: Clock
) -> None:
    seen: Counter[Any] = Counter()
    for _ in range(rounds // 20):
        orders = [await place(client, stage) for _ in range(20)]
        race = [race_for(client, stage, order) for order in orders]
        *outcomes, _ = await asyncio.gather(*race, jump_soon(clock))
        for order, (paid, cancelled) in zip(orders, outcomes, strict=True):
            seen[(await final_status(client, stage, order), paid, cancelled)] += 1
    assert set(seen) <= OUTCOMES
    assert sum(seen.values()) == rounds
    assert len({status for status, _, _ in seen}) > 1  # else it was no race
    await clock.jump(60)
    await everything_is_final(db)


async def final_status(client: httpx.AsyncClient, stage: Seeded, order: str) -> str:
    async with asyncio.timeout(30):
        while (status := (await read(client, stage, order))["status"]) == "Placed":
            await asyncio.sleep(0.05)  # it is still being declined
    return str(status)


async def jump_soon(clock: Clock) -> None:
    await asyncio.sleep(random.uniform(0.05, 0.4))
    await clock.jump(901)


async def race_for(client: httpx.AsyncClient, stage: Seeded, order: str) -> tuple[Any, int]:
    """Pay and cancel at the same instant; the payment's status or the error's, and the cancellation's."""

    async def cancel() -> int:
        await asyncio.sleep(random.uniform(0, 0.3))
        return (await client.delete(order, headers=sent(stage))).status_code

    async def settle() -> Any:
        await asyncio.sleep(random.uniform(0, 0.3))
        answer = await pay(client, stage, order)
        return answer.json()["status"] if answer.status_code == 201 else answer.status_code

    paid, cancelled = await asyncio.gather(settle(), cancel())
    return paid, cancelled


@pytest.mark.parametrize("orders", [30, pytest.param(200, marks=pytest.mark.heavy)])
async def test_of_many_payments_without_an_answer_none_is_lost_and_none_is_taken_twice(
    orders: int, client: httpx.AsyncClient, stage: Seeded, db: asyncpg.Connection, clock: Clock
) -> None:
    placed = [await place(client, stage, 2) for _ in range(orders)]

    async def try_to_pay(order: str, *, patience: float) -> int:
        """As a client that gives up, and one that tries once more at once."""
        for number in (TIMEOUT_AFTER, AUTHORISED):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    return (await pay(client, stage, order, number)).status_code
        return 0

    patience = [random.choice([0.2, 8]) for _ in placed]
    answers = await asyncio.gather(
        *(try_to_pay(order, patience=seconds) for order, seconds in zip(placed, patience, strict=True))
    )
    assert set(answers) <= {0, 201, 202, 409}
    await clock.jump(30)
    await everything_is_final(db)
    fulfilled = 0
    for order in placed:
        entries = (await read(client, stage, f"{order}/payments"))["entries"]
        taken = [entry["status"] for entry in entries].count("Authorised")
        assert (await read(client, stage, order))["status"] == ("Fulfilled" if taken else "Placed")
        assert taken <= 1
        fulfilled += taken
    # But for clients that were gone before their request was read.
    assert fulfilled > orders * 0.5
    tickets = await db.fetchval("SELECT count(*) FROM tickets WHERE event_id = $1", stage.event)
    assert tickets == 2 * fulfilled


async def test_payments_under_way_when_everything_is_killed_are_finished_by_the_next_start(
    dsn: str, stage: Seeded, db: asyncpg.Connection, clock: Clock, server: Server, client: httpx.AsyncClient
) -> None:
    """The last of these tests: it kills the server."""
    numbers = [TIMEOUT_AFTER, TIMEOUT_BEFORE, SLOW, AUTHORISED, DECLINED, BANK_ASKS_IN_VAIN] * 3
    orders = [await place(client, stage) for _ in numbers]
    paying = [
        asyncio.create_task(pay(client, stage, order, number, **{"Idempotency-Key": order}))
        for order, number in zip(orders, numbers, strict=True)
    ]
    # All have begun, and some have been charged without knowing it.
    while not await db.fetchval(
        "SELECT count(*) FILTER (WHERE orders.number = ANY($1)) = cardinality($1::text[])"
        "   AND count(*) FILTER (WHERE payments.status = 'Pending' AND charge.state = 'succeeded') = $2"
        "  FROM payments JOIN orders ON orders.id = payments.order_id"
        "       LEFT JOIN sandbox_charges charge ON charge.key = 'payment-' || payments.id",
        [order.rpartition("/")[2] for order in orders],
        numbers.count(TIMEOUT_AFTER),
    ):
        await asyncio.sleep(0.01)
    assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
    await asyncio.gather(*paying, return_exceptions=True)
    async with serving(dsn) as reborn, crowd(reborn.url) as client:
        await clock.jump(950)
        await everything_is_final(db)
        for order, number in zip(orders, numbers, strict=True):
            paid = number in (TIMEOUT_AFTER, SLOW, AUTHORISED)
            again = await pay(client, stage, order, number, **{"Idempotency-Key": order})
            assert again.status_code in (201, 202)  # what was answered before it died is answered again
            entries = (await read(client, stage, f"{order}/payments"))["entries"]
            assert [entry["status"] for entry in entries] == ["Authorised" if paid else "Declined"]
            assert (await read(client, stage, order))["status"] == ("Fulfilled" if paid else "Timed Out")
        await no_card_is_kept(db, [*server.said, *reborn.said])


async def no_card_is_kept(db: asyncpg.Connection, said: Iterable[str]) -> None:
    """Search all that was logged and all that is stored for every number and security code that was used."""
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    stored = []
    for table in tables:
        rows = await db.fetch(f'SELECT kept::text FROM "{table[0]}" AS kept')
        stored += [row[0] for row in rows]
    assert len(stored) > 500
    texts = ["\n".join(stored), "".join(said)]
    assert "payment-" in texts[0]
    assert "settle_order" in texts[1]
    for number in (AUTHORISED, DECLINED, TIMEOUT_AFTER, TIMEOUT_BEFORE, SLOW, BANK_ASKS_IN_VAIN):
        for secret in (number, number.encode().hex(), number[:4] + " " + number[4:8], number[4:]):
            assert not any(secret in text for text in texts)
    for code in SECURITY_CODES:
        assert not any(f'"{code}"' in text or f"({code}," in text or f",{code}," in text for text in texts)
