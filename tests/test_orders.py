"""Orders over HTTP: what is held, what it costs, who may, and how it ends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from conftest import Client, MakePerson, clock_moved
from makers import id_of, list_event, make_event, make_section, section_uri
from ticketing.settings import Settings

NOT_PLACED = "An order for the requested tickets could not be placed at this time. Please try again."
NOT_FOR_THIS_ACCOUNT = "The authenticated user is not permtited to manage orders for this account."
NOT_THE_CUSTOMER = "This account is not permitted to manage orders on behalf of the ordering customer."
NO_ACCOUNT = "The requested account could not be located"
LIMIT = "You have reached the limit of tickets or open orders."
MISSING = "The following arguments are required, but have not been supplied: items."
INVALID = "The following arguments have invalid values: items."
NOTHING_THERE = {"error": "There is presently no resource with the given URI."}

OPEN_ORDERS = 4
TICKETS_PER_EVENT = 12


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    return Settings(
        database_url=database,
        secret="a secret that only this test knows",
        rate_limits="off",
        pool_size=8,
        open_orders_per_customer=OPEN_ORDERS,
        tickets_per_customer=TICKETS_PER_EVENT,
        tickets_per_order=10,
    )


@dataclass
class Show:
    """A listed event with a free floor and stands for 20."""

    runner: Client
    event: dict[str, Any]
    floor: str
    stands: str

    async def section(self, uri: str) -> dict[str, Any]:
        """A section as everybody sees it now."""
        section: dict[str, Any] = (await self.runner.get(uri)).body
        return section


@pytest.fixture
async def show(administrator: Client, make_person: MakePerson) -> Show:
    runner = await make_person("hughie")
    event = await make_event(runner, administrator)
    floor = await make_section(runner, event, name="Floor")
    stands = await make_section(runner, event, name="Stands", description="Numbered seats", basePrice=20)
    event = await list_event(administrator, event)
    return Show(runner, event, section_uri(event, floor), section_uri(event, stands))


@pytest.fixture
async def starlight(make_person: MakePerson) -> AsyncIterator[Client]:
    """Somebody without orders."""
    return await make_person("starlight")


# Placing


async def test_a_paid_order_holds_its_places(show: Show, starlight: Client) -> None:
    placed = await starlight.post("/orders", items={show.stands: 3})
    assert placed.status == 201, placed.body
    order = placed.body
    assert re.fullmatch(r"[0-9A-F]{12}", order["number"])
    [item] = order.pop("items")
    number = item.pop("number")
    assert re.fullmatch(r"[a-z0-9]{32}", number)
    assert item == {
        "section": show.stands,
        "name": f"{show.event['title']}: Stands",
        "description": "Numbered seats",
        "price": 20,
        "quantity": 3,
    }
    uri = f"/orders/{order['number']}"
    assert order == {
        "self": uri,
        "number": order["number"],
        "status": "Placed",
        "placed": order["placed"],
        "subtotal": 60,
        "fees": 2.97,
        "total": 62.97,
        "payments": f"{uri}/payments",
        "refunds": f"{uri}/refunds",
        "expires": order["expires"],
        "customer": {
            "self": f"/accounts/{starlight.number}",
            "number": starlight.number,
            "username": starlight.username,
            "email": starlight.email,
            "firstName": "Starlight",
            "lastName": "Tester",
        },
    }
    for moment in ("placed", "expires"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", order[moment])
    held = datetime.fromisoformat(order["expires"]) - datetime.fromisoformat(order["placed"])
    assert held == timedelta(minutes=15)

    read = (await starlight.get(uri)).body
    assert read.pop("items") == [item | {"number": number}]
    assert read == order
    stands = await show.section(show.stands)
    assert (stands["sold"], stands["reserved"], stands["remaining"]) == (0, 3, 7)
    assert (await starlight.get(f"/accounts/{starlight.number}/tickets"))["total"] == 0


async def test_a_free_order_is_fulfilled_at_once(show: Show, starlight: Client) -> None:
    placed = await starlight.post("/orders", items={show.floor: 2})
    assert placed.status == 201
    facts = {name: placed[name] for name in ("status", "subtotal", "fees", "total", "expires")}
    assert facts == {"status": "Fulfilled", "subtotal": 0, "fees": 0, "total": 0, "expires": ""}
    wallet = (await starlight.get(f"/accounts/{starlight.number}/tickets")).body
    assert [(ticket["section"]["self"], ticket["status"]) for ticket in wallet["entries"]] == [
        (show.floor, "Issued"),
        (show.floor, "Issued"),
    ]
    floor = await show.section(show.floor)
    assert (floor["sold"], floor["reserved"], floor["remaining"]) == (2, 0, 8)
    assert (await starlight.get(show.event["self"]))["popularity"] > show.event["popularity"]


async def test_one_order_spans_sections_and_events(show: Show, starlight: Client, administrator: Client) -> None:
    event = await make_event(show.runner, administrator)
    box = await make_section(show.runner, event, name="Box", basePrice=0.99, capacity=7)
    event = await list_event(administrator, event)
    items = {section_uri(event, box): 7, show.floor: 1, show.stands: 1}
    placed = await starlight.post("/orders", items=items)
    assert placed.status == 201
    assert {item["section"]: item["quantity"] for item in placed["items"]} == items
    assert {item["name"] for item in placed["items"]} == {
        f"{event['title']}: Box",
        f"{show.event['title']}: Floor",
        f"{show.event['title']}: Stands",
    }
    # 7 x 0.99 + 20, and a fee for each ticket that is not free
    assert (placed["subtotal"], placed["fees"], placed["total"]) == (26.93, 7.92, 34.85)
    assert placed["status"] == "Placed"


async def test_fees_go_by_the_price_of_a_ticket(show: Show, starlight: Client, administrator: Client) -> None:
    event = await make_event(show.runner, administrator)
    prices = {50: 0.99, 50.01: 1.99, 100: 1.99, 150: 2.99, 200: 3.99, 200.01: 4.99}
    items = {}
    for price in prices:
        section = await make_section(show.runner, event, basePrice=price)
        assert section["fees"] == prices[price]
        items[section_uri(event, section)] = 1
    await list_event(administrator, event)
    placed = await starlight.post("/orders", items=items)
    assert (placed["subtotal"], placed["fees"]) == (750.02, round(sum(prices.values()), 2))


# Why an order is not placed


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": ""}, {"items": []}, {"items": {}}])
async def test_an_order_needs_items(starlight: Client, body: dict[str, Any]) -> None:
    refused = await starlight.post("/orders", body)
    assert (refused.status, refused.error) == (400, MISSING)


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "two", True, None, [1], 11, 10**30, 1e300])
async def test_a_quantity_is_a_whole_number_within_the_limit(show: Show, starlight: Client, quantity: object) -> None:
    refused = await starlight.post("/orders", items={show.floor: quantity})
    assert (refused.status, refused.error) == (400, INVALID)


async def test_the_limit_counts_all_tickets_of_an_order(show: Show, starlight: Client) -> None:
    refused = await starlight.post("/orders", items={show.floor: 6, show.stands: 5})
    assert (refused.status, refused.error) == (400, INVALID)


@pytest.mark.parametrize(
    "uri",
    [
        "/events/1/sections/1",
        "/sections/{section}",
        "events/{event}/sections/{section}",
        "/events/{event}/sections/{section}/",
        "/events/{event}/sections/99999999999999999999",
        "/events/{event}/sections/-1",
        "/events/{event}/sections/{section}?x",
        "/v3/events/{event}/sections/{section}",
        "/events/1/sections/{section}",
        "{section}",
        "",
        "\x00",
        "\ud800",
    ],
)
async def test_items_name_sections_by_their_full_uri(show: Show, starlight: Client, uri: str) -> None:
    named = uri.replace("{event}", id_of(show.event)).replace("{section}", show.floor.rsplit("/", 1)[1])
    refused = await starlight.send(
        "POST",
        "/orders",
        content=b'{"items": {"%s": 1}}' % named.encode("unicode_escape").replace(b"\\x00", b"\\u0000"),
    )
    if uri == "\ud800":  # half a character is no JSON text
        assert refused.status == 400
        return
    assert (refused.status, refused.error) == (400, INVALID)


@pytest.mark.parametrize("items", [[["a", 1]], "x", 5, True])
async def test_items_are_a_mapping(starlight: Client, items: object) -> None:
    refused = await starlight.post("/orders", items=items)
    assert (refused.status, refused.error) == (400, INVALID)


async def test_too_few_places_left_hold_nothing(show: Show, starlight: Client, bob: Client) -> None:
    assert (await bob.post("/orders", items={show.stands: 9})).status == 201
    refused = await starlight.post("/orders", items={show.floor: 1, show.stands: 2})
    assert (refused.status, refused.error) == (400, NOT_PLACED)
    assert (await show.section(show.floor))["remaining"] == 10
    assert (await show.section(show.stands))["remaining"] == 1
    assert (await starlight.get(f"/accounts/{starlight.number}/orders"))["total"] == 0


@pytest.mark.parametrize(
    "members",
    [
        {"salesStart": "2034-01-01T00:00"},
        {"salesEnd": "2024-06-01T00:00"},
        {"active": False},
        {"capacity": 0},
    ],
)
async def test_what_is_not_on_sale_is_not_sold(
    show: Show, starlight: Client, administrator: Client, members: dict[str, Any]
) -> None:
    section = await make_section(show.runner, show.event, **members)
    items = {section_uri(show.event, section): 1}
    refused = await starlight.post("/orders", items=items)
    assert (refused.status, refused.error) == (400, NOT_PLACED)
    # Not even the host's own people; administrators may, while there is room.
    assert (await show.runner.post("/orders", items=items)).error == NOT_PLACED
    placed = await administrator.post("/orders", items=items)
    assert placed.status == (400 if members == {"capacity": 0} else 201)


async def test_administrators_order_from_drafts(show: Show, starlight: Client, administrator: Client) -> None:
    draft = await make_event(show.runner, administrator)
    items = {section_uri(draft, await make_section(show.runner, draft)): 1}
    for buyer in (starlight, show.runner):
        assert (await buyer.post("/orders", items=items)).error == NOT_PLACED
    placed = await administrator.post("/orders", items=items, customer=starlight.number)
    assert (placed.status, placed["customer"]["number"]) == (201, starlight.number)
    assert (await starlight.get(f"/accounts/{starlight.number}/tickets"))["total"] == 1


async def test_an_unlisted_or_cancelled_event_sells_nothing(
    show: Show, starlight: Client, administrator: Client
) -> None:
    assert (await show.runner.delete(f"{show.event['self']}/publications")).status == 200
    assert (await starlight.post("/orders", items={show.floor: 1})).error == NOT_PLACED
    assert (await administrator.post("/orders", items={show.floor: 1})).status == 201
    assert (await show.runner.post(f"{show.event['self']}/publications")).status == 200
    assert (await starlight.post("/orders", items={show.floor: 1})).status == 201
    assert (await show.runner.post(f"{show.event['self']}/cancellations", reason="rain")).status == 200
    for buyer in (starlight, administrator):
        assert (await buyer.post("/orders", items={show.floor: 1})).error == NOT_PLACED


async def test_a_removed_section_is_unknown(show: Show, starlight: Client) -> None:
    assert (await show.runner.delete(show.floor)).status == 200
    refused = await starlight.post("/orders", items={show.floor: 1})
    assert (refused.status, refused.error) == (400, INVALID)


async def test_a_customer_has_so_many_open_orders(show: Show, starlight: Client) -> None:
    orders = [await starlight.post("/orders", items={show.stands: 1}) for _ in range(OPEN_ORDERS)]
    assert {order.status for order in orders} == {201}
    refused = await starlight.post("/orders", items={show.stands: 1})
    assert (refused.status, refused.error) == (409, LIMIT)
    # Free orders are never open, and one that ends makes room.
    assert (await starlight.post("/orders", items={show.floor: 1})).status == 201
    assert (await starlight.delete(orders[0]["self"])).status == 200
    assert (await starlight.post("/orders", items={show.stands: 1})).status == 201


async def test_a_customer_has_so_many_tickets_of_an_event(
    show: Show, starlight: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    assert (await starlight.post("/orders", items={show.floor: 10})).status == 201
    refused = await starlight.post("/orders", items={show.stands: 3})
    assert (refused.status, refused.error) == (409, LIMIT)
    held = await starlight.post("/orders", items={show.stands: 2})
    assert held.status == 201
    assert (await starlight.post("/orders", items={show.stands: 1})).error == LIMIT
    # Given up it counts for the length of a hold, so that nobody keeps places by ordering anew.
    assert (await starlight.delete(held["self"])).status == 200
    assert (await starlight.post("/orders", items={show.stands: 1})).error == LIMIT
    async with clock_moved(db, 890):
        assert (await starlight.post("/orders", items={show.stands: 1})).error == LIMIT
    async with clock_moved(db, 960):
        lapsing = await starlight.post("/orders", items={show.stands: 2})
        assert lapsing.status == 201
    # So does one that lapsed.
    async with clock_moved(db, 960 + 960):
        assert (await starlight.get(lapsing["self"]))["status"] == "Timed Out"
        assert (await starlight.post("/orders", items={show.stands: 1})).error == LIMIT
        # Administrators are exempt, also in what they order for others.
        placed = await administrator.post("/orders", items={show.stands: 1}, customer=starlight.number)
        assert placed.status == 201
        assert (await starlight.delete(placed["self"])).status == 200


# Whose order


async def test_orders_are_placed_for_oneself_or_by_an_administrator(
    show: Show, starlight: Client, bob: Client, support: Client, administrator: Client
) -> None:
    items = {show.floor: 1}
    for stranger in (bob, support, show.runner):
        refused = await stranger.post("/orders", items=items, customer=starlight.number)
        assert (refused.status, refused.error) == (403, NOT_FOR_THIS_ACCOUNT)
        # Who may comes before what is wrong with the body.
        assert (await stranger.post("/orders", items={}, customer=starlight.number)).error == NOT_FOR_THIS_ACCOUNT
    own = await starlight.post("/orders", items=items, customer=starlight.number.lower())
    assert (own.status, own["customer"]["number"]) == (201, starlight.number)
    for nothing in (None, ""):
        assert (await starlight.post("/orders", items=items, customer=nothing)).status == 201
    given = await administrator.post("/orders", items=items, customer=starlight.number)
    assert (given.status, given["customer"]["number"]) == (201, starlight.number)


@pytest.mark.parametrize("number", ["XX-00000000", "nobody", 7, {"a": 1}, ["b"], True, "\x00"])
async def test_an_order_for_nobody(show: Show, administrator: Client, bob: Client, number: object) -> None:
    for buyer in (administrator, bob):
        refused = await buyer.post("/orders", items={show.floor: 1}, customer=number)
        assert (refused.status, refused.error) == (404, NO_ACCOUNT)


async def test_an_order_is_read_by_its_customer_and_the_staff(
    show: Show, starlight: Client, bob: Client, support: Client, administrator: Client
) -> None:
    order = (await starlight.post("/orders", items={show.stands: 1})).body
    for reader in (starlight, support, administrator):
        assert (await reader.get(order["self"])).body == order
    for stranger in (bob, show.runner):
        refused = await stranger.get(order["self"])
        assert (refused.status, refused.error) == (403, NOT_THE_CUSTOMER)
        assert (await stranger.delete(order["self"])).error == NOT_THE_CUSTOMER
    assert (await support.delete(order["self"])).error == NOT_THE_CUSTOMER


@pytest.mark.parametrize("number", ["0123456789AB", "0123456789ab", "x", "0" * 300, "%00", "01234567%C3%A99AB"])
async def test_an_order_that_nobody_placed(starlight: Client, number: str) -> None:
    for answer in (await starlight.get(f"/orders/{number}"), await starlight.delete(f"/orders/{number}")):
        assert (answer.status, answer.body) == (404, NOTHING_THERE)


# How it ends


async def test_a_cancelled_order_frees_its_places_and_can_be_read(
    show: Show, starlight: Client, administrator: Client
) -> None:
    first = await starlight.post("/orders", items={show.stands: 4})
    second = await starlight.post("/orders", items={show.stands: 6})
    assert (await show.section(show.stands))["remaining"] == 0
    cancelled = await starlight.delete(first["self"])
    assert (cancelled.status, set(cancelled.body)) == (200, {"message"})
    assert (await administrator.delete(second["self"])).status == 200
    stands = await show.section(show.stands)
    assert (stands["reserved"], stands["remaining"]) == (0, 10)
    read = (await starlight.get(first["self"])).body
    assert (read["status"], read["expires"]) == ("Cancelled", "")
    assert {**read, "status": "Placed", "expires": first["expires"]} == first.body
    again = await starlight.delete(first["self"])
    assert (again.status, again.error) == (409, "A cancelled order cannot be cancelled.")


async def test_a_fulfilled_order_is_not_cancelled(show: Show, starlight: Client) -> None:
    order = await starlight.post("/orders", items={show.floor: 1})
    refused = await starlight.delete(order["self"])
    assert (refused.status, refused.error) == (409, "A fulfilled order cannot be cancelled.")


async def test_an_order_times_out_for_every_reader_at_once(
    show: Show, starlight: Client, bob: Client, db: asyncpg.Connection
) -> None:
    order = await starlight.post("/orders", items={show.stands: 10})
    assert (await bob.post("/orders", items={show.stands: 1})).error == NOT_PLACED
    async with clock_moved(db, 899):
        assert (await starlight.get(order["self"]))["status"] == "Placed"
    async with clock_moved(db, 901):
        read = await starlight.get(order["self"])
        assert (read["status"], read["expires"]) == ("Timed Out", "")
        history = await starlight.get(f"/accounts/{starlight.number}/orders", status="Timed Out")
        assert [entry["number"] for entry in history["entries"]] == [order["number"]]
        assert (await starlight.get(f"/accounts/{starlight.number}/orders", status="Placed"))["total"] == 0
        assert (await show.section(show.stands))["remaining"] == 10
        refused = await starlight.delete(order["self"])
        assert (refused.status, refused.error) == (409, "A timed out order cannot be cancelled.")
        # Its places go to whoever comes next, before anybody tidied up.
        assert (await bob.post("/orders", items={show.stands: 10})).status == 201


# Lists


async def test_staff_list_all_orders(
    show: Show, starlight: Client, bob: Client, support: Client, administrator: Client
) -> None:
    placed = [(await starlight.post("/orders", items={show.stands: 1})).body for _ in range(3)]
    free = (await starlight.post("/orders", items={show.floor: 1})).body
    await starlight.delete(placed[0]["self"])

    async def numbers(client: Client, **query: Any) -> list[str]:
        answer = await client.get("/orders", customer=starlight.number, **query)
        assert answer.status == 200, answer.body
        assert answer["total"] == len(answer["entries"])
        return [entry["number"] for entry in answer["entries"]]

    everything = [order["number"] for order in (*placed, free)]
    for reader in (support, administrator):
        assert await numbers(reader) == everything
    assert await numbers(support, order="desc") == everything[::-1]
    assert await numbers(support, sort="date") == everything
    assert await numbers(support, sort="date", order="desc") == everything[::-1]
    assert await numbers(support, status="Placed") == everything[1:3]
    assert await numbers(support, status="Cancelled") == everything[:1]
    assert await numbers(support, status="Fulfilled") == everything[3:]
    for status in ("Refunded", "Returned", "Voided", "Timed Out"):
        assert await numbers(support, status=status) == []
    assert await numbers(support, status="") == everything
    [entry] = (await support.get("/orders", customer=starlight.number, status="Fulfilled"))["entries"]
    assert entry == free
    assert (await support.get("/orders", customer="XX-00000000"))["entries"] == []

    for query, text in [
        ({"status": "placed"}, "The following arguments have invalid values: status."),
        ({"colour": "red"}, "The collection does not support the following filters: colour."),
        ({"sort": "total"}, "The collection cannot be sorted by total."),
    ]:
        refused = await support.get("/orders", **query)
        assert (refused.status, refused.error) == (400, text)


async def test_a_history_has_no_customer(
    show: Show, starlight: Client, bob: Client, support: Client, administrator: Client
) -> None:
    orders = [(await starlight.post("/orders", items={show.floor: 1})).body for _ in range(3)]
    for order in orders:
        del order["customer"]
    path = f"/accounts/{starlight.number}/orders"
    for reader in (starlight, support, administrator):
        assert (await reader.get(path))["entries"] == orders
    refused = await bob.get(path)
    assert (refused.status, refused.error) == (403, "You are not authorised to access or modify this account.")
    nobody = await administrator.get("/accounts/XX-00000000/orders")
    assert (nobody.status, nobody.error) == (404, NO_ACCOUNT)
    page = await starlight.get(path, page=2, records=2)
    assert (page["page"], page["records"], page["total"], page["entries"]) == (2, 2, 3, orders[2:])
    beyond = await starlight.get(path, page=3, records=2)
    assert (beyond.status, beyond.error) == (404, "The specified page does not exist for the given records per page")
    filters = await starlight.get(path, customer=starlight.number)
    assert filters.error == "The collection does not support the following filters: customer."
    assert (await starlight.get(path, status="Fulfilled"))["total"] == 3


async def test_what_was_removed_is_still_shown_in_an_order(
    show: Show, starlight: Client, administrator: Client
) -> None:
    order = (await starlight.post("/orders", items={show.floor: 1, show.stands: 1})).body
    assert (await administrator.delete(show.floor)).status == 200
    read = (await starlight.get(order["self"])).body
    assert read["items"] == order["items"]


async def test_an_order_whose_client_hung_up_in_the_queue_is_not_placed(
    show: Show, starlight: Client, bob: Client, app: Any, database: str
) -> None:
    blocker = await asyncpg.connect(database)
    async with blocker.transaction():
        await blocker.execute("SELECT FROM sections WHERE id = $1 FOR UPDATE", int(show.stands.rsplit("/", 1)[1]))
        first = asyncio.create_task(bob.post("/orders", items={show.stands: 1}))
        await asyncio.sleep(0.1)
        # While the first waits for the section, the others wait for the first.
        gone = asyncio.create_task(hang_up(app, starlight.key, {"items": {show.stands: 1}}))
        last = asyncio.create_task(bob.post("/orders", items={show.stands: 1}))
        await asyncio.sleep(0.1)
        assert not first.done()
        assert not gone.done()
    await blocker.close()
    assert [(await order).status for order in (first, last)] == [201, 201]
    assert await gone == []
    assert (await starlight.get(f"/accounts/{starlight.number}/orders"))["total"] == 0
    assert (await show.section(show.stands))["reserved"] == 2


async def hang_up(app: Any, key: str, body: dict[str, Any]) -> list[Any]:
    """Send an order and hang up at once; what was answered."""
    messages = [
        {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False},
        {"type": "http.disconnect"},
    ]
    answered: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v3/orders",
        "raw_path": b"/v3/orders",
        "query_string": b"",
        "client": ("10.0.0.1", 1),
        "headers": [(b"x-api-key", key.encode()), (b"x-client-version", b"3.0.0")],
    }
    await app(scope, receive, send)
    return answered
