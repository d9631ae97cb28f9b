"""Writing the demo's world into an empty database, through the actions that requests use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from ticketing.accounts import actions as accounts
from ticketing.accounts.codes import Purpose, request_code
from ticketing.accounts.forms import read_registration
from ticketing.admissions.actions import Scan, admit
from ticketing.admissions.queries import Gate
from ticketing.categories import actions as categories
from ticketing.categories.schemas import CATEGORY
from ticketing.events import actions as events
from ticketing.events import sections
from ticketing.events.queries import RunEvent, run_event
from ticketing.events.removal import cancel_event
from ticketing.events.rules import fee_cents, parse_bands
from ticketing.events.schemas import EVENT, PRICE, SECTION
from ticketing.hosts import actions as hosts
from ticketing.hosts.invitations import invite
from ticketing.hosts.schemas import HOST
from ticketing.kit.database import Connection, Database
from ticketing.kit.vault import Vault
from ticketing.letters.posting import Letter, post
from ticketing.orders.intake import limits_of, new_number
from ticketing.orders.locking import lock_order
from ticketing.orders.placing import Placement, Terms, place_orders
from ticketing.orders.rules import Wish
from ticketing.payments.attempts import conclude, open_attempt
from ticketing.payments.providers import Token
from ticketing.payments.providers.cards import part_of
from ticketing.payments.providers.sandbox import Sandbox, enter_charge, enter_refund
from ticketing.payments.refunds import Request, conclude_refund, open_refund
from ticketing.regions import actions as regions
from ticketing.regions.schemas import REGION
from ticketing.sealing import open_vault, take_up
from ticketing.sessions.gate_keys import change_code, gate_codes
from ticketing.sessions.integrations import create_integration
from ticketing.settings import Settings
from ticketing.submissions import actions as submissions
from ticketing.submissions.rules import submission_id
from ticketing.transfers.actions import Sending, claim_transfer, initiate_transfer
from ticketing.transfers.queries import find_transfer
from ticketing.venues import actions as venues
from ticketing.venues.schemas import VENUE
from ticketing.web.callers import Caller, Level

from . import content
from .content import DemoEvent, Ending
from .credentials import KNOWN, Credentials, set_credentials

LOCK = 0x7156  # advisory: two that plant at once


class NotEmpty(Exception):
    """The database holds what is not the demo's."""


async def plant(settings: Settings, progress: Callable[[str], None], credentials: Credentials = KNOWN) -> None:
    """Write the demo's world, all of it or nothing; when it is there, only what lets into it is set.

    Raises NotEmpty when the database is used for something else.
    """
    database = Database(settings.database_url, pool_size=1)
    await database.open()
    try:
        async with database.transaction() as db:
            await db.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            vault = open_vault(settings)
            await take_up(db, vault)
            if await _is_planted(db):
                await set_credentials(db, vault, credentials)
                return
            progress("Writing the demo data.")
            await _Planter(db, database.new_id, settings, vault, credentials).plant()
    finally:
        await database.close()


async def _is_planted(db: Connection) -> bool:
    if await db.fetchval(
        "SELECT count(*) = 2 FROM accounts WHERE username = ANY($1::text[]) AND removed_at IS NULL",
        [content.ADMINISTRATOR, content.CUSTOMER],
    ):
        return True
    if not await db.fetchval("SELECT true FROM accounts LIMIT 1"):
        return False
    raise NotEmpty("This database already holds other people's data; the demo needs one of its own.")


_DATE_BACK = (
    """UPDATE orders SET placed_at = starts_at - interval '5 days'
         FROM order_items item JOIN events event ON event.id = item.event_id
        WHERE item.order_id = orders.id AND event.id = $1""",
    """UPDATE tickets SET issued_at = starts_at - interval '5 days', changed_at = starts_at,
              redeemed_at = CASE WHEN redeemed_at IS NOT NULL THEN starts_at END
         FROM events event WHERE event.id = tickets.event_id AND event.id = $1""",
    """UPDATE admissions SET admitted_at = starts_at
         FROM events event WHERE event.id = admissions.event_id AND event.id = $1""",
)


@dataclass
class _Planter:
    db: Connection
    new_id: Callable[[], int]
    settings: Settings
    vault: Vault
    credentials: Credentials
    regions: dict[str, int] = field(default_factory=dict)
    venues: dict[str, int] = field(default_factory=dict)
    categories: dict[str, int] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)

    async def plant(self) -> None:
        self.today: date = await self.db.fetchval("SELECT clock()::date")
        await self._plant_places()
        await self._plant_people()
        for event in content.EVENTS:
            await self._plant_event(event)

    async def _plant_places(self) -> None:
        for body in content.REGIONS:
            self.regions[body["name"]] = region = self.new_id()
            await regions.add_region(self.db, region, await REGION.read(body, self.db))
        for venue in content.VENUES:
            self.venues[str(venue["name"])] = place = self.new_id()
            placed = {**venue, "region": str(self.regions[str(venue["region"])])}
            await venues.create_venue(self.db, place, await VENUE.read(placed, self.db))
        for kind in content.CATEGORIES:
            self.categories[str(kind["name"])] = category = self.new_id()
            await categories.create_category(self.db, category, await CATEGORY.read(kind, self.db))

    async def _plant_people(self) -> None:
        hashes = self.credentials.hashes()
        for username, first, last, role in content.PEOPLE:
            body = {
                "username": username,
                "password": self.credentials.passwords[username],
                "email": f"{username}@example.com",
                "firstName": first,
                "lastName": last,
            }
            self.people[username] = account = self.new_id()
            values = await read_registration(self.db, body)
            await accounts.create_account(
                self.db,
                account,
                values,
                hashes[username],
                role=role,
                verified=username != content.NEWCOMER,
            )
        await self._plant_mail_of_people()
        for name, (founder, details) in content.HOSTS.items():
            self.hosts[name] = host = self.new_id()
            values = await HOST.read({"name": name, **details}, self.db)
            await hosts.create_host(self.db, host, values, self.people[founder])
        for name, person in content.INVITED.items():
            host, inviter = self.hosts[name], self.people[content.HOSTS[name][0]]
            most = self.settings.invitations_per_day
            await invite(self.db, host, self.people[person], inviter, is_active=True, most=most)
        await create_integration(self.db, self.new_id, content.SHOP, "public", key=self.credentials.public_key)

    async def _plant_mail_of_people(self) -> None:
        """One has just registered and asks for codes, another wants to go."""
        await post(self.db, [Letter("welcome", account=self.people[content.NEWCOMER])])
        for purpose in Purpose:
            email = f"{content.NEWCOMER}@example.com"
            await request_code(self.db, self.vault, self.settings, self.new_id(), purpose, email, known=False)
        await accounts.deactivate_account(self.db, gate_codes(self.vault), self.people[content.CLOSED])
        await post(self.db, [Letter("deletion_requested", about={"account": self.people[content.CLOSED]})])

    async def _plant_event(self, event: DemoEvent) -> None:
        body = {
            "host": str(self.hosts[event.host]),
            "type": "Standard",
            "title": event.title,
            "description": event.description,
            "category": f"/categories/{self.categories[event.category]}",
            "subcategory": event.subcategory,
            "public": True,
            "venue": f"/venues/{self.venues[event.venue]}",
            "start": self._moment(event.days, event.start),
            "end": self._moment(event.days, event.end),
            "doors": self._moment(event.days, event.doors) if event.doors else "",
            **event.details,
        }
        event_id, token_id = self.new_id(), self.new_id()
        await events.register_event(self.db, self.vault, event_id, token_id, await EVENT.read(body, self.db))
        if event.title == content.OPEN_EVENT:
            await change_code(self.db, self.vault, token_id, self.credentials.gate_code)
        section_ids = await self._plant_sections(event, event_id)
        await self._bring_to_status(event, event_id, section_ids)

    async def _plant_sections(self, event: DemoEvent, event_id: int) -> dict[str, int]:
        run = await self._run(event_id)
        made = {}
        for name, description, price, capacity in event.sections:
            made[name] = section = self.new_id()
            body: dict[str, Any] = {
                "name": name,
                "description": description,
                "basePrice": price,
                "salesStart": self._moment(min(0, event.days) - 30, "09:00"),
                "salesEnd": self._moment(event.days, event.start),
                "capacity": capacity,
            }
            await sections.add_section(self.db, section, run, await SECTION.read(body, self.db))
        if event.early is not None:
            body = {"name": "Early bird", "price": event.early, "to": self._moment(14, "23:59"), "quantity": 100}
            first = made[event.sections[0][0]]
            await sections.add_price(self.db, self.new_id(), first, run, await PRICE.read(body, self.db))
        return made

    async def _bring_to_status(self, event: DemoEvent, event_id: int, section_ids: dict[str, int]) -> None:
        if event.status == "Draft":
            return
        founder = self.people[content.HOSTS[event.host][0]]
        await submissions.submit_event(self.db, self.new_id(), await self._run(event_id), founder)
        if event.status == "Submitted":
            return
        administrator = self.people[content.ADMINISTRATOR]
        waiting = await submissions.lock_submission(self.db, submission_id(event_id))
        await submissions.decide(self.db, waiting, administrator, approved=True, note="")
        await self._plant_orders(event, event_id, section_ids)
        await self._plant_transfers(event, event_id, section_ids)
        if event.admitted:
            await self._let_in(event, event_id)
        if event.status == "Unlisted":
            await events.unlist_event(self.db, await self._run(event_id))
        if event.status == "Cancelled":
            await cancel_event(self.db, await self._run(event_id), content.CANCELLED_FOR, by_administrator=True)

    async def _plant_orders(self, event: DemoEvent, event_id: int, section_ids: dict[str, int]) -> None:
        free = [(who, section, quantity) for who, section, quantity in event.orders]
        bought = [(who, section, quantity) for who, section, quantity, _ending in event.bought]
        wishes = [
            Wish(
                self.new_id(),
                new_number(),
                self.people[who],
                ((event_id, section_ids[section], quantity),),
                privileged=event.days < 0,  # sales have ended
            )
            for who, section, quantity in [*free, *bought]
        ]
        bands = parse_bands(self.settings.fees)
        limits = limits_of(self.settings)
        terms = Terms(limits, lambda cents: fee_cents(cents, bands), self.settings.hold_seconds, self.settings.currency)
        for outcome in await place_orders(self.db, wishes, terms, self.new_id):
            if not isinstance(outcome, Placement):
                raise AssertionError(f"The demo's order for {event.title} was refused: {outcome.reason}.")
        for wish, (_who, _section, _quantity, ending) in zip(wishes[len(free) :], event.bought, strict=True):
            await self._plant_payment(wish.order_id, ending)

    async def _plant_payment(self, order_id: int, ending: Ending) -> None:
        """Pay for an order with a card of the sandbox, and give the money back where that is the story."""
        order = await lock_order(self.db, order_id)
        attempt = await open_attempt(self.db, order, self.new_id(), Sandbox.name, [], by_administrator=False)
        part = part_of(Token("tok_insufficient_funds" if ending == "declined" else "tok_visa"))
        await conclude(self.db, attempt.id, await enter_charge(self.db, attempt.charge(), part), self.new_id)
        if ending == "refunded":
            request = Request("The customer fell ill.", self.people[content.ADMINISTRATOR])
            giving = await open_refund(self.db, await lock_order(self.db, order_id), self.new_id(), request)
            outcome, _is_silent = await enter_refund(self.db, giving.repayment())
            await conclude_refund(self.db, giving.id, outcome, self.new_id)

    async def _plant_transfers(self, event: DemoEvent, event_id: int, section_ids: dict[str, int]) -> None:
        for sender, recipient, section, quantity, claimed in event.transfers:
            transfer_id, lines = self.new_id(), [(event_id, section_ids[section], quantity)]
            sending = Sending(self.people[sender], self.people[recipient], lines)
            await initiate_transfer(self.db, transfer_id, sending)
            if claimed:
                await claim_transfer(self.db, await find_transfer(self.db, str(transfer_id)), self.new_id)

    async def _let_in(self, event: DemoEvent, event_id: int) -> None:
        """Let in all but the last who ordered, and date what happened before and on the evening."""
        rows = await self.db.fetch("SELECT serial FROM tickets WHERE event_id = $1 ORDER BY id", event_id)
        scan = Scan([row["serial"] for row in rows[:-1]], "Kofi at the gate", "Scanner 1")
        await admit(self.db, Gate(event_id, False), scan, self.new_id, most_refused=0)
        for statement in _DATE_BACK:
            await self.db.execute(statement, event_id)

    async def _run(self, event_id: int) -> RunEvent:
        administrator = Caller(Level.ADMINISTRATOR, b"", self.people[content.ADMINISTRATOR])
        return await run_event(self.db, administrator, str(event_id))

    def _moment(self, days: int, time: str) -> str:
        return f"{self.today + timedelta(days=days)}T{time}"
