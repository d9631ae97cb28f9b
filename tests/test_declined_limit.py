"""An order is not what stolen cards are tried on: declined payments of one customer are bounded."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from conftest import Client, MakePerson
from makers import DECLINED, card, make_stage, pay, place
from ticketing.settings import Settings


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return replace(settings, rate_limits="on", declined_payments=3)


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> Any:
    return await make_stage(alice, administrator)


async def test_after_so_many_declined_payments_a_customer_waits_and_nobody_else(
    stage: Any, bob: Client, alice: Client, administrator: Client
) -> None:
    orders = [await place(bob, *stage) for _ in range(3)]
    paid = await pay(bob, orders.pop())  # what is authorised does not count
    assert (await bob.post(paid["payments"], card())).status == 409  # nor what cannot be paid
    for order in (orders[0], orders[1], orders[0]):
        assert (await bob.post(order["payments"], card(DECLINED)))["status"] == "Declined"
    refused = await bob.post(orders[0]["payments"], card())
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 900
    assert (await administrator.post(orders[0]["payments"], card())).status == 429
    assert (await bob.get(orders[0]["payments"]))["total"] == 2
    await pay(alice, await place(alice, *stage))


async def test_payments_sent_all_at_once_pass_no_limit_together(stage: Any, make_person: MakePerson) -> None:
    carl = await make_person("carl")
    orders = [await place(carl, *stage) for _ in range(6)]
    answers = await asyncio.gather(*(carl.post(order["payments"], card(DECLINED)) for order in orders))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [429] * 3
