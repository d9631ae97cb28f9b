"""What a gate's key, handed from hand to hand, reads of the people who come: their names, and no way to reach them."""

from dataclasses import dataclass
from typing import Any

import pytest

from conftest import Answer, Client, MakePerson
from makers import gate, hold_tickets, id_of, list_event, make_event, make_host, make_section, section_uri
from ticketing.sessions.permissions import MAY_CALL
from ticketing.web.callers import Level

ALWAYS = "1970-01-01T00:00:00Z"
INVALID = "The following arguments have invalid values: contactsAtGates."

# What a gate's key may call that tells nothing of who holds a ticket.
OF_NOBODY = {
    "continue_session",
    "end_session",
    "upload_scans",
    "retrieve_event",
    "note_event",
    "list_sections",
    "retrieve_section",
    "list_prices",
    "retrieve_price",
}


@dataclass
class Night:
    """A listed event, for which Bob holds four tickets: one of them let him in, and was refused the second time."""

    host: dict[str, Any]
    event: dict[str, Any]
    keys: list[str]
    serials: list[str]

    async def read(self, reader: Client, serial: str) -> dict[str, Answer]:
        """All that tells of Bob, by operation; `serial` is let in by it."""
        path = self.event["self"]
        scan = {"redeemer": "Vera", "device": "1", "serials": [serial]}
        once = {"Idempotency-Key": serial}
        await reader.send("POST", f"{path}/admissions", json=scan, headers=once)
        scans = [{"serial": serial, "at": "2026-01-01T20:00:00Z", "nonce": serial}]
        assert (await reader.post(f"{path}/scans", redeemer="Vera", device="1", scans=scans)).status == 200
        answers = {
            "admit_event_patrons": await reader.send("POST", f"{path}/admissions", json=scan, headers=once),
            "list_event_admissions": await reader.get(f"{path}/admissions"),
            "list_event_refusals": await reader.get(f"{path}/refusals"),
            "list_event_tickets": await reader.get(f"{path}/tickets"),
            "list_event_tickets since": await reader.get(f"{path}/tickets", modified_since=ALWAYS),
            "list_scan_conflicts": await reader.get(f"{path}/scans"),
            "list_event_guests": await reader.get(f"{path}/guests"),
        }
        for one, where in (
            ("admission", "event_admissions"),
            ("refusal", "event_refusals"),
            ("scan_conflict", "scan_conflicts"),
        ):
            answers[f"retrieve_{one}"] = await reader.get(answers[f"list_{where}"]["entries"][0]["self"])
        assert {answer.status for answer in answers.values()} == {200, 201}
        return answers


@pytest.fixture
async def night(make_person: MakePerson, bob: Client, administrator: Client, public: Client) -> Night:
    alice = await make_person("alice")
    host = await make_host(alice)
    event = await make_event(alice, administrator, host)
    floor = await make_section(alice, event)
    await list_event(administrator, event)
    tokens = f"{event['self']}/tokens"
    await alice.post(tokens, sections=[section_uri(event, floor)])
    codes = [token["code"] for token in (await alice.get(tokens))["entries"]]
    keys = [(await public.get(f"/tokens/{code}"))["key"] for code in codes]
    serials = await hold_tickets(bob, alice, event, floor, 5)
    for status in (201, 400):
        scan = {"redeemer": "Vera", "device": "1", "serials": serials[:1]}
        assert (await alice.post(f"{event['self']}/admissions", scan)).status == status
    return Night(host, event, keys, serials[1:])


def people(answer: Answer) -> list[dict[str, Any]]:
    """The accounts that an answer mentions."""
    entries = answer.body if isinstance(answer.body, list) else answer.body.get("entries", [answer.body])
    told = [entry.get("owner") or entry["patron"] for entry in entries]
    assert told, answer.body
    return told


async def test_a_key_reads_names_alone(night: Night, bob: Client, public: Client) -> None:
    for key, serial in zip(night.keys, night.serials, strict=False):
        answers = await night.read(gate(public, key), serial)
        gates = {name for name, levels in MAY_CALL.items() if Level.GATE in levels}
        assert {name.partition(" ")[0] for name in answers} == gates - OF_NOBODY
        for name, answer in answers.items():
            assert bob.email not in str(answer.body), name
            assert bob.username not in str(answer.body), name
            for one in people(answer):
                assert one == {
                    "self": f"/accounts/{bob.number}",
                    "number": bob.number,
                    "username": "",
                    "email": "",
                    "firstName": "Bob",
                    "lastName": "Tester",
                }, name


async def test_the_host_lets_its_keys_read_more_and_takes_it_back(
    night: Night, bob: Client, administrator: Client, public: Client
) -> None:
    form = {name: night.host[name] for name in ("name", "contact", "email")}
    allowed = await administrator.put(night.host["self"], form | {"contactsAtGates": True})
    assert (allowed.status, allowed["contactsAtGates"]) == (200, True)
    kept = await administrator.put(night.host["self"], form)
    assert kept["contactsAtGates"] is True
    door = gate(public, night.keys[0])
    for name, answer in (await night.read(door, night.serials[0])).items():
        for one in people(answer):
            assert (one["username"], one["email"]) == (bob.username, bob.email), name
    assert (await door.get(f"{night.event['self']}/guests", search=bob.email))["total"] == 5
    for clearing in (False, None):
        taken = await administrator.put(night.host["self"], form | {"contactsAtGates": clearing})
        assert taken["contactsAtGates"] is False
    assert (await door.get(f"{night.event['self']}/guests", search=bob.email))["total"] == 0
    (first, *_) = people(await door.get(f"{night.event['self']}/admissions"))
    assert (first["username"], first["email"]) == ("", "")


async def test_who_is_signed_in_reads_how_to_reach_people(night: Night, bob: Client, administrator: Client) -> None:
    for name, answer in (await night.read(administrator, night.serials[0])).items():
        for one in people(answer):
            assert (one["username"], one["email"]) == (bob.username, bob.email), name


async def test_a_host_says_yes_or_no(alice: Client) -> None:
    form = {"name": "Yes or No", "contact": "A", "email": "a@example.com"}
    for value in ("perhaps", 1, {}, [True]):
        refused = await alice.post("/hosts", form | {"contactsAtGates": value})
        assert (refused.status, refused.error) == (400, INVALID)
    made = await alice.post("/hosts", form | {"contactsAtGates": "true"})
    assert (made.status, made["contactsAtGates"]) == (201, True)
    assert (await alice.get(f"/hosts/{id_of(made.body)}"))["contactsAtGates"] is True
