"""When an event is over, and what it sells then."""

import asyncpg
import pytest

from conftest import Client, clock_moved
from makers import id_of, list_event, make_event, make_section, make_stage, pay, place, section_uri

NOT_PLACED = "An order for the requested tickets could not be placed at this time. Please try again."
DAY = 24 * 60 * 60


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
