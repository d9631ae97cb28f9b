"""The world of the permission table: each thing is made when a line first asks for it, and is then the same."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx

from conftest import Client, add_person, unique
from makers import (
    card,
    hold_tickets,
    id_of,
    list_event,
    make_category,
    make_event,
    make_host,
    make_region,
    make_section,
    make_venue,
    section_uri,
)
from money import BANK_ASKS_IN_VAIN

PEOPLE = {"customer": "customer", "other": "customer", "runner": "customer", "rival": "customer", "deputy": "customer"}
STAFF = {"support": "support", "admin": "administrator"}


class World:
    """People and things around one event.

    `await world.the("section")` is what stands in a path: an id, a number, a serial, a code. A method named like it
    makes it. `instead` names things that stand for others: `{"event": "draft"}`. What a `background` has (venues,
    the platform's staff) is taken from there unless a line is about it.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        db: asyncpg.Connection,
        background: "World | None" = None,
        instead: dict[str, str] | None = None,
    ) -> None:
        self._http = http
        self._db = db
        self._background = background or self
        self._instead = instead or {}
        self._callers: dict[str, Client] = {}
        self._made: dict[str, Any] = {}

    async def caller(self, kind: str) -> Client:
        """Somebody of this kind, with a key."""
        if kind not in self._callers:
            self._callers[kind] = await self._new_caller(kind)
        return self._callers[kind]

    async def _new_caller(self, kind: str) -> Client:
        if kind in PEOPLE or kind in STAFF:
            return await add_person(self._http, self._db, kind, {**PEOPLE, **STAFF}[kind])
        if kind == "public":
            made = await (await self._staff()).post("/integrations", name=unique("Page"), access="public")
            return Client(self._http, made["key"])
        if kind == "gate":
            return Client(self._http, await self._gate_key(await self.thing("event")))
        if kind == "afar":
            return Client(self._http, await self._gate_key(await self._background.thing("elsewhere")))
        return Client(self._http, {"none": "", "unknown": "0" * 32}[kind])

    async def _staff(self) -> Client:
        return await self._background.caller("admin")

    async def _gate_key(self, event: dict[str, Any]) -> str:
        staff = await self._staff()
        tokens = await staff.get(f"{event['self']}/tokens", **{"global": "true"})
        return str((await staff.get(f"/tokens/{tokens['entries'][0]['code']}"))["key"])

    async def the(self, name: str) -> str:
        """What names a thing in a path."""
        thing = await self.thing(name)
        return thing if isinstance(thing, str) else id_of(thing)

    async def thing(self, name: str) -> Any:
        """A thing as the API answered it, made when it is first asked for."""
        name = self._instead.get(name, name)
        if name not in self._made:
            maker: Callable[[], Awaitable[Any]] = getattr(self, name)
            self._made[name] = await maker()
        return self._made[name]

    async def new(self) -> str:
        """A name that nothing has."""
        return unique("Something new")

    # Accounts

    async def number(self) -> str:
        return (await self.caller("customer")).number

    async def deputy(self) -> str:
        """Somebody who administers the host beside the runner."""
        number = (await self.caller("deputy")).number
        host = await self.thing("host")
        added = await (await self._staff()).post(f"{host['self']}/administrators", account=number)
        assert added.status == 201, added.body
        return number

    async def scan(self) -> Any:
        """Somebody let in without a network with a ticket that nobody has."""
        event, gate = await self.thing("event"), await self.caller("gate")
        scans = [{"serial": "NOBODY-HASTHISONE00", "at": "2026-01-01T00:00:00Z", "nonce": unique("nonce")}]
        sent = await gate.post(f"{event['self']}/scans", redeemer="Kofi", device="1", scans=scans)
        assert sent.status == 200, sent.body
        return (await gate.get(f"{event['self']}/scans"))["entries"][-1]

    async def invited(self) -> str:
        """The other customer, asked to administer the host beside the runner."""
        number = (await self.caller("other")).number
        host = await self.thing("host")
        asked = await (await self.caller("runner")).post(f"{host['self']}/administrators", account=number)
        assert (asked.status, asked["accepted"]) == (201, False), asked.body
        return number

    async def session(self) -> str:
        return id_of((await (await self.caller("customer")).get("/sessions/active")).body)

    async def verification(self) -> str:
        return await self._request_code("/verifications")

    async def reset(self) -> str:
        return await self._request_code("/resets")

    async def sign_in(self) -> str:
        return await self._request_code("/sign-ins")

    async def _request_code(self, path: str) -> str:
        made = await (await self._staff()).post(path, email=(await self.caller("customer")).email)
        assert made.status == 201, made.body
        return id_of(made.body)

    async def integration(self) -> str:
        made = await (await self._staff()).post("/integrations", name=unique("Shop"), access="customer")
        return str(made["id"])

    # Where and what kind

    async def region(self) -> Any:
        return await make_region(await self._staff())

    async def venue(self) -> Any:
        return await make_venue(await self._staff(), await self._background.thing("region_with_venues"))

    async def category(self) -> Any:
        return await make_category(await self._staff())

    async def region_with_venues(self) -> Any:
        return await make_region(await self._staff())

    # Events

    async def host(self) -> Any:
        return await make_host(await self.caller("runner"))

    async def draft(self) -> Any:
        """An event that was not submitted, at a venue and in a category of the background."""
        places = {name: (await self._background.thing(name))["self"] for name in ("venue", "category")}
        return await make_event(
            await self.caller("runner"), await self._staff(), await self.thing("host"), title=unique("Night"), **places
        )

    async def event(self) -> Any:
        """A listed event."""
        return await list_event(await self._staff(), await self.draft())

    async def elsewhere(self) -> Any:
        """An event of the rival's."""
        rival = await self.caller("rival")
        places = {name: (await self._background.thing(name))["self"] for name in ("venue", "category")}
        return await make_event(rival, await self._staff(), await make_host(rival), title=unique("Day"), **places)

    async def submission(self) -> str:
        draft = await self.draft()
        submitted = await (await self.caller("runner")).post(f"{draft['self']}/submissions")
        return id_of(submitted.body)

    async def section(self) -> Any:
        return await make_section(await self.caller("runner"), await self.thing("event"), capacity=100)

    async def price(self) -> Any:
        event, section = await self.thing("event"), await self.thing("section")
        path = f"{section_uri(event, section)}/prices"
        made = await (await self.caller("runner")).post(path, name="Early bird", price=0)
        assert made.status == 201, made.body
        return made.body

    async def token(self) -> Any:
        event, section = await self.thing("event"), await self.thing("section")
        path = f"{event['self']}/tokens"
        made = await (await self.caller("runner")).post(path, sections=[section_uri(event, section)])
        assert made.status == 201, made.body
        return made.body

    async def code(self) -> str:
        return str((await self.thing("token"))["code"])

    # Orders and tickets

    async def serial(self) -> str:
        buyer, runner = await self.caller("customer"), await self.caller("runner")
        return (await hold_tickets(buyer, runner, await self.thing("event"), await self.thing("section")))[0]

    async def admission(self) -> Any:
        """The customer let in, by somebody who runs the event."""
        event, serial = await self.thing("event"), await self.thing("serial")
        scan = {"redeemer": "Kofi", "device": "1", "serials": [serial]}
        made = await (await self.caller("runner")).post(f"{event['self']}/admissions", scan)
        assert made.status == 201, made.body
        return made.body[0]

    async def refusal(self) -> Any:
        """A scan of nothing, by somebody who runs the event."""
        event, runner = await self.thing("event"), await self.caller("runner")
        scan = {"redeemer": "Kofi", "device": "1", "serials": ["NOBODY-HAS0THIS"]}
        assert (await runner.post(f"{event['self']}/admissions", scan)).status == 400
        return (await runner.get(f"{event['self']}/refusals"))["entries"][0]

    async def order(self) -> Any:
        """An order of the customer's that is fulfilled."""
        return await self._order(await self.thing("section"))

    async def placed(self) -> Any:
        """An order of the customer's that waits for payment."""
        paid = await make_section(await self.caller("runner"), await self.thing("event"), basePrice=20)
        return await self._order(paid)

    async def paying(self) -> Any:
        """An order of the customer's whose bank is still asking him."""
        order = await self.placed()
        begun = await (await self.caller("customer")).post(order["payments"], card(BANK_ASKS_IN_VAIN))
        assert begun.status == 202, begun.body
        return order

    async def _order(self, section: dict[str, Any]) -> Any:
        items = {section_uri(await self.thing("event"), section): 1}
        made = await (await self.caller("customer")).post("/orders", items=items)
        assert made.status == 201, made.body
        return made.body

    # Transfers

    async def transfer(self) -> Any:
        """One that the customer sent."""
        return await self._transfer("customer", "deputy")

    async def received(self) -> Any:
        """One that the customer may claim."""
        return await self._transfer("deputy", "customer")

    async def _transfer(self, sender: str, recipient: str) -> Any:
        giver, taker = await self.caller(sender), await self.caller(recipient)
        event, section = await self.thing("event"), await self.thing("section")
        await hold_tickets(giver, await self.caller("runner"), event, section)
        made = await giver.post("/transfers", recipient=taker.number, tickets={section_uri(event, section): 1})
        assert made.status == 201, made.body
        return made.body
