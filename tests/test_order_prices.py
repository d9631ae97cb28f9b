"""A quoted price is kept, or the order refused; and an order at several prices goes the ways of any other."""

import asyncio
from typing import Any

import pytest

from conftest import Client, MakePerson
from makers import gate, id_of, make_stage, pay, section_uri

CHANGED = "The price has changed."
INVALID = "The following arguments have invalid values: {}."


@pytest.fixture
async def stage(administrator: Client, alice: Client) -> tuple[dict[str, Any], str]:
    """A section for 12, one place left at 5: the event, and the section's URI."""
    event, section = await make_stage(alice, administrator, price=12)
    uri = section_uri(event, section)
    assert (await alice.post(f"{uri}/prices", name="Early", price=5, quantity=1)).status == 201
    return event, uri


@pytest.fixture
async def buyer(make_person: MakePerson) -> Client:
    return await make_person("buyer")


def bill(order: Any) -> list[tuple[int, float]]:
    return [(item["quantity"], item["price"]) for item in order["items"]]


async def test_the_cheapest_places_come_first_in_items_of_their_own(
    alice: Client, buyer: Client, stage: tuple[dict[str, Any], str]
) -> None:
    _, uri = stage
    assert (await alice.get(uri))["price"]["current"] == 5
    placed = await buyer.post("/orders", items={uri: 2}, expected=18.98)
    assert placed.status == 201, placed.body
    assert bill(placed) == [(1, 5), (1, 12)]
    assert (placed["subtotal"], placed["fees"], placed["total"]) == (17, 1.98, 18.98)
    assert {item["section"] for item in placed["items"]} == {uri}
    assert len({item["number"] for item in placed["items"]}) == 2
    assert (await buyer.get(placed["self"])).body == placed.body
    shown = (await alice.get(uri)).body
    assert (shown["price"]["current"], shown["reserved"]) == (12, 2)
    # Given up, the cheap place is the next one's.
    assert (await buyer.delete(placed["self"])).status == 200
    assert (await alice.get(uri))["price"]["current"] == 5
    assert bill(await buyer.post("/orders", items={uri: 3})) == [(1, 5), (2, 12)]


async def test_what_costs_another_total_holds_nothing(
    alice: Client, buyer: Client, stage: tuple[dict[str, Any], str]
) -> None:
    _, uri = stage
    for expected in (11.98, 18.97, 18.99, 17, 0):
        refused = await buyer.post("/orders", items={uri: 2}, expected=expected)
        assert (refused.status, refused.error) == (409, CHANGED)
    assert (await alice.get(uri))["reserved"] == 0
    assert (await buyer.get(f"/accounts/{buyer.number}/orders"))["total"] == 0
    # Unsaid in any form, it is not compared.
    for unsaid in (None, ""):
        assert (await buyer.post("/orders", items={uri: 1}, expected=unsaid)).status == 201


@pytest.mark.parametrize("expected", [-1, "much", True, [], {}, 1e300])
async def test_a_total_is_an_amount_of_money(
    buyer: Client, stage: tuple[dict[str, Any], str], expected: object
) -> None:
    refused = await buyer.post("/orders", items={stage[1]: 2}, expected=expected)
    if expected == []:  # which is as good as nothing
        assert refused.status == 201
        return
    assert (refused.status, refused.error) == (400, INVALID.format("expected"))
    both = await buyer.post("/orders", items={"/events/1": 1}, expected=expected)
    assert (both.status, both.error) == (400, INVALID.format("items, expected"))


async def test_one_of_many_gets_the_last_place_at_the_quoted_price(
    make_person: MakePerson, stage: tuple[dict[str, Any], str]
) -> None:
    _, uri = stage
    crowd = [await make_person("crowd") for _ in range(6)]
    answers = await asyncio.gather(*(one.post("/orders", items={uri: 1}, expected=5.99) for one in crowd))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 5


async def test_an_order_at_two_prices_is_paid_counted_sent_admitted_and_given_back(
    administrator: Client, alice: Client, buyer: Client, bob: Client, stage: tuple[dict[str, Any], str]
) -> None:
    event, uri = stage
    order = await pay(buyer, (await buyer.post("/orders", items={uri: 3})).body)
    assert bill(order) == [(1, 5), (2, 12)]
    assert (await alice.get(f"{event['self']}/statistics")).body["orders"] == 1
    sales = (await alice.get(f"{event['self']}/sales"))["totals"]
    assert (sales["orders"], sales["tickets"], sales["gross"], sales["net"]) == (1, 3, 29, 29)

    printed = await buyer.get(f"{order['self']}/tickets.pdf")
    assert (printed.status, printed.body[:4]) == (200, b"%PDF")

    sent = await buyer.post("/transfers", recipient=bob.number, tickets={uri: 2})
    assert [entry["quantity"] for entry in sent["tickets"]] == [2]
    assert (await bob.post(sent["claims"])).status == 201
    [ticket, _] = (await bob.get(f"/accounts/{bob.number}/tickets", event=id_of(event)))["entries"]
    tokens = await alice.get(f"{event['self']}/tokens", **{"global": "true"})
    key = (await alice.get(f"/tokens/{tokens['entries'][0]['code']}"))["key"]
    scan = {"redeemer": "Kofi", "device": "1", "serials": [ticket["serial"]]}
    assert (await gate(bob, key).post(f"{event['self']}/admissions", scan)).status == 201

    refund = await administrator.post(order["refunds"], reason="Rain")
    assert (refund.status, refund["amount"]) == (201, 31.97)
    assert (await buyer.get(order["self"]))["status"] == "Refunded"
    counted = (await alice.get(f"{event['self']}/statistics")).body
    assert (counted["orders"], counted["tickets"], counted["revenue"]) == (0, 0, 0)
    shown = (await alice.get(uri)).body
    assert (shown["sold"], shown["price"]["current"]) == (0, 5)
