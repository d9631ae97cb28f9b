"""Places that nobody means to pay for: held by attempts that are left to lapse, and by accounts that are closed."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from conftest import Client, MakePerson, clock_moved
from makers import card, make_stage, place, section_uri
from money import BANK_ASKS_IN_VAIN, charges, impatient, repaid, settle_all, worker_services
from test_reconciling import CENTS, OPEN, charge_and_die, payments, status
from ticketing.settings import Settings
from ticketing.web.operations import Services


@pytest.fixture(scope="module")
async def services(settings: Settings, app: Any) -> AsyncIterator[Services]:
    async with worker_services(settings) as services:
        with impatient():
            yield services


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    return await make_stage(alice, administrator, capacity=1000)


async def test_abandoned_attempts_stretch_one_hold_at_a_time(
    bob: Client,
    administrator: Client,
    alice: Client,
    make_person: MakePerson,
    services: Services,
    db: asyncpg.Connection,
) -> None:
    stage = await make_stage(alice, administrator, capacity=10)
    hoarder = await make_person("hoarder")
    orders = [await place(hoarder, *stage) for _ in range(4)]
    async with clock_moved(db, 600):
        begun = [await hoarder.post(order["payments"], card(BANK_ASKS_IN_VAIN)) for order in orders[:3]]
        assert {answer.status for answer in begun} == {202}
        expiries = [(await hoarder.get(order["self"]))["expires"] for order in orders]
        assert expiries[0] > orders[0]["expires"]
        assert expiries[1:] == [order["expires"] for order in orders[1:]]
        # Others are not concerned, nor what an administrator pays for somebody.
        other = await place(bob, *stage)
    async with clock_moved(db, 700):
        for payer, order in ((bob, other), (administrator, orders[3])):
            assert (await payer.post(order["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
    async with clock_moved(db, 901):
        assert [await status(hoarder, order) for order in orders] == ["Placed", "Timed Out", "Timed Out", "Placed"]
        await settle_all(services)
        assert await payments(hoarder, orders[1]) == [("Declined", "cancelled")]
    # Whoever lets one pass has none of the ten minutes for the next.
    async with clock_moved(db, 1400):
        await settle_all(services)
        later = await place(hoarder, *stage)
    async with clock_moved(db, 2000):
        assert (await hoarder.post(later["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
        assert (await hoarder.get(later["self"]))["expires"] == later["expires"]
        assert (await hoarder.post(later["payments"], card())).error == OPEN
    async with clock_moved(db, 2400):
        await settle_all(services)
    async with clock_moved(db, 2400 + 3700):
        again = await place(hoarder, *stage)
    async with clock_moved(db, 2400 + 3700 + 600):
        assert (await hoarder.post(again["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
        assert (await hoarder.get(again["self"]))["expires"] > again["expires"]
    async with clock_moved(db, 2400 + 3700 + 1300):
        await settle_all(services)


async def test_an_administrator_ends_an_open_attempt(
    bob: Client, administrator: Client, stage: Any, services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    none = await administrator.delete(order["payments"])
    assert (none.status, none.error) == (409, "The order has no open payment.")
    assert (await bob.post(order["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
    assert (await bob.delete(order["payments"])).status == 403
    ended = await administrator.delete(order["payments"])
    assert (ended.status, ended["status"], ended["code"]) == (200, "Declined", "cancelled")
    assert await charges(db, order) == [("cancelled", CENTS)]
    assert (await bob.get(order["self"]))["expires"] == order["expires"]
    # It can be paid for again, or given up.
    paid = await bob.post(order["payments"], card())
    assert (paid.status, paid["status"]) == (201, "Authorised")
    assert (await administrator.delete(order["payments"])).status == 409
    # Money that had been taken already stays taken.
    taken = await place(bob, *stage)
    await charge_and_die(services, bob, taken, db)
    late = await administrator.delete(taken["payments"])
    assert (late.status, late["status"]) == (200, "Authorised")
    assert await status(bob, taken) == "Fulfilled"


async def test_whoever_is_deactivated_holds_nothing(
    bob: Client,
    alice: Client,
    administrator: Client,
    support: Client,
    make_person: MakePerson,
    services: Services,
    db: asyncpg.Connection,
) -> None:
    event, section = await make_stage(alice, administrator, capacity=3)
    hoarder = await make_person("hoarder")
    held, waiting, charged = [await place(hoarder, event, section) for _ in range(3)]
    assert (await hoarder.post(waiting["payments"], card(BANK_ASKS_IN_VAIN))).status == 202
    await charge_and_die(services, hoarder, charged, db)
    assert (await bob.post("/orders", items={section_uri(event, section): 1})).status == 400
    assert (await support.post(f"/accounts/{hoarder.number}/toggles", reason="Hoarding")).status == 201
    assert [await status(administrator, order) for order in (held, waiting, charged)] == ["Timed Out"] * 3
    # The places are free at once, open attempts are cancelled without delay, and money that was taken goes back.
    other = await place(bob, event, section, 2)
    await settle_all(services)
    assert await payments(administrator, waiting) == [("Declined", "cancelled")]
    assert await payments(administrator, charged) == [("Authorised", "")]
    assert [cents for _, cents in await repaid(db, charged)] == [CENTS]
    assert (await bob.post(other["payments"], card())).status == 201
    refused = await administrator.post("/orders", items={section_uri(event, section): 1}, customer=hoarder.number)
    assert refused.status == 400
