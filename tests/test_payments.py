"""Paying for orders: what a customer, and who may act for one, sees."""

from typing import Any

import asyncpg
import pytest

from conftest import Client
from makers import AUTHORISED, DECLINED, PAYER, card, make_stage, pay, place, section_uri

NOT_THE_CUSTOMER = "This account is not permitted to manage orders on behalf of the ordering customer."
GENERAL = {"error": "There is presently no resource with the given URI."}
INSUFFICIENT_FUNDS, PROVIDER_ERROR = "4000000000009995", "4000000000000119"


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    return await make_stage(alice, administrator, capacity=1000)


def refused(answer: Any) -> tuple[int, str]:
    return answer.status, answer.error


async def test_a_paid_order_is_fulfilled_and_its_tickets_are_in_the_wallet(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    event, section = stage
    order = await place(bob, event, section, 3)
    assert (order["status"], order["total"]) == ("Placed", 62.97)
    paid = await bob.post(order["payments"], card())
    assert paid.status == 201
    assert paid.body == {"date": paid["date"], "amount": 62.97, "status": "Authorised"}
    fulfilled = await bob.get(order["self"])
    assert (fulfilled["status"], fulfilled["expires"]) == ("Fulfilled", "")
    wallet = await bob.get(f"/accounts/{bob.number}/tickets", section=section["self"].rsplit("/", 1)[1])
    assert [ticket["status"] for ticket in wallet["entries"]] == ["Issued"] * 3
    shown = (await bob.get(section_uri(event, section))).body
    assert (shown["sold"], shown["reserved"]) == (3, 0)
    listed = await bob.get(order["payments"])
    assert (listed["total"], listed["entries"]) == (1, [paid.body])
    letters = await db.fetch("SELECT account_id, about FROM mails WHERE letter = 'order_fulfilled'")
    assert [row["account_id"] for row in letters] == [bob.id]


async def test_a_declined_order_waits_on_and_can_be_paid_with_another_card(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    for number, code in ((DECLINED, "incorrect_number"), (INSUFFICIENT_FUNDS, "insufficient_funds")):
        declined = await bob.post(order["payments"], card(number))
        assert (declined.status, declined["status"], declined["code"]) == (201, "Declined", code)
        waiting = (await bob.get(order["self"])).body
        assert waiting == order
    await pay(bob, order)
    listed = await bob.get(order["payments"], order="desc")
    assert [entry["status"] for entry in listed["entries"]] == ["Authorised", "Declined", "Declined"]
    assert (await bob.get(order["payments"], status="Declined"))["total"] == 2


async def test_a_fault_of_the_provider_takes_nothing_and_can_be_tried_again(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    failed = await bob.post(order["payments"], card(PROVIDER_ERROR))
    assert (failed.status, failed["status"]) == (201, "Declined")
    await pay(bob, order)


async def test_a_token_of_the_provider_stands_for_a_card(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    declined = await bob.post(order["payments"], {"token": "tok_declined", **PAYER})
    assert (declined.status, declined["status"]) == (201, "Declined")
    paid = await bob.post(order["payments"], {"token": "tok_visa", **PAYER})
    assert (paid.status, paid["status"]) == (201, "Authorised")


async def test_only_what_waits_for_payment_can_be_paid(
    alice: Client, bob: Client, administrator: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await pay(bob, await place(bob, *stage))
    assert refused(await bob.post(order["payments"], card())) == (409, "You cannot pay for a Fulfilled order.")
    cancelled = await place(bob, *stage)
    await bob.delete(cancelled["self"])
    assert refused(await bob.post(cancelled["payments"], card())) == (409, "You cannot pay for a Cancelled order.")
    assert (await administrator.post(order["refunds"], reason="Ill")).status == 201
    assert refused(await bob.post(order["payments"], card())) == (409, "You cannot pay for a Refunded order.")
    free = await place(bob, *await make_stage(alice, administrator, price=0))
    assert refused(await bob.post(free["payments"], card())) == (409, "You cannot pay for a Fulfilled order.")


async def test_an_administrator_pays_for_somebody_and_support_only_looks(
    alice: Client, bob: Client, support: Client, administrator: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    for stranger in (alice, support):
        assert refused(await stranger.post(order["payments"], card())) == (403, NOT_THE_CUSTOMER)
    assert refused(await alice.get(order["payments"])) == (403, NOT_THE_CUSTOMER)
    assert (await administrator.post(order["payments"], card())).status == 201
    assert (await support.get(order["payments"]))["total"] == 1
    for nobodys in ("/orders/FFFFFFFFFFFF", "/orders/%00", "/orders/1"):
        for answer in (await bob.post(f"{nobodys}/payments", card()), await bob.get(f"{nobodys}/payments")):
            assert (answer.status, answer.body) == (404, GENERAL)


async def test_who_may_is_told_before_what_is_wrong_and_that_before_the_state(
    alice: Client, bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await pay(bob, await place(bob, *stage))
    assert refused(await alice.post(order["payments"], {})) == (403, NOT_THE_CUSTOMER)
    required = "number, cvv, expiryDate, name, email, phone, address1, city, district, country"
    assert refused(await bob.post(order["payments"], {})) == (
        400,
        f"The following arguments are required, but have not been supplied: {required}.",
    )
    assert refused(await bob.post(order["payments"], card(AUTHORISED, cvv="x"))) == (
        400,
        "The following arguments have invalid values: cvv.",
    )
