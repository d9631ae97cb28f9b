"""Regions on the wire."""

import msgspec

from ticketing.countries.names import A_COUNTRY, is_country
from ticketing.web.forms import Field, Form, checked, identifying, text


class Region(msgspec.Struct, rename="camel"):
    """Where events are staged; venues and people's preferences refer to it."""

    uri: str = msgspec.field(name="self")
    name: str
    country: str
    district: str
    city: str
    icon: str


REGION = Form(
    [
        Field("name", identifying(example="Saint John's")),
        Field(
            "country", checked(is_country, A_COUNTRY, {"description": "see /countries"}, example="Antigua and Barbuda")
        ),
        Field("district", text(), required=False),
        Field("city", text(), required=False),
    ]
)
