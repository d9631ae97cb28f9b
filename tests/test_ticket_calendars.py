"""Calendar files: valid iCalendar whatever an event is called, and whenever it is."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Answer, Client, breaks_by_hand, unique
from makers import hold_tickets, id_of, list_event, make_event, make_section, make_venue
from ticketing.tickets.calendars import Appointment, calendar_file

HOSTILE = 'Jazz; Soca, "Blues" \\n BEGIN:VEVENT'


def appointment(**members: Any) -> Appointment:
    usual: dict[str, Any] = {
        "uid": "1@ticketing",
        "stamped": "20340101T000000Z",
        "starts": "20340607T200000Z",
        "ends": "20340607T230000Z",
        "summary": "Dawn of the Seven",
        "location": "Hall, High Street",
        "latitude": 17.1274,
        "longitude": -61.8456,
        "description": "Section: Floor",
    }
    return Appointment(**usual | members)


# What may stand in a title: no line breaks are lost, control characters are.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300)


@given(texts, texts)
def test_every_text_comes_back_as_it_was(summary: str, location: str) -> None:
    written = calendar_file([appointment(summary=summary, location=location)])
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    assert b"\n" not in written.replace(b"\r\n", b"")
    (event,) = icalendar.Calendar.from_ical(written).walk("VEVENT")
    assert (str(event["SUMMARY"]), str(event["LOCATION"])) == (summary, location)


def test_lines_and_control_characters_cannot_break_out() -> None:
    written = calendar_file([appointment(summary="Jazz\r\nBEGIN:VALARM\rX\x00\x07Y", description="one\ntwo")])
    (event,) = icalendar.Calendar.from_ical(written).walk("VEVENT")
    assert str(event["SUMMARY"]) == "Jazz\nBEGIN:VALARM\nXY"
    assert str(event["DESCRIPTION"]) == "one\ntwo"


def test_an_end_that_is_none_is_left_out() -> None:
    for ends in ("", "20340607T200000Z"):
        (event,) = icalendar.Calendar.from_ical(calendar_file([appointment(ends=ends)])).walk("VEVENT")
        assert "DTEND" not in event


async def note(bob: Client, alice: Client, administrator: Client, **members: Any) -> tuple[dict[str, Any], Answer]:
    """An event like this, and the calendar file of Bob's ticket to it."""
    event = await make_event(alice, administrator, **members)
    floor = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, floor, by=administrator)
    return event, await bob.get(f"/accounts/{bob.number}/tickets/{serial}.ics")


def read(noted: Answer) -> Any:
    assert noted.status == 200, noted.body
    assert noted.headers["content-type"] == "text/calendar; charset=utf-8"
    (event,) = icalendar.Calendar.from_ical(noted.body).walk("VEVENT")
    return event


async def test_a_ticket_is_noted_at_the_instant_of_the_venues_time(
    alice: Client, bob: Client, administrator: Client
) -> None:
    title = unique(HOSTILE)
    _, noted = await note(bob, alice, administrator, title=title)
    event = read(noted)
    assert str(event["SUMMARY"]) == title
    assert event.decoded("DTSTART") == datetime(2034, 6, 8, tzinfo=UTC)  # 20:00 in Antigua
    assert event.decoded("DTEND") == datetime(2034, 6, 8, 3, tzinfo=UTC)
    local, section, _host = str(event["DESCRIPTION"]).split("\n")
    assert local == "Wednesday 7 June 2034, 20:00 to 23:00, America/Antigua (UTC-04:00)"
    assert section.startswith("Section: Floor")
    assert str(event["STATUS"]) == "CONFIRMED"
    assert event["GEO"].to_ical() == "17.1274;-61.8456"
    serial = noted.headers["content-disposition"].split('"')[1].removesuffix(".ics")
    assert serial.encode() not in noted.body


@pytest.mark.parametrize(
    ("start", "end", "starts", "ends"),
    [
        ("2034-06-07T20:00", "", "20340608T000000Z", None),
        ("2034-06-07T20:00:30+05:30", "9999-12-31T23:59:59.999Z", "20340607T143030Z", None),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", "99991231T235959Z", None),
        ("9999-12-31T23:59:59.999-14:00", "", "99991231T235959Z", None),
        ("0001-01-01T00:00:00+14:00", "0001-01-02T00:00:00Z", "00010101T000000Z", "00010102T000000Z"),
    ],
)
async def test_the_ends_of_the_calendar(
    alice: Client, bob: Client, administrator: Client, start: str, end: str, starts: str, ends: str | None
) -> None:
    _, noted = await note(bob, alice, administrator, start=start, end=end)
    event = read(noted)
    assert event["DTSTART"].to_ical().decode() == starts
    assert (event["DTEND"].to_ical().decode() if "DTEND" in event else None) == ends


async def test_there_is_nothing_to_note_without_a_date(alice: Client, bob: Client, administrator: Client) -> None:
    _, noted = await note(bob, alice, administrator, start="", end="")
    assert (noted.status, noted.error) == (409, "This ticket is voided, or its event has no date yet.")


@breaks_by_hand
async def test_a_file_taken_in_again_moves_the_entry(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event, noted = await note(bob, alice, administrator)
    before = read(noted)
    venue = await make_venue(administrator, name=unique("Elsewhere"))
    kept = {name: event[name] for name in ("type", "title", "description", "subcategory", "public")}
    changed = {"venue": venue["self"], "category": event["category"]["self"], "start": "2034-06-09T20:00", "end": ""}
    moved = await alice.put(event["self"], kept | changed)
    assert moved.status == 200, moved.body
    serial = noted.headers["content-disposition"].split('"')[1]
    after = read(await bob.get(f"/accounts/{bob.number}/tickets/{serial}"))
    assert str(after["UID"]) == str(before["UID"])
    assert after.decoded("DTSTART") == datetime(2034, 6, 10, tzinfo=UTC)
    await db.execute("UPDATE events SET status = 'Cancelled' WHERE id = $1", int(id_of(event)))
    assert str(read(await bob.get(f"/accounts/{bob.number}/tickets/{serial}"))["STATUS"]) == "CANCELLED"
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = $1", serial.removesuffix(".ics"))
    assert (await bob.get(f"/accounts/{bob.number}/tickets/{serial}")).status == 409
