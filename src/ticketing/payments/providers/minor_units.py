"""Amounts as Stripe counts them. The platform counts every currency in hundredths; Stripe does not.

See https://docs.stripe.com/currencies.
"""

WITHOUT_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
WITH_THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
WHOLE_IN_HUNDREDTHS = frozenset(["ISK", "UGX"])  # counted in hundredths, of which there are none


def to_minor_units(amount_cents: int, currency: str) -> int | None:
    """The amount as an integer of Stripe's; None when the currency has no such amount (half a yen)."""
    currency = currency.upper()
    if currency in WITH_THREE_DECIMALS:
        return amount_cents * 10
    if currency in WITHOUT_DECIMALS:
        return None if amount_cents % 100 else amount_cents // 100
    if currency in WHOLE_IN_HUNDREDTHS and amount_cents % 100:
        return None
    return amount_cents
