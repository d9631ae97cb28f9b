"""Venues: where events take place, and whose clock they go by."""

import zoneinfo
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from conftest import NEW_IDS, Client, unique
from makers import id_of, make_category, make_host, make_region, make_venue
from ticketing.settings import BadSetting, Settings
from ticketing.venues.maps import Maps, sign
from ticketing.venues.timezones import timezone_at

GENERAL = {"error": "There is presently no resource with the given URI."}
TAKEN = "The following arguments conflict with those of another venue: name."
MAP = "https://maps.googleapis.com/maps/api/staticmap"
PARIS = {"longitude": 2.3522, "latitude": 48.8566}


async def stage(db: asyncpg.Connection, administrator: Client, venue: dict[str, Any], start: str, end: str) -> int:
    """An event at the venue with a section and a timed price, its instants as computed at Antigua."""
    event, section = NEW_IDS.new(), NEW_IDS.new()
    await db.execute(
        "INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description,"
        " status, public, start_text, end_text, starts_at, ends_at, disclaimer, tags, published_at,"
        " title_key, title_sort)"
        " VALUES ($1, $2, $3, 'Jazz', $4, 'America/Antigua', 'Standard', $5, '', 'Listed', true, $6, $7,"
        " instant($6, 'America/Antigua'), instant($7, 'America/Antigua'), '', '[]', clock(),"
        " lower($5), '')",
        event,
        int(id_of(await make_host(administrator))),
        int(id_of(await make_category(administrator))),
        int(id_of(venue)),
        unique("Event"),
        start,
        end,
    )
    await db.execute(
        "INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text,"
        " sales_start, sales_end, active, name_key, capacity) VALUES ($1, $2, 'Floor', '', 0, $3, '',"
        " instant($3, 'America/Antigua'), NULL, true, 'floor', 10)",
        section,
        event,
        start,
    )
    await db.execute(
        "INSERT INTO prices (id, section_id, name, price_cents, from_text, to_text, opens_at, closes_at)"
        " VALUES ($1, $2, 'Early', 0, $3, $4, instant($3, 'America/Antigua'), instant($4, 'America/Antigua'))",
        NEW_IDS.new(),
        section,
        start,
        end,
    )
    return event


async def test_an_administrator_creates_a_venue_and_anybody_reads_it(administrator: Client, public: Client) -> None:
    region = await make_region(administrator)
    name = unique("Sir Vivian Richards Stadium")
    created = await administrator.post(
        "/venues", name=name, region=id_of(region), address="North Sound", longitude=-61.7849, latitude=17
    )
    assert created.status == 201
    assert created.body == {
        "self": created["self"],
        "name": name,
        "region": region["self"],
        "longitude": -61.7849,
        "latitude": 17,
        "address": "North Sound",
        "map": f"{MAP}?center=17,-61.7849&zoom=15&size=600x300&maptype=roadmap&markers=color:red%7C17,-61.7849",
        "timezone": "America/Antigua",
    }
    assert (await public.get(created["self"])).body == created.body
    assert created.body in (await public.get("/venues", records=500))["entries"]


async def test_all_faults_are_named_in_order(administrator: Client) -> None:
    missing = await administrator.post("/venues", latitude=0)
    assert missing.status == 400
    assert missing.error == (
        "The following arguments are required, but have not been supplied: name, region, address, longitude."
    )
    invalid = await administrator.post("/venues", name=[1], region="999", address=5, longitude=180.1, latitude="-91")
    assert invalid.status == 400
    assert invalid.error == ("The following arguments have invalid values: name, region, address, longitude, latitude.")


@pytest.mark.parametrize("latitude", [10**400, "1e400", "NaN", True, "north", [17], {"a": 1}, "\x00"])
async def test_a_latitude_is_an_angle(administrator: Client, latitude: object) -> None:
    region = await make_region(administrator)
    refused = await administrator.post(
        "/venues", name=unique("Venue"), region=int(id_of(region)), address="A", longitude=0, latitude=latitude
    )
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: latitude.")


async def test_numbers_are_taken_as_text_and_zero_is_a_number(administrator: Client) -> None:
    venue = await make_venue(administrator, longitude="0", latitude="0.0")
    assert (venue["longitude"], venue["latitude"], venue["timezone"]) == (0, 0, "Etc/GMT")


async def test_a_name_is_one_venues_alone(administrator: Client) -> None:
    venue, other = await make_venue(administrator), await make_venue(administrator)
    for refused in (
        await administrator.post("/venues", name=venue["name"].upper()),
        await administrator.put(other["self"], name=venue["name"], address=""),
    ):
        assert (refused.status, refused.error) == (409, TAKEN)


async def test_venues_are_filtered_by_region_and_name(administrator: Client, public: Client) -> None:
    region = await make_region(administrator)
    first, second = await make_venue(administrator, region), await make_venue(administrator, region)
    await make_venue(administrator)
    assert (await public.get("/venues", region=id_of(region)))["entries"] == [first, second]
    assert (await public.get("/venues", region=id_of(region), name=second["name"]))["entries"] == [second]
    assert (await public.get("/venues", region="1"))["total"] == 0
    refused = await public.get("/venues", region="all")
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: region.")


async def test_a_removed_region_is_no_place_for_a_venue(administrator: Client) -> None:
    region = await make_region(administrator)
    venue = await make_venue(administrator, region)
    refused = await administrator.delete(region["self"])
    assert (refused.status, refused.error) == (409, "A region cannot be deleted if it has venues attached")
    assert (await administrator.delete(venue["self"])).status == 200
    assert (await administrator.delete(region["self"])).status == 200
    refused = await administrator.post(
        "/venues", name=unique("Venue"), region=id_of(region), address="A", longitude=0, latitude=0
    )
    assert refused.error == "The following arguments have invalid values: region."


async def test_events_follow_their_venue_into_another_zone(administrator: Client, db: asyncpg.Connection) -> None:
    venue = await make_venue(administrator)
    local = await stage(db, administrator, venue, "2034-06-07T20:00", "9999-12-31T23:59:59.999Z")
    undated = await stage(db, administrator, venue, "", "")
    elsewhere = await stage(db, administrator, await make_venue(administrator), "2034-06-07T20:00", "")
    before = await instants(db, local)
    body = {"name": venue["name"], "region": id_of(await make_region(administrator)), "address": "Rue"} | PARIS
    moved = await administrator.put(venue["self"], body)
    assert (moved.status, moved["timezone"], moved["address"]) == (200, "Europe/Paris", "Rue")
    after = await instants(db, local)
    assert before["starts_at"] == datetime(2034, 6, 8, 0, tzinfo=UTC)
    assert after["starts_at"] == after["sales_start"] == after["opens_at"] == datetime(2034, 6, 7, 18, tzinfo=UTC)
    assert after["timezone"] == "Europe/Paris"
    assert after["end"] == before["end"]
    assert after["closes"] == before["closes"]
    assert (await instants(db, elsewhere))["timezone"] == "America/Antigua"
    assert (await instants(db, elsewhere))["opens_at"] == datetime(2034, 6, 8, 0, tzinfo=UTC)
    assert (await instants(db, undated))["starts_at"] is None


async def instants(db: asyncpg.Connection, event: int) -> dict[str, Any]:
    row = await db.fetchrow(
        "SELECT event.timezone, starts_at, ends_at::text AS end, sales_start, opens_at, closes_at::text AS closes"
        " FROM events event JOIN sections section ON section.event_id = event.id"
        " JOIN prices price ON price.section_id = section.id WHERE event.id = $1",
        event,
    )
    assert row is not None
    return dict(row)


async def test_a_venue_that_stages_an_event_stays(administrator: Client, db: asyncpg.Connection) -> None:
    venue = await make_venue(administrator)
    event = await stage(db, administrator, venue, "1999-12-31T20:00", "2000-01-01T02:00")
    refused = await administrator.delete(venue["self"])
    assert (refused.status, refused.error) == (409, "A venue cannot be deleted if it is staging an event")
    await db.execute("UPDATE events SET removed_at = clock() WHERE id = $1", event)
    gone = await administrator.delete(venue["self"])
    assert (gone.status, list(gone.body)) == (200, ["message"])
    for again in (
        await administrator.get(venue["self"]),
        await administrator.put(venue["self"]),
        await administrator.delete(venue["self"]),
        await administrator.get("/venues/null"),
    ):
        assert (again.status, again.body) == (404, GENERAL)
    await make_venue(administrator, name=venue["name"])


async def test_only_administrators_write(alice: Client, administrator: Client) -> None:
    venue = await make_venue(administrator)
    for refused in (
        await alice.post("/venues", name="x"),
        await alice.put(venue["self"], name="x"),
        await alice.delete(venue["self"]),
    ):
        assert (refused.status, refused.body) == (403, {"message": "You are restricted from accessing this resource."})


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone"),
    [
        (17.1274, -61.8456, "America/Antigua"),
        (40.7128, -74.006, "America/New_York"),
        (-33.8688, 151.2093, "Australia/Sydney"),
        (30, -40, "Etc/GMT+3"),
        (90, 180, "Etc/GMT-12"),
    ],
)
async def test_the_zone_of_a_place(latitude: float, longitude: float, zone: str) -> None:
    assert await timezone_at(latitude, longitude) == zone


async def test_the_database_and_python_know_every_zone_of_the_map(db: asyncpg.Connection) -> None:
    from timezonefinder import TimezoneFinder

    zones = set(TimezoneFinder().timezone_names)
    known = {row["name"] for row in await db.fetch("SELECT name FROM pg_timezone_names")}
    assert len(zones) > 400
    assert zones - known == set()
    assert zones - zoneinfo.available_timezones() == set()


def test_a_map_link_carries_a_key_and_googles_signature() -> None:
    # The worked example of Google's documentation of URL signatures.
    secret = "vNIXE0xscrmjlyV-12Nj_BvUPaw="
    path = "/maps/api/geocode/json?address=New+York&client=clientID"
    assert sign(path, secret) == "chaRF2hTJKOScPr-RQCEhZbSzIE="
    plain = Maps().url(17.5, -0.00001)
    assert plain == f"{MAP}?center=17.5,-0.00001&zoom=15&size=600x300&maptype=roadmap&markers=color:red%7C17.5,-0.00001"
    assert Maps(key="K").url(17.5, -0.00001) == f"{plain}&key=K"
    signed = Maps("K", secret).url(17.5, -0.00001)
    path = f"{plain}&key=K".removeprefix("https://maps.googleapis.com")
    assert signed == f"{plain}&key=K&signature={sign(path, secret)}"


def test_a_signing_secret_that_is_none_is_told_at_start() -> None:
    with pytest.raises(BadSetting, match="TICKETING_MAPS_SIGNING_SECRET is not base64"):
        Settings(maps_signing_secret="abc")
