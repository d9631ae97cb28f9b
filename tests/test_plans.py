"""How the database finds what hot requests ask for: never by reading a large table, or a whole index of it.

The statements are those that the requests really send, taken down on the way, on a database with some thousand orders
and statistics from before an on-sale, then fresh ones. Each is planned twice: for its values, and, as a prepared
statement may be, for any.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from bench.fill import fill

from conftest import SECRET, Client, add_person, scratch_database
from makers import card, gate, id_of, pay, place, section_uri
from ticketing.kit import database as kit_database
from ticketing.orders import placing
from ticketing.serving.job_worker import JOBS, run_worker
from ticketing.settings import Settings

# Those that grow with every ticket sold; rows of the others are counted in hundreds.
LARGE = {
    *("accounts", "sessions", "orders", "order_items", "tickets", "payments"),
    *("admissions", "transaction_shares", "sandbox_charges", "transfers"),
    *("mails", "history", "refused_scans", "idempotency_keys", "codes", "failures", "refunds"),
}
# Partial indexes that hold what waits to be done (and, the last, the few payments that came too late): read through by
# those who do it.
TO_DO = {"mails_due", "mails_security", "mails_waiting", "mails_to_all", "order_items_owed", "payments_unkept"}
ORDERS, EVENTS, HELD = 4000, 200, 20_000
CROWD = 64
IN_VAIN = 2000  # rows that one statement may look at and pass over


@dataclass
class Statement:
    """What was sent, and its values."""

    text: str
    values: tuple[Any, ...]


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[str]:
    """A full house."""
    async with scratch_database(postgres) as dsn:
        await fill(dsn, orders=ORDERS, events=EVENTS, secret=SECRET)
        await hold_places(dsn, sections=100)
        await live_long(dsn)
        await stop_the_housekeeper(dsn)
        yield dsn


async def hold_places(dsn: str, *, sections: int) -> None:
    """As in an on-sale: many orders wait for payment, in so many sections; the statistics know of none."""
    db = await asyncpg.connect(dsn)
    await db.execute(
        """INSERT INTO orders (id, number, customer_id, status, placed_at, held_until, subtotal_cents, fees_cents,
                               currency)
           SELECT -n, 'WAITING' || n, -(n::bigint * 7919 % 100003), 'Placed', clock(), clock() + interval '1 day', 0, 0,
                  'USD'
             FROM generate_series(1, $1) n""",
        HELD,
    )
    await db.execute(
        """INSERT INTO order_items (id, order_id, event_id, section_id, number, quantity, price_cents, fee_cents,
                                    held_until)
           SELECT -n, -n, event_id, id, gen_random_uuid(), 1, 0, 0, clock() + interval '1 day'
             FROM (SELECT id, event_id, row_number() OVER (ORDER BY id) AS place FROM sections) section
                  JOIN generate_series(1, $1) n ON n % $2 + 1 = place""",
        HELD,
        sections,
    )
    await db.execute("UPDATE sections SET held = held + 1, capacity = capacity + 1000")
    await db.close()


async def stop_the_housekeeper(dsn: str) -> None:
    """Statistics change when the tests say so, not when the database finds the time for it."""
    db = await asyncpg.connect(dsn)
    for table in sorted(LARGE):
        await db.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    await db.close()


async def live_long(dsn: str) -> None:
    """What comes together beside the sales: letters, codes, stored answers, what was done and refused."""
    db = await asyncpg.connect(dsn)
    for statement in (
        (
            "INSERT INTO mails (letter, account_id, about, posted_at, due_at, status, done_at)"
            " SELECT 'welcome', n, '{}', clock(), clock(), 'Sent', clock() FROM generate_series(1, $1) n"
        ),
        (
            "INSERT INTO history (id, at, request, action, thing, detail)"
            " SELECT n, clock(), '', 'event.updated', '/events/' || n, '{}' FROM generate_series(1, $1) n"
        ),
        (
            "INSERT INTO refused_scans (id, event_id, serial, reason, redeemer, device, scanned_at)"
            " SELECT n, n % 100, 'X' || n, 'unknown', '', '', clock() FROM generate_series(1, $1) n"
        ),
        (
            "INSERT INTO idempotency_keys (caller, key, operation, request_hmac, lease_until, expires_at)"
            " SELECT 'many', n::text, '', '', clock(), clock() + interval '1 day' FROM generate_series(1, $1) n"
        ),
        (
            "INSERT INTO failures (target, count, until)"
            " SELECT n::text, 1, clock() + interval '15 minutes' FROM generate_series(1, $1) n"
        ),
        (
            "INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at)"
            " SELECT -n, (SELECT min(id) FROM accounts), decode(lpad(to_hex(n), 8, '0'), 'hex'), '', '', clock()"
            "   FROM generate_series(1, $1) n"
        ),
        (
            "INSERT INTO codes (id, purpose, account_id, requested_at, expires_at)"
            " SELECT -n, 'reset', (SELECT min(id) FROM accounts), clock(), clock() FROM generate_series(1, $1) n"
        ),
    ):
        await db.execute(statement, HELD)
    await db.close()


@pytest.fixture(scope="module")
def sent() -> Iterator[list[Statement]]:
    """Every statement that the application sends."""
    statements: list[Statement] = []

    class Recorded(kit_database._Connection):
        def __init__(self, *arguments: Any, **details: Any) -> None:
            super().__init__(*arguments, **details)
            self.add_query_logger(lambda query: statements.append(Statement(query.query, tuple(query.args or ()))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit_database, "_Connection", Recorded)
        yield statements


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """What a customer has of an event is counted, as by default."""
    return replace(settings, tickets_per_customer=50)


@pytest.fixture(scope="module")
async def app(sent: list[Statement], settings: Any) -> AsyncIterator[Any]:
    from ticketing.app import build_app

    edge = build_app(settings)
    async with edge.app.router.lifespan_context(edge.app):
        yield edge


@dataclass
class House:
    """Who and what the requests are about."""

    http: httpx.AsyncClient
    db: asyncpg.Connection
    admin: Client
    guest: Client
    other: Client
    crowd: list[Client]
    events: list[dict[str, Any]]
    event: dict[str, Any]
    paid: dict[str, Any]
    free: dict[str, Any]


@pytest.fixture(scope="module")
async def house(http: httpx.AsyncClient, db: asyncpg.Connection, administrator: Client) -> House:
    events = (await administrator.get("/published-events", active="true"))["entries"]
    event = events[0]
    by_name = {section["name"]: section for section in event["sections"]}
    people = [await add_person(http, db, "guest") for _ in range(CROWD + 2)]
    return House(http, db, administrator, *people[:2], people[2:], events, event, by_name["Floor"], by_name["Gallery"])


async def order_in_a_crowd(house: House) -> None:
    """Each in a section of his own."""
    wanted = [section_uri(event, section) for event in house.events for section in event["sections"]][:CROWD]
    orders = [buyer.post("/orders", items={uri: 1}) for buyer, uri in zip(house.crowd, wanted, strict=True)]
    assert {answer.status for answer in await asyncio.gather(*orders)} == {201}


async def order_alone(house: House) -> None:
    await place(house.guest, house.event, house.paid)
    await place(house.guest, house.event, house.free, 2)


async def pay_and_refund(house: House) -> None:
    order = await pay(house.guest, await place(house.guest, house.event, house.paid))
    declined = await place(house.guest, house.event, house.paid)
    await house.guest.post(declined["payments"], card("5555555555555555"))
    await house.guest.delete(declined["self"])
    assert (await house.admin.post(order["refunds"], reason="Rain")).status == 201
    for listed in ("payments", "refunds"):
        assert (await house.guest.get(order[listed])).status == 200


async def read_what_is_on(house: House) -> None:
    for path in ("/published-events", house.event["self"], f"{house.event['self']}/sections"):
        assert (await house.guest.get(path)).status == 200


async def read_ones_own(house: House) -> None:
    number = await house.db.fetchval("SELECT number FROM orders ORDER BY id LIMIT 1")
    assert (await house.admin.get(f"/orders/{number}")).status == 200
    for path in ("orders", "tickets", "events", "sessions"):
        assert (await house.guest.get(f"/accounts/{house.guest.number}/{path}")).status == 200
    wallet = await house.guest.get(f"/accounts/{house.guest.number}/tickets", event=id_of(house.event))
    assert (await house.guest.get(wallet["entries"][0]["self"])).status == 200


async def find_a_key(house: House) -> None:
    newcomer = await add_person(house.http, house.db, "newcomer")
    assert (await newcomer.get("/sessions/active")).status == 200
    assert (await newcomer.post("/lookups", identification=newcomer.email)).status == 200


async def stand_at_the_gate(house: House) -> None:
    tokens = await house.admin.get(f"{house.event['self']}/tokens")
    scanner = gate(house.admin, (await house.admin.get(f"/tokens/{tokens['entries'][0]['code']}"))["key"])
    listed = await scanner.get(f"{house.event['self']}/tickets")
    serials = [listed["entries"][0]["serial"], "NOSUCH-SERIAL000000"]
    path = f"{house.event['self']}/admissions"
    assert (await scanner.post(path, redeemer="Kofi", device="1", serials=serials)).status == 201
    assert (await scanner.get(path)).status == 200
    synced = await scanner.get(f"{house.event['self']}/tickets", modified_since=listed["cursor"])
    assert synced.status == 200


async def hand_on(house: House) -> None:
    await place(house.guest, house.event, house.free)
    uri = section_uri(house.event, house.free)
    sent = await house.guest.post("/transfers", recipient=house.other.number, tickets={uri: 1})
    assert (await house.other.post(sent["claims"])).status == 201


async def report(house: House) -> None:
    host, event = house.event["host"]["self"], house.event["self"]
    for path in (f"{host}/statistics", f"{event}/statistics", f"{event}/sales"):
        assert (await house.admin.get(path)).status == 200
    for party in ({"host": id_of(house.event["host"])}, {"event": id_of(house.event)}):
        assert (await house.admin.get("/transactions", **party)).status == 200


STORIES = [
    order_in_a_crowd,
    order_alone,
    pay_and_refund,
    read_what_is_on,
    read_ones_own,
    find_a_key,
    stand_at_the_gate,
    hand_on,
    report,
]


@pytest.mark.parametrize("story", STORIES)
async def test_no_hot_statement_reads_a_large_table_through(
    story: Callable[[House], Awaitable[None]], house: House, sent: list[Statement]
) -> None:
    await check_plans(story, house, sent)


async def test_it_would_tell(db: asyncpg.Connection, house: House) -> None:
    """The database is large enough for a difference, and the check sees one."""
    for text, expected in (
        (
            "SELECT count(*) FROM tickets WHERE redeemed_at > clock()",
            ["Seq Scan of tickets", "Seq Scan of tickets: n rows in vain"],
        ),
        ("SELECT id FROM orders ORDER BY id", ["Index Only Scan of orders"]),
        (
            "SELECT id FROM orders WHERE status = 'Placed' AND customer_id = 1",
            ["Index Scan of orders: n rows in vain"],
        ),
        ("SELECT status FROM orders WHERE id = 1", []),
    ):
        found = [re.sub(r"\d+", "n", fault) for fault in faults(await plan(db, Statement(text, ()), True))]
        assert found == expected


@pytest.mark.parametrize("story", STORIES)
async def test_nor_does_one_when_the_statistics_are_fresh(
    story: Callable[[House], Awaitable[None]], house: House, analysed: None, sent: list[Statement]
) -> None:
    await check_plans(story, house, sent)


@pytest.fixture(scope="module")
async def analysed(house: House) -> None:
    await house.db.execute("ANALYZE")


async def test_nor_does_what_recurs(house: House, database: str, analysed: None, sent: list[Statement]) -> None:
    """Every recurring task of the worker, once."""

    async def work(_house: House) -> None:
        await house.db.execute("TRUNCATE recurring_tasks")
        stop = asyncio.Event()
        worker = asyncio.create_task(run_worker(Settings(database_url=database, secret=SECRET, mail="none"), stop))
        try:
            async with asyncio.timeout(120):
                while await _unfinished(house.db):
                    await asyncio.sleep(0.1)
        finally:
            stop.set()
            await worker

    await check_plans(work, house, sent)


async def _unfinished(db: asyncpg.Connection) -> set[str]:
    done = await db.fetch("SELECT name FROM recurring_tasks WHERE succeeded_at IS NOT NULL")
    return {task.name for task in JOBS.recurring} - {row["name"] for row in done}


async def check_plans(story: Callable[[House], Awaitable[None]], house: House, sent: list[Statement]) -> None:
    sent.clear()
    await story(house)
    statements = {one.text: one for one in sent if "FROM" in one.text or one.text.lstrip().startswith("UPDATE")}
    assert statements
    wrong = [
        f"{fault}{'' if is_for_its_values else ', for any values'}\n{one.text}"
        for one in statements.values()
        for is_for_its_values in (True, False)
        for fault in faults(await plan(house.db, one, is_for_its_values))
    ]
    assert not wrong, "\n\n".join(wrong)


async def plan(db: asyncpg.Connection, one: Statement, is_for_its_values: bool) -> dict[str, Any]:
    """The plan; of what only reads with what it came to."""
    if is_for_its_values:
        really = "" if re.search("INSERT|UPDATE|DELETE", one.text) else "ANALYZE, TIMING OFF, "
        text = await db.fetchval(f"EXPLAIN ({really}FORMAT JSON) {one.text}", *one.values)
    else:
        values = f"({', '.join('NULL' for _ in one.values)})" if one.values else ""
        await db.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE planned AS {one.text}")
        text = await db.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE planned{values}")
        await db.execute("DEALLOCATE planned; RESET plan_cache_mode")
    [planned] = msgspec.json.decode(text)
    return dict(planned["Plan"])


def faults(node: dict[str, Any]) -> Iterator[str]:
    """The scans of large tables that no condition narrows, or whose condition narrows little."""
    table, kind = node.get("Relation Name", ""), node["Node Type"]
    if table in LARGE and kind.endswith("Scan"):
        narrowed = "Index Cond" in node or "TID Cond" in node or node.get("Index Name") in TO_DO
        if not narrowed and kind != "Bitmap Heap Scan":
            yield f"{kind} of {table}"
        in_vain = node.get("Rows Removed by Filter", 0) * node.get("Actual Loops", 1)
        if in_vain > IN_VAIN:
            yield f"{kind} of {table}: {in_vain} rows in vain"
    for below in node.get("Plans", []):
        yield from faults(below)


@pytest.mark.parametrize("is_analysed", [False, True])
async def test_nor_does_a_crowd_at_the_first_on_sale_of_all(postgres: str, is_analysed: bool) -> None:
    """All there is in the database is in one section, or so the statistics say."""
    async with scratch_database(postgres) as dsn:
        await fill(dsn, orders=10, events=40, secret=SECRET)
        await hold_places(dsn, sections=1)
        db = await asyncpg.connect(dsn)
        await db.execute("DELETE FROM order_items WHERE id > 0")
        if is_analysed:
            await db.execute("ANALYZE")
        sections = [row["id"] for row in await db.fetch("SELECT id FROM sections ORDER BY id LIMIT $1", CROWD)]
        customers = [row["id"] for row in await db.fetch("SELECT id FROM accounts LIMIT $1", CROWD)]
        events = [row["id"] for row in await db.fetch("SELECT id FROM events")]
        reads = [
            Statement(placing._READ_SECTIONS, (sections,)),
            Statement(placing._READ_CUSTOMERS, (customers, events, 900)),
        ]
        found = [fault for one in reads for fault in faults(await plan(db, one, True))]
        assert [fault for fault in found if "order" in fault] == []
        await db.close()
