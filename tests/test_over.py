"""When an event is over, and what it sells then."""

import asyncio

import asyncpg
import pytest

from conftest import Answer, Client, clock_moved
from makers import (
    gate,
    id_of,
    list_event,
    make_event,
    make_section,
    make_stage,
    make_venue,
    pay,
    place,
    section_uri,
)

NOT_PLACED = "An order for the requested tickets could not be placed at this time. Please try again."
DAY = 24 * 60 * 60
RESTRICTED = {"message": "You are restricted from accessing this resource."}


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "over_at"),
    [
        ("2030-01-01 20:00Z", "2030-01-01 23:00Z", "2030-01-01 23:00Z"),
        ("2030-01-01 20:00Z", None, "2030-01-02 20:00Z"),
        (None, "2030-01-01 23:00Z", "2030-01-01 23:00Z"),
        (None, None, "infinity"),
        ("9999-12-31 23:59:59.999Z", None, "10000-01-01 23:59:59.999Z"),
        # Across a change of clocks a day has 24 hours.
        ("2030-03-31 00:00+01", None, "2030-04-01 00:00+01"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
async def test_an_event_is_over_at_its_end_or_a_day_after_its_start(
    db: asyncpg.Connection, starts_at: str | None, ends_at: str | None, over_at: str, zone: str
) -> None:
    asked = "SELECT over_at($1::text::timestamptz, $2::text::timestamptz) = $3::text::timestamptz"
    async with db.transaction():
        await db.execute(f"SET LOCAL timezone = '{zone}'")
        assert await db.fetchval(asked, starts_at, ends_at, over_at)


@pytest.mark.parametrize(
    "dates",
    [
        {"start": "2024-06-07T20:00", "end": "2024-06-07T23:00"},
        {"start": "2024-06-07T20:00", "end": ""},
        {"start": "", "end": "2024-06-07T23:00"},
    ],
)
async def test_an_event_that_is_over_sells_to_administrators_alone(
    administrator: Client, alice: Client, bob: Client, dates: dict[str, str]
) -> None:
    event = await make_event(alice, administrator, **dates)
    await list_event(administrator, event)
    for price in (0, 20):
        section = await make_section(alice, event, basePrice=price)
        items = {section_uri(event, section): 1}
        # Not even the host's own people.
        for buyer in (bob, alice):
            refused = await buyer.post("/orders", items=items)
            assert (refused.status, refused.error) == (400, NOT_PLACED)
        assert (await alice.get(section_uri(event, section)))["reserved"] == 0
        assert (await administrator.post("/orders", items=items, customer=bob.number)).status == 201


async def test_an_event_sells_until_it_is_over(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    """An order over two events needs both."""
    event = await list_event(administrator, await make_event(alice, administrator, start="", end=""))
    over = {section_uri(event, await make_section(alice, event, salesEnd="9999-12-31T23:59")): 1}
    later = await list_event(administrator, await make_event(alice, administrator, start="", end=""))
    lasting = {section_uri(later, await make_section(alice, later, salesEnd="9999-12-31T23:59")): 1}
    assert (await bob.post("/orders", items=over)).status == 201
    await db.execute("UPDATE events SET starts_at = clock() WHERE id = $1", int(id_of(event)))
    async with clock_moved(db, DAY - 60):
        assert (await bob.post("/orders", items=over)).status == 201
    async with clock_moved(db, DAY):
        assert (await bob.post("/orders", items=over)).error == NOT_PLACED
        assert (await bob.post("/orders", items=over | lasting)).error == NOT_PLACED
        assert (await bob.post("/orders", items=lasting)).status == 201


async def test_what_was_ordered_before_is_paid_for_until_its_time_is_over(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await list_event(administrator, await make_event(alice, administrator))
    section = await make_section(alice, event, basePrice=20)
    order = await place(bob, event, section)
    await db.execute("UPDATE events SET ends_at = clock() WHERE id = $1", int(id_of(event)))
    assert (await bob.post("/orders", items={section_uri(event, section): 1})).error == NOT_PLACED
    await pay(bob, order)


HAS_TAKEN_PLACE = "An event that is over or has admitted patrons can only be cancelled by an administrator."


@pytest.mark.parametrize("why", ["it is over", "somebody was admitted"])
async def test_a_host_alone_does_not_undo_what_took_place(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection, why: str
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section))
    if why == "it is over":
        await db.execute("UPDATE events SET ends_at = clock() WHERE id = $1", int(id_of(event)))
    else:
        [ticket] = (await bob.get(f"/accounts/{bob.number}/tickets", event=id_of(event)))["entries"]
        scan = {"redeemer": "Kofi", "device": "1", "serials": [ticket["serial"]]}
        assert (await alice.post(f"{event['self']}/admissions", scan)).status == 201
    cancellations = f"{event['self']}/cancellations"
    refused = await alice.post(cancellations, reason="Regret")
    assert (refused.status, refused.error) == (409, HAS_TAKEN_PLACE)
    assert (await alice.get(event["self"]))["status"] == "Listed"
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"
    assert (await administrator.post(cancellations, reason="Rain")).status == 200


@pytest.mark.parametrize("way", ["another end", "no end", "another place"])
async def test_another_date_does_not_undo_what_took_place(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection, way: str
) -> None:
    """Nobody was scanned at the door, and the host says that it is all still to come."""
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section))
    # Over for 20 minutes, of an event that is five hours further west not for hours.
    await db.execute(
        """UPDATE events SET (start_text, end_text, starts_at, ends_at) = (
               to_char(clock() - interval '1 hour' - interval '4 hours', 'YYYY-MM-DD"T"HH24:MI'),
               to_char(clock() - interval '20 minutes' - interval '4 hours', 'YYYY-MM-DD"T"HH24:MI'),
               clock() - interval '1 hour', clock() - interval '20 minutes') WHERE id = $1""",
        int(id_of(event)),
    )
    form = {name: event[name] for name in ("type", "title", "description", "subcategory", "public")}
    form |= {"category": event["category"]["self"], "venue": event["venue"]["self"]}
    if way == "another end":
        form |= {"end": "2034-06-07T23:00"}
    elif way == "no end":
        form |= {"end": ""}
    else:
        honolulu = await make_venue(administrator, longitude=-157.86, latitude=21.31)
        form |= {"venue": honolulu["self"]}
    assert (await alice.put(event["self"], form)).status == 200
    assert await db.fetchval("SELECT over_at > clock() FROM events WHERE id = $1", int(id_of(event)))
    cancellations = f"{event['self']}/cancellations"
    refused = await alice.post(cancellations, reason="Regret")
    assert (refused.status, refused.error) == (409, HAS_TAKEN_PLACE)
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"
    assert (await administrator.post(cancellations, reason="Rain")).status == 200


async def test_a_draft_and_an_event_that_lies_ahead_may_have_other_dates_and_be_cancelled(
    administrator: Client, alice: Client, bob: Client
) -> None:
    wrong = await make_event(alice, administrator, start="2024-06-07T20:00", end="2024-06-07T23:00")
    listed, section = await make_stage(alice, administrator)
    await pay(bob, await place(bob, listed, section))
    for event in (wrong, listed):
        form = {name: event[name] for name in ("type", "title", "description", "subcategory", "public")}
        form |= {"category": event["category"]["self"], "venue": event["venue"]["self"]}
        form |= {"start": "2034-08-07T20:00", "end": "2034-08-07T23:00"}
        assert (await alice.put(event["self"], form)).status == 200
        assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200


async def waiting(db: asyncpg.Connection, count: int) -> None:
    """Until so many wait for somebody's lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(2.5):  # they give up after three seconds
        while await db.fetchval(asked) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("first", ["admission", "upload", "cancellation"])
async def test_a_cancellation_and_the_first_admission_exclude_each_other(
    administrator: Client, alice: Client, bob: Client, public: Client, db: asyncpg.Connection, database: str, first: str
) -> None:
    """Whoever comes first is held up where he would lock his rows; the other one then waits for him."""
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section))
    [ticket] = (await bob.get(f"/accounts/{bob.number}/tickets", event=id_of(event)))["entries"]
    [token] = (await alice.get(f"{event['self']}/tokens"))["entries"]
    door = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    scan = {"redeemer": "Kofi", "device": "1", "serials": [ticket["serial"]]}
    scans = [{"serial": ticket["serial"], "at": "2026-01-01T20:00:00Z", "nonce": "1"}]
    holder = await asyncpg.connect(database)

    async def admit(scanner: Client) -> Answer:
        return await scanner.post(f"{event['self']}/admissions", scan)

    async def upload() -> Answer:
        return await door.post(f"{event['self']}/scans", redeemer="Kofi", device="1", scans=scans)

    async def cancel() -> Answer:
        return await alice.post(f"{event['self']}/cancellations", reason="Rain")

    steps = {"admission": lambda: admit(door), "upload": upload, "cancellation": cancel}
    held_up = "sections" if first == "cancellation" else "tickets"
    try:
        async with holder.transaction():
            await holder.execute(f"SELECT FROM {held_up} WHERE event_id = $1 FOR UPDATE", int(id_of(event)))
            begun = [asyncio.create_task(steps[first]())]
            await waiting(db, 1)
            others = [admit(door), admit(alice)] if first == "cancellation" else [cancel()]
            begun += [asyncio.create_task(other) for other in others]
            await waiting(db, 1 + len(others))
    finally:
        await holder.close()
    answers = await asyncio.gather(*begun)
    assert await db.fetchval("SELECT count(*) FROM admissions WHERE event_id = $1", int(id_of(event))) == (
        0 if first == "cancellation" else 1
    )
    if first == "cancellation":
        cancelled, at_the_door, signed_in = answers
        assert (cancelled.status, at_the_door.status, at_the_door.body) == (200, 403, RESTRICTED)
        assert (signed_in.status, signed_in.error) == (409, "The event has been cancelled.")
    else:
        admitted, cancelled = answers
        assert admitted.status == (201 if first == "admission" else 200)
        assert (cancelled.status, cancelled.error) == (409, HAS_TAKEN_PLACE)
        assert (await bob.get(order["self"]))["status"] == "Fulfilled"


async def test_a_region_is_active_until_its_last_event_is_over(
    administrator: Client, alice: Client, db: asyncpg.Connection
) -> None:
    event = await list_event(administrator, await make_event(alice, administrator, end=""))
    region = event["venue"]["region"]["self"]

    async def active() -> bool:
        return region in [entry["self"] for entry in (await alice.get("/regions", active="true"))["entries"]]

    assert await active()
    await db.execute("UPDATE events SET starts_at = clock() - interval '23 hours' WHERE id = $1", int(id_of(event)))
    assert await active()
    await db.execute("UPDATE events SET starts_at = clock() - interval '24 hours' WHERE id = $1", int(id_of(event)))
    assert not await active()
