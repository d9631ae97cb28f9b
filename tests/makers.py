"""Things that many stories need, made through the front door; each maker answers with the thing as the API shows it."""

from typing import Any

from conftest import PASSWORD, Client, unique


async def register(visitor: Client, name: str = "marvin", **members: Any) -> Client:
    """Somebody who registered and started a session through the API, with the password PASSWORD.

    Hashes twice (50 ms): where a person is only needed, the fixture `make_person` is faster.
    """
    username = unique(name).replace(" ", "")
    usual = {"username": username, "password": PASSWORD, "email": f"{username}@example.com"}
    account = await _made(visitor, "/accounts", usual, members)
    session = await _made(visitor, "/sessions", {"identification": username, "password": PASSWORD}, {})
    return Client(visitor.http, session["key"], account["number"], username=account["username"], email=account["email"])


async def make_region(administrator: Client, **members: Any) -> dict[str, Any]:
    """A region in Antigua and Barbuda."""
    return await _made(administrator, "/regions", {"name": unique("Region"), "country": "Antigua and Barbuda"}, members)


async def make_venue(administrator: Client, region: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A venue in Saint John's (zone America/Antigua, four hours behind UTC all year), in a region of its own."""
    region = region or await make_region(administrator)
    usual = {
        "name": unique("Venue"),
        "region": id_of(region),
        "address": "High Street",
        "longitude": -61.8456,
        "latitude": 17.1274,
    }
    return await _made(administrator, "/venues", usual, members)


async def make_category(administrator: Client, **members: Any) -> dict[str, Any]:
    """A category with the subcategories Jazz and Soca."""
    usual = {"name": unique("Category"), "subcategories": ["Jazz", "Soca"]}
    return await _made(administrator, "/categories", usual, members)


async def make_host(person: Client, **members: Any) -> dict[str, Any]:
    """A host that this person administers."""
    usual = {"name": unique("Host"), "contact": "Alice Joseph", "email": "host@example.com"}
    return await _made(person, "/hosts", usual, members)


async def make_event(
    person: Client, administrator: Client, host: dict[str, Any] | None = None, **members: Any
) -> dict[str, Any]:
    """A draft of a host that this person administers, at a venue and in a category of its own."""
    host = host or await make_host(person)
    usual = {
        "host": id_of(host),
        "type": "Standard",
        "title": unique("Dawn of the Seven"),
        "description": "World premier of the long awaited film",
        "subcategory": "Jazz",
        "public": True,
        "start": "2034-06-07T20:00",
        "end": "2034-06-07T23:00",
    }
    if "venue" not in members:
        usual["venue"] = (await make_venue(administrator))["self"]
    if "category" not in members:
        usual["category"] = (await make_category(administrator))["self"]
    return await _made(person, "/events", usual, members)


async def make_section(person: Client, event: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A free section of ten places, on sale; `section_uri` tells its full URI."""
    usual = {
        "name": unique("Floor"),
        "description": "Standing",
        "basePrice": 0,
        "salesStart": "2024-01-01T00:00",
        "salesEnd": "2034-06-07T19:00",
        "capacity": 10,
    }
    return await _made(person, f"{event['self']}/sections", usual, members)


def section_uri(event: dict[str, Any], section: dict[str, Any]) -> str:
    """The full URI of a section, as orders and tickets name it."""
    return f"{event['self']}{section['self']}"


async def list_event(administrator: Client, event: dict[str, Any]) -> dict[str, Any]:
    """Submit and approve a draft; the event as it is then."""
    submission = await _made(administrator, f"{event['self']}/submissions", {}, {})
    approved = await administrator.delete(submission["self"], approved="true")
    assert approved.status == 200, approved.body
    listed: dict[str, Any] = (await administrator.get(event["self"])).body
    return listed


def id_of(thing: dict[str, Any]) -> str:
    """The bare id of a thing."""
    return str(thing["self"]).rsplit("/", 1)[1]


async def _made(person: Client, path: str, usual: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    answer = await person.post(path, usual | members)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.body
    return made


async def hold_tickets(
    buyer: Client,
    runner: Client,
    event: dict[str, Any],
    section: dict[str, Any],
    quantity: int = 1,
    *,
    by: Client | None = None,
) -> list[str]:
    """The serials of free tickets that the buyer ordered just now, read by somebody who runs the event.

    `by` is the administrator who orders them for him, of what only administrators may order: an event that is over.
    """
    body = {"items": {section_uri(event, section): quantity}, "customer": buyer.number}
    order = await _made(by or buyer, "/orders", body, {})
    assert order["status"] == "Fulfilled", order
    valid = await runner.get(f"{event['self']}/tickets", records=500, order="desc")
    assert valid.status == 200, valid.body
    owned = [ticket["serial"] for ticket in valid["entries"] if ticket["owner"]["number"] == buyer.number]
    return owned[:quantity][::-1]


PAYER = {
    "name": "Marvin Hunte",
    "email": "marvin@example.com",
    "phone": "+1 268 460 1234",
    "address1": "1 High Street",
    "city": "Saint John's",
    "district": "Saint John",
    "country": "Antigua and Barbuda",
}
AUTHORISED, DECLINED = "4111111111111111", "5555555555555555"


def card(number: str = AUTHORISED, **members: Any) -> dict[str, Any]:
    """The body of a payment with a sandbox card (docs/payments.md has the table)."""
    return {"number": number, "cvv": "737", "expiryDate": "12/49", **PAYER, **members}


async def make_stage(
    runner: Client, administrator: Client, *, price: float = 20, **members: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A listed event of the runner's with one section that costs something: the event and the section."""
    event = await make_event(runner, administrator)
    section = await make_section(runner, event, basePrice=price, **members)
    return await list_event(administrator, event), section


async def place(buyer: Client, event: dict[str, Any], section: dict[str, Any], quantity: int = 1) -> dict[str, Any]:
    """An order of the buyer's: it waits for payment when the section costs something."""
    return await _made(buyer, "/orders", {"items": {section_uri(event, section): quantity}}, {})


async def pay(buyer: Client, order: dict[str, Any]) -> dict[str, Any]:
    """Pay for an order; the order as it is then, fulfilled."""
    paid = await _made(buyer, order["payments"], card(), {})
    assert paid["status"] == "Authorised", paid
    fulfilled: dict[str, Any] = (await buyer.get(order["self"])).body
    assert fulfilled["status"] == "Fulfilled", fulfilled
    return fulfilled


def gate(visitor: Client, key: str) -> Client:
    """A scanner with this gate key."""
    return Client(visitor.http, key)
