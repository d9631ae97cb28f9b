"""Reading venues."""

from typing import NamedTuple

from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.regions.queries import build_region
from ticketing.web.errors import NotFound
from ticketing.web.paging import Listing, exact, reference

from .maps import Maps
from .schemas import EventVenue, Venue

COLUMNS = """
venue.id AS venue_id, venue.name AS venue_name, venue.region_id AS venue_region_id, venue.address AS venue_address,
venue.longitude AS venue_longitude, venue.latitude AS venue_latitude, venue.timezone AS venue_timezone"""

# Inside an event, joined with `venues venue` and its `regions region`.
EVENT_COLUMNS = f"""{COLUMNS},
region.id AS region_id, region.name AS region_name, region.country AS region_country,
region.district AS region_district, region.city AS region_city"""


def build_venue(row: Row, maps: Maps) -> Venue:
    """A venue as /venues shows it, of a row that holds COLUMNS."""
    latitude, longitude = row["venue_latitude"], row["venue_longitude"]
    return Venue(
        uri=f"/venues/{row['venue_id']}",
        name=row["venue_name"],
        region=f"/regions/{row['venue_region_id']}",
        longitude=longitude,
        latitude=latitude,
        address=row["venue_address"],
        map=maps.url(latitude, longitude),
        timezone=row["venue_timezone"],
    )


def build_event_venue(row: Row, maps: Maps, media: str) -> EventVenue:
    """A venue as an event shows it, of a row that holds EVENT_COLUMNS; `media` is where images are served."""
    latitude, longitude = row["venue_latitude"], row["venue_longitude"]
    return EventVenue(
        uri=f"/venues/{row['venue_id']}",
        name=row["venue_name"],
        region=build_region(row, media, "region_"),
        longitude=longitude,
        latitude=latitude,
        address=row["venue_address"],
        map=maps.url(latitude, longitude),
        timezone=row["venue_timezone"],
    )


VENUES: Listing[Venue] = Listing(
    source="venues venue",
    columns=COLUMNS,
    id="venue.id",
    build=lambda row: build_venue(row, Maps()),
    filters={"region": reference("venue.region_id"), "name": exact("venue.name")},
)


class FoundVenue(NamedTuple):
    """What an event needs of its venue."""

    id: int
    timezone: str


async def get_venue(db: Connection, segment: str, maps: Maps) -> Venue:
    """The venue with this id. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {COLUMNS} FROM venues venue WHERE venue.id = $1 AND venue.removed_at IS NULL", ids.parse(segment)
    )
    if row is None:
        raise NotFound
    return build_venue(row, maps)


async def find_venue(db: Connection, venue_id: int) -> FoundVenue | None:
    """The venue with this id, or None; for references in bodies.

    It stays where it is until the transaction ends, so an event computes its instants in the right zone.
    """
    row = await db.fetchrow(
        "SELECT id, timezone FROM venues WHERE id = $1 AND removed_at IS NULL FOR KEY SHARE", venue_id
    )
    return FoundVenue(row["id"], row["timezone"]) if row else None
