"""Events, sections and prices on the wire."""

from dataclasses import replace
from typing import Any

import msgspec

from ticketing.categories.queries import find_category
from ticketing.categories.schemas import Category
from ticketing.hosts.schemas import Host
from ticketing.kit import ids
from ticketing.venues.queries import find_venue
from ticketing.venues.schemas import EventVenue
from ticketing.web.errors import quoted
from ticketing.web.forms import (
    BadValue,
    Field,
    Form,
    Kind,
    amount,
    anything,
    boolean,
    choice,
    identifier,
    identifying,
    integer,
    mapping,
    moment,
    text,
    texts,
    uri,
)

MOST_PLACES = 10_000_000


class SectionPrice(msgspec.Struct, rename="camel"):
    """What a place costs: `base` always, `current` now, which ends at `expires` ("": no end)."""

    base: float
    current: float
    expires: str


class Section(msgspec.Struct, rename="camel"):
    """A part of an event for which tickets are sold; `self` is relative to the event, `uri` whole.

    `reserved` places are in orders that wait for payment; `fees` come on top of `price.current`, per ticket.
    """

    uri: str = msgspec.field(name="self")
    name: str
    description: str
    price: SectionPrice
    sales_start: str
    sales_end: str
    active: bool
    capacity: int
    sold: int
    remaining: int
    reserved: int
    fees: float
    whole_uri: str = msgspec.field(name="uri")


class Event(msgspec.Struct, rename="camel"):
    """What is on: `start`, `end`, `doors` are echoed as they were sent, local to the venue when without an offset.

    `ticketsPerCustomer`: how many tickets of it one customer may have; null: as many as the platform allows.
    """

    uri: str = msgspec.field(name="self")
    published: str
    title: str
    description: str
    status: str
    type: str
    public: bool
    featured: bool
    host: Host
    category: Category
    subcategory: str
    start: str
    end: str
    doors: str
    venue: EventVenue
    disclaimer: str
    tags: list[str]
    tickets_per_customer: int | None
    popularity: int
    banner: str
    thumbnail: str
    sections: list[Section]


class Price(msgspec.Struct, rename="camel"):
    """A timed or limited price of a section; `used` counts the places sold or reserved at it."""

    uri: str = msgspec.field(name="self")
    name: str
    price: float
    opens: str = msgspec.field(name="from")
    closes: str = msgspec.field(name="to")
    quantity: int | None
    used: int


_UPLOAD = anything("a picture as a data URL", {"type": "string", "description": "a picture as a data URL"})
PICTURES = {kind: Field(kind, _UPLOAD, required=False) for kind in ("banner", "thumbnail")}

_DETAILS = [
    Field("type", choice("Standard", "Registration")),
    Field("title", identifying(example="Dawn of the Seven Premier")),
    Field("description", text(20_000, lines=True, example="World premier of the long awaited film")),
    Field("category", uri("categories"), find=find_category, description="the URI of a category"),
    Field("subcategory", text(example="Premier"), description="one of the category's"),
    Field("public", boolean(), description="whether it appears among the published events once it is listed"),
    Field("venue", uri("venues"), find=find_venue, description="the URI of a venue"),
    Field("featured", boolean(), required=False, empty=False, description="set by administrators only"),
    Field("start", moment(), required=False),
    Field("end", moment(), required=False),
    Field("doors", moment(), required=False, description="before it gates admit nobody"),
    Field("disclaimer", text(10_000, lines=True), required=False),
    Field("tags", texts(example=["film"]), required=False, empty=()),
    Field(
        "ticketsPerCustomer",
        integer(1, MOST_PLACES, example=4),
        required=False,
        empty=None,
        description="how many tickets one customer may have; unset: as many as the platform allows",
    ),
    *PICTURES.values(),
]

EVENT = Form([Field("host", identifier(), description="the id of a host"), *_DETAILS])
EVENT_CHANGES = Form(_DETAILS)

CANCELLATION = Form([Field("reason", text(2_000, lines=True, example="The hall was flooded."))])

SECTION = Form(
    [
        Field("name", identifying(example="Backstage")),
        Field("description", text(5_000, lines=True, example="Meet the cast")),
        Field("basePrice", amount(), description="a PUT may carry `price.base` instead"),
        Field("salesStart", moment()),
        Field("salesEnd", moment()),
        Field("capacity", integer(0, MOST_PLACES, example=100)),
        Field("active", boolean(), required=False, empty=True),
    ]
)

PRICE = Form(
    [
        Field("name", text(example="Early bird")),
        Field("price", amount()),
        Field("from", moment(), required=False),
        Field("to", moment(), required=False),
        Field("quantity", integer(1, MOST_PLACES, example=20), required=False, empty=None),
    ]
)


# Sections as other things name them


def parse_section(uri: str) -> tuple[int, int] | None:
    """The ids of event and section in `/events/E/sections/S`, or None."""
    match uri.split("/"):
        case ["", "events", event, "sections", section]:
            event_id, section_id = ids.parse(event), ids.parse(section)
            return (event_id, section_id) if event_id is not None and section_id is not None else None
    return None


def quantities(maximum: int, *, example: dict[str, int]) -> Kind:
    """How many of each section, {full section URI: quantity}; parsed to triples of event, section and quantity."""
    counts = mapping(maximum, "an object of quantities by the full URI of each section", example=example)

    def parse(value: Any) -> tuple[tuple[int, int, int], ...]:
        lines = []
        for name, quantity in counts.parse(value).items():
            named = parse_section(name)
            if named is None:
                raise BadValue(f"{quoted(name)} is no full URI of a section: /events/E/sections/S")
            lines.append((*named, quantity))
        if len({section for _, section, _ in lines}) < len(lines):
            raise BadValue("names a section twice")
        return tuple(lines)

    return replace(counts, parse=parse)
