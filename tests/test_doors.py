"""Doors: before they open, an event's gates admit nobody, and everybody who must know is told when they do."""

import asyncpg
import pytest

from conftest import Client, clock_moved
from makers import gate, hold_tickets, list_event, make_event, make_section, section_uri
from ticketing.admissions.rules import Scanned, Verdict, judge
from ticketing.mail.happenings import moments

VALID = Scanned(1, 2, "Issued")


def test_doors_are_the_last_thing_that_keeps_a_ticket_out() -> None:
    assert judge(VALID, 1, None, doors_open=False) is Verdict.DOORS_CLOSED
    assert judge(VALID, 1, None, doors_open=True) is Verdict.ADMITTED
    for status, verdict in [("Voided", Verdict.VOIDED), ("Redeemed", Verdict.ALREADY_ADMITTED)]:
        assert judge(VALID._replace(status=status), 1, None, doors_open=False) is verdict
    assert judge(VALID, 2, None, doors_open=False) is Verdict.OTHER_EVENT


def test_letters_tell_the_doors_and_two_offsets() -> None:
    start, end = ("Saturday, 26 October 2030", "23:00", 120), ("Sunday, 27 October 2030", "04:00", 60)
    assert moments(start, end, "Europe/Berlin", ("Saturday, 26 October 2030", "22:00", 120)) == (
        "Saturday, 26 October 2030, 23:00 to Sunday, 27 October 2030, 04:00"
        " (Berlin time, UTC+2, at the end UTC+1), doors 22:00"
    )
    early = ("Sunday, 27 October 2030", "02:30", 120)
    assert moments(end, None, "Europe/Berlin", early) == (
        "Sunday, 27 October 2030, 04:00 (Berlin time, UTC+1), doors 02:30 (UTC+2)"
    )
    assert moments(None, None, "Europe/Berlin", early) == "Doors Sunday, 27 October 2030, 02:30 (Berlin time, UTC+2)"


async def test_nobody_is_let_in_before_the_doors_open(
    alice: Client, bob: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator, doors="2034-06-07T19:00")
    assert list(event)[list(event).index("end") + 1] == "doors"
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    token = (await alice.get(f"{event['self']}/tokens"))["entries"][0]
    staff = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    listed = await staff.get(f"{event['self']}/tickets")
    assert (listed["doors"], listed["opens"]) == ("2034-06-07T19:00", "2034-06-07T23:00:00+00:00")
    scan = {"redeemer": "Kofi", "device": "1", "serials": [serial]}
    for person in (staff, alice, administrator):
        early = await person.post(f"{event['self']}/admissions", **scan)
        assert early.status == 400
        assert early.body["details"][serial] == "doors closed"
    refusals = await alice.get(f"{event['self']}/refusals", reason="doors closed")
    assert refusals["total"] == 3
    seconds = await db.fetchval("SELECT extract(epoch FROM timestamptz '2034-06-07T19:00-04:00' - clock())::float8")
    async with clock_moved(db, seconds - 60):
        assert (await staff.post(f"{event['self']}/admissions", **scan)).status == 400
    async with clock_moved(db, seconds + 60):
        assert (await staff.post(f"{event['self']}/admissions", **scan)).status == 201


async def test_doors_are_checked_kept_and_cleared(alice: Client, administrator: Client) -> None:
    event = await make_event(alice, administrator)
    assert event["doors"] == ""
    listed = await alice.get(f"{event['self']}/tickets")
    assert (listed["doors"], listed["opens"]) == ("", "")
    body = {
        **{name: event[name] for name in ("type", "title", "description", "subcategory", "public")},
        "category": event["category"]["self"],
        "venue": event["venue"]["self"],
    }
    for bad in ("tonight", "2034-06-07", 19, "2034-06-07T25:00", "2034-06-07T23:01"):
        refused = await alice.put(event["self"], {**body, "doors": bad})
        assert (refused.status, refused.error) == (400, "The following arguments have invalid values: doors."), bad
    assert (await alice.put(event["self"], {**body, "doors": "2034-06-07T18:30"}))["doors"] == "2034-06-07T18:30"
    assert (await alice.put(event["self"], body))["doors"] == "2034-06-07T18:30"
    # The doors that stand are weighed against a new end.
    refused = await alice.put(event["self"], {**body, "start": "2034-06-07T10:00", "end": "2034-06-07T12:00"})
    assert refused.error == "The following arguments have invalid values: doors."
    assert (await alice.put(event["self"], {**body, "doors": None}))["doors"] == ""
    # After the start they may open, not when it is over: without an end, a day after the start; without dates never.
    whole_day = {**body, "start": "2034-06-07T20:00", "end": ""}
    assert (await alice.put(event["self"], {**whole_day, "doors": "2034-06-08T20:00"})).status == 200
    refused = await alice.put(event["self"], {**whole_day, "doors": "2034-06-08T20:00:01"})
    assert refused.body["details"] == {"doors": "open when the event is over"}
    never = {**body, "start": "", "end": "", "doors": "9999-12-31T23:59:59.999Z"}
    assert (await alice.put(event["self"], never))["doors"] == never["doors"]
    assert (await alice.get(f"{event['self']}/tickets"))["opens"] == "9999-12-31T23:59:59+00:00"


@pytest.mark.parametrize(
    ("local", "zone", "instant"),
    [
        ("2030-10-27T02:30", "Europe/Berlin", "2030-10-27 00:30:00+00"),  # twice: the first
        ("2030-03-31T02:30", "Europe/Berlin", "2030-03-31 01:30:00+00"),  # never: moved on, to 03:30
        ("2030-11-03T01:15", "America/New_York", "2030-11-03 05:15:00+00"),
        ("2030-04-07T01:45", "Australia/Lord_Howe", "2030-04-06 14:45:00+00"),  # by half an hour
        ("2030-07-01T12:00", "Europe/Berlin", "2030-07-01 10:00:00+00"),
        ("2030-10-27T02:30+01:00", "Europe/Berlin", "2030-10-27 01:30:00+00"),
        ("9999-12-31T23:59:59.999", "Pacific/Kiritimati", "9999-12-31 09:59:59.999+00"),
    ],
)
async def test_a_local_time_that_comes_twice_is_the_first(
    db: asyncpg.Connection, local: str, zone: str, instant: str
) -> None:
    assert await db.fetchval("SELECT instant($1, $2) = $3::text::timestamptz", local, zone, instant)


async def test_whoever_holds_or_held_a_ticket_reads_the_event_in_any_status(
    alice: Client, bob: Client, administrator: Client, make_person: object
) -> None:
    carol: Client = await make_person("carol")  # type: ignore[operator]
    dario: Client = await make_person("dario")  # type: ignore[operator]
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section)
    sent = await bob.post("/transfers", recipient=carol.number, tickets={section_uri(event, section): 1})
    assert (await carol.post(sent["claims"])).status == 201
    assert (await alice.delete(f"{event['self']}/publications")).status == 200
    statuses = [(await person.get(event["self"])).status for person in (bob, carol, dario)]
    assert statuses == [200, 200, 403]
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    assert [(await person.get(event["self"])).status for person in (bob, carol, dario)] == [200, 200, 403]
    assert (await carol.get(section_uri(event, section))).status == 200
