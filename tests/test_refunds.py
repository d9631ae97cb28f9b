"""Giving money back: by an administrator, and by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from conftest import Client, MakePerson, clock_moved
from makers import card, gate, make_section, make_stage, pay, place, section_uri
from money import (
    REFUND_FAILS,
    REFUND_TIMEOUT,
    SLOW,
    count_open,
    faults,
    impatient,
    repaid,
    settle_all,
    unbalanced,
    worker_services,
)
from ticketing.kit.database import Database
from ticketing.payments import owing
from ticketing.payments.providers import Refused
from ticketing.payments.refunding import record_refund
from ticketing.settings import Settings
from ticketing.web.operations import Services


@pytest.fixture(scope="module")
async def services(settings: Settings, app: Any) -> AsyncIterator[Services]:
    async with worker_services(settings) as services:
        with impatient():
            yield services


@pytest.fixture(scope="module")
async def carol(make_person: MakePerson) -> Client:
    return await make_person("carol")


@pytest.fixture(autouse=True)
async def the_books(db: asyncpg.Connection, services: Services) -> AsyncIterator[None]:
    """After every story nothing is open, and the books are in order."""
    yield
    async with clock_moved(db, 1_000_000):
        assert (await count_open(db), await faults(db), await unbalanced(db)) == (0, [], [])


def refused(answer: Any) -> tuple[int, str]:
    return answer.status, answer.error


async def statuses(buyer: Client, event: dict[str, Any]) -> list[str]:
    wallet = await buyer.get(f"/accounts/{buyer.number}/tickets", event=event["self"].rsplit("/", 1)[1])
    return [ticket["status"] for ticket in wallet["entries"]]


async def test_a_refund_gives_everything_back_fees_included(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section, 2))
    assert await statuses(bob, event) == ["Issued", "Issued"]
    refund = await administrator.post(order["refunds"], reason="The customer fell ill.")
    assert refund.status == 201
    assert refund.body == {"date": refund["date"], "amount": 41.98, "status": "Authorised"}
    assert (await bob.get(order["self"]))["status"] == "Refunded"
    assert await statuses(bob, event) == ["Voided", "Voided"]
    shown = (await bob.get(section_uri(event, section))).body
    assert (shown["sold"], shown["remaining"]) == (0, 10)
    assert (await bob.get(order["refunds"]))["entries"] == [refund.body]
    letters = await db.fetch("SELECT account_id FROM mails WHERE letter = 'refund'")
    assert [row["account_id"] for row in letters] == [bob.id]
    again = await administrator.post(order["refunds"], reason="Once more")
    assert refused(again) == (409, "You cannot refund a refunded order.")


async def test_what_cannot_be_refunded_is_said_by_its_status(alice: Client, bob: Client, administrator: Client) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    assert refused(await administrator.post(order["refunds"], reason="x")) == (
        409,
        "You cannot refund a placed order.",
    )
    await bob.delete(order["self"])
    assert refused(await administrator.post(order["refunds"], reason="x")) == (
        409,
        "You cannot refund a cancelled order.",
    )
    free = await place(bob, event, await make_section(alice, event))
    assert refused(await administrator.post(free["refunds"], reason="x")) == (409, "You cannot refund a free order.")
    assert refused(await administrator.post(free["refunds"])) == (
        400,
        "The following arguments are required, but have not been supplied: reason.",
    )


async def test_a_refund_that_the_provider_refuses_changes_nothing_and_may_be_repeated(
    alice: Client, bob: Client, administrator: Client
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section, 2)
    assert (await bob.post(order["payments"], card(REFUND_FAILS)))["status"] == "Authorised"
    declined = await administrator.post(order["refunds"], reason="Ill")
    assert (declined.status, declined["status"], declined["code"]) == (201, "Declined", "refund_failed")
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"
    assert await statuses(bob, event) == ["Issued", "Issued"]
    assert (await administrator.post(order["refunds"], reason="Ill"))["status"] == "Authorised"
    assert (await bob.get(order["self"]))["status"] == "Refunded"
    listed = await bob.get(order["refunds"])
    assert [entry["status"] for entry in listed["entries"]] == ["Declined", "Authorised"]


async def test_a_refund_without_an_answer_is_asked_for_again_and_given_once(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    assert (await bob.post(order["payments"], card(REFUND_TIMEOUT)))["status"] == "Authorised"
    pending = await administrator.post(order["refunds"], reason="Ill")
    assert (pending.status, pending["status"]) == (202, "Pending")
    assert await statuses(bob, event) == ["Issued"]
    again = await administrator.post(order["refunds"], reason="Ill")
    assert refused(again) == (409, "A refund for this order is still being processed.")
    async with clock_moved(db, 20):
        await asyncio.gather(*(settle_all(services) for _ in range(3)))
    assert await statuses(bob, event) == ["Voided"]
    assert (await bob.get(order["self"]))["status"] == "Refunded"
    assert await repaid(db, order) == [("succeeded", 2099)]


async def test_a_section_that_is_removed_gives_back_what_was_paid_for_it(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, floor = await make_stage(alice, administrator)
    balcony = await make_section(alice, event, basePrice=60)
    both = await bob.post("/orders", items={section_uri(event, floor): 1, section_uri(event, balcony): 2})
    only = await place(bob, event, floor)
    for order in (both.body, only):
        assert (await pay(bob, order))["status"] == "Fulfilled"
    assert (await administrator.delete(section_uri(event, floor))).status == 200
    assert sorted(await statuses(bob, event)) == ["Issued", "Issued", "Voided", "Voided"]
    assert (await bob.get(only["self"]))["status"] == "Fulfilled"  # its money has yet to go back
    await settle_all(services)
    assert [(await bob.get(order["self"]))["status"] for order in (both.body, only)] == ["Fulfilled", "Refunded"]
    assert await repaid(db, both.body) == await repaid(db, only) == [("succeeded", 2099)]
    # What is left of the order can still be given back, and no more than that.
    rest = await administrator.post(both["refunds"], reason="Ill")
    assert (rest.status, rest["amount"], rest["status"]) == (201, 123.98, "Authorised")
    assert (await bob.get(both["self"]))["status"] == "Refunded"
    await settle_all(services)
    assert await repaid(db, both.body) == [("succeeded", 2099), ("succeeded", 12398)]


async def test_a_cancelled_event_gives_everything_back_over_orders_of_all_kinds(
    alice: Client, bob: Client, carol: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    free = await make_section(alice, event)
    elsewhere, other = await make_stage(alice, administrator, price=50)
    here, there = section_uri(event, section), section_uri(elsewhere, other)
    paid = await pay(bob, await place(bob, event, section, 2))
    mixed = await pay(carol, (await carol.post("/orders", items={here: 1, section_uri(event, free): 1})).body)
    spanning = await pay(carol, (await carol.post("/orders", items={here: 1, there: 1})).body)
    nothing = await place(bob, event, free)
    unpaid = await place(bob, event, section)
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200

    await settle_all(services)
    assert [
        (await administrator.get(order["self"]))["status"] for order in (paid, mixed, spanning, nothing, unpaid)
    ] == [*("Refunded", "Refunded", "Fulfilled", "Voided", "Cancelled")]
    assert set(await statuses(bob, event)) == set(await statuses(carol, event)) == {"Voided"}
    assert await statuses(carol, elsewhere) == ["Issued"]
    assert [await repaid(db, order) for order in (paid, mixed, spanning)] == [
        *([("succeeded", 4198)], [("succeeded", 2099)], [("succeeded", 2099)])
    ]
    listed = await carol.get(spanning["refunds"])
    assert [(entry["amount"], entry["status"]) for entry in listed["entries"]] == [(20.99, "Authorised")]
    assert (await alice.delete(event["self"])).status == 200  # nobody holds tickets any more

    assert (await alice.post(f"{elsewhere['self']}/cancellations", reason="Rain")).status == 200
    await settle_all(services)
    assert (await carol.get(spanning["self"]))["status"] == "Refunded"
    assert await repaid(db, spanning) == [("succeeded", 2099), ("succeeded", 5099)]


async def test_sales_count_money_as_given_back_once_it_is(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    """While a refund is Pending, or was Declined, the tickets are gone already and the money is still here."""
    event, section = await make_stage(alice, administrator, price=50)
    slow, refused = [await place(bob, event, section, 2) for _ in range(2)]
    assert (await bob.post(slow["payments"], card(REFUND_TIMEOUT)))["status"] == "Authorised"
    assert (await bob.post(refused["payments"], card(REFUND_FAILS)))["status"] == "Authorised"

    async def shown() -> tuple[Any, ...]:
        totals = (await alice.get(f"{event['self']}/sales"))["totals"]
        statistics = [(await alice.get(f"{of['self']}/statistics"))["revenue"] for of in (event, event["host"])]
        assert statistics == [totals["net"]] * 2
        return totals["orders"], totals["tickets"], totals["gross"], totals["refunded"], totals["fees"]

    assert await shown() == (2, 4, 200.0, 0.0, 3.96)
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    assert await shown() == (2, 4, 200.0, 0.0, 3.96)  # the tickets go with the next turn of the worker
    await settle_all(services)
    assert [(await bob.get(order["refunds"]))["entries"][0]["status"] for order in (slow, refused)] == [
        *("Pending", "Declined")
    ]
    assert await shown() == (0, 0, 200.0, 0.0, 3.96)
    async with clock_moved(db, 60):
        await settle_all(services)
    assert await shown() == (0, 0, 200.0, 100.0, 1.98)
    async with clock_moved(db, 3700):
        await settle_all(services)
    assert await shown() == (0, 0, 200.0, 200.0, 0.0)


@pytest.mark.parametrize(
    "part",
    [
        {"items": {"/events/1/sections/2": 1}},
        {"tickets": ["DAWIER-BACK75580348"]},
        {"amount": 10},
        {"amount": 0},
        {"items": 1, "tickets": True, "amount": "10.00"},
    ],
    ids=str,
)
async def test_a_part_is_never_taken_for_the_whole(
    part: dict[str, Any], alice: Client, bob: Client, administrator: Client
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section, 2))
    answer = await administrator.post(order["refunds"], reason="Ill", **part)
    named = ", ".join(part)
    assert refused(answer) == (400, f"The following arguments have invalid values: {named}.")
    assert list(answer["details"]) == list(part)
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"
    # What is empty is left out, and what is unknown is ignored.
    empty = {"items": {}, "tickets": [], "amount": None, "percentage": 50}
    assert (await administrator.post(order["refunds"], reason="Ill", **empty))["status"] == "Authorised"


async def test_an_event_is_given_back_in_batches(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection, monkeypatch: Any
) -> None:
    monkeypatch.setattr(owing, "BATCH", 2)
    event, section = await make_stage(alice, administrator)
    orders = [await pay(bob, await place(bob, event, section)) for _ in range(5)]
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    await asyncio.gather(settle_all(services), settle_all(services))
    await settle_all(services)
    for order in orders:
        assert (await bob.get(order["self"]))["status"] == "Refunded"
        assert await repaid(db, order) == [("succeeded", 2099)]


async def test_what_is_owed_is_tried_again_every_hour_and_not_for_ever(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    assert (await bob.post(order["payments"], card(REFUND_FAILS)))["status"] == "Authorised"
    assert (await administrator.delete(section_uri(event, section))).status == 200
    # The bank refuses again and again.
    charge = await db.fetchval("SELECT reference FROM payments WHERE order_id = $1", await id_of(db, order))
    await db.execute("UPDATE sandbox_charges SET amount_cents = 1 WHERE reference = $1", charge)
    for hour in range(8):
        async with clock_moved(db, hour * 3700):
            await settle_all(services)
            await settle_all(services)
    listed = [entry["status"] for entry in (await bob.get(order["refunds"]))["entries"]]
    assert listed == ["Declined"] * owing.TRIES
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"
    # Then an administrator, who has spoken to the bank, does it.
    await db.execute("UPDATE sandbox_charges SET amount_cents = 2099, refunds = 'succeed' WHERE reference = $1", charge)
    assert (await administrator.post(order["refunds"], reason="Agreed"))["status"] == "Authorised"
    assert (await bob.get(order["self"]))["status"] == "Refunded"


async def test_late_money_that_the_bank_does_not_take_back_is_offered_again(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    assert (await bob.post(order["payments"], card(SLOW))).status == 202
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    async with clock_moved(db, 30):
        await db.execute("UPDATE sandbox_charges SET refunds = 'fail once'")
        await settle_all(services)
        await settle_all(services)
    async with clock_moved(db, 4000):
        await settle_all(services)
    listed = [entry["status"] for entry in (await bob.get(order["refunds"]))["entries"]]
    assert listed == ["Declined", "Authorised"]
    assert await repaid(db, order) == [("failed", 2099), ("succeeded", 2099)]


async def test_a_refund_that_fails_after_all_is_owed_again(
    alice: Client, bob: Client, administrator: Client, services: Services, db: asyncpg.Connection
) -> None:
    """Some banks send money back days later."""
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section))
    assert (await administrator.post(order["refunds"], reason="Ill")).status == 201
    refund = await db.fetchval("SELECT id FROM refunds WHERE order_id = $1", await id_of(db, order))
    await db.execute("UPDATE sandbox_refunds SET state = 'failed' WHERE key = $1", f"refund-{refund}")
    await record_refund(services.the(Database), refund, Refused("", "account_closed"))
    assert [entry["status"] for entry in (await bob.get(order["refunds"]))["entries"]] == ["Declined"]
    assert (await bob.get(order["self"]))["status"] == "Refunded"
    async with clock_moved(db, 3700):
        await settle_all(services)
    assert [entry["status"] for entry in (await bob.get(order["refunds"]))["entries"]] == ["Declined", "Authorised"]


async def test_a_refund_voids_tickets_wherever_they_are(
    alice: Client, bob: Client, carol: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section, 4))
    for quantity in (1, 1):
        sent = await bob.post("/transfers", recipient=carol.number, tickets={section_uri(event, section): quantity})
        assert sent.status == 201
    assert (await carol.post(sent["claims"])).status in (200, 201)
    code = (await alice.get(f"{event['self']}/tokens"))["entries"][0]["code"]
    door = gate(public, (await public.get(f"/tokens/{code}"))["key"])
    serials = [ticket["serial"] for ticket in (await door.get(f"{event['self']}/tickets"))["entries"]]
    assert len(serials) == 3
    admitted = {"redeemer": "Kofi", "device": "1"}
    assert (await door.post(f"{event['self']}/admissions", {**admitted, "serials": serials[:1]})).status == 201
    assert (await administrator.post(order["refunds"], reason="Fraud")).status == 201
    assert {*await statuses(bob, event), *await statuses(carol, event)} == {"Voided"}
    none_left = await door.post(f"{event['self']}/admissions", {**admitted, "serials": serials})
    assert none_left.status == 400
    reasons = await db.fetch("SELECT DISTINCT reason FROM refused_scans WHERE serial = ANY($1::text[])", serials)
    assert [row["reason"] for row in reasons] == ["voided"]


async def test_a_whole_crowd_of_administrators_gives_back_once(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section))
    answers = await asyncio.gather(*(administrator.post(order["refunds"], reason="Ill") for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert await repaid(db, order) == [("succeeded", 2099)]


async def test_a_refund_whose_answer_was_lost_is_repeated_without_a_second_one(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section))
    key = {"Idempotency-Key": "refund-once"}
    first = await administrator.send("POST", order["refunds"], json={"reason": "Ill"}, headers=key)
    replayed = await administrator.send("POST", order["refunds"], json={"reason": "Ill"}, headers=key)
    await db.execute("DELETE FROM idempotency_keys")  # as if the process had died before it kept its answer
    found = await administrator.send("POST", order["refunds"], json={"reason": "Ill"}, headers=key)
    assert [answer.status for answer in (first, replayed, found)] == [201] * 3
    assert first.body == replayed.body == found.body


async def id_of(db: asyncpg.Connection, order: dict[str, Any]) -> int:
    return int(await db.fetchval("SELECT id FROM orders WHERE number = $1", order["number"]))
