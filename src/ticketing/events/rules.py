"""Pure decisions about events: which price a section asks now. The fee on top goes by it (`kit.money`)."""

from collections.abc import Iterable
from typing import NamedTuple

from ticketing.kit.money import Bands as Bands
from ticketing.kit.money import fee_cents as fee_cents
from ticketing.kit.money import parse_bands as parse_bands


class Offer(NamedTuple):
    """A timed or limited price.

    `opens` and `closes` are seconds since 1970 (None: always); a datetime would overflow at 9999-12-31T23:59:59.999Z
    in half the world. `quantity` is None when unlimited; `used` are the places sold or held at it. `ends` is the
    closing time as it was sent.
    """

    id: int
    cents: int
    opens: float | None
    closes: float | None
    quantity: int | None
    used: int
    ends: str = ""


class CurrentPrice(NamedTuple):
    """What a place costs now: the offer it comes from (None: the base price), and until when ("": no end)."""

    price_id: int | None
    cents: int
    expires: str


def current_price(base_cents: int, offers: Iterable[Offer], now: float) -> CurrentPrice:
    """The lowest price that is open at `now` (seconds since 1970); the base price always is.

    Of two equal ones it is the older; the base price, before any other.
    """
    lowest = CurrentPrice(None, base_cents, "")
    for offer in sorted(offers):
        if offer.cents < lowest.cents and is_open(offer, now):
            lowest = CurrentPrice(offer.id, offer.cents, offer.ends)
    return lowest


def is_open(offer: Offer, now: float) -> bool:
    """Whether the offer has begun, has not ended, and has places left; it is over at the instant it closes."""
    return (
        (offer.opens is None or offer.opens <= now)
        and (offer.closes is None or now < offer.closes)
        and (offer.quantity is None or offer.used < offer.quantity)
    )
