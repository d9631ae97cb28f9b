"""Transfers on the wire."""

import msgspec

from ticketing.accounts.schemas import ShortAccount
from ticketing.events.schemas import quantities
from ticketing.web.forms import Field, Form, text


class Sent(msgspec.Struct):
    """So many tickets of one section."""

    section: str
    name: str
    description: str
    quantity: int


class Transfer(msgspec.Struct):
    """Tickets on their way. `status`: Pending (they wait in the sender's wallet), Claimed, Cancelled."""

    uri: str = msgspec.field(name="self")
    status: str
    initiated: str
    sender: ShortAccount
    recipient: ShortAccount
    tickets: list[Sent]
    claims: str


class Claim(msgspec.Struct):
    """The tickets changed hands; `claimant` is `First Last (username)`."""

    date: str
    claimant: str
    success: bool


MOST_LINES = 100  # sections in one transfer
MOST_TICKETS = 1000  # in one transfer

_NUMBER = text(40, example="MO-6A39EE8D")

TRANSFER = Form(
    [
        Field("recipient", _NUMBER, description="account number"),
        Field(
            "tickets",
            quantities(MOST_LINES, example={"/events/17325458293736/sections/17325458293999": 2}),
            description=f"full section URI: quantity; several events may be mixed, {MOST_TICKETS} tickets at most",
        ),
        Field("sender", _NUMBER, required=False, description="account number; default the caller"),
    ]
)
