"""Tickets on the wire, the same for their owners and at the gate."""

import msgspec

from ticketing.accounts.schemas import ShortAccount


class ShortSection(msgspec.Struct):
    """A section where a ticket or an admission mentions it; `self` is its full URI."""

    uri: str = msgspec.field(name="self")
    name: str
    description: str


class Ticket(msgspec.Struct):
    """A place in a section. `status`: Issued, Pending (in a transfer), Redeemed, Voided; `redeemed` may be `N/A`.

    For gate keys the owner's `username` and `email` are "" unless the host has set `contactsAtGates`.
    """

    uri: str = msgspec.field(name="self")
    serial: str
    status: str
    section: ShortSection
    owner: ShortAccount
    issued: str
    redeemed: str
