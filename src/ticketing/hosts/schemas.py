"""Hosts on the wire."""

import msgspec

from ticketing.countries.names import is_country
from ticketing.kit.forms import Field, Form, checked, text


class Host(msgspec.Struct, rename="camel"):
    """Who stages events; every member is echoed as it was sent."""

    uri: str = msgspec.field(name="self")
    name: str
    contact: str
    email: str
    description: str
    phone: str
    website: str
    country: str
    first_address_line: str
    second_address_line: str
    city: str
    state: str
    business_number: str = msgspec.field(name="businessNo")


HOST = Form(
    [
        Field("name", text(example="Wadadli Nights")),
        Field("contact", text(example="Alice Joseph")),
        Field("email", text(254, pattern=r"[^@\s]+@[^@\s]+", example="alice@example.com")),
        Field("description", text(10_000), required=False),
        Field("phone", text(50), required=False),
        Field("website", text(2_000), required=False),
        Field("country", checked(is_country, {"description": "see /countries"}), required=False),
        Field("firstAddressLine", text(), required=False),
        Field("secondAddressLine", text(), required=False),
        Field("city", text(), required=False),
        Field("state", text(), required=False),
        Field("businessNo", text(), required=False),
    ]
)

ADMINISTRATOR = Form([Field("account", text(100, example="MO-6A39EE8D"), description="an account number")])
