"""Orders on the wire."""

import msgspec

from ticketing.accounts.queries import ShortAccount
from ticketing.events.schemas import quantities
from ticketing.web.forms import Field, Form, amount, text


class Item(msgspec.Struct):
    """So many tickets of one section at one price per ticket; a section has an item for each price it took."""

    section: str
    number: str
    name: str
    description: str
    price: float
    quantity: int


class Order(msgspec.Struct):
    """Places held or tickets bought; `expires` tells until when an unpaid order holds its places."""

    uri: str = msgspec.field(name="self")
    number: str
    status: str
    placed: str
    subtotal: float
    fees: float
    total: float
    items: list[Item]
    payments: str
    refunds: str
    expires: str
    customer: ShortAccount | msgspec.UnsetType = msgspec.UNSET


MOST_LINES = 100  # sections in one order

ORDER = Form(
    [
        Field(
            "items",
            quantities(MOST_LINES, example={"/events/17325458293736/sections/17325458293999": 2}),
            description="full section URI: quantity; one order may span several events",
        ),
        Field(
            "customer",
            text(40, example="MO-6A39EE8D"),
            required=False,
            description="account number; default the caller",
        ),
        Field(
            "expected",
            amount(example=41.98),
            required=False,
            empty=None,
            description="the total that the customer was shown, fees included: an order that costs another is refused",
        ),
    ]
)
