"""What a ticket costs: base, timed and limited prices, and the fee on top."""

from typing import Any

import asyncpg
import pytest

from conftest import Client, breaks_by_hand
from makers import list_event, make_event, make_section, section_uri
from ticketing.events.rules import CurrentPrice, Offer, current_price, fee_cents, parse_bands
from ticketing.settings import BadSetting, Settings

BANDS = parse_bands(Settings().fees)


def offer(cents: int, **facts: Any) -> Offer:
    usual = {"id": 1, "opens": None, "closes": None, "quantity": None, "used": 0}
    return Offer(cents=cents, **(usual | facts))


def test_the_lowest_open_price_counts() -> None:
    offers = [offer(4000, id=1, ends="later"), offer(3000, id=2), offer(7000, id=3)]
    assert current_price(6000, offers, now=10) == CurrentPrice(2, 3000, "")
    assert current_price(6000, [], now=10) == CurrentPrice(None, 6000, "")
    assert current_price(2000, offers, now=10) == CurrentPrice(None, 2000, "")


def test_of_equal_prices_the_base_price_and_then_the_older_counts() -> None:
    assert current_price(4000, [offer(4000)], now=10).price_id is None
    assert current_price(6000, [offer(4000, id=9), offer(4000, id=5)], now=10).price_id == 5


@pytest.mark.parametrize(
    ("facts", "price"),
    [
        ({"opens": 11.0}, 6000),
        ({"opens": 10.0}, 4000),
        ({"closes": 10.5, "ends": "then"}, 4000),
        ({"closes": 10.0}, 6000),
        ({"quantity": 3, "used": 2}, 4000),
        ({"quantity": 3, "used": 3}, 6000),
    ],
)
def test_a_price_is_open_from_its_start_until_its_end_or_its_last_place(facts: dict[str, Any], price: int) -> None:
    current = current_price(6000, [offer(4000, **facts)], now=10)
    assert current.cents == price
    assert current.expires == (facts.get("ends", "") if price == 4000 else "")


@pytest.mark.parametrize(
    ("price", "fee"),
    [(0, 0), (1, 99), (5000, 99), (5001, 199), (10000, 199), (15000, 299), (20000, 399), (20001, 499), (10**11, 499)],
)
def test_the_fee_goes_by_the_price_and_free_tickets_have_none(price: int, fee: int) -> None:
    assert fee_cents(price, BANDS) == fee


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50",
        "50:x",
        "x:1,:2",
        "50:1",
        "50:1,40:2,:3",
        ":1,50:2",
        "50:1,50:2,:3",
        "50:-1,:2",
        "0:1,:2",
        ":nan",
        ":1,:2",
    ],
)
def test_fee_bands_that_leave_a_doubt_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fee band|Fee bands"):
        parse_bands(text)


def test_a_server_does_not_start_with_such_bands() -> None:
    with pytest.raises(BadSetting, match=r"^TICKETING_FEES: Fee bands rise, and the last has no upper price"):
        Settings(fees="50:0.99")


async def test_an_early_bird_is_what_a_ticket_costs_until_it_ends(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, basePrice=60)
    assert section["price"] == {"base": 60, "current": 60, "expires": ""}
    assert section["fees"] == 1.99

    prices = f"{section_uri(event, section)}/prices"
    early = await alice.post(prices, {"name": "Early bird", "price": 40.5, "to": "2033-01-01T00:00", "quantity": 20})
    assert early.status == 201
    assert early.body == {
        "self": early["self"],
        "name": "Early bird",
        "price": 40.5,
        "from": "",
        "to": "2033-01-01T00:00",
        "quantity": 20,
        "used": 0,
    }
    assert early["self"].startswith(f"{prices}/")
    await alice.post(prices, {"name": "Not yet", "price": 10, "from": "2034-01-01T00:00"})
    await alice.post(prices, {"name": "No more", "price": 20, "to": "2020-01-01T00:00", "quantity": None})

    shown = (await alice.get(section_uri(event, section))).body
    assert shown["price"] == {"base": 60, "current": 40.5, "expires": "2033-01-01T00:00"}
    assert shown["fees"] == 0.99
    assert (await alice.get(event["self"]))["sections"] == [shown]
    listed = await alice.get(prices)
    assert [entry["name"] for entry in listed["entries"]] == ["Early bird", "Not yet", "No more"]
    assert (await alice.get(early["self"])).body == early.body

    assert (await alice.delete(early["self"])).body == {"message": "The price was removed."}
    assert (await alice.delete(early["self"])).status == 404
    assert (await alice.get(early["self"])).status == 404
    assert (await alice.get(section_uri(event, section)))["price"]["current"] == 60


@breaks_by_hand
async def test_a_used_up_price_is_over(administrator: Client, alice: Client, db: asyncpg.Connection) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, basePrice=60)
    price = await alice.post(f"{section_uri(event, section)}/prices", name="First two", price=5, quantity=2)
    await db.execute("UPDATE prices SET used = 2 WHERE id = $1", int(price["self"].rsplit("/", 1)[1]))
    assert (await alice.get(price["self"]))["used"] == 2
    assert (await alice.get(section_uri(event, section)))["price"] == {"base": 60, "current": 60, "expires": ""}


async def test_a_price_says_what_is_missing_or_wrong(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    prices = f"{section_uri(event, await make_section(alice, event))}/prices"
    missing = await alice.post(prices, quantity=3)
    assert missing.error == "The following arguments are required, but have not been supplied: name, price."
    wrong = {"name": "x", "price": -1, "from": "2034-01-02T00:00", "to": "2034-01-01T00:00", "quantity": 0}
    refused = await alice.post(prices, wrong)
    assert (refused.status, refused.error) == (
        400,
        "The following arguments have invalid values: price, to, quantity.",
    )
    assert (await alice.post(prices, name="x", price="12.345")).body["price"] == 12.35


async def test_only_who_runs_the_event_sets_prices(
    administrator: Client, alice: Client, bob: Client, public: Client
) -> None:
    event = await make_event(alice, administrator)
    prices = f"{section_uri(event, await make_section(alice, event))}/prices"
    refused = await bob.post(prices, name="Mine", price=0)
    assert refused.error == "This account is not an administrator for the relevant event host."
    assert (await bob.get(prices)).error == "You are not authorised to access this unlisted event."
    price = await administrator.post(prices, name="Ours", price=0)
    await list_event(administrator, event)
    assert (await public.get(prices))["total"] == 1
    assert (await public.get(price["self"])).status == 200
    assert (await bob.delete(price["self"])).status == 403
    assert (await alice.delete(f"{prices}/1")).status == 404
    assert (await alice.delete(f"{prices}/null")).status == 404
