"""The gate: who is let in, once, and what a scanner needs to know."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from conftest import Client, MakePerson, breaks_by_hand
from makers import gate, hold_tickets, id_of, list_event, make_event, make_section, section_uri
from ticketing.admissions.rules import Scanned, Verdict, judge, room_for
from ticketing.settings import Settings

RESTRICTED = {"message": "You are restricted from accessing this resource."}
GENERAL = {"error": "There is presently no resource with the given URI."}
STRANGER = "This account is not an administrator for the relevant event host."
NOBODY = "None of the provided ticket serials grants admission to this event"
ALWAYS = "1970-01-01T00:00:00Z"


MOST_REFUSED = 60


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """A gate stores few refused scans a day."""
    return replace(settings, refused_scans_per_gate=MOST_REFUSED)


@dataclass
class Night:
    """A listed event of Alice's with a floor and a balcony, and its gates."""

    event: dict[str, Any]
    floor: dict[str, Any]
    balcony: dict[str, Any]
    door: Client
    stairs: Client

    @property
    def path(self) -> str:
        return str(self.event["self"])

    def uri(self, section: dict[str, Any]) -> str:
        return section_uri(self.event, section)

    async def scan(self, scanner: Client, *serials: str, redeemer: str = "Vera", device: str = "Scanner 4") -> Any:
        return await scanner.post(f"{self.path}/admissions", redeemer=redeemer, device=device, serials=list(serials))


MakeNight = Callable[[], Awaitable[Night]]


@pytest.fixture(scope="module")
def make_night(alice: Client, administrator: Client, public: Client) -> MakeNight:
    async def make() -> Night:
        event = await make_event(alice, administrator)
        floor = await make_section(alice, event, name="Floor", capacity=1000)
        balcony = await make_section(alice, event, name="Balcony")
        await list_event(administrator, event)
        (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
        upstairs = await alice.post(f"{event['self']}/tokens", sections=[section_uri(event, balcony)])
        keys = [(await public.get(f"/tokens/{code}"))["key"] for code in (token["code"], upstairs["code"])]
        return Night(event, floor, balcony, *(gate(public, key) for key in keys))

    return make


def test_a_ticket_opens_its_own_gate_once() -> None:
    issued = Scanned(event=1, section=10, status="Issued")
    assert judge(issued, 1, None) is Verdict.ADMITTED
    assert judge(issued, 1, frozenset({10})) is Verdict.ADMITTED
    assert judge(issued, 1, frozenset({11})) is Verdict.WRONG_SECTION
    assert judge(issued, 2, None) is Verdict.OTHER_EVENT
    assert judge(None, 1, None) is Verdict.UNKNOWN
    assert judge(issued._replace(status="Redeemed"), 1, None) is Verdict.ALREADY_ADMITTED
    assert judge(issued._replace(status="Pending"), 1, None) is Verdict.IN_TRANSFER
    assert judge(issued._replace(status="Voided"), 1, None) is Verdict.VOIDED
    assert judge(issued._replace(status="Retired"), 1, None) is Verdict.HANDED_ON
    assert judge(issued._replace(status="Retired"), 1, frozenset({11})) is Verdict.WRONG_SECTION


async def test_a_ticket_holder_walks_in(make_night: MakeNight, alice: Client, bob: Client) -> None:
    night = await make_night()
    serials = await hold_tickets(bob, alice, night.event, night.floor, 2)
    valid = await night.door.get(f"{night.path}/tickets")
    patron = {
        "self": f"/accounts/{bob.number}",
        "number": bob.number,
        "username": "",  # a gate's key is told no more than the name
        "email": "",
        "firstName": "Bob",
        "lastName": "Tester",
    }
    section = {"self": night.uri(night.floor), "name": "Floor", "description": "Standing"}
    assert valid["entries"][0] == {
        "self": f"/tickets/{serials[0]}",
        "serial": serials[0],
        "status": "Issued",
        "section": section,
        "owner": patron,
        "issued": valid["entries"][0]["issued"],
        "redeemed": "N/A",
    }
    assert datetime.fromisoformat(valid["entries"][0]["issued"]).utcoffset() == timedelta(0)
    admitted = await night.scan(night.door, f" {serials[1].lower()} ", serials[0])
    assert admitted.status == 201
    assert [one["ticket"] for one in admitted.body] == serials[::-1]
    first = admitted.body[0]
    assert first == {
        "self": first["self"],
        "redeemer": "Vera",
        "device": "Scanner 4",
        "ticket": serials[1],
        "patron": patron,
        "section": section,
        "admitted": first["admitted"],
    }
    assert first["self"].startswith(f"{night.path}/admissions/")
    listed = await night.door.get(f"{night.path}/admissions")
    assert (listed["total"], listed["entries"]) == (2, admitted.body)
    assert (await night.door.get(f"{night.path}/tickets"))["entries"] == []
    told = await night.door.get(f"{night.path}/tickets", modified_since=ALWAYS)
    assert {(one["status"], one["redeemed"]) for one in told["entries"]} == {("Redeemed", first["admitted"])}


@breaks_by_hand
async def test_refused_scans_are_left_out_and_remembered_with_the_reason(
    make_night: MakeNight, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    night, other = await make_night(), await make_night()
    upstairs = await hold_tickets(bob, alice, night.event, night.balcony, 4)
    (below,) = await hold_tickets(bob, alice, night.event, night.floor)
    (foreign,) = await hold_tickets(bob, alice, other.event, other.floor)
    good, used, voided, pending = upstairs
    await night.scan(night.stairs, used)
    await db.execute("UPDATE tickets SET status = 'Voided', changed_at = clock() WHERE serial = $1", voided)
    await db.execute(
        "UPDATE tickets SET status = 'Pending', transfer_id = 1, changed_at = clock() WHERE serial = $1", pending
    )
    refused = [used, voided, pending, below, foreign, "NOBODY-HAS0THIS", "https://example.com/?q=☃"]
    admitted = await night.scan(night.stairs, *refused[:3], good, *refused[3:], good)
    assert [one["ticket"] for one in admitted.body] == [good]
    nobody = await night.scan(night.stairs, *refused, good, redeemer="Max", device="Phone")
    assert (nobody.status, nobody.error) == (400, NOBODY)
    rows = await db.fetch(
        "SELECT serial, reason, redeemer, device, token_id FROM refused_scans WHERE event_id = $1 ORDER BY id",
        int(id_of(night.event)),
    )
    reasons = ["already admitted", "voided", "in transfer", "wrong section", "other event", "unknown", "unknown"]
    expected = list(zip([*refused, good], [*reasons, "already admitted"], strict=True))
    assert [(row["serial"], row["reason"]) for row in rows] == [*expected, *expected]
    assert [(row["redeemer"], row["device"]) for row in rows] == [("Vera", "Scanner 4")] * 8 + [("Max", "Phone")] * 8
    assert all(row["token_id"] for row in rows)


async def test_a_ticket_scanned_at_many_gates_at_once_lets_in_once(
    make_night: MakeNight, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    night = await make_night()
    serials = await hold_tickets(bob, alice, night.event, night.balcony, 4)
    answers = await asyncio.gather(
        *(
            night.scan(scanner, *order)
            for scanner in (night.door, night.stairs, alice)
            for order in (serials, serials[::-1])
        )
    )
    assert Counter(one["ticket"] for answer in answers if answer.status == 201 for one in answer.body) == Counter(
        serials
    )
    assert {answer.status for answer in answers} == {201, 400}
    assert await db.fetchval("SELECT count(*) FROM refused_scans WHERE event_id = $1", int(id_of(night.event))) == 20


async def test_a_scan_costs_the_same_statements_however_many_serials(
    make_night: MakeNight, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = await make_night()
    serials = await hold_tickets(bob, alice, night.event, night.floor, 40)
    assert (await night.door.get(night.path)).status == 200  # the key is known from now on
    statements: list[str] = []
    bare = {name: getattr(asyncpg.Connection, name) for name in ("fetch", "fetchrow", "fetchval", "execute")}

    def counting(name: str) -> Any:
        async def call(self: Any, query: str, *arguments: Any, **details: Any) -> Any:
            statements.append(query)
            return await bare[name](self, query, *arguments, **details)

        return call

    for name in bare:
        monkeypatch.setattr(asyncpg.Connection, name, counting(name))
    costs = []
    for scanned in (serials[:1], serials[1:]):
        statements.clear()
        assert len((await night.scan(night.door, *scanned)).body) == len(scanned)
        costs.append(len([one for one in statements if one.strip() != "SELECT"]))
    assert costs[0] == costs[1] <= 6, statements


async def test_the_body_is_checked_whole(make_night: MakeNight, alice: Client) -> None:
    night = await make_night()
    path = f"{night.path}/admissions"
    for body in ({}, {"redeemer": "", "device": None, "serials": []}):
        missing = await night.door.post(path, body)
        assert (missing.status, missing.error) == (
            400,
            "The following arguments are required, but have not been supplied: redeemer, device, serials.",
        )
    for serials in ("text", ["A"] * 501, {"a": 1}, 7):
        invalid = await night.door.post(path, redeemer="Vera", device="Phone", serials=serials)
        assert (invalid.status, invalid.error) == (400, "The following arguments have invalid values: serials."), (
            serials
        )
    invalid = await alice.post(path, redeemer=7, device=["x"], serials=["A"])
    assert invalid.error == "The following arguments have invalid values: redeemer, device."
    headers = {"Content-Type": "application/json"}
    surrogate = b'{"redeemer": "\\ud800", "device": "a", "serials": ["\\udfff"]}'
    assert (await night.door.send("POST", path, content=surrogate, headers=headers)).status == 400


JUNK = [
    "",
    "   ",
    None,
    7,
    1e300,
    10**30,
    True,
    "a\x00",
    "line\nbreak",
    "\u200b",
    "A" * 201,
    "TK1." + "A" * 5000,
    ["a"],
    {},
]


async def test_what_can_be_no_serial_is_left_out_and_refuses_nobody_else(
    make_night: MakeNight, alice: Client, bob: Client
) -> None:
    night = await make_night()
    serials = await hold_tickets(bob, alice, night.event, night.floor, 2)
    path = f"{night.path}/admissions"
    upload = [serials[0], *JUNK, serials[1]]
    admitted = await night.door.post(path, redeemer="Vera", device="Phone", serials=upload)
    assert (admitted.status, [one["ticket"] for one in admitted.body]) == (201, serials)
    nobody = await night.door.post(path, redeemer="Vera", device="Phone", serials=JUNK)
    assert (nobody.status, nobody.error) == (400, NOBODY)
    assert set(nobody.body["details"].values()) == {"unreadable"}
    remembered = (await night.door.get(f"{night.path}/refusals", records=100))["entries"]
    assert [one["reason"] for one in remembered] == ["unreadable"] * 2 * len(JUNK)
    assert [one["ticket"] for one in remembered[: len(JUNK)]] == [
        *("", "   ", "", "7", "", "", "True", "a?", "line?break", "\u200b", "A" * 40, ("TK1." + "A" * 36), "", ""),
    ]


def names_alone(refusal: dict[str, Any]) -> dict[str, Any]:
    """A refusal as a gate's key is told of it: without whose address it was."""
    patron = refusal["patron"]
    return refusal | {"patron": patron and patron | {"username": "", "email": ""}}


async def test_the_gate_is_told_why_and_can_read_it_again(
    make_night: MakeNight, alice: Client, bob: Client, administrator: Client
) -> None:
    night, other = await make_night(), await make_night()
    (below,) = await hold_tickets(bob, alice, night.event, night.floor)
    (above,) = await hold_tickets(bob, alice, night.event, night.balcony)
    (foreign,) = await hold_tickets(bob, alice, other.event, other.floor)
    await night.scan(night.door, above)
    nobody = await night.scan(night.door, above, foreign, " nobody ", device="Phone")
    assert (nobody.status, nobody.error) == (400, NOBODY)
    reasons = {above: "already admitted", foreign: "other event", " nobody ": "unknown"}
    assert nobody.body["details"] == reasons
    await night.scan(alice, below)
    assert (await night.scan(night.stairs, below, redeemer="Max")).body["details"] == {below: "wrong section"}
    refusals = f"{night.path}/refusals"
    everything = await night.door.get(refusals)
    assert (everything["total"], everything["dropped"]) == (4, 0)
    first = everything["entries"][0]
    assert first == {
        "self": first["self"],
        "redeemer": "Vera",
        "device": "Phone",
        "ticket": above,
        "reason": "already admitted",
        "patron": first["patron"],
        "section": {"self": night.uri(night.balcony), "name": night.balcony["name"], "description": "Standing"},
        "refused": first["refused"],
    }
    assert first["patron"]["number"] == bob.number
    assert datetime.fromisoformat(first["refused"]).utcoffset() == timedelta(0)
    for reader in (night.door, alice, administrator):
        assert names_alone((await reader.get(first["self"])).body) == first
        told = (await reader.get(refusals))["entries"]
        assert [names_alone(one) for one in told] == [names_alone(one) for one in everything["entries"]]
    # Neither whose a ticket of another event is, nor, upstairs, whose one for below is.
    assert [one["patron"] and one["patron"]["number"] for one in everything["entries"]] == [
        *(bob.number, None, None, bob.number)
    ]
    upstairs = (await night.stairs.get(refusals))["entries"]
    assert [(one["ticket"], one["patron"] and one["patron"]["number"]) for one in upstairs] == [
        (above, bob.number),
        (below, None),
    ]
    assert upstairs[1]["section"] is None
    assert (await night.stairs.get(everything["entries"][1]["self"])).status == 404
    assert (await other.door.get(first["self"])).body == RESTRICTED
    for query, found in (
        ({"redeemer": "Max"}, [below]),
        ({"device": "Phone"}, [above, foreign, " nobody "]),
        ({"ticket": " nobody "}, [" nobody "]),
        ({"ticket": above.lower()}, [above]),
        ({"patron": bob.number}, [above, below]),
        ({"section": night.uri(night.floor)}, [below]),
        ({"reason": "other event"}, [foreign]),
        ({"order": "desc", "records": 2, "page": 2}, [foreign, above]),
    ):
        assert [one["ticket"] for one in (await night.door.get(refusals, **query))["entries"]] == found, query
    assert (await night.door.get(refusals, reason="sad")).error == (
        "The following arguments have invalid values: reason."
    )


async def test_a_gate_stores_so_many_refused_scans_and_counts_the_others(
    make_night: MakeNight, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    night = await make_night()
    (good,) = await hold_tickets(bob, alice, night.event, night.floor)
    junk = [f"JUNK{number}" for number in range(25)]
    answers = await asyncio.gather(*(night.scan(night.door, *junk) for _ in range(6)))
    assert {(answer.status, answer.error) for answer in answers} == {(400, NOBODY)}
    assert all(set(answer.body["details"]) == set(junk) for answer in answers)
    told = await night.door.get(f"{night.path}/refusals")
    assert (told["total"], told["dropped"]) == (MOST_REFUSED, 150 - MOST_REFUSED)
    # Another gate has room of its own, and whoever has a ticket still walks in.
    assert (await night.scan(night.stairs, *junk)).status == 400
    assert (await night.stairs.get(f"{night.path}/refusals"))["dropped"] == 0
    assert (await night.scan(night.door, good, *junk)).status == 201
    told = await alice.get(f"{night.path}/refusals")
    assert (told["total"], told["dropped"]) == (MOST_REFUSED + 25, 175 - MOST_REFUSED)
    rows = await db.fetchval("SELECT count(*) FROM refused_scans WHERE event_id = $1", int(id_of(night.event)))
    assert rows == MOST_REFUSED + 25


def test_room_for_refused_scans() -> None:
    assert room_for(0, 0, 20) == 20
    assert room_for(15, 15, 20) == 5
    assert room_for(20, 25, 20) == 0
    assert room_for(0, 195, 20) == 5
    assert room_for(0, 250, 20) == 0


async def test_who_may_stand_at_the_gate(
    make_night: MakeNight, alice: Client, bob: Client, support: Client, public: Client, administrator: Client
) -> None:
    night, other = await make_night(), await make_night()
    serials = await hold_tickets(bob, alice, night.event, night.floor, 2)
    tickets, admissions = f"{night.path}/tickets", f"{night.path}/admissions"
    for stranger in (bob, support):
        for refused in (await stranger.get(tickets), await stranger.get(admissions), await night.scan(stranger, "A")):
            assert (refused.status, refused.error) == (403, STRANGER)
    for restricted in (public, other.door):
        for refused in (
            await restricted.get(tickets),
            await restricted.get(admissions),
            await night.scan(restricted, serials[0]),
        ):
            assert (refused.status, refused.body) == (403, RESTRICTED)
    assert (await night.scan(alice, serials[0])).status == 201
    assert (await night.scan(administrator, serials[1])).status == 201
    for path in ("/events/1/tickets", "/events/x/admissions", f"/events/{'9' * 30}/tickets"):
        missing = await night.door.get(path)
        assert (missing.status, missing.body) == (404, GENERAL)


async def test_a_key_sees_its_own_sections_as_they_are_now(make_night: MakeNight, alice: Client, bob: Client) -> None:
    night = await make_night()
    (below,) = await hold_tickets(bob, alice, night.event, night.floor)
    (above,) = await hold_tickets(bob, alice, night.event, night.balcony)

    async def valid() -> list[str]:
        return [one["serial"] for one in (await night.stairs.get(f"{night.path}/tickets"))["entries"]]

    assert await valid() == [above]
    token = (await alice.get(f"{night.path}/tokens"))["entries"][1]
    await alice.put(token["self"], sections=[night.uri(night.floor)])
    assert await valid() == [below]
    assert (await night.scan(night.stairs, above)).error == NOBODY
    await night.scan(night.door, above, below)
    assert [one["ticket"] for one in (await night.stairs.get(f"{night.path}/admissions"))["entries"]] == [below]
    await alice.put(token["self"], sections=[night.uri(night.floor), night.uri(night.balcony)])
    assert (await night.stairs.get(f"{night.path}/admissions"))["total"] == 2


async def test_gates_work_before_an_event_is_listed_and_not_after_it_was_cancelled(
    alice: Client, administrator: Client, make_night: MakeNight, bob: Client, public: Client
) -> None:
    draft = await make_event(alice, administrator)
    floor = await make_section(alice, draft)
    (token,) = (await alice.get(f"{draft['self']}/tokens"))["entries"]
    door = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    (guest,) = await hold_tickets(administrator, alice, draft, floor)
    admitted = await door.post(f"{draft['self']}/admissions", redeemer="a", device="b", serials=[guest])
    assert admitted.status == 201
    night = await make_night()
    (serial,) = await hold_tickets(bob, alice, night.event, night.floor)
    assert (await alice.post(f"{night.path}/cancellations", reason="rain")).status == 200
    refused = await night.scan(night.door, serial)
    assert (refused.status, refused.body) == (403, RESTRICTED)
    for runner in (alice, administrator):
        refused = await night.scan(runner, serial)
        assert (refused.status, refused.error) == (409, "The event has been cancelled.")
        assert (await runner.get(f"{night.path}/admissions"))["total"] == 0


async def test_a_syncing_gate_learns_what_changed(
    make_night: MakeNight, alice: Client, bob: Client, administrator: Client, database: str
) -> None:
    night = await make_night()
    path = f"{night.path}/tickets"
    first, second, third = await hold_tickets(bob, alice, night.event, night.balcony, 3)
    cursor = (await night.stairs.get(path, modified_since=ALWAYS))["cursor"]

    async def changes(since: str) -> dict[str, str]:
        answer = await night.stairs.get(path, modified_since=since, records=500)
        assert answer.status == 200, answer.body
        return {one["serial"]: one["status"] for one in answer["entries"]}

    # Somebody hands a ticket on, in a transaction that outlasts the next question.
    slow = await asyncpg.connect(database)
    change = slow.transaction()
    await change.start()
    await slow.execute(
        "UPDATE tickets SET status = 'Pending', transfer_id = 1, changed_at = clock() WHERE serial = $1", second
    )
    await asyncio.sleep(2.3)
    await night.scan(night.door, first)
    answer = await night.stairs.get(path, modified_since=cursor)
    assert {one["serial"]: one["status"] for one in answer["entries"]}[first] == "Redeemed"
    await change.commit()
    await slow.close()
    assert (await changes(answer["cursor"])).items() >= {first: "Redeemed", second: "Pending"}.items()
    await administrator.delete(night.uri(night.balcony))
    assert await changes(ALWAYS) == dict.fromkeys((first, second, third), "Voided")
    later = "2999-01-01T00:00:00+00:00"
    assert await changes(later) == {}


async def test_every_form_of_a_moment_is_understood(make_night: MakeNight, alice: Client, bob: Client) -> None:
    night = await make_night()
    path = f"{night.path}/tickets"
    (serial,) = await hold_tickets(bob, alice, night.event, night.floor)
    await night.scan(night.door, serial)
    for past in (
        "2024-02-21T14:59:18Z",
        "2024-02-21T14:59:18+00:00",
        "2024-02-21T14:59:18 00:00",
        "2024-02-21 14:59:18",
        "2024-02-21T14:59:18.123456Z",
        "2024-02-21T14:59:18.123456789-04:00",
        "2024-02-21T14:59",
        "0001-01-01T00:00+14:00",
    ):
        assert (await night.door.get(path, modified_since=past))["total"] == 1, past
    assert (await night.door.get(path, modified_since="9999-12-31T23:59:59.999Z"))["total"] == 0
    assert (await night.door.get(path, modified_since=""))["total"] == 0  # no filter: the valid ones
    for faulty in ("yesterday", "2024-02-21", "2024-02-30T00:00Z", "1708527558", "2024-02-21T14:59:18Z\x00", "٢" * 19):
        refused = await night.door.get(path, modified_since=faulty)
        assert (refused.status, refused.error) == (
            400,
            "The following arguments have invalid values: modified_since.",
        ), faulty
    unknown = await night.door.get(path, status="Issued")
    assert unknown.error == "The collection does not support the following filters: status."


async def test_admissions_are_found_by_who_what_and_where(
    make_night: MakeNight, alice: Client, bob: Client, make_person: MakePerson
) -> None:
    night = await make_night()
    carol = await make_person("carol")
    (bobs,) = await hold_tickets(bob, alice, night.event, night.floor)
    (carols,) = await hold_tickets(carol, alice, night.event, night.balcony)
    await night.scan(night.door, bobs, redeemer="Vera", device="Scanner 4")
    await night.scan(night.door, carols, redeemer="Max", device="Phone")

    async def found(**filters: str) -> list[str]:
        answer = await night.door.get(f"{night.path}/admissions", **filters)
        assert answer.status == 200, answer.body
        return [one["ticket"] for one in answer["entries"]]

    assert await found() == [bobs, carols]
    assert await found(order="desc") == [carols, bobs]
    assert await found(redeemer="Vera") == [bobs]
    assert await found(device="Phone") == [carols]
    assert await found(ticket=carols.lower()) == [carols]
    assert await found(patron=bob.number) == await found(patron=f"/accounts/{bob.number}") == [bobs]
    assert await found(patron=bob.number.lower()) == [bobs]
    section = night.uri(night.balcony)
    assert await found(section=section) == await found(section=id_of(night.balcony)) == [carols]
    assert await found(section=id_of(night.balcony), redeemer="Vera") == []
    assert await found(patron="XX-00000000") == await found(ticket="x" * 5000) == await found(section="1") == []
    for filters in ({"section": "floor"}, {"section": "/events/1/sections/x"}, {"section": "9" * 40}):
        refused = await night.door.get(f"{night.path}/admissions", **filters)
        assert (refused.status, refused.error) == (400, "The following arguments have invalid values: section.")
    unknown = await night.door.get(f"{night.path}/admissions", color="red")
    assert unknown.error == "The collection does not support the following filters: color."
