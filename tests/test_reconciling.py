"""Payments and refunds whose answer never came: all are seen to their end, nothing is taken or given twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from conftest import Client, clock_moved
from makers import AUTHORISED, card, make_section, make_stage, place, section_uri
from money import (
    BANK_ASKS,
    BANK_ASKS_IN_VAIN,
    SLOW,
    TIMEOUT_AFTER,
    TIMEOUT_BEFORE,
    charges,
    count_open,
    faults,
    impatient,
    repaid,
    settle_all,
    unbalanced,
    worker_services,
)
from ticketing.kit.database import Database
from ticketing.payments import reconciling
from ticketing.payments.providers import Card, Done, Outcome, Payer
from ticketing.payments.providers.choosing import Providers
from ticketing.payments.settling import begin
from ticketing.settings import Settings
from ticketing.web.callers import Caller, Level
from ticketing.web.operations import Services

SOMEBODY = Payer("Marvin Hunte", "marvin@example.com", "+1 268 460 1234", ("1 High Street", ""), "", "", "")
OPEN = "A payment for this order is still being processed."
BEING_PAID = "An order cannot be cancelled while its payment is being processed."
CENTS = 2099


@pytest.fixture(scope="module")
async def services(settings: Settings, app: Any) -> AsyncIterator[Services]:
    async with worker_services(settings) as services:
        with impatient():
            yield services


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    return await make_stage(alice, administrator, capacity=1000)


@pytest.fixture(autouse=True)
async def the_books(db: asyncpg.Connection) -> AsyncIterator[None]:
    """After every story nothing is open, and the books are in order."""
    yield
    async with clock_moved(db, 1_000_000):  # what the sandbox has taken slowly, it has taken by then
        assert (await count_open(db), await faults(db), await unbalanced(db)) == (0, [], [])


async def status(buyer: Client, order: dict[str, Any]) -> str:
    return str((await buyer.get(order["self"]))["status"])


async def payments(buyer: Client, order: dict[str, Any]) -> list[tuple[str, str]]:
    listed = await buyer.get(order["payments"])
    return [(entry["status"], entry.get("code", "")) for entry in listed["entries"]]


async def test_money_that_was_taken_without_an_answer_is_found(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    pending = await bob.post(order["payments"], card(TIMEOUT_AFTER))
    assert (pending.status, pending["status"], "action" in pending.body) == (202, "Pending", False)
    # Nothing else happens to the order meanwhile.
    assert await status(bob, order) == "Placed"
    second = await bob.post(order["payments"], card())
    assert (second.status, second.error) == (409, OPEN)
    cancelled = await bob.delete(order["self"])
    assert (cancelled.status, cancelled.error) == (409, BEING_PAID)
    await settle_all(services)
    assert await status(bob, order) == "Placed"  # not yet: a request may still be under way
    async with clock_moved(db, 20):
        await settle_all(services)
    assert await status(bob, order) == "Fulfilled"
    assert await payments(bob, order) == [("Authorised", "")]
    assert await charges(db, order) == [("succeeded", CENTS)]


async def test_a_silence_before_anything_was_taken_leaves_the_order_as_it_was(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    assert (await bob.post(order["payments"], card(TIMEOUT_BEFORE))).status == 202
    async with clock_moved(db, 20):
        await settle_all(services)
        assert (await bob.get(order["self"])).body == order
        assert (await bob.post(order["payments"], card())).status == 201
    assert await payments(bob, order) == [("Declined", "cancelled"), ("Authorised", "")]


async def test_a_slow_provider_is_waited_for(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    assert (await bob.post(order["payments"], card(SLOW))).status == 202
    async with clock_moved(db, 16):
        await settle_all(services)
        assert await payments(bob, order) == [("Pending", "")]
    async with clock_moved(db, 23):
        await settle_all(services)
        assert await status(bob, order) == "Fulfilled"


async def test_a_customer_who_agrees_at_his_bank_has_paid(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    pending = await bob.post(order["payments"], card(BANK_ASKS))
    assert (pending.status, pending["status"]) == (202, "Pending")
    assert set(pending["action"]) == {"type", "clientSecret", "returnUrl"}
    assert (await bob.get(order["payments"]))["entries"] == [pending.body]
    async with clock_moved(db, 21):
        await settle_all(services)
    assert await status(bob, order) == "Fulfilled"
    assert "action" not in (await bob.get(order["payments"]))["entries"][0]


async def test_a_customer_who_never_comes_back_from_his_bank_loses_the_places_after_ten_minutes(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, capacity=2)
    order = await place(bob, event, section, 2)
    async with clock_moved(db, 890):  # the hold would end in ten seconds
        assert (await bob.post(order["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
        assert (await bob.get(order["self"]))["expires"] > order["expires"]
    async with clock_moved(db, 890 + 595):
        await settle_all(services)
        assert await status(bob, order) == "Placed"
        assert (await alice.post("/orders", items={section_uri(event, section): 1})).status == 400
    async with clock_moved(db, 890 + 601):
        assert await status(bob, order) == "Timed Out"
        paid = await bob.post(order["payments"], card())
        assert (paid.status, paid.error) == (409, "You cannot pay for a Timed Out order.")
        other = await place(alice, event, section, 2)  # the places are free although nobody tidied
        await settle_all(services)
        assert await payments(bob, order) == [("Declined", "cancelled")]
        assert await charges(db, order) == [("cancelled", 2 * CENTS)]
        assert (await alice.post(other["payments"], card())).status == 201


async def test_a_process_that_dies_before_it_asks_the_provider_has_taken_nothing(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    await _begin(services, bob, order, db)
    assert (await bob.post(order["payments"], card())).error == OPEN
    async with clock_moved(db, 20):
        await settle_all(services)
        assert await payments(bob, order) == [("Declined", "cancelled")]
        assert (await bob.post(order["payments"], card())).status == 201


async def test_a_process_that_dies_after_the_provider_answered_has_sold_the_tickets(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    await charge_and_die(services, bob, order, db)
    assert await status(bob, order) == "Placed"
    async with clock_moved(db, 3000):  # the hold outlasts the deadline as long as nobody has recorded an answer
        assert await status(bob, order) == "Placed"
        await settle_all(services)
    assert await status(bob, order) == "Fulfilled"


async def _begin(services: Services, buyer: Client, order: dict[str, Any], db: asyncpg.Connection) -> Any:
    """The attempt of a process that goes no further."""
    order_id = await db.fetchval("SELECT id FROM orders WHERE number = $1", order["number"])
    caller = Caller(Level.CUSTOMER, b"", buyer.id)
    provider = services.the(Providers).current
    attempt, is_new = await begin(services.the(Database), provider, caller, order_id, ())
    assert is_new
    return attempt


async def charge_and_die(services: Services, buyer: Client, order: dict[str, Any], db: asyncpg.Connection) -> None:
    """Take the money of an order, and record nothing."""
    assert isinstance(await _charge(services, await _begin(services, buyer, order, db)), Done)


async def _charge(services: Services, attempt: Any) -> Outcome:
    async def remember(_reference: str) -> None:
        """Nothing is remembered by who dies."""

    means = Card(AUTHORISED, "737", 12, 2049)
    return await services.the(Providers).current.charge(attempt.charge(), means, SOMEBODY, remember)


async def test_late_money_buys_the_tickets_while_the_places_are_free(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, capacity=3)
    order = await place(bob, event, section, 2)
    assert (await bob.post(order["payments"], card(SLOW))).status == 202
    async with clock_moved(db, 700):  # nobody asked meanwhile
        assert await status(bob, order) == "Timed Out"
        await place(alice, event, section)  # frees what is due, and takes one of the three places
        await settle_all(services)
        assert await status(bob, order) == "Fulfilled"
    shown = (await bob.get(section_uri(event, section))).body
    assert (shown["sold"], shown["reserved"]) == (2, 1)


async def test_late_money_buys_places_that_another_order_has_just_lost(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, capacity=2)
    order = await place(bob, event, section, 2)
    assert (await bob.post(order["payments"], card(SLOW))).status == 202
    async with clock_moved(db, 700):
        await place(alice, event, section, 2)
    async with clock_moved(db, 1700):  # nobody has tidied her order away
        await settle_all(services)
        assert await status(bob, order) == "Fulfilled"


async def test_late_money_buys_nothing_back_of_an_event_that_is_over(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, capacity=3)
    order = await place(bob, event, section, 2)
    assert (await bob.post(order["payments"], card(SLOW))).status == 202
    async with clock_moved(db, 700):
        await place(alice, event, section)  # frees what is due
        await db.execute("UPDATE events SET ends_at = clock() WHERE id = $1", int(event["self"].rsplit("/", 1)[1]))
        await settle_all(services)
        assert await status(bob, order) == "Timed Out"
    assert [refund["status"] for refund in (await bob.get(order["refunds"]))["entries"]] == ["Authorised"]


async def test_late_money_goes_back_by_itself_when_the_places_are_gone(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, capacity=3)
    order = await place(bob, event, section, 2)
    assert (await bob.post(order["payments"], card(SLOW))).status == 202
    async with clock_moved(db, 700):
        other = await place(alice, event, section, 2)
        assert (await alice.post(other["payments"], card())).status == 201
        await reconciling.finish_payments(services)
        assert await status(bob, order) == "Timed Out"
        assert [entry["status"] for entry in (await bob.get(order["refunds"]))["entries"]] == ["Pending"]
        await settle_all(services)
    assert await payments(bob, order) == [("Authorised", "")]
    refunds = (await bob.get(order["refunds"]))["entries"]
    assert [(refund["amount"], refund["status"]) for refund in refunds] == [(41.98, "Authorised")]
    assert await repaid(db, order) == [("succeeded", 2 * CENTS)]
    letter = await db.fetchrow("SELECT account_id, about FROM mails WHERE letter = 'payment_returned'")
    assert letter is not None
    assert letter["account_id"] == bob.id
    acts = await db.fetch("SELECT action FROM history WHERE thing = $1 ORDER BY id", order["self"])
    assert [row["action"] for row in acts][-2:] == ["payment.returned", "payment.repaid"]


@pytest.mark.parametrize("ending", ["the event is cancelled", "the section is removed", "the customer leaves"])
async def test_an_order_that_ends_while_it_is_paid_gets_its_money_back(
    ending: str, alice: Client, make_person: Any, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    buyer = await make_person("carl")
    taken, asked = await place(buyer, event, section), await place(buyer, event, section)
    assert (await buyer.post(taken["payments"], card(TIMEOUT_AFTER))).status == 202
    assert (await buyer.post(asked["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
    if ending == "the event is cancelled":
        assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    elif ending == "the section is removed":
        assert (await alice.delete(section_uri(event, section))).status == 200
    else:
        assert (await buyer.delete(f"/accounts/{buyer.number}")).status == 200
    async with clock_moved(db, 20):
        await settle_all(services)
    ended = "Timed Out" if ending == "the customer leaves" else "Cancelled"
    for order in (taken, asked):
        assert (await administrator.get(order["self"]))["status"] == ended
    assert await payments(administrator, taken) == [("Authorised", "")]
    assert await repaid(db, taken) == [("succeeded", CENTS)]
    assert await payments(administrator, asked) == [("Declined", "cancelled")]
    assert await repaid(db, asked) == []


async def test_an_event_that_is_cancelled_under_a_payment_answers_that_it_cannot_be_paid(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    # Between the charge and its record, as seldom as it is.
    blocker = db.transaction()
    await blocker.start()
    await db.execute("LOCK TABLE sandbox_charges IN EXCLUSIVE MODE")
    paying = asyncio.create_task(bob.post(order["payments"], card()))
    while not (await bob.get(order["payments"]))["total"]:
        await asyncio.sleep(0.01)
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    await blocker.rollback()
    paid = await paying
    assert (paid.status, paid.error) == (409, "You cannot pay for a Cancelled order.")
    await settle_all(services)
    assert await repaid(db, order) == [("succeeded", CENTS)]


async def test_workers_that_ask_at_once_sell_the_tickets_once(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    orders = [await place(bob, *stage) for _ in range(4)]
    answers = await asyncio.gather(*(bob.post(order["payments"], card(TIMEOUT_AFTER)) for order in orders))
    assert [answer.status for answer in answers] == [202] * 4
    ids = [row["id"] for row in await db.fetch("SELECT id FROM payments WHERE status = 'Pending'")]
    database, providers = services.the(Database), services.the(Providers)
    async with clock_moved(db, 20):
        await asyncio.gather(
            *(reconciling.ask_about_payment(database, providers, attempt) for attempt in ids * 3),
            *(reconciling.finish_payments(services) for _ in range(3)),
        )
    for order in orders:
        assert await status(bob, order) == "Fulfilled"


async def test_a_payment_is_heard_of_again_without_effect(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    assert (await bob.post(order["payments"], card())).status == 201
    attempt = await db.fetchval(
        "SELECT payment.id FROM payments payment JOIN orders ON orders.id = order_id WHERE number = $1", order["number"]
    )
    before = (await bob.get(order["payments"])).body
    await reconciling.ask_about_payment(services.the(Database), services.the(Providers), attempt)
    assert (await bob.get(order["payments"])).body == before


async def test_money_that_arrives_after_its_attempt_was_given_up_still_buys_the_tickets(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    """A provider that could not be asked, was thought to have taken nothing, and had."""
    order = await place(bob, *stage)
    late = await _begin(services, bob, order, db)
    database = services.the(Database)
    async with clock_moved(db, 20):
        await settle_all(services)
        assert await payments(bob, order) == [("Declined", "cancelled")]
        assert (await bob.post(order["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
        await db.execute("UPDATE sandbox_charges SET state = 'succeeded' WHERE key = $1", late.key)
        await reconciling.ask_about_payment(database, services.the(Providers), late.id)
        assert await status(bob, order) == "Fulfilled"
        # The attempt that was open meanwhile takes nothing any more.
        async with clock_moved(db, 40):
            await settle_all(services)
    assert await payments(bob, order) == [("Authorised", ""), ("Declined", "cancelled")]
    assert await charges(db, order) == [("succeeded", CENTS), ("cancelled", CENTS)]


async def test_an_attempt_of_a_provider_that_is_no_longer_set_up_is_kept_for_it(
    bob: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    attempt = await _begin(services, bob, order, db)
    await db.execute("UPDATE payments SET provider = 'elsewhere' WHERE id = $1", attempt.id)
    async with clock_moved(db, 20):
        await settle_all(services)
        assert await payments(bob, order) == [("Pending", "")]
        await db.execute("UPDATE payments SET provider = 'sandbox' WHERE id = $1", attempt.id)
    async with clock_moved(db, 60):
        await settle_all(services)
    assert await payments(bob, order) == [("Declined", "cancelled")]


async def test_sections_of_a_limited_price_are_not_sold_beyond_it_by_late_money(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    assert (await alice.post(f"{section_uri(event, section)}/prices", name="Early", price=5, quantity=1)).status == 201
    early = await place(bob, event, section)
    assert early["subtotal"] == 5
    assert (await bob.post(early["payments"], card(SLOW))).status == 202
    async with clock_moved(db, 700):
        other = await place(alice, event, section)
        assert other["subtotal"] == 5
        await settle_all(services)
        assert await status(bob, early) == "Timed Out"
        assert (await alice.delete(other["self"])).status == 200
    assert [entry["status"] for entry in (await bob.get(early["refunds"]))["entries"]] == ["Authorised"]
    await make_section(alice, event)
