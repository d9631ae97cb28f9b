"""Hosts on the wire."""

import msgspec

from ticketing.accounts.rules import A_PHONE, AN_ADDRESS, PHONE_LENGTH, is_email, is_phone
from ticketing.countries.names import A_COUNTRY, is_country
from ticketing.web.forms import Field, Form, boolean, checked, identifying, text

from .rules import is_website


class Host(msgspec.Struct, rename="camel"):
    """Who stages events; every member is echoed as it was sent.

    `contactsAtGates`: whether the gate keys of its events read usernames and e-mail addresses of guests beside names.
    """

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
    contacts_at_gates: bool = False


class Administrator(msgspec.Struct, rename="camel", omit_defaults=True):
    """Somebody who runs a host; who was only asked to (`accepted` false) is shown by number and username alone."""

    uri: str = msgspec.field(name="self")
    number: str
    username: str
    accepted: bool
    email: str | msgspec.UnsetType = msgspec.UNSET
    first_name: str | msgspec.UnsetType = msgspec.UNSET
    last_name: str | msgspec.UnsetType = msgspec.UNSET


HOST = Form(
    [
        Field("name", identifying(example="Wadadli Nights")),
        Field("contact", text(example="Alice Joseph")),
        Field("email", checked(is_email, AN_ADDRESS, {"format": "email"}, maximum=254, example="alice@example.com")),
        Field("description", text(10_000, lines=True), required=False),
        Field(
            "phone", checked(is_phone, A_PHONE, {"maxLength": PHONE_LENGTH}, example="+1 268 460 1234"), required=False
        ),
        Field(
            "website",
            checked(is_website, "the address of a website", {}, maximum=2_000, example="https://www.example.com"),
            required=False,
        ),
        Field("country", checked(is_country, A_COUNTRY, {"description": "see /countries"}), required=False),
        Field("firstAddressLine", text(), required=False),
        Field("secondAddressLine", text(), required=False),
        Field("city", text(), required=False),
        Field("state", text(), required=False),
        Field("businessNo", text(), required=False),
        Field(
            "contactsAtGates",
            boolean(),
            required=False,
            empty=False,
            description="whether gate keys are told usernames and e-mail addresses of guests",
        ),
    ]
)

ADMINISTRATOR = Form([Field("account", text(100, example="MO-6A39EE8D"), description="an account number")])
