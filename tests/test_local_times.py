"""Local times on the days when clocks are changed: the first of two, moved on where there is none (RFC 5545)."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import icalendar
import pytest

from conftest import Client, drop_database, dsn_of
from makers import hold_tickets, id_of, list_event, make_event, make_region, make_section, make_venue
from ticketing.languages import moment_of
from ticketing.mail.happenings import find_happenings
from ticketing.migrations import revision_of, runner, steps
from ticketing.migrations.runner import migrate

BERLIN = {"longitude": 13.405, "latitude": 52.52}
LORD_HOWE = {"longitude": 159.08, "latitude": -31.55}  # half an hour
HAVANA = {"longitude": -82.3666, "latitude": 23.1136}  # at midnight

# Where, what is sent, and what it means.
READINGS = [
    (BERLIN, "2034-10-29T01:59", "2034-10-28T23:59"),
    (BERLIN, "2034-10-29T02:00", "2034-10-29T00:00"),  # and an hour later once more
    (BERLIN, "2034-10-29T02:59:59.999", "2034-10-29T00:59:59.999"),
    (BERLIN, "2034-10-29T03:00", "2034-10-29T02:00"),
    (BERLIN, "2034-10-30T01:59", "2034-10-30T00:59"),
    (BERLIN, "2034-10-29T02:30+01:00", "2034-10-29T01:30"),  # the second, if that is meant
    (BERLIN, "2034-03-26T02:30", "2034-03-26T01:30"),  # there is none: 03:30
    (LORD_HOWE, "2034-04-02T01:45", "2034-04-01T14:45"),
    (LORD_HOWE, "2034-04-02T02:00", "2034-04-01T15:30"),
    (HAVANA, "2034-11-05T00:30", "2034-11-05T04:30"),
]


@pytest.mark.parametrize(("place", "sent", "meant"), READINGS)
async def test_a_time_that_happens_twice_is_the_first(
    alice: Client, administrator: Client, db: asyncpg.Connection, place: dict[str, float], sent: str, meant: str
) -> None:
    venue = await make_venue(administrator, **place)
    event = await make_event(alice, administrator, venue=venue["self"], start=sent, end="")
    section = await make_section(alice, event, salesEnd=sent)
    price = await alice.post(f"{event['self']}{section['self']}/prices", name="Early", price=0, to=sent)
    assert (event["start"], section["salesEnd"], price["to"]) == (sent, sent, sent)
    told = await db.fetchrow(
        "SELECT starts_at, sales_end, closes_at FROM events event JOIN sections section ON section.event_id = event.id"
        " JOIN prices price ON price.section_id = section.id WHERE event.id = $1",
        int(id_of(event)),
    )
    expected = datetime.fromisoformat(meant).replace(tzinfo=UTC)
    assert told is not None
    assert set(told.values()) == {expected}
    on_a_page = moment_of(sent, venue["timezone"])
    assert on_a_page is not None
    # No datetime of an hour that is twice equals one elsewhere.
    assert int(on_a_page.at.timestamp()) == int(expected.timestamp())
    # Found by it, and by no second later.
    await list_event(administrator, event)
    region = event["venue"]["region"]["self"].rsplit("/", 1)[1]
    after = f"{meant}Z"
    assert (await alice.get("/published-events", region=region, after=after))["total"] == 1
    assert (await alice.get("/published-events", region=region, after=f"{meant[:16]}:59.9999Z"))["total"] == 0
    assert (await alice.get("/published-events", region=region, after=sent))["total"] == 1


def test_a_page_moves_a_time_on_that_clocks_leave_out() -> None:
    moment = moment_of("2034-03-26T02:30", "Europe/Berlin")
    assert moment is not None
    assert (moment.at.hour, moment.at.minute, moment.offset) == (3, 30, "UTC+2")


async def test_an_event_moves_to_the_first_of_two_with_its_venue(
    alice: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    venue = await make_venue(administrator)
    event = await make_event(alice, administrator, venue=venue["self"], start="2034-10-29T02:30", end="")
    body = {"name": venue["name"], "region": id_of(await make_region(administrator)), "address": "Unter den Linden"}
    assert (await administrator.put(venue["self"], body | BERLIN)).status == 200
    starts_at = await db.fetchval("SELECT starts_at FROM events WHERE id = $1", int(id_of(event)))
    assert starts_at == datetime(2034, 10, 29, 0, 30, tzinfo=UTC)


async def test_a_day_of_a_report_begins_with_the_first_midnight(
    alice: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    venue = await make_venue(administrator, **HAVANA)
    event = await make_event(alice, administrator, venue=venue["self"])
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(alice, alice, event, section)
    at_the_first = datetime(2034, 11, 5, 4, 15, tzinfo=UTC)  # 00:15 in summer time; 00:15 comes again an hour later
    await db.execute(
        "UPDATE orders SET placed_at = $2 WHERE id = (SELECT order_id FROM order_items WHERE event_id = $1)",
        int(id_of(event)),
        at_the_first,
    )
    for day, sold in (("2034-11-04", 0), ("2034-11-05", 1)):
        report = await alice.get(f"{event['self']}/sales", **{"from": day, "to": day})
        assert report["totals"]["tickets"] == sold, day


async def test_a_night_in_which_clocks_are_changed_is_told_with_both_offsets(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    venue = await make_venue(administrator, **BERLIN)
    night = {"start": "2034-10-28T22:00", "end": "2034-10-29T04:00", "doors": "2034-10-28T21:00"}
    event = await make_event(alice, administrator, venue=venue["self"], **night)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    noted = await bob.get(f"/accounts/{bob.number}/tickets/{serial}.ics")
    (entry,) = icalendar.Calendar.from_ical(noted.body).walk("VEVENT")
    assert str(entry["DESCRIPTION"]).split("\n")[0] == (
        "Saturday 28 October 2034, 22:00 to 29 October 2034, 04:00, Europe/Berlin (UTC+02:00, at the end UTC+01:00)"
    )
    assert entry.decoded("DTSTART") == datetime(2034, 10, 28, 20, tzinfo=UTC)
    assert entry.decoded("DTEND") == datetime(2034, 10, 29, 3, tzinfo=UTC)
    (happening,) = await find_happenings(db, [int(id_of(event))])
    assert happening.when == (
        "Saturday, 28 October 2034, 22:00 to Sunday, 29 October 2034, 04:00 (Berlin time, UTC+2, at the end UTC+1),"
        " doors 21:00"
    )


async def test_doors_without_a_date_are_told(alice: Client, administrator: Client, db: asyncpg.Connection) -> None:
    event = await make_event(alice, administrator, start="", end="", doors="2034-06-07T19:00")
    (happening,) = await find_happenings(db, [int(id_of(event))])
    assert happening.when == "Doors Wednesday, 7 June 2034, 19:00 (Antigua time, UTC−4)"


async def test_what_was_read_as_the_second_is_put_right(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "reading_twice"
    step = next(index for index, one in enumerate(steps()) if one.stem.endswith("_doors"))
    admin = await asyncpg.connect(dsn_of(postgres, "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    dsn = dsn_of(postgres, name)
    try:
        with monkeypatch.context() as before:
            before.setattr(runner, "steps", lambda: steps()[:step])
            before.setattr(runner, "revisions", lambda: [revision_of(one) for one in steps()[:step]])
            await migrate(dsn)
        old = await asyncpg.connect(dsn)
        await old.execute(_AN_EVENT)
        columns = "SELECT starts_at, sales_start, opens_at FROM events, sections, prices"
        assert set((await _row(old, columns)).values()) == {datetime(2034, 10, 29, 1, 30, tzinfo=UTC)}
        await migrate(dsn)
        assert set((await _row(old, columns)).values()) == {datetime(2034, 10, 29, 0, 30, tzinfo=UTC)}
        assert (await _row(old, "SELECT ends_at FROM events"))["ends_at"] == datetime(2034, 10, 29, 3, tzinfo=UTC)
        await old.close()
    finally:
        await drop_database(admin, name)
        await admin.close()


async def _row(db: asyncpg.Connection, statement: str) -> dict[str, Any]:
    row = await db.fetchrow(statement)
    assert row is not None
    return dict(row)


_AN_EVENT = """
ALTER TABLE events DROP CONSTRAINT events_host_id_fkey, DROP CONSTRAINT events_category_id_fkey,
                   DROP CONSTRAINT events_venue_id_fkey;  -- none of these matters
INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description, status, public,
                    start_text, end_text, starts_at, ends_at, disclaimer, tags, published_at, title_key, title_sort)
VALUES (1, 1, 1, 'Jazz', 1, 'Europe/Berlin', 'Standard', 'Night', '', 'Listed', true, '2034-10-29T02:30',
        '2034-10-29T04:00', instant('2034-10-29T02:30', 'Europe/Berlin'), instant('2034-10-29T04:00', 'Europe/Berlin'),
        '', '[]', clock(), 'night', '');
INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text, sales_start,
                      active, capacity, name_key)
VALUES (1, 1, 'Floor', '', 0, '2034-10-29T02:30', '', instant('2034-10-29T02:30', 'Europe/Berlin'), true, 1, 'floor');
INSERT INTO prices (id, section_id, name, price_cents, from_text, to_text, opens_at)
VALUES (1, 1, 'Early', 0, '2034-10-29T02:30', '', instant('2034-10-29T02:30', 'Europe/Berlin'))"""
