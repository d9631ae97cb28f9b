"""Money as people write it."""

from decimal import Decimal

from babel.numbers import format_currency

from .catalogues import Language


def amount(language: Language, value: float | Decimal, currency: str) -> str:
    """`$1,234.50`, `1.234,50 €`; the value as the API gives it, in whole units with cents."""
    return str(format_currency(Decimal(str(value)), currency, locale=language.locale))
