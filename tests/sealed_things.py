"""One of everything that the server's secret has to do with, made through the API, and looked at again and again."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import icalendar
import msgspec

from conftest import SECRET, Answer, Client, add_person, unique
from mailed import mailed_code, stranger_code
from makers import card, hold_tickets, id_of, list_event, make_event, make_section, make_stage, place
from ticketing.kit.vault import Vault, hash_key
from ticketing.payments.providers import Action
from ticketing.payments.providers.sealing import seal

BANK_SECRET = "pi_1_secret_what_the_bank_wants"
CODES = 4  # one for each look
SECURED = "4000002500003155"
NEW_PASSWORD = "battery staple"


@dataclass
class Things:
    """What stood sealed when the secret was another, and what it must go on being."""

    http: httpx.AsyncClient
    db: asyncpg.Connection
    host: Client
    buyer: Client
    administrator: Client
    event: dict[str, Any]
    paid_event: tuple[dict[str, Any], dict[str, Any]]
    gate: dict[str, Any]
    older_gate: dict[str, Any]
    serial: str
    order: dict[str, Any]
    ordered: tuple[str, dict[str, Any], Answer]
    codes: list[tuple[Client, str, str]]
    sign_ins: list[tuple[Client, str, str]]
    uid: str = ""

    @classmethod
    async def make(cls, http: httpx.AsyncClient, db: asyncpg.Connection) -> "Things":
        """All of them, at a server whose secret is SECRET."""
        administrator = await add_person(http, db, "admin", "administrator")
        host, buyer = await add_person(http, db, "host"), await add_person(http, db, "buyer")
        event = await make_event(host, administrator)
        floor = await make_section(host, event)
        event = await list_event(administrator, event)
        [serial] = await hold_tickets(buyer, host, event, floor)
        paid_event = await make_stage(host, administrator)
        things = cls(
            http,
            db,
            host,
            buyer,
            administrator,
            event,
            paid_event,
            gate=await _gate(host, event),
            older_gate=await _gate(host, paid_event[0]),
            serial=serial,
            order=await place(buyer, *paid_event),
            ordered=await _order_under_a_key(buyer, event, floor),
            codes=[await ask_for_code(http, db) for _ in range(CODES)],
            sign_ins=[await _ask_to_sign_in(buyer, db) for _ in range(CODES)],
        )
        await things._derive_the_key_of_the_older_gate()
        await things._wait_for_a_bank()
        things.uid = await things.read_uid()
        await things.ensure_printed()  # which makes the key that signs
        return things

    def at(self, url: str) -> "Things":
        """The same people, at another server from now on."""
        self.http.base_url = httpx.URL(url)
        return self

    async def _derive_the_key_of_the_older_gate(self) -> None:
        """As earlier versions made it: of the secret, and stored nowhere."""
        token = int(id_of(self.older_gate))
        key = Vault(SECRET).digest("gate token key", str(token).encode()).hex()[:32]
        await self.db.execute(
            "UPDATE tokens SET key_encrypted = NULL, key_hash = $2 WHERE id = $1", token, hash_key(key)
        )
        self.older_gate["key"] = key

    async def _wait_for_a_bank(self) -> None:
        """A payment whose customer has to go to his bank; the sandbox's has no secret, so it gets one."""
        pending = await self.buyer.post(self.order["payments"], card(SECURED))
        assert pending.status == 202, pending.body
        action = seal(Vault(SECRET), Action("use_stripe_sdk", BANK_SECRET, ""))
        await self.db.execute(
            "UPDATE payments SET action = $1, ask_at = deadline_at WHERE status = 'Pending'",  # nobody asks meanwhile
            msgspec.json.encode(action).decode(),
        )

    async def read_uid(self) -> str:
        noted = await self.buyer.get(f"/accounts/{self.buyer.number}/tickets/{self.serial}.ics")
        assert noted.status == 200, noted.body
        [event] = icalendar.Calendar.from_ical(noted.body).walk("VEVENT")
        return str(event["UID"])

    async def ensure_good(self) -> None:
        """Everything is as it was when it was made; uses up one mailed code of each kind."""
        for gate in (self.gate, self.older_gate):
            assert await self.at_gate(gate) == 200
            assert (await self.host.get(gate["self"]))["code"] == gate["code"]
            read = await self.host.get(f"/tokens/{gate['code'].lower()}")
            assert (read.status, read["key"]) == (200, gate["key"])
        await self.ensure_printed()
        assert await self.read_uid() == self.uid
        [payment] = (await self.buyer.get(self.order["payments"]))["entries"]
        assert payment["action"]["clientSecret"] == BANK_SECRET
        await self.ensure_repeated()
        await self.ensure_code_is_right()
        assert (await self.http.get("/", headers={"Accept": "text/html"})).status_code == 200
        visitor = Client(self.http, Vault(SECRET).derive_keys("pages", "visitors")[0])  # a page that was open before
        assert (await visitor.get("/regions")).status == 200

    async def at_gate(self, gate: dict[str, Any]) -> int:
        """The status that the key which a scanner has got gets."""
        return (await Client(self.http, gate["key"]).get(f"{gate['event']}/tickets")).status

    async def ensure_printed(self) -> None:
        """The ticket, with its signed code."""
        while True:
            printed = await self.buyer.get(f"/accounts/{self.buyer.number}/tickets/{self.serial}.pdf")
            if printed.status != 503:
                break
            await asyncio.sleep(int(printed.headers["retry-after"]))  # a busy machine: the next try goes on
        assert printed.status == 200, printed.body
        assert printed.body.startswith(b"%PDF-")

    async def ensure_repeated(self) -> None:
        """The order is not placed a second time."""
        key, body, first = self.ordered
        again = await self.buyer.send("POST", "/orders", json=body, headers={"Idempotency-Key": key})
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["idempotency-replayed"] == "true"

    async def ensure_code_is_right(self) -> None:
        done = await try_code(*self.codes.pop())
        assert (done.status, done["status"]) == (200, "Completed"), done.body
        session = await try_to_sign_in(*self.sign_ins.pop())
        assert session.status == 201, session.body


async def _gate(host: Client, event: dict[str, Any]) -> dict[str, Any]:
    [token] = (await host.get(f"{event['self']}/tokens"))["entries"]
    key = (await host.get(f"/tokens/{token['code']}"))["key"]
    return {"self": token["self"], "code": token["code"], "event": event["self"], "key": key}


async def _order_under_a_key(buyer: Client, event: dict[str, Any], floor: dict[str, Any]) -> tuple[str, Any, Answer]:
    key, body = secrets.token_hex(8), {"items": {f"{event['self']}{floor['self']}": 1}}
    first = await buyer.send("POST", "/orders", json=body, headers={"Idempotency-Key": key})
    assert first.status == 201, first.body
    return key, body, first


async def ask_for_code(http: httpx.AsyncClient, db: asyncpg.Connection) -> tuple[Client, str, str]:
    """Somebody who forgot his password, what he asked for, and the code that was sealed with SECRET."""
    person = await add_person(http, db, unique("forgetful").replace(" ", ""))
    made = await person.post("/resets", email=person.email)
    assert made.status == 201, made.body
    return person, made["self"], await mailed_code(db, person, "reset")


async def _ask_to_sign_in(caller: Client, db: asyncpg.Connection) -> tuple[Client, str, str]:
    email = f"{secrets.token_hex(6)}@example.com"
    made = await caller.post("/sign-ins", email=email)
    assert made.status == 201, made.body
    return caller, made["self"], await stranger_code(db, email)


async def try_to_sign_in(caller: Client, uri: str, code: str) -> Answer:
    """The answer to a code that was mailed to sign in with."""
    return await caller.send("PATCH", uri, json={"code": code})


async def try_code(person: Client, uri: str, code: str) -> Answer:
    """The answer to a mailed code."""
    return await person.send("PATCH", uri, json={"code": code, "password": NEW_PASSWORD})
