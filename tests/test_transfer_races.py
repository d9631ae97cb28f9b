"""Whatever happens to the same tickets at the same moment, at two workers: each has one owner and lets in once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from bench.seed import seed

from conftest import NEW_IDS, Answer, Client, add_person, ensure_well, scratch_database
from makers import pay
from serving import serve


@dataclass
class Scene:
    """A listed event with fresh sections, and who acts there."""

    db: asyncpg.Connection
    event: int
    sender: Client
    recipient: Client
    administrator: Client

    def uri(self, section: int) -> str:
        return f"/events/{self.event}/sections/{section}"

    async def new_section(self) -> int:
        section = NEW_IDS.new()
        await self.db.execute(
            """INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text,
                                     sales_end_text, active, capacity, name_key)
               VALUES ($1, $2, $3, '', 2000, '', '', true, 10, $3)""",
            section,
            self.event,
            str(section),
        )
        return section

    async def order(self, *sections: int) -> dict[str, Any]:
        ordered = await self.sender.post("/orders", items={self.uri(section): 1 for section in sections})
        assert ordered.status == 201, ordered.body
        return await pay(self.sender, ordered.body)

    async def send(self, tickets: dict[int, int]) -> Answer:
        wanted = {self.uri(section): quantity for section, quantity in tickets.items()}
        return await self.sender.post("/transfers", recipient=self.recipient.number, tickets=wanted)

    async def scan(self, serials: list[str]) -> Answer:
        path = f"/events/{self.event}/admissions"
        return await self.administrator.post(path, redeemer="Vera", device="Scanner 4", serials=serials)

    async def tickets(self, *sections: int) -> dict[int, asyncpg.Record]:
        rows = await self.db.fetch("SELECT * FROM tickets WHERE section_id = ANY($1::bigint[]) ORDER BY id", sections)
        return {row["id"]: row for row in rows}


@pytest.fixture(scope="module")
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn
        await ensure_well(dsn)


async def count_deadlocks(dsn: str) -> int:
    """Deadlocks so far; what a connection knows of is told at the latest when it is closed."""
    db = await asyncpg.connect(dsn)
    try:
        return int(await db.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
    finally:
        await db.close()


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.heavy)])
async def test_every_end_of_a_transfer_at_once_comes_to_one(dsn: str, rounds: int) -> None:
    stage = await seed(dsn, sections=1)
    db = await asyncpg.connect(dsn)
    draw, outcomes = random.Random(11), Counter[str]()
    async with serve(dsn, workers=2) as url, httpx.AsyncClient(base_url=url, timeout=30) as http:
        people = [await add_person(http, db, name) for name in ("sender", "recipient")]
        scene = Scene(db, stage.event, *people, await add_person(http, db, "admin", "administrator"))
        for _ in range(rounds):
            race = await Race.prepare(scene)
            await race.run(draw)
            outcomes[await race.outcome()] += 1
            await race.ensure_one_story()
    await db.close()
    assert await count_deadlocks(dsn) == 0
    assert len(outcomes) > 1, "nothing raced"


@dataclass
class Race:
    """One transfer over two sections, and all that can end it or touch its tickets."""

    scene: Scene
    floor: int
    balcony: int
    orders: list[dict[str, Any]]
    transfer: dict[str, Any]
    before: dict[int, asyncpg.Record]
    sent: set[int]
    removed: int = 0
    refunded: dict[str, Any] = field(default_factory=dict)
    rest: tuple[int, ...] = ()
    answers: dict[str, Answer] = field(default_factory=dict)

    @classmethod
    async def prepare(cls, scene: Scene) -> "Race":
        floor, balcony = await scene.new_section(), await scene.new_section()
        # Both sections in turn, so that whoever locked section by section would meet who locks by id.
        orders = [await scene.order(*sections) for sections in ((floor, balcony), (balcony,), (floor,))]
        before = await scene.tickets(floor, balcony)
        transfer = await scene.send({floor: 1, balcony: 1})
        assert transfer.status == 201, transfer.body
        after = await scene.tickets(floor, balcony)
        pending = {one for one, ticket in after.items() if ticket["status"] == "Pending"}
        assert len(pending) == 2
        return cls(scene, floor, balcony, orders, transfer.body, before, pending)

    async def run(self, draw: random.Random) -> None:
        scene, uri = self.scene, self.transfer["self"]
        self.removed = draw.choice((self.floor, self.balcony))
        self.refunded = draw.choice(self.orders)
        self.rest = draw.choice(((self.floor,), (self.balcony,), (self.balcony, self.floor)))
        serials = [ticket["serial"] for ticket in self.before.values()]
        acts: list[tuple[str, Callable[[], Awaitable[Answer]]]] = [
            ("claim", lambda: scene.recipient.post(self.transfer["claims"])),
            ("claim again", lambda: scene.recipient.post(self.transfer["claims"])),
            ("withdraw", lambda: scene.sender.delete(uri)),
            ("refuse", lambda: scene.recipient.delete(uri)),
            ("admit", lambda: scene.scan(serials)),
            ("admit backwards", lambda: scene.scan(serials[::-1])),
            ("send the rest", lambda: scene.send(dict.fromkeys(self.rest, 1))),
            ("remove", lambda: scene.administrator.delete(scene.uri(self.removed))),
            ("refund", lambda: scene.administrator.post(self.refunded["refunds"], reason="The customer fell ill.")),
        ]
        draw.shuffle(acts)
        answers = await asyncio.gather(*(act() for _, act in acts))
        self.answers = {name: answer for (name, _), answer in zip(acts, answers, strict=True)}

    async def outcome(self) -> str:
        """How the transfer ended; its answers say the same."""
        expected = {
            "claim": {201, 409},
            "claim again": {201, 409},
            "withdraw": {200, 409},
            "refuse": {200, 409},
            "admit": {201, 400},
            "admit backwards": {201, 400},
            "send the rest": {201, 400},
            "remove": {200},
            "refund": {201, 409},
        }
        for name, answer in self.answers.items():
            assert answer.status in expected[name], (name, answer.body)
        claims = [self.answers[name].status for name in ("claim", "claim again")].count(201)
        cancels = [self.answers[name].status for name in ("withdraw", "refuse")].count(200)
        assert claims + cancels <= 1
        status = (await self.scene.sender.get(self.transfer["self"]))["status"]
        assert status == ("Claimed" if claims else "Cancelled")
        return "claimed" if claims else "cancelled" if cancels else "ended"

    async def ensure_one_story(self) -> None:
        """Owners, serials, admissions, statuses and counters all tell it."""
        claimed = await self.outcome() == "claimed"
        rows = await self.scene.db.fetch(
            "SELECT * FROM admissions WHERE ticket_id = ANY($1::bigint[])", list(self.before)
        )
        admissions = {row["ticket_id"]: row for row in rows}
        retired = await self.scene.db.fetch(
            "SELECT * FROM retired_serials WHERE ticket_id = ANY($1::bigint[])", list(self.before)
        )
        void = await self._find_void()
        after = await self.scene.tickets(self.floor, self.balcony)
        assert after.keys() == self.before.keys()
        let_in = [
            one["ticket"]
            for name in ("admit", "admit backwards")
            if self.answers[name].status == 201
            for one in self.answers[name].body
        ]
        assert sorted(let_in) == sorted(self.before[one]["serial"] for one in admissions)
        for one, ticket in after.items():
            handed_on = claimed and one in self.sent
            assert ticket["owner_id"] == (self.scene.recipient if handed_on else self.scene.sender).id
            assert (ticket["serial"] == self.before[one]["serial"]) is not handed_on
            assert [row["serial"] for row in retired if row["ticket_id"] == one] == (
                [self.before[one]["serial"]] if handed_on else []
            )
            if one in admissions:
                assert not handed_on
                assert admissions[one]["patron_id"] == ticket["owner_id"]
            if one in void:
                assert ticket["status"] == "Voided"
            elif one in admissions:
                assert ticket["status"] == "Redeemed"
            else:
                assert ticket["status"] in ("Issued", "Pending")
        await self._ensure_transfers_fit(after)
        for section in (self.floor, self.balcony):
            sold = await self.scene.db.fetchval("SELECT sold FROM sections WHERE id = $1", section)
            assert sold == sum(row["section_id"] == section and one not in void for one, row in after.items())

    async def _find_void(self) -> set[int]:
        """The tickets of the section that was removed, and of the order that was refunded."""
        rows = await self.scene.db.fetch(
            """SELECT id FROM tickets WHERE section_id = $1 OR $2 AND item_id IN (
                   SELECT item.id FROM order_items item JOIN orders ON orders.id = item.order_id
                    WHERE orders.number = $3)""",
            self.removed,
            self.answers["refund"].status == 201,
            self.refunded["number"],
        )
        return {row["id"] for row in rows}

    async def _ensure_transfers_fit(self, after: dict[int, asyncpg.Record]) -> None:
        """What is Pending is what the other transfer sent, all of it or nothing."""
        rest, pending = self.answers["send the rest"], set()
        if rest.status == 201 and (await self.scene.sender.get(rest["self"]))["status"] == "Pending":
            pending = {(int(rest["self"].rpartition("/")[2]), section) for section in self.rest}
        found = [(ticket["transfer_id"], ticket["section_id"]) for ticket in after.values() if ticket["transfer_id"]]
        assert len(found) == len(pending)
        assert set(found) == pending
        assert {ticket["status"] == "Pending" for ticket in after.values() if ticket["transfer_id"]} <= {True}
