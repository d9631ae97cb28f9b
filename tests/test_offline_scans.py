"""Scans made without a network: recorded as they happened, once, whatever is sent how often and by how many."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from conftest import Client, unique
from makers import gate, hold_tickets, list_event, make_event, make_section, section_uri


class Night:
    """A listed event with a floor, a gate of it, and Bob with tickets."""

    def __init__(self, event: dict[str, Any], section: dict[str, Any], door: Client, serials: list[str]) -> None:
        self.event, self.section, self.door, self.serials = event, section, door, serials
        self.path = f"{event['self']}/scans"

    async def send(self, *scans: dict[str, str], device: str = "Scanner 1", by: Client | None = None) -> Any:
        return await (by or self.door).post(self.path, redeemer="Kofi", device=device, scans=list(scans))


@pytest.fixture
async def night(alice: Client, bob: Client, administrator: Client, public: Client) -> Night:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, capacity=50)
    await list_event(administrator, event)
    serials = await hold_tickets(bob, alice, event, section, 6)
    token = (await alice.get(f"{event['self']}/tokens"))["entries"][0]
    door = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    return Night(event, section, door, serials)


def scan(serial: str, seconds_ago: int = 60, nonce: str = "") -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return {"serial": serial, "at": at.isoformat(timespec="seconds"), "nonce": nonce or unique("nonce")}


async def test_who_was_let_in_is_admitted_at_that_time_and_once(night: Night, alice: Client, bob: Client) -> None:
    one, two = scan(night.serials[0], 600), scan(night.serials[1], 300)
    sent = await night.send(one, two)
    assert sent.status == 200
    assert [(result["nonce"], result["verdict"], result["reason"]) for result in sent["results"]] == [
        (one["nonce"], "admitted", ""),
        (two["nonce"], "admitted", ""),
    ]
    assert [result["admitted"] for result in sent["results"]] == [one["at"], two["at"]]
    assert (await night.send(two, one)).body == {"results": sent["results"][::-1]}
    admissions = (await alice.get(f"{night.event['self']}/admissions"))["entries"]
    assert [(each["ticket"], each["admitted"]) for each in admissions] == [
        (night.serials[0], one["at"]),
        (night.serials[1], two["at"]),
    ]
    ticket = await bob.get(f"/tickets/{night.serials[0]}")
    assert (ticket["status"], ticket["redeemed"]) == ("Redeemed", one["at"])
    assert (await alice.get(night.path))["total"] == 0


async def test_where_two_let_the_same_ticket_in_the_first_admission_stands(
    night: Night, alice: Client, bob: Client, administrator: Client, make_person: Any
) -> None:
    carol = await make_person("carol")
    used, gone, sent_on = night.serials[:3]
    await night.door.post(f"{night.event['self']}/admissions", redeemer="Vera", device="2", serials=[used])
    transfer = await bob.post(
        "/transfers", recipient=carol.number, tickets={section_uri(night.event, night.section): 1}
    )
    waiting = [one["serial"] for one in (await bob.get(f"/accounts/{bob.number}/tickets", status="Pending"))["entries"]]
    scans = [scan(used), scan("NOBODY-HASTHISONE00"), scan(waiting[0]), scan("\n"), scan(gone, 50), scan(gone, 40)]
    answer = await night.send(*scans)
    assert [(one["verdict"], one["reason"]) for one in answer["results"]] == [
        ("conflict", "already admitted"),
        ("conflict", "unknown"),
        ("conflict", "in transfer"),
        ("conflict", "unreadable"),
        ("admitted", "") if gone != waiting[0] else ("conflict", "in transfer"),
        ("conflict", "already admitted") if gone != waiting[0] else ("conflict", "in transfer"),
    ]
    conflicts = await alice.get(night.path)
    assert conflicts["total"] == sum(one["verdict"] == "conflict" for one in answer["results"])
    first = conflicts["entries"][0]
    assert (await alice.get(first["self"])).body == first
    assert first["patron"]["number"] == bob.number
    assert (await night.door.get(night.path))["entries"][0]["patron"]["email"] == ""
    assert (await carol.get(night.path)).status == 403
    assert transfer.status == 201
    assert sent_on


async def test_clocks_that_are_wrong_are_brought_to_what_can_be(night: Night, alice: Client) -> None:
    early, late = scan(night.serials[0]), scan(night.serials[1])
    early["at"], late["at"] = "1999-01-01T00:00:00Z", "2099-01-01T00:00:00+02:00"
    answer = await night.send(early, late)
    assert [one["verdict"] for one in answer["results"]] == ["admitted", "admitted"]
    moments = [datetime.fromisoformat(one["admitted"]) for one in answer["results"]]
    now = datetime.now(UTC)
    assert timedelta(days=29) < now - moments[0] < timedelta(days=31)
    assert abs(now - moments[1]) < timedelta(minutes=1)


async def test_an_upload_that_is_repeated_by_a_crowd_is_recorded_once(
    night: Night, alice: Client, db: asyncpg.Connection
) -> None:
    scans = [scan(serial) for serial in night.serials]
    answers = await asyncio.gather(*(night.send(*scans) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body == answers[0].body for answer in answers)
    assert (await alice.get(f"{night.event['self']}/admissions"))["total"] == 6
    count = "SELECT count(*) FROM offline_scans WHERE event_id = $1"
    assert await db.fetchval(count, int(night.event["self"].rsplit("/", 1)[1])) == 6


async def test_what_is_no_upload_is_refused_and_records_nothing(night: Night, alice: Client) -> None:
    good = scan(night.serials[0])
    for bad in (
        good | {"at": "yesterday"},
        good | {"at": "2026-01-01T00:00:00"},
        good | {"nonce": ""},
        good | {"nonce": 7},
        good | {"serial": None},
        "serial",
    ):
        refused = await night.send(good, bad)  # type: ignore[arg-type]
        assert (refused.status, refused.error) == (400, "The following arguments have invalid values: scans."), bad
    assert (await night.send(*[scan(night.serials[0]) for _ in range(501)])).status == 400
    same = scan(night.serials[1], nonce=good["nonce"])
    assert (await night.send(good, same)).error == "The following arguments have invalid values: scans."
    missing = await night.door.post(night.path, redeemer="", device="", scans=[])
    assert missing.error == "The following arguments are required, but have not been supplied: redeemer, device, scans."
    assert (await alice.get(f"{night.event['self']}/admissions"))["total"] == 0
