"""Reading regions."""

from ticketing.countries.names import icon_name
from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.web.errors import NotFound
from ticketing.web.paging import Listing, boolean

from .schemas import Region

# An approved event that is not over; one without dates never is.
_ACTIVE = """EXISTS (
    SELECT FROM venues venue JOIN events event ON event.venue_id = venue.id
     WHERE venue.region_id = region.id AND event.status = 'Listed' AND event.removed_at IS NULL
       AND event.over_at > clock())"""

COLUMNS = "region.id, region.name, region.country, region.district, region.city"


def build_region(row: Row, media: str, prefix: str = "") -> Region:
    """A region as the API shows it, of columns with this prefix; `media` is where images are served."""
    country = row[prefix + "country"]
    return Region(
        uri=f"/regions/{row[prefix + 'id']}",
        name=row[prefix + "name"],
        country=country,
        district=row[prefix + "district"],
        city=row[prefix + "city"],
        icon=f"{media}/{icon_name(country)}",
    )


REGIONS: Listing[Region] = Listing(
    source="regions region",
    columns=COLUMNS,
    id="region.id",
    build=lambda row: build_region(row, ""),
    filters={"active": boolean(_ACTIVE)},
)


async def get_region(db: Connection, segment: str, media: str) -> Region:
    """The region with this id. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {COLUMNS} FROM regions region WHERE id = $1 AND removed_at IS NULL", ids.parse(segment)
    )
    if row is None:
        raise NotFound
    return build_region(row, media)


async def find_region(db: Connection, region_id: int) -> int | None:
    """The id again, if a region has it; for references in bodies. It stays until the transaction ends."""
    found: int | None = await db.fetchval(
        "SELECT id FROM regions WHERE id = $1 AND removed_at IS NULL FOR KEY SHARE", region_id
    )
    return found
