"""Money: integer cents inside, JSON numbers rounded to cents outside."""

from decimal import ROUND_HALF_UP, Decimal

MAXIMUM_CENTS = 10**11  # a thousand million: beyond it somebody mistyped

Bands = tuple[tuple[int | None, int], ...]


def to_cents(amount: float | int | str) -> int | None:
    """The amount in cents, half a cent rounded up; None when it is no finite amount within the maximum."""
    try:
        exact = Decimal(str(amount).strip())
    except ArithmeticError:
        return None
    if not exact.is_finite() or abs(exact) * 100 > MAXIMUM_CENTS:
        return None
    return int((exact * 100).to_integral_value(ROUND_HALF_UP))


def to_amount(cents: int) -> float:
    """The amount as it goes on the wire: 693 -> 6.93."""
    return cents / 100


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
