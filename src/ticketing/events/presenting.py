"""Events and sections as the API shows them, built of rows; the SQL that makes the rows stands beside what reads them.

A section travels out of the database as one JSON array, with its prices and what its due holds still take inside, so
that an event and all that belongs to it is one statement.
"""

from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

import msgspec

from ticketing.categories.queries import COLUMNS as CATEGORY_COLUMNS
from ticketing.categories.queries import build_category
from ticketing.hosts.queries import COLUMNS as HOST_COLUMNS
from ticketing.hosts.queries import build_host
from ticketing.kit import clock
from ticketing.kit.database import Row
from ticketing.kit.money import to_amount
from ticketing.pictures.serving import media_url
from ticketing.settings import Settings
from ticketing.venues.maps import Maps, maps_of
from ticketing.venues.queries import EVENT_COLUMNS as VENUE_COLUMNS
from ticketing.venues.queries import build_event_venue
from ticketing.web.operations import Call

from .rules import Bands, Offer, current_price, fee_cents, parse_bands
from .schemas import Event, Section, SectionPrice

# A hold whose time is over takes no place for any reader, whether or not it was tidied yet.
_DUE = """(SELECT coalesce(sum(item.quantity), 0) FROM order_items item
            WHERE item.section_id = section.id AND item.held_until <= (SELECT clock()){more})"""
DUE = f"CASE WHEN section.held = 0 THEN 0 ELSE {_DUE.format(more='')} END"
USED = (
    f"""price.used - CASE WHEN section.held = 0 THEN 0 ELSE {_DUE.format(more=" AND item.price_id = price.id")} END"""
)

# In the order of _StoredSection; the offers in that of rules.Offer.
STORED_SECTION = f"""json_build_array(
    section.id, section.event_id, section.name, section.description, section.base_price_cents, section.sales_start_text,
    section.sales_end_text, section.active, section.capacity, section.sold, section.held - {DUE},
    (SELECT json_agg(json_build_array(
                price.id, price.price_cents, extract(epoch FROM price.opens_at)::float8,
                extract(epoch FROM price.closes_at)::float8, price.quantity, {USED}, price.to_text))
       FROM prices price WHERE price.section_id = section.id AND price.removed_at IS NULL))"""

NOW = "extract(epoch FROM (SELECT clock()))::float8 AS now"

# Of `SOURCE`; what others that list events select too (an itinerary).
COLUMNS = f"""
event.id, event.published_at, event.title, event.description, event.status, event.type, event.public, event.featured,
event.subcategory, event.start_text, event.end_text, event.doors_text, event.disclaimer, event.tags, event.host_id,
event.tickets_per_customer, {NOW},
{HOST_COLUMNS}, {CATEGORY_COLUMNS}, {VENUE_COLUMNS},
(SELECT json_agg({STORED_SECTION})
   FROM sections section WHERE section.event_id = event.id AND section.removed_at IS NULL) AS sections"""

SOURCE = """
events event
JOIN hosts host ON host.id = event.host_id
JOIN categories category ON category.id = event.category_id
JOIN venues venue ON venue.id = event.venue_id
JOIN regions region ON region.id = venue.region_id"""


class _StoredSection(msgspec.Struct, array_like=True):
    id: int
    event_id: int
    name: str
    description: str
    base_price_cents: int
    sales_start: str
    sales_end: str
    active: bool
    capacity: int
    sold: int
    reserved: int
    offers: list[Offer] | None


_creation = attrgetter("id")
_sections = msgspec.json.Decoder(list[_StoredSection])
_section = msgspec.json.Decoder(_StoredSection)
_tags = msgspec.json.Decoder(list[str])
_bands = lru_cache(maxsize=8)(parse_bands)


@dataclass(frozen=True, slots=True)
class Presentation:
    """How this server shows events: where images are served, how maps are linked, what fees are asked."""

    media: str
    maps: Maps
    bands: Bands


def presentation(call: Call) -> Presentation:
    """The presentation for one request."""
    return Presentation(media_url(call), maps_of(call), fee_bands(call.the(Settings)))


def fee_bands(settings: Settings) -> Bands:
    """The fee bands of the settings, parsed once."""
    return _bands(settings.fees)


def build_event(row: Row, shown: Presentation) -> Event:
    """An event of a row that holds COLUMNS."""
    stored = _sections.decode(row["sections"]) if row["sections"] is not None else []
    stored.sort(key=_creation)  # here, for a sort in the statement costs a tenth of it
    now, event_id = row["now"], row["id"]
    return Event(
        uri=f"/events/{event_id}",
        published=clock.stamp(row["published_at"]),
        title=row["title"],
        description=row["description"],
        status=row["status"],
        type=row["type"],
        public=row["public"],
        featured=row["featured"],
        host=build_host(row),
        category=build_category(row),
        subcategory=row["subcategory"],
        start=row["start_text"],
        end=row["end_text"],
        doors=row["doors_text"],
        venue=build_event_venue(row, shown.maps, shown.media),
        disclaimer=row["disclaimer"],
        tags=_tags.decode(row["tags"]),
        tickets_per_customer=row["tickets_per_customer"],
        popularity=sum(one.sold for one in stored),
        banner=f"{shown.media}/banner/{event_id}",
        thumbnail=f"{shown.media}/thumbnail/{event_id}",
        sections=[_build(one, now, shown.bands) for one in stored],
    )


def build_section(row: Row, bands: Bands) -> Section:
    """A section of a row with its STORED_SECTION as `section` and NOW."""
    return _build(_section.decode(row["section"]), row["now"], bands)


def _build(stored: _StoredSection, now: float, bands: Bands) -> Section:
    current = current_price(stored.base_price_cents, stored.offers or (), now)
    return Section(
        uri=f"/sections/{stored.id}",
        name=stored.name,
        description=stored.description,
        price=SectionPrice(to_amount(stored.base_price_cents), to_amount(current.cents), current.expires),
        sales_start=stored.sales_start,
        sales_end=stored.sales_end,
        active=stored.active,
        capacity=stored.capacity,
        sold=stored.sold,
        remaining=stored.capacity - stored.sold - stored.reserved,
        reserved=stored.reserved,
        fees=to_amount(fee_cents(current.cents, bands)),
        whole_uri=f"/events/{stored.event_id}/sections/{stored.id}",
    )
