"""Reports on the wire; amounts are without fees unless they say so."""

import msgspec

from ticketing.accounts.schemas import ShortAccount


class HostStatistics(msgspec.Struct):
    """What a host has sold, over all its events: live `orders` and `tickets`, `revenue` less what went back."""

    uri: str = msgspec.field(name="self")
    events: int
    orders: int
    revenue: float
    tickets: int
    customers: int


class EventStatistics(msgspec.Struct):
    """What an event has sold; `capacity` of all its sections."""

    uri: str = msgspec.field(name="self")
    capacity: int
    orders: int
    revenue: float
    tickets: int


class Figures(msgspec.Struct):
    """What was sold: live orders and tickets; all that was ever sold, the fees kept, what was given back, what is left.

    An order with places in two rows is counted in both, and once in the totals.
    """

    orders: int
    tickets: int
    gross: float
    fees: float
    refunded: float
    net: float


class SalesRow(msgspec.Struct):
    """The sales of a section, a day, a week or a month; `key` tells it apart, `name` is for people."""

    key: str
    name: str
    orders: int
    tickets: int
    gross: float
    fees: float
    refunded: float
    net: float


class Sales(msgspec.Struct, rename={"since": "from", "until": "to", "uri": "self"}):
    """The sales of an event by the day of the order, in the event's time zone."""

    uri: str
    event: str
    currency: str
    since: str
    until: str
    group: str
    rows: list[SalesRow]
    totals: Figures


class Transaction(msgspec.Struct):
    """Money that moved, or was to move: a payment or a refund; `amount` includes the `fees`.

    `reference` is the provider's name for it; as long as that is not known, the one it was asked under.
    """

    reference: str
    date: str
    type: str
    order: str
    customer: ShortAccount
    amount: float
    fees: float
    currency: str
    status: str
    provider: str
