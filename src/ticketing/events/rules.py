"""Pure decisions about events: which price a section asks now, and the fee that comes on top."""

from collections.abc import Iterable
from typing import NamedTuple

from ticketing.kit.money import to_cents

Bands = tuple[tuple[int | None, int], ...]


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


def parse_bands(text: str) -> Bands:
    """The fee bands of the setting, `50:0.99,100:1.99,:4.99`: (price up to in cents or None, fee in cents), rising.

    Raises ValueError with one sentence when they are malformed or leave prices without a fee.
    """
    bands: list[tuple[int | None, int]] = []
    for part in text.split(","):
        limit_text, colon, fee_text = part.strip().partition(":")
        fee = to_cents(fee_text)
        limit = to_cents(limit_text) if limit_text else None
        if not colon or fee is None or fee < 0 or (limit_text and (limit is None or limit <= 0)):
            raise ValueError(f"`{part.strip()}` is no fee band like `50:0.99`.")
        bands.append((limit, fee))
    limits = [limit for limit, _ in bands]
    bounded = [limit for limit in limits if limit is not None]
    if limits[-1] is not None or len(bounded) != len(bands) - 1 or bounded != sorted(set(bounded)):
        raise ValueError("Fee bands rise, and the last has no upper price: `50:0.99,:4.99`.")
    return tuple(bands)


def fee_cents(price_cents: int, bands: Bands) -> int:
    """The fee on top of a ticket of this price; a free one has none."""
    if price_cents == 0:
        return 0
    return next(fee for limit, fee in bands if limit is None or price_cents <= limit)
