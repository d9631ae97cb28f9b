"""Codes at the gate: what a scanner reads off a ticket is worth what its serial is, and forgeries are told apart."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conftest import SECRET, Answer, Client, MakePerson, breaks_by_hand
from makers import gate, hold_tickets, list_event, make_event, make_section, section_uri
from ticketing.kit.vault import Vault
from ticketing.tickets.keys import SigningKey, key_id, rotate_key, signing_key
from ticketing.tickets.payloads import Claim, sign

VAULT = Vault(SECRET)
NOBODY = "None of the provided ticket serials grants admission to this event"


@dataclass
class Door:
    """The gate of a listed event, and what it remembers."""

    event: dict[str, Any]
    floor: dict[str, Any]
    scanner: Client
    db: asyncpg.Connection
    bob: Client
    alice: Client

    async def scan(self, *scanned: str) -> Answer:
        body = {"redeemer": "Vera", "device": "Scanner 4", "serials": list(scanned)}
        return await self.scanner.post(f"{self.event['self']}/admissions", body)

    async def refused(self) -> list[tuple[str, str]]:
        rows = await self.db.fetch(
            "SELECT serial, reason FROM refused_scans WHERE event_id = $1 ORDER BY id", int(self.id)
        )
        return [(row["serial"], row["reason"]) for row in rows]

    @property
    def id(self) -> str:
        return str(self.event["self"]).rsplit("/", 1)[1]

    async def serials(self, quantity: int = 1) -> list[str]:
        return await hold_tickets(self.bob, self.alice, self.event, self.floor, quantity)

    async def payload(self, serial: str, key: SigningKey | None = None, *, later: int = 0) -> str:
        """What the ticket's code carries, by this server's key unless by another."""
        key = key or await signing_key(self.db, VAULT)
        ticket = await self.bob.get(f"/tickets/{serial}")
        issue = int(datetime.fromisoformat(ticket["issued"]).timestamp())
        return sign(Claim(serial, int(self.id), issue + later), key.id, key.private)


async def open_door(alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection) -> Door:
    event = await make_event(alice, administrator)
    floor = await make_section(alice, event, capacity=100)
    await list_event(administrator, event)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    key = (await administrator.get(f"/tokens/{token['code']}"))["key"]
    return Door(event, floor, gate(alice, key), db, bob, alice)


@pytest.fixture
async def door(alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection) -> Door:
    return await open_door(alice, bob, administrator, db)


def foreign_key() -> SigningKey:
    """The key of another server."""
    private = Ed25519PrivateKey.generate()
    return SigningKey(key_id(private.public_key().public_bytes_raw()), private)


async def test_a_payload_opens_the_gate_as_its_serial_does(door: Door) -> None:
    first, second = await door.serials(2)
    admitted = await door.scan(f" {(await door.payload(first)).lower()} ", second)
    assert admitted.status == 201
    assert [one["ticket"] for one in admitted.body] == [first, second]
    assert await door.refused() == []


async def test_payload_and_serial_of_one_ticket_let_one_person_in(door: Door) -> None:
    (serial,) = await door.serials()
    payload = await door.payload(serial)
    admitted = await door.scan(serial, payload)
    assert [one["ticket"] for one in admitted.body] == [serial]
    again = await door.scan(payload)
    assert (again.status, again.error) == (400, NOBODY)
    assert await door.refused() == [(serial, "already admitted")] * 2


async def test_forgeries_are_refused_and_remembered_with_reasons_of_their_own(door: Door) -> None:
    (serial,) = await door.serials()
    payload = await door.payload(serial)
    ours = await signing_key(door.db, VAULT)
    forgeries = {
        payload[:-3] + ("AAA" if payload[-3:] != "AAA" else "BBA"): (serial, "forged"),
        payload.replace(f".{door.id}.", ".17325458293736."): (serial, "forged"),
        await door.payload(serial, foreign_key()): (serial, "unknown key"),
        await door.payload(serial, SigningKey(ours.id, foreign_key().private)): (serial, "forged"),
        await door.payload(serial, later=1): (serial, "reissued"),
        "TK1.no.payload": ("TK1.no.payload", "forged"),
        "https://example.com/ticket": ("https://example.com/ticket", "unknown"),
    }
    refused = await door.scan(*forgeries)
    assert (refused.status, refused.error) == (400, NOBODY)
    assert await door.refused() == list(forgeries.values())
    assert (await door.scan(payload)).status == 201


async def test_a_true_payload_of_another_event_is_another_events(
    door: Door, alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    elsewhere = await open_door(alice, bob, administrator, db)
    (serial,) = await elsewhere.serials()
    assert (await door.scan(await elsewhere.payload(serial))).status == 400
    assert await door.refused() == [(serial, "other event")]


async def test_the_print_of_who_handed_the_ticket_on_opens_nothing(door: Door, make_person: MakePerson) -> None:
    (serial,) = await door.serials()
    carol = await make_person("carol")
    printed = await door.payload(serial)
    sent = await door.bob.post("/transfers", recipient=carol.number, tickets={section_uri(door.event, door.floor): 1})
    assert (await door.scan(printed)).status == 400
    assert (await carol.post(sent["claims"], {})).status == 201
    assert (await door.scan(printed)).status == 400
    assert await door.refused() == [(serial, "in transfer"), (serial, "handed on")]
    (hers,) = (await carol.get(f"/accounts/{carol.number}/tickets"))["entries"]
    door.bob = carol
    admitted = await door.scan(printed, await door.payload(hers["serial"]))
    assert [(one["ticket"], one["patron"]["number"]) for one in admitted.body] == [(hers["serial"], carol.number)]


@breaks_by_hand
async def test_a_true_payload_of_a_voided_ticket_opens_nothing(door: Door) -> None:
    (voided,) = await door.serials()
    await door.db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = $1", voided)
    assert (await door.scan(await door.payload(voided))).status == 400
    assert await door.refused() == [(voided, "voided")]


async def test_a_retired_key_still_verifies_and_one_that_leaked_does_not(door: Door) -> None:
    first, second, third = await door.serials(3)
    before = [await door.payload(first), await door.payload(second)]
    await rotate_key(door.db)
    assert (await door.scan(before[0])).status == 201
    after = await door.payload(third)
    assert after.split(".")[1] != before[0].split(".")[1]
    await door.db.execute("UPDATE ticket_keys SET distrusted_at = retired_at WHERE id = $1", before[0].split(".")[1])
    assert (await door.scan(before[1])).status == 400
    assert (await door.scan(after, second)).status == 201
    assert await door.refused() == [(second, "unknown key")]
