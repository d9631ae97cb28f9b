"""How many tickets of an event one customer may have: as its host says, and as the platform says of free ones."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import Client, MakePerson, add_session
from makers import list_event, make_event, make_section, make_stage, section_uri
from ticketing.app import build_app
from ticketing.settings import Settings

LIMIT = "You have reached the limit of tickets or open orders."
UNVERIFIED = "Free tickets are for accounts with a verified e-mail address."
INVALID = "The following arguments have invalid values: ticketsPerCustomer."


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    return Settings(
        database_url=database, secret="a secret that only this test knows", rate_limits="off", tickets_per_customer=4
    )


def body_of(event: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """What a client sends back of an event."""
    names = ("type", "title", "description", "subcategory", "public", "start", "end")
    things = {name: event[name]["self"] for name in ("category", "venue")}
    return {**{name: event[name] for name in names}, **things, **changed}


async def test_a_host_says_how_many(alice: Client, administrator: Client, make_person: MakePerson) -> None:
    event, section = await make_stage(alice, administrator, capacity=100)
    uri = section_uri(event, section)
    assert event["ticketsPerCustomer"] is None
    changed = await alice.put(event["self"], body_of(event, ticketsPerCustomer=6))
    assert (changed.status, changed["ticketsPerCustomer"]) == (200, 6)
    assert (await alice.put(event["self"], body_of(event)))["ticketsPerCustomer"] == 6  # left out: it stays
    fan = await make_person("fan")
    assert (await fan.post("/orders", items={uri: 5})).status == 201
    over = await fan.post("/orders", items={uri: 2})
    assert (over.status, over.error) == (409, LIMIT)
    assert (await fan.post("/orders", items={uri: 1})).status == 201
    assert (await administrator.post("/orders", customer=fan.number, items={uri: 3})).status == 201
    assert (await alice.put(event["self"], body_of(event, ticketsPerCustomer=None)))["ticketsPerCustomer"] is None
    other = await make_person("other")
    assert (await other.post("/orders", items={uri: 5})).error == LIMIT  # as the platform says
    for bad in (0, -1, "many", 1.5, True):
        refused = await alice.put(event["self"], body_of(event, ticketsPerCustomer=bad))
        assert (refused.status, refused.error) == (400, INVALID)


async def test_a_draft_says_it_from_the_start(alice: Client, administrator: Client, public: Client) -> None:
    made = await make_event(alice, administrator, ticketsPerCustomer="2")
    assert made["ticketsPerCustomer"] == 2
    await make_section(alice, made)
    await list_event(administrator, made)
    assert (await public.get(made["self"]))["ticketsPerCustomer"] == 2


@pytest.fixture
async def strict(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A server that gives free tickets away with care."""
    edge = build_app(replace(settings, free_tickets_verified="on", free_tickets_per_customer=2))
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
    async with (
        edge.app.router.lifespan_context(edge.app),
        httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http,
    ):
        yield http


async def test_free_tickets_may_be_for_the_verified_alone(
    strict: httpx.AsyncClient,
    alice: Client,
    administrator: Client,
    make_person: MakePerson,
    db: asyncpg.Connection,
) -> None:
    event, paid_section = await make_stage(alice, administrator)
    uri = section_uri(event, await make_section(alice, event, basePrice=0, capacity=50))
    fan = replace(await add_session(db, await make_person("fan")), http=strict)
    refused = await fan.post("/orders", items={uri: 1})
    assert (refused.status, refused.error) == (409, UNVERIFIED)
    assert "verify" in refused.body["details"]["customer"]
    await db.execute("UPDATE accounts SET verified = true WHERE id = $1", fan.id)
    assert (await fan.post("/orders", items={uri: 3})).error == LIMIT
    assert (await fan.post("/orders", items={uri: 2})).status == 201
    assert (await fan.post("/orders", items={uri: 1})).error == LIMIT
    paid = await fan.post("/orders", items={section_uri(event, paid_section): 2})
    assert paid.status == 201  # four in all, as everywhere
