"""The doctor names whatever is broken by hand, and nothing else; and mends only what is derived."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from conftest import NEW_IDS, SECRET, Client, MakePerson
from makers import card, gate, hold_tickets, list_event, make_event, make_section, section_uri
from serving import running
from ticketing.doctor import Diagnosis, ask_providers, examine, mend
from ticketing.doctor.checks import CHECKS
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.payments.providers.choosing import Providers, build_providers
from ticketing.settings import Settings


@dataclass
class World:
    """A small history: what the tests break."""

    event: int
    section: int
    price: int
    free_order: int
    placed_order: int
    paid_order: int
    payment: int
    ticket: int
    admitted: int
    pending: int
    transfer: int


@pytest.fixture(scope="module")
async def world(
    administrator: Client, alice: Client, bob: Client, make_person: MakePerson, db: asyncpg.Connection
) -> World:
    """Free, held, paid, refunded, admitted, transferred; all through the front door."""
    carol = await make_person("carol")
    event = await make_event(alice, administrator)
    free = await make_section(alice, event, capacity=20)
    paid = await make_section(alice, event, capacity=20, basePrice=30)
    limited = await alice.post(f"{event['self']}{paid['self']}/prices", name="Early", price=20, quantity=10)
    assert limited.status == 201, limited.body
    await list_event(administrator, event)
    serials = await hold_tickets(bob, administrator, event, free, 4)
    ticket = await db.fetchval("SELECT id FROM tickets WHERE serial = $1", serials[0])
    code = (await alice.get(f"{event['self']}/tokens"))["entries"][0]["code"]
    key = (await bob.get(f"/tokens/{code}"))["key"]
    scanned = await gate(bob, key).post(
        f"{event['self']}/admissions", redeemer="Kofi", device="1", serials=[serials[3]]
    )
    assert scanned.status == 201, scanned.body
    sent = await bob.post("/transfers", recipient=carol.number, tickets={section_uri(event, free): 1})
    assert sent.status == 201, sent.body
    placed = await bob.post("/orders", items={section_uri(event, paid): 2})
    settled, refunded = [await bob.post("/orders", items={section_uri(event, paid): 3}) for _ in range(2)]
    for order in (settled, refunded):
        answer = await bob.post(order["payments"], card())
        assert answer.status == 201, answer.body
    back = await administrator.post(refunded["refunds"], reason="Rain")
    assert back.status == 201, back.body

    async def order_id(number: str) -> int:
        return int(await db.fetchval("SELECT id FROM orders WHERE number = $1", number))

    free_order = await db.fetchval(
        "SELECT item.order_id FROM tickets JOIN order_items item ON item.id = tickets.item_id WHERE tickets.id = $1",
        ticket,
    )
    pending = await db.fetchrow("SELECT id, transfer_id FROM tickets WHERE status = 'Pending'")
    assert pending is not None
    paid_order = await order_id(settled["number"])
    return World(
        event=int(event["self"].rpartition("/")[2]),
        section=int(paid["self"].rpartition("/")[2]),
        price=int(limited["self"].rpartition("/")[2]),
        free_order=free_order,
        placed_order=await order_id(placed["number"]),
        paid_order=paid_order,
        payment=await db.fetchval("SELECT id FROM payments WHERE order_id = $1", paid_order),
        ticket=ticket,
        admitted=await db.fetchval("SELECT id FROM tickets WHERE serial = $1", serials[3]),
        pending=pending["id"],
        transfer=pending["transfer_id"],
    )


@pytest.fixture
async def patient(db: asyncpg.Connection, world: World) -> AsyncIterator[asyncpg.Connection]:
    """The database in a transaction that is undone: what is broken in it is whole again afterwards."""
    transaction = db.transaction()
    await transaction.start()
    # What the database itself would not let happen: the doctor must see it all the same.
    await db.execute("ALTER TABLE sections DROP CONSTRAINT never_oversold")
    await db.execute("ALTER TABLE prices DROP CONSTRAINT never_past_its_quantity")
    await db.execute("ALTER TABLE tickets DROP CONSTRAINT pending_is_in_a_transfer")
    await db.execute("DROP INDEX payments_one_kept")
    await db.execute("DROP INDEX refund_items_once")
    await db.execute("ALTER TABLE admissions DROP CONSTRAINT admissions_ticket_id_key")
    yield db
    await transaction.rollback()


async def broken(db: asyncpg.Connection) -> set[str]:
    """The names of the promises that the doctor finds broken, asked on this connection."""
    found = set()
    for check in CHECKS:
        rows = await db.fetch(check.sql)
        if rows:
            assert all(row["thing"] and row["fault"] for row in rows), check.name
            found.add(check.name)
    return found


BREAKAGES = {
    "capacity": ["UPDATE sections SET capacity = sold + held - 1 WHERE id = {section}"],
    "section counters": ["UPDATE sections SET sold = sold + 1 WHERE id = {section}"],
    "price counters": ["UPDATE prices SET used = used - 1 WHERE id = {price}"],
    "complete orders": ["UPDATE orders SET subtotal_cents = subtotal_cents + 1 WHERE id = {placed_order}"],
    "items of orders": ["UPDATE order_items SET returned_at = clock() WHERE order_id = {placed_order}"],
    "tickets of items": [
        "UPDATE tickets SET status = 'Voided' WHERE id = {ticket}",
        "DELETE FROM tickets WHERE id = {ticket}",
        (
            "INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at, changed_at)"
            " SELECT {new}, 'ABCDEF-ABCD12345678', item_id, event_id, section_id, owner_id, 'Issued', clock(), clock()"
            " FROM tickets WHERE id = {ticket}"
        ),
    ],
    "ticket belonging": [
        "UPDATE tickets SET owner_id = 1 WHERE id = {ticket}",
        "UPDATE tickets SET section_id = {section} WHERE id = {ticket}",
    ],
    "retired serials": [
        (
            "INSERT INTO retired_serials SELECT {new}, serial, id, {transfer}, event_id, section_id, owner_id,"
            " issued_at, clock() FROM tickets WHERE id = {ticket}"
        )
    ],
    "admissions": [
        "DELETE FROM admissions WHERE ticket_id = {admitted}",
        "UPDATE tickets SET status = 'Issued', redeemed_at = NULL WHERE id = {admitted}",
        (
            "INSERT INTO admissions SELECT {new}, ticket_id, event_id, section_id, patron_id, token_id, redeemer,"
            " device, admitted_at FROM admissions WHERE ticket_id = {admitted}"
        ),
    ],
    "tickets in transfer": [
        "UPDATE tickets SET transfer_id = NULL WHERE id = {pending}",
        "UPDATE transfers SET status = 'Cancelled', closed_at = clock() WHERE id = {transfer}",
        "UPDATE transfers SET sender_id = 1 WHERE id = {transfer}",
    ],
    "open transfers": ["UPDATE transfer_items SET quantity = quantity + 1 WHERE transfer_id = {transfer}"],
    "reported items": [
        "UPDATE order_items SET sold_at = NULL, customer_id = NULL WHERE order_id = {paid_order}",
        "UPDATE order_items SET sold_at = clock(), customer_id = 1 WHERE order_id = {placed_order}",
        "UPDATE order_items SET customer_id = 1 WHERE order_id = {free_order}",
    ],
    "shares of transactions": [
        "UPDATE transaction_shares SET cents = cents - 1 WHERE transaction_id = {payment}",
        "DELETE FROM transaction_shares WHERE transaction_id = {payment}",
    ],
    "paid orders": [
        "UPDATE payments SET kept = false WHERE id = {payment}",
        "UPDATE payments SET amount_cents = amount_cents - 1 WHERE id = {payment}",
        "UPDATE orders SET status = 'Cancelled' WHERE id = {paid_order}",
        (
            "INSERT INTO payments (id, order_id, provider, reference, amount_cents, currency, status, opened_at,"
            " held_until, deadline_at, ask_at, closed_at) SELECT {new}, order_id, provider, 'another', amount_cents,"
            " currency, status, opened_at, held_until, deadline_at, ask_at, closed_at FROM payments"
            " WHERE id = {payment}"
        ),
    ],
    "open payments": [
        "UPDATE orders SET paying_until = clock() WHERE id = {placed_order}",
        "UPDATE payments SET status = 'Pending', closed_at = NULL, order_id = {placed_order} WHERE id = {payment}",
    ],
    "refunds within payments": ["UPDATE refunds SET amount_cents = amount_cents + 1"],
    "items given back once": [
        "UPDATE order_items SET returned_at = NULL WHERE id IN (SELECT item_id FROM refund_items)"
    ],
    "refunds add up": ["UPDATE refund_items SET amount_cents = amount_cents + 1"],
    "money that could not be kept": ["UPDATE payments SET kept = false WHERE id = {payment}"],
    "money that is owed": [
        "UPDATE order_items SET returned_at = clock() - interval '1 hour' WHERE order_id = {paid_order}"
    ],
    "unanswered questions": [
        (
            "UPDATE payments SET status = 'Pending', closed_at = NULL, ask_at = clock() - interval '1 hour',"
            " deadline_at = clock() - interval '1 hour' WHERE id = {payment}"
        ),
        "UPDATE refunds SET status = 'Pending', closed_at = NULL, ask_at = clock() - interval '1 hour'",
    ],
    "sort keys": ["UPDATE sort_keys SET version = 0"],
    "letters": [
        (
            "INSERT INTO mails (letter, about, posted_at, due_at)"
            " VALUES ('welcome', '{{}}', clock() - interval '2 hours', clock() - interval '2 hours')"
        )
    ],
}


async def test_a_history_through_the_front_door_is_well(db: asyncpg.Connection, world: World) -> None:
    diagnosis = await examine(db)
    assert diagnosis.is_well, diagnosis.as_json()
    assert diagnosis.checks == len(CHECKS)


def test_every_promise_is_broken_once() -> None:
    assert {check.name for check in CHECKS} == set(BREAKAGES)


@pytest.mark.parametrize(
    ("promise", "statement"), [(name, statement) for name, statements in BREAKAGES.items() for statement in statements]
)
async def test_the_doctor_names_what_is_broken(
    patient: asyncpg.Connection, world: World, promise: str, statement: str
) -> None:
    assert await broken(patient) == set()
    done = await patient.execute(statement.format(**vars(world), new=NEW_IDS.new()))
    assert not done.endswith(" 0"), "the breakage touched nothing"
    assert promise in await broken(patient)


async def test_the_providers_word_is_compared(settings: Settings, world: World, db: asyncpg.Connection) -> None:
    own = Database(settings.database_url, pool_size=2)
    await own.open()
    try:
        await compare_words(own, build_providers(settings, own, Vault(settings.secret)), world, db)
    finally:
        await own.close()


async def compare_words(own: Database, providers: Providers, world: World, db: asyncpg.Connection) -> None:
    async def asked() -> Diagnosis:
        diagnosis = Diagnosis(0)
        await ask_providers(own, providers, 3, diagnosis, lambda _line: None)
        return diagnosis

    assert (await asked()).is_well
    reference = await db.fetchval("SELECT reference FROM payments WHERE id = $1", world.payment)
    await db.execute("UPDATE sandbox_charges SET state = 'declined' WHERE reference = $1", reference)
    found = (await asked()).findings
    await db.execute("UPDATE sandbox_charges SET state = 'succeeded' WHERE reference = $1", reference)
    assert [one.thing for one in found] == [f"payment {world.payment}"]
    await db.execute("UPDATE payments SET provider = 'another' WHERE id = $1", world.payment)
    found = (await asked()).findings
    await db.execute("UPDATE payments SET provider = 'sandbox' WHERE id = $1", world.payment)
    assert "another is not set up" in found[0].fault


async def test_the_command(database: str, db: asyncpg.Connection, world: World, tmp_path: Path) -> None:
    async def run(*arguments: str) -> tuple[int, str]:
        environment = {"DATABASE_URL": database, "TICKETING_SECRET": SECRET}
        async with running("doctor", "--data-dir", str(tmp_path), *arguments, environment=environment) as command:
            code = await command.ended()
            return code, "".join(command.said)

    code, said = await run()
    assert code == 0, said
    assert "All is well" in said
    await db.execute("UPDATE sections SET sold = sold + 1 WHERE id = $1", world.section)
    code, said = await run("--json")
    answer = json.loads(said[said.index("\n{") :])
    assert (code, answer["well"], answer["counts"]) == (2, False, {"section counters": 1})
    assert answer["findings"][0]["thing"] == f"/events/{world.event}/sections/{world.section}"
    code, said = await run("--fix")
    assert code == 0, said
    assert "Mended" in said


async def test_mending_counts_anew_and_touches_nothing_else(patient: asyncpg.Connection, world: World) -> None:
    before = await patient.fetch("SELECT * FROM tickets ORDER BY id")
    await patient.execute("UPDATE sections SET sold = sold + 2, held = 0 WHERE id = $1", world.section)
    await patient.execute("UPDATE prices SET used = 0 WHERE id = $1", world.price)
    sentences = await mend(patient, NEW_IDS.new)
    assert len(sentences) == 2
    assert await broken(patient) == set()
    assert await patient.fetch("SELECT * FROM tickets ORDER BY id") == before
    assert await mend(patient, NEW_IDS.new) == []


async def test_what_really_oversold_is_not_mended_away(patient: asyncpg.Connection, world: World) -> None:
    await patient.execute("UPDATE sections SET capacity = 1, sold = 0, held = 0 WHERE id = $1", world.section)
    await mend(patient, NEW_IDS.new)
    assert "section counters" in await broken(patient)
