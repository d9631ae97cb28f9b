"""What a gate's key is told of guests."""

from typing import Any

import asyncpg

from conftest import Client
from makers import gate, hold_tickets, list_event, make_event, make_host, make_section


async def the_token(person: Client, event: dict[str, Any]) -> dict[str, Any]:
    token: dict[str, Any] = (await person.get(f"{event['self']}/tokens"))["entries"][0]
    return token


async def key_of(visitor: Client, code: str) -> str:
    return str((await visitor.get(f"/tokens/{code}"))["key"])


async def test_a_gate_is_told_names_and_no_addresses_unless_the_host_allows_it(
    alice: Client, bob: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    host = await make_host(alice)
    assert host["contactsAtGates"] is False
    event = await make_event(alice, administrator, host)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    serials = await hold_tickets(bob, alice, event, section, 3)
    staff = gate(public, await key_of(public, (await the_token(alice, event))["code"]))

    async def told(person: Client, serial: str) -> list[dict[str, str]]:
        admitted = await person.post(
            f"{event['self']}/admissions", redeemer="Kofi", device="1", serials=[serial, serials[0]]
        )
        lists = [f"{event['self']}/{name}" for name in ("tickets", "admissions", "refusals", "guests")]
        pages = [(await person.get(path))["entries"] for path in lists]
        changed = (await person.get(lists[0], modified_since="1970-01-01T00:00:00Z"))["entries"]
        one = await person.get(admitted.body[0]["self"])
        things = [*admitted.body, one.body, *changed, *(thing for page in pages for thing in page)]
        people = [thing.get("owner") or thing.get("patron") for thing in things]
        assert len(people) > 6
        return [person for person in people if person is not None]

    for person in await told(staff, serials[0]):
        assert (person["username"], person["email"]) == ("", "")
        assert (person["number"], person["firstName"]) == (bob.number, "Bob")
    for person in await told(alice, serials[1]):
        assert (person["username"], person["email"]) == (bob.username, bob.email)
    changes = {name: host[name] for name in ("name", "contact", "email")} | {"contactsAtGates": True}
    assert (await alice.put(host["self"], changes))["contactsAtGates"] is True
    for person in await told(staff, serials[2]):
        assert (person["username"], person["email"]) == (bob.username, bob.email)
    assert await db.fetchval("SELECT count(*) FROM refused_scans") >= 1
