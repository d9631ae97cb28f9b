"""Giving money back: by an administrator, and by itself."""

from typing import Any

import asyncpg

from conftest import Client
from makers import card, make_section, make_stage, pay, place, section_uri

REFUND_FAILS_ONCE = "4000000000004004"


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
    assert (await bob.post(order["payments"], card(REFUND_FAILS_ONCE)))["status"] == "Authorised"
    declined = await administrator.post(order["refunds"], reason="Ill")
    assert (declined.status, declined["status"], declined["code"]) == (201, "Declined", "refund_failed")
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"
    assert await statuses(bob, event) == ["Issued", "Issued"]
    assert (await administrator.post(order["refunds"], reason="Ill"))["status"] == "Authorised"
    assert (await bob.get(order["self"]))["status"] == "Refunded"
    listed = await bob.get(order["refunds"])
    assert [entry["status"] for entry in listed["entries"]] == ["Declined", "Authorised"]
