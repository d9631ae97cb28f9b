"""Reports that add up: statistics, sales and transactions against what happened, ticket by ticket."""

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from books import check_books
from conftest import Answer, Client, MakePerson, clock_moved
from makers import (
    AUTHORISED,
    DECLINED,
    card,
    id_of,
    list_event,
    make_event,
    make_host,
    make_section,
    make_stage,
    make_venue,
    pay,
    place,
    section_uri,
)
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.payments import owing, reconciling
from ticketing.payments.providers.choosing import Providers
from ticketing.payments.providers.sandbox import Sandbox
from ticketing.settings import Settings
from ticketing.web.operations import Services

NOT_HOST_ADMINISTRATOR = "This account is not an administrator for the relevant event host."
NEW_YORK = {"longitude": -74.0, "latitude": 40.71}


@contextlib.asynccontextmanager
async def at(db: asyncpg.Connection, local: str, zone: str = "America/New_York") -> AsyncIterator[None]:
    """The moment when clocks there show this."""
    seconds = await db.fetchval(
        "SELECT extract(epoch FROM $1::text::timestamp AT TIME ZONE $2 - clock_timestamp())::float8", local, zone
    )
    async with clock_moved(db, seconds):
        yield


async def in_new_york(runner: Client, administrator: Client, **members: Any) -> dict[str, Any]:
    venue = await make_venue(administrator, **NEW_YORK)
    return await make_event(runner, administrator, venue=venue["self"], **members)


async def test_two_orders_one_refunded(alice: Client, bob: Client, administrator: Client) -> None:
    """The example of the contract."""
    event, section = await make_stage(alice, administrator, price=50)
    first = await pay(bob, await place(bob, event, section, 2))
    await pay(bob, await place(bob, event, section, 2))
    assert (await administrator.post(first["refunds"], reason="Ill"))["status"] == "Authorised"
    assert (await alice.get(f"{event['self']}/statistics")).body == {
        "self": f"{event['self']}/statistics",
        "capacity": 10,
        "orders": 1,
        "revenue": 100.0,
        "tickets": 2,
    }
    assert (await alice.get(f"{event['host']['self']}/statistics")).body == {
        "self": f"{event['host']['self']}/statistics",
        "events": 1,
        "orders": 1,
        "revenue": 100.0,
        "tickets": 2,
        "customers": 1,
    }
    report = (await alice.get(f"{event['self']}/sales")).body
    figures = {"orders": 1, "tickets": 2, "gross": 200.0, "fees": 1.98, "refunded": 100.0, "net": 100.0}
    assert report == {
        "self": f"{event['self']}/sales",
        "event": event["self"],
        "currency": "USD",
        "from": "",
        "to": "",
        "group": "section",
        "rows": [{"key": id_of(section), "name": section["name"], **figures}],
        "totals": figures,
    }


async def test_free_orders_count_and_open_ones_do_not(alice: Client, bob: Client, administrator: Client) -> None:
    event, section = await make_stage(alice, administrator)
    free = await make_section(alice, event)
    await place(bob, event, section)
    await place(bob, event, free, 3)
    shown = (await alice.get(f"{event['self']}/statistics")).body
    assert (shown["orders"], shown["revenue"], shown["tickets"], shown["capacity"]) == (1, 0.0, 3, 20)


async def test_an_order_over_two_events_is_shared_out(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson
) -> None:
    """Each host sees its part, of the sales and of the money alike."""
    carol = await make_person("carol")
    (here, floor), (there, box) = [
        await make_stage(runner, administrator, price=price) for runner, price in ((alice, 20), (carol, 120))
    ]
    order = await bob.post("/orders", items={section_uri(here, floor): 2, section_uri(there, box): 1})
    await pay(bob, order.body)
    for runner, event, revenue, fees in ((alice, here, 40.0, 1.98), (carol, there, 120.0, 2.99)):
        shown = (await runner.get(f"{event['self']}/statistics")).body
        assert (shown["orders"], shown["revenue"]) == (1, revenue)
        [charge] = (await runner.get("/transactions", host=id_of(event["host"])))["entries"]
        assert (charge["amount"], charge["fees"]) == (revenue + fees, fees)
        assert (charge["order"], charge["type"], charge["status"]) == (order["self"], "payment", "Authorised")
        assert charge["customer"]["number"] == bob.number
    [whole] = (await administrator.get("/transactions", order=order["number"]))["entries"]
    assert (whole["amount"], whole["fees"]) == (164.97, 4.97)
    nothing = await administrator.get("/transactions", host=id_of(here["host"]), event=id_of(there))
    assert (nothing.status, nothing["total"]) == (200, 0)


@pytest.mark.parametrize(
    ("day", "next_day", "week"), [("2027-07-31", "2027-08-01", "30"), ("2027-01-31", "2027-02-01", "04")]
)
async def test_an_order_at_half_past_eleven_belongs_to_that_day(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection, day: str, next_day: str, week: str
) -> None:
    """In summer and in winter, when New York is four and five hours behind UTC; the days begin a week and a month."""
    event = await in_new_york(alice, administrator)
    section = await make_section(alice, event)
    event = await list_event(administrator, event)
    for moment in (f"{day}T23:30", f"{day}T23:59:59", f"{next_day}T00:00"):
        async with at(db, moment):
            await place(bob, event, section)

    async def orders(**query: str) -> dict[str, int]:
        return {row["key"]: row["orders"] for row in (await alice.get(f"{event['self']}/sales", **query))["rows"]}

    assert await orders(group="day") == {day: 2, next_day: 1}
    assert await orders(group="day", **{"from": day, "to": day}) == {day: 2}
    assert await orders(group="day", **{"from": next_day}) == {next_day: 1}
    assert await orders(group="week", to=day) == {f"2027-W{week}": 2}
    assert await orders(group="month") == {day[:7]: 2, next_day[:7]: 1}
    assert await orders(to=day) == {id_of(section): 2}


async def test_days_weeks_and_months_have_names(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event = await in_new_york(alice, administrator)
    section = await make_section(alice, event)
    event = await list_event(administrator, event)
    async with at(db, "2027-01-01T12:00"):
        await place(bob, event, section)
    names = {}
    for group in ("day", "week", "month"):
        [row] = (await alice.get(f"{event['self']}/sales", group=group))["rows"]
        names[row["key"]] = row["name"]
    assert names == {
        "2027-01-01": "1 January 2027",
        "2026-W53": "28 December 2026 - 3 January 2027",
        "2027-01": "January 2027",
    }


async def test_a_section_has_its_row_also_without_sales_and_after_its_removal(
    alice: Client, bob: Client, administrator: Client, services: Services
) -> None:
    event, gone = await make_stage(alice, administrator, price=50)
    empty = await make_section(alice, event)
    unsold = await make_section(alice, event)
    await pay(bob, await place(bob, event, gone, 2))
    for section in (gone, unsold):
        assert (await administrator.delete(section_uri(event, section))).status == 200
    await owing.refund_owed(services)
    await reconciling.finish_refunds(services)
    report = (await alice.get(f"{event['self']}/sales")).body
    assert [(row["key"], row["gross"], row["refunded"], row["net"], row["fees"]) for row in report["rows"]] == [
        (id_of(gone), 100.0, 100.0, 0.0, 0.0),
        (id_of(empty), 0.0, 0.0, 0.0, 0.0),
    ]
    one = (await alice.get(f"{event['self']}/sales", section=id_of(gone))).body
    assert [row["key"] for row in one["rows"]] == [id_of(gone)]
    assert one["totals"]["refunded"] == 100.0


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"from": "2027-02-30"}, "The following arguments have invalid values: from."),
        ({"from": "yesterday", "group": "hour"}, "The following arguments have invalid values: from, group."),
        ({"from": "2027-02-02", "to": "2027-02-01"}, "The following arguments have invalid values: to."),
        ({"section": "1"}, "The following arguments have invalid values: section."),
        ({"section": "x"}, "The following arguments have invalid values: section."),
        ({"format": "pdf"}, "The following arguments have invalid values: format."),
        ({"page": "1"}, "The collection does not support the following filters: page."),
    ],
)
async def test_sales_refuse_what_they_do_not_understand(
    alice: Client, administrator: Client, query: dict[str, str], text: str
) -> None:
    event, _section = await make_stage(alice, administrator)
    answer = await alice.get(f"{event['self']}/sales", **query)
    assert (answer.status, answer.error) == (400, text)


async def test_transactions_are_filtered_and_sorted(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, price=10)
    host, carol = id_of(event["host"]), await make_person("carol")
    async with at(db, "2027-03-01T12:00", "UTC"):
        order = await place(bob, event, section)
        assert (await bob.post(order["payments"], card(DECLINED)))["status"] == "Declined"
        await pay(bob, order)
    async with at(db, "2027-03-02T00:00", "UTC"):
        await pay(carol, await place(carol, event, section, 3))
        assert (await administrator.post(order["refunds"], reason="Ill"))["status"] == "Authorised"

    async def found(**query: str) -> list[tuple[str, str, float]]:
        listed = await alice.get("/transactions", host=host, **query)
        assert listed.status == 200, listed.body
        assert listed["total"] == len(listed["entries"])
        return [(one["type"], one["status"], one["amount"]) for one in listed["entries"]]

    declined, charge = ("payment", "Declined", 10.99), ("payment", "Authorised", 10.99)
    other, refund = ("payment", "Authorised", 32.97), ("refund", "Authorised", 10.99)
    assert await found() == [declined, charge, other, refund]
    assert await found(order="desc") == [refund, other, charge, declined]
    assert await found(sort="date", order="desc", status="Authorised") == [refund, other, charge]
    assert await found(to="2027-03-01") == [declined, charge]
    assert await found(**{"from": "2027-03-02"}) == [other, refund]
    assert await found(type="refund") == [refund]
    assert await found(type="payment", status="Declined") == [declined]
    assert await found(status="Pending") == []
    assert await found(customer=carol.number) == [other]
    assert (
        await found(order=order["number"]) == await found(order=order["number"].lower()) == [declined, charge, refund]
    )
    for neither in ("sideways", "ASC", "0" * 11, "G" * 12, "\x00"):
        answer = await administrator.get("/transactions", order=neither)
        assert (answer.status, answer.error) == (400, "The following arguments have invalid values: order."), neither
    assert await found(event=id_of(event), order=order["number"], type="payment") == [declined, charge]
    everything = await administrator.get("/transactions", customer=bob.number, event=id_of(event))
    assert everything["total"] == 3


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"host": "x", "type": "gift", "status": "Lost"}, "type, status, host"),
        ({"from": "2027-02-02", "to": "2027-02-01"}, "to"),
        ({"from": "1st of May"}, "from"),
        ({"format": "yaml"}, "format"),
        ({"records": "501"}, "records"),
    ],
)
async def test_transactions_refuse_bad_values(administrator: Client, query: dict[str, str], text: str) -> None:
    answer = await administrator.get("/transactions", **query)
    assert (answer.status, answer.error) == (400, f"The following arguments have invalid values: {text}.")


async def test_hosts_see_their_own_transactions_alone(
    alice: Client, bob: Client, support: Client, administrator: Client
) -> None:
    event, _section = await make_stage(alice, administrator)
    strange = await bob.get("/transactions", host=id_of(event["host"]))
    assert (strange.status, strange.error) == (403, NOT_HOST_ADMINISTRATOR)
    for caller in (alice, support):
        everybodys = await caller.get("/transactions")
        assert (everybodys.status, everybodys.body) == (
            403,
            {"message": "You are restricted from accessing this resource."},
        )
    assert (await alice.get("/transactions", event=id_of(event))).status == 403


REFUND_FAILS_ONCE = "4000000000004004"
STEPS = 110
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(2, 14))]


class Season:
    """Some weeks of two hosts with two events each, in two time zones: whatever people do, at random."""

    def __init__(self, db: asyncpg.Connection, administrator: Client, buyers: list[Client], seed: int) -> None:
        self.db = db
        self.administrator = administrator
        self.buyers = buyers
        self.chance = random.Random(seed)
        self.seconds = 0.0
        self.events: list[dict[str, Any]] = []
        self.sections: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.orders: list[tuple[Client, dict[str, Any]]] = []
        self.done: Counter[tuple[str, int]] = Counter()

    async def begin(self, runners: list[Client]) -> None:
        for runner in runners:
            host = await make_host(runner)
            for spot in ({}, NEW_YORK):
                venue = await make_venue(self.administrator, **spot)
                event = await make_event(runner, self.administrator, host, venue=venue["self"])
                for price in (0, 19.99, 50, 150.5):
                    section = await make_section(runner, event, basePrice=price, capacity=40)
                    self.sections.append((event, section))
                self.events.append(await list_event(self.administrator, event))

    async def step(self, services: Services) -> None:
        self.seconds += self.chance.choice([1, 30, 200, 3600, 20 * 3600])
        acts = [self.order, self.pay, self.cancel, self.refund, self.hand_on, self.remove_section, self.cancel_event]
        [act] = self.chance.choices(acts, [40, 40, 3, 8, 8, 1.5, 0.5])
        async with clock_moved(self.db, self.seconds):
            answer = await act()
            if answer is not None:
                assert answer.status < 500, answer.body
                self.done[act.__name__, answer.status] += 1
            if self.chance.random() < 0.1:
                await settle(services)

    async def order(self) -> Answer:
        buyer = self.chance.choice(self.buyers)
        wanted = self.chance.sample(self.sections, self.chance.choice([1, 1, 2, 3]))
        items = {section_uri(*one): self.chance.randint(1, 4) for one in wanted}
        answer = await buyer.post("/orders", items=items)
        if answer.status == 201:
            self.orders.append((buyer, answer.body))
            if self.chance.random() < 0.7:
                await self._pay(buyer, answer.body)
        return answer

    async def pay(self) -> Answer | None:
        return await self._pay(*self.chance.choice(self.orders)) if self.orders else None

    async def _pay(self, buyer: Client, order: dict[str, Any]) -> Answer:
        number = self.chance.choice([AUTHORISED, AUTHORISED, AUTHORISED, DECLINED, REFUND_FAILS_ONCE])
        return await buyer.post(order["payments"], card(number))

    async def cancel(self) -> Answer | None:
        if not self.orders:
            return None
        buyer, order = self.chance.choice(self.orders)
        return await buyer.delete(order["self"])

    async def refund(self) -> Answer | None:
        if not self.orders:
            return None
        _buyer, order = self.chance.choice(self.orders)
        return await self.administrator.post(order["refunds"], reason="Ill")

    async def hand_on(self) -> Answer:
        sender, recipient = self.chance.sample(self.buyers, 2)
        event, section = self.chance.choice(self.sections)
        sent = await sender.post("/transfers", recipient=recipient.number, tickets={section_uri(event, section): 1})
        if sent.status == 201 and self.chance.random() < 0.7:
            return await recipient.post(sent["claims"])
        return sent

    async def remove_section(self) -> Answer:
        return await self.administrator.delete(section_uri(*self.chance.choice(self.sections)))

    async def cancel_event(self) -> Answer:
        event = self.chance.choice(self.events)
        return await self.administrator.post(f"{event['self']}/cancellations", reason="Rain")


async def settle(services: Services) -> None:
    """What the job worker does about money."""
    await owing.return_cancelled(services)
    await owing.refund_owed(services)
    await reconciling.finish_refunds(services)
    await reconciling.finish_payments(services)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """Those of a job worker."""
    database = Database(settings.database_url, pool_size=4)
    await database.open()
    yield Services(settings, database, Vault(settings.secret), Providers(Sandbox(database)))
    await database.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_figure_is_that_of_the_books_after_a_random_history(
    make_person: MakePerson, administrator: Client, db: asyncpg.Connection, services: Services, seed: int
) -> None:
    buyers = [await make_person("buyer") for _ in range(6)]
    season = Season(db, administrator, buyers, seed)
    await season.begin([await make_person("runner") for _ in range(2)])
    for step in range(STEPS):
        await season.step(services)
        if step == STEPS // 2:
            async with clock_moved(db, season.seconds):
                await check_books(db, administrator)
    async with clock_moved(db, season.seconds + 8000):
        for _round in range(3):
            await settle(services)
        books = await check_books(db, administrator)
    assert season.done["order", 201] > 10
    if seed > 1:
        return
    assert {("pay", 201), ("refund", 201), ("hand_on", 201)} <= season.done.keys()
    assert {ticket["status"] for ticket in books.tickets} >= {"Issued", "Voided"}
    assert {row["status"] for row in books.payments} >= {"Authorised", "Declined"}
    assert any(row["status"] == "Authorised" for row in books.refunds)
