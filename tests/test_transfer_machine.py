"""Tickets ordered, sent, claimed, cancelled, scanned and voided in any order, beside a small model."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
from bench.seed import seed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from conftest import NEW_IDS, Answer, Client, add_person
from makers import pay

T = TypeVar("T")
PEOPLE = ("carol", "dave", "erin")
SECTIONS = 3
PAID = 0  # the section that costs something
REASONS = {"Pending": "in transfer", "Redeemed": "already admitted", "Voided": "voided"}

people = st.sampled_from(range(len(PEOPLE)))
sections = st.sampled_from(range(SECTIONS))
picks = st.integers(0, 99)
quantities = st.dictionaries(sections, st.integers(1, 3), min_size=1)


@dataclass
class Place:
    """A section: what it is called, and whether it is still there."""

    id: int
    uri: str
    removed: bool = False


@dataclass
class Ticket:
    """A ticket as it should be; `sent` is the open transfer it is part of."""

    id: int
    serial: str
    owner: int
    section: int
    status: str = "Issued"
    sent: int | None = None


@dataclass
class Transfer:
    """A transfer as it should be."""

    uri: str
    sender: int
    recipient: int
    tickets: list[Ticket]
    status: str = "Pending"


@dataclass
class Paid:
    """A paid order, where it is refunded and what it brought."""

    refunds: str
    tickets: list[Ticket]
    refunded: bool = False


@dataclass
class World:
    """The application, and what one run has there for itself."""

    loop: asyncio.AbstractEventLoop
    http: httpx.AsyncClient
    db: asyncpg.Connection
    event: int
    runner: Client
    administrator: Client
    persons: list[Client] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def do(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    async def begin(self) -> None:
        """New people, new sections."""
        self.persons = [await add_person(self.http, self.db, name) for name in PEOPLE]
        self.places = []
        for number in range(SECTIONS):
            section = NEW_IDS.new()
            await self.db.execute(
                """INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text,
                                         sales_end_text, active, capacity, name_key)
                   VALUES ($1, $2, $3, '', $4, '', '', true, 1000, $3)""",
                section,
                self.event,
                str(section),
                2000 if number == PAID else 0,
            )
            self.places.append(Place(section, f"/events/{self.event}/sections/{section}"))

    async def read_tickets(self) -> list[asyncpg.Record]:
        return list(
            await self.db.fetch(
                "SELECT * FROM tickets WHERE section_id = ANY($1::bigint[]) ORDER BY id",
                [place.id for place in self.places],
            )
        )


class Machine(RuleBasedStateMachine):
    """What people do with tickets, and the model of what comes of it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.tickets: list[Ticket] = []
        self.transfers: list[Transfer] = []
        self.retired: dict[str, int] = {}  # serials that tickets had, with their section
        self.paid: list[Paid] = []
        self.admitted = 0
        self.world.do(self.world.begin())

    def place(self, section: int) -> Place:
        return self.world.places[section]

    def person(self, who: int) -> Client:
        return self.world.persons[who]

    @rule(who=people, section=sections, quantity=st.integers(1, 4))
    def order(self, who: int, section: int, quantity: int) -> None:
        ordered = self.world.do(self.person(who).post("/orders", items={self.place(section).uri: quantity}))
        assert ordered.status == (400 if self.place(section).removed else 201)
        if section == PAID and ordered.status == 201:
            self.world.do(pay(self.person(who), ordered.body))
        known = {ticket.id for ticket in self.tickets}
        new = [row for row in self.world.do(self.world.read_tickets()) if row["id"] not in known]
        assert len(new) == (0 if self.place(section).removed else quantity)
        tickets = [Ticket(row["id"], row["serial"], who, section) for row in new]
        self.tickets += tickets
        if section == PAID and tickets:
            self.paid.append(Paid(ordered["refunds"], tickets))

    @rule(sender=people, recipient=people, wanted=quantities)
    def send(self, sender: int, recipient: int, wanted: dict[int, int]) -> None:
        body = {self.place(section).uri: quantity for section, quantity in wanted.items()}
        sent = self.world.do(
            self.person(sender).post("/transfers", recipient=self.person(recipient).number, tickets=body)
        )
        taken = [
            ticket
            for section, quantity in wanted.items()
            for ticket in [
                one for one in self.tickets if (one.owner, one.section, one.status) == (sender, section, "Issued")
            ][:quantity]
        ]
        if any(self.place(section).removed for section in wanted) or len(taken) < sum(wanted.values()):
            assert sent.status == 400
        elif sender == recipient:
            assert sent.status == 409
        else:
            assert sent.status == 201, sent.body
            for ticket in taken:
                ticket.status, ticket.sent = "Pending", len(self.transfers)
            self.transfers.append(Transfer(sent["self"], sender, recipient, taken))

    @precondition(lambda self: self.transfers)
    @rule(who=people, pick=picks)
    def claim(self, who: int, pick: int) -> None:
        transfer = self.transfers[pick % len(self.transfers)]
        claimed = self.world.do(self.person(who).post(f"{transfer.uri}/claims"))
        if who != transfer.recipient:
            assert claimed.status == 403
        elif transfer.status != "Pending":
            assert claimed.status == 409
        else:
            assert claimed.status == 201, claimed.body
            serials = {row["id"]: row["serial"] for row in self.world.do(self.world.read_tickets())}
            for ticket in transfer.tickets:
                self.retired[ticket.serial] = ticket.section
                ticket.serial, ticket.owner = serials[ticket.id], who
            assert not self.retired.keys() & {ticket.serial for ticket in self.tickets}
            self.end(transfer, "Claimed")

    @precondition(lambda self: self.transfers)
    @rule(who=people, pick=picks, by_administrator=st.booleans())
    def cancel(self, who: int, pick: int, by_administrator: bool) -> None:
        transfer = self.transfers[pick % len(self.transfers)]
        canceller = self.world.administrator if by_administrator else self.person(who)
        cancelled = self.world.do(canceller.delete(transfer.uri))
        if not by_administrator and who not in (transfer.sender, transfer.recipient):
            assert cancelled.status == 403
        elif transfer.status != "Pending":
            assert cancelled.status == 409
        else:
            assert cancelled.status == 200, cancelled.body
            self.end(transfer, "Cancelled")

    def end(self, transfer: Transfer, status: str) -> None:
        transfer.status = status
        for ticket in transfer.tickets:
            ticket.status, ticket.sent = "Issued", None

    @precondition(lambda self: self.tickets)
    @rule(scans=st.lists(picks, min_size=1, max_size=4))
    def admit(self, scans: list[int]) -> None:
        """Scan serials, old ones too; of each what the model says."""
        serials = [ticket.serial for ticket in self.tickets] + list(self.retired)
        scanned = [serials[pick % len(serials)] for pick in scans]
        path = f"/events/{self.world.event}/admissions"
        answer = self.world.do(self.world.runner.post(path, redeemer="Vera", device="1", serials=scanned))
        by_serial = {ticket.serial: ticket for ticket in self.tickets}
        let_in, refused = [], []
        for serial in scanned:
            ticket = by_serial.get(serial)
            if ticket is not None and ticket.status == "Issued":
                ticket.status = "Redeemed"
                let_in.append(serial)
            else:
                refused.append(REASONS[ticket.status] if ticket else "handed on")
        assert answer.status == (201 if let_in else 400)
        assert not let_in or [one["ticket"] for one in answer.body] == let_in
        self.admitted += len(let_in)
        remembered = self.world.do(
            self.world.db.fetch("SELECT reason FROM refused_scans ORDER BY id DESC LIMIT $1", len(refused))
        )
        assert [row["reason"] for row in remembered][::-1] == refused

    @precondition(lambda self: len(self.transfers) > 1)
    @rule(section=sections)
    def remove_section(self, section: int) -> None:
        place = self.place(section)
        removed = self.world.do(self.world.administrator.delete(place.uri))
        assert removed.status == (404 if place.removed else 200), removed.body
        place.removed = True
        self.void([ticket for ticket in self.tickets if ticket.section == section])

    @precondition(lambda self: self.paid and not self.place(PAID).removed)
    @rule(pick=picks)
    def refund(self, pick: int) -> None:
        order = self.paid[pick % len(self.paid)]
        refunded = self.world.do(self.world.administrator.post(order.refunds, reason="The customer fell ill."))
        assert refunded.status == (409 if order.refunded else 201), refunded.body
        order.refunded = True
        self.void(order.tickets)

    def void(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            if ticket.sent is not None:
                self.end(self.transfers[ticket.sent], "Cancelled")
        for ticket in tickets:
            ticket.status = "Voided"

    @invariant()
    def tickets_are_where_they_should_be(self) -> None:
        rows = self.world.do(self.world.read_tickets())
        found = [(row["id"], row["serial"], row["owner_id"], row["status"]) for row in rows]
        assert found == [
            (ticket.id, ticket.serial, self.person(ticket.owner).id, ticket.status) for ticket in self.tickets
        ]
        sent = [row["transfer_id"] and f"/transfers/{row['transfer_id']}" for row in rows]
        assert sent == [None if one.sent is None else self.transfers[one.sent].uri for one in self.tickets]

    @invariant()
    def transfers_are_what_they_should_be(self) -> None:
        for who in range(len(PEOPLE)):
            listed = self.read(self.person(who), f"/accounts/{self.person(who).number}/transfers", role="sender")
            assert [(one["self"], one["status"]) for one in listed] == [
                (one.uri, one.status) for one in self.transfers if one.sender == who
            ]

    @invariant()
    def nobody_is_counted_twice(self) -> None:
        for section, place in enumerate(self.world.places):
            sold = self.world.do(self.world.db.fetchval("SELECT sold FROM sections WHERE id = $1", place.id))
            assert sold == sum(one.section == section and one.status != "Voided" for one in self.tickets)
        ids = [ticket.id for ticket in self.tickets]
        counted = self.world.do(
            self.world.db.fetchval("SELECT count(*) FROM admissions WHERE ticket_id = ANY($1::bigint[])", ids)
        )
        assert counted == self.admitted

    def teardown(self) -> None:
        """What people and gates are told in the end."""
        for who in range(len(PEOPLE)):
            wallet = self.read(self.person(who), f"/accounts/{self.person(who).number}/tickets")
            assert Counter((one["serial"], one["status"]) for one in wallet) == Counter(
                (one.serial, one.status) for one in self.tickets if one.owner == who
            )
        told = self.read(self.world.runner, f"/events/{self.world.event}/tickets", modified_since="1970-01-01T00:00Z")
        ours = {place.uri for place in self.world.places}
        assert {one["serial"]: one["status"] for one in told if one["section"]["self"] in ours} == {
            **dict.fromkeys(self.retired, "Voided"),
            **{one.serial: one.status for one in self.tickets},
        }

    def read(self, reader: Client, path: str, **filters: str) -> list[dict[str, Any]]:
        """All pages of a list."""
        entries: list[dict[str, Any]] = []
        while True:
            page: Answer = self.world.do(reader.get(path, records=500, page=len(entries) // 500 + 1, **filters))
            assert page.status == 200, page.body
            entries += page["entries"]
            if len(entries) == page["total"]:
                return entries


@pytest.fixture(scope="module")
async def world(database: str, http: httpx.AsyncClient, db: asyncpg.Connection, administrator: Client) -> World:
    stage = await seed(database, sections=1)
    return World(asyncio.get_running_loop(), http, db, stage.event, Client(http, stage.key), administrator)


@pytest.mark.parametrize(("runs", "steps"), [(12, 30), pytest.param(120, 60, marks=pytest.mark.heavy)])
def test_the_platform_agrees_with_the_model(world: World, runs: int, steps: int) -> None:
    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=runs < 100,
            suppress_health_check=list(HealthCheck),
        ),
    )
