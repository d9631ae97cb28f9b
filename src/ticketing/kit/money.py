"""Money: integer cents inside, JSON numbers rounded to cents outside."""

from decimal import ROUND_HALF_UP, Decimal

MAXIMUM_CENTS = 10**11  # a thousand million: beyond it somebody mistyped


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
