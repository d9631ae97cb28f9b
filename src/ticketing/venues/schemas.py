"""Venues on the wire."""

import msgspec

from ticketing.regions.queries import find_region
from ticketing.regions.schemas import Region
from ticketing.web.forms import Field, Form, identifier, identifying, number, text


class Venue(msgspec.Struct, rename="camel"):
    """Where events take place; `region` is a URI. Event times without an offset are local to `timezone`."""

    uri: str = msgspec.field(name="self")
    name: str
    region: str
    longitude: float
    latitude: float
    address: str
    map: str
    timezone: str


class EventVenue(msgspec.Struct, rename="camel"):
    """A venue as an event shows it: `region` is the region itself."""

    uri: str = msgspec.field(name="self")
    name: str
    region: Region
    longitude: float
    latitude: float
    address: str
    map: str
    timezone: str


VENUE = Form(
    [
        Field("name", identifying(example="Sir Vivian Richards Stadium")),
        Field("region", identifier(), find=find_region, description="the id of a region"),
        Field("address", text(1000, lines=True, example="Sir Sydney Walling Highway")),
        Field("longitude", number(-180, 180, example=-61.7849)),
        Field("latitude", number(-90, 90, example=17.1033)),
    ]
)
