"""Gate tokens and admissions on the wire."""

from dataclasses import replace
from typing import Any

import msgspec

from ticketing.accounts.schemas import ShortAccount
from ticketing.events.schemas import parse_section
from ticketing.tickets.schemas import ShortSection, Ticket
from ticketing.web.forms import BadValue, Field, Form, Kind, text, texts

MOST_SECTIONS = 1000  # of one token
MOST_SERIALS = 500  # of one request


class Token(msgspec.Struct):
    """What staff open a gate with; the global one opens every section of the event, later ones too."""

    uri: str = msgspec.field(name="self")
    code: str
    is_global: bool = msgspec.field(name="global")
    sections: list[str]


class TokenKey(msgspec.Struct):
    """The API key behind a code, and what it opens."""

    key: str
    event: str
    sections: list[str]


class TicketPage(msgspec.Struct):
    """A page of tickets, and the `modified_since` to ask with next.

    `doors` is when the event's doors open, as it was sent, `opens` the same as an instant; both "" where none are set.
    """

    page: int
    records: int
    total: int
    entries: list[Ticket]
    cursor: str
    doors: str
    opens: str


class Admission(msgspec.Struct):
    """Who was let in, by whom, with which ticket (its serial).

    For gate keys the patron's `username` and `email` are "" unless the host has set `contactsAtGates`.
    """

    uri: str = msgspec.field(name="self")
    redeemer: str
    device: str
    ticket: str
    patron: ShortAccount
    section: ShortSection
    admitted: str


class Refusal(msgspec.Struct):
    """A scan that opened nothing: what was scanned, by whom, and the reason.

    `patron` and `section` are null where what was scanned is no ticket of the event (of the key's sections). Of the
    patron a gate key reads what it reads of an admission's.
    """

    uri: str = msgspec.field(name="self")
    redeemer: str
    device: str
    ticket: str
    reason: str
    patron: ShortAccount | None
    section: ShortSection | None
    refused: str


class RefusalPage(msgspec.Struct):
    """A page of refused scans; `dropped` were beyond what a gate may store in a day, and are only counted."""

    page: int
    records: int
    total: int
    entries: list[Refusal]
    dropped: int


def _scans() -> Kind:
    """Whatever a scanner read; entries that can be no serial are refused one by one, never the whole upload."""
    expects = f"a list of up to {MOST_SERIALS} serials"

    def parse(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise BadValue(f"must be {expects}")
        if len(value) > MOST_SERIALS:
            raise BadValue(f"at most {MOST_SERIALS} in one list")
        return value

    schema = {"type": "array", "items": {}, "maxItems": MOST_SERIALS}
    return Kind(parse, expects, schema, ["DAWIER-BACK75580348"])


def _sections() -> Kind:
    uris = texts(MOST_SECTIONS, example=["/events/17325458293736/sections/17325458293999"])

    def parse(value: Any) -> list[tuple[int, int]]:
        named = [parse_section(uri) for uri in uris.parse(value)]
        if None in named:
            raise BadValue("must be full URIs of sections: /events/E/sections/S")
        return list(dict.fromkeys(pair for pair in named if pair))

    return replace(uris, parse=parse, expects="a list of full URIs of sections: /events/E/sections/S")


TOKEN = Form([Field("sections", _sections(), description="full URIs of sections of this event")])

ADMISSION = Form(
    [
        Field("redeemer", text(example="Gate staff"), description="who scans"),
        Field("device", text(example="Scanner 4"), description="what with"),
        Field(
            "serials",
            _scans(),
            description="serials, or what the QR codes of tickets carry; what can be neither is left out",
        ),
    ]
)
