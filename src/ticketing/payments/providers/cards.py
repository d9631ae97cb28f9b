"""The sandbox's cards: which number, or token, plays which part. The table in `docs/payments.md` is this one."""

from dataclasses import dataclass
from typing import Literal

from . import Card, Token

Ending = Literal["succeeded", "declined", "processing", "requires_action"]
Trouble = Literal["", "fails", "silent before", "silent after"]
Refunds = Literal["succeed", "fail once", "silent once"]


@dataclass(frozen=True, slots=True)
class Part:
    """How a charge goes: where it ends, what goes wrong on the way, and how its refunds will go."""

    ending: Ending = "succeeded"
    code: str = ""
    trouble: Trouble = ""
    refunds: Refunds = "succeed"
    abandoned: bool = False  # whatever is awaited never comes


SUCCEEDS = Part()
PARTS: dict[str, tuple[str, Part]] = {
    "4111111111111111": ("tok_visa", SUCCEEDS),
    "4000000000000002": ("tok_declined", Part("declined", "card_declined")),
    "4000000000009995": ("tok_insufficient_funds", Part("declined", "insufficient_funds")),
    "4000000000000119": ("tok_provider_error", Part(trouble="fails")),
    "4000000000002008": ("tok_timeout_before", Part(trouble="silent before")),
    "4000000000002107": ("tok_timeout_after", Part(trouble="silent after")),
    "4000000000003006": ("tok_slow", Part("processing")),
    "4000002500003155": ("tok_3ds", Part("requires_action")),
    "4000000000003105": ("tok_3ds_abandoned", Part("requires_action", abandoned=True)),
    "4000000000004004": ("tok_refund_fails", Part(refunds="fail once")),
    "4000000000004103": ("tok_refund_timeout", Part(refunds="silent once")),
}
_BY_TOKEN = dict(PARTS.values())


def part_of(means: Card | Token) -> Part:
    """The part that a card plays: listed ones theirs, others succeed unless their number fails the Luhn check."""
    if isinstance(means, Token):
        return _BY_TOKEN.get(means.text, Part("declined", "unknown_token"))
    if not passes_luhn(means.number):
        return Part("declined", "incorrect_number")
    return PARTS[means.number][1] if means.number in PARTS else SUCCEEDS


def passes_luhn(number: str) -> bool:
    """Whether the last digit of a card number fits the others (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0
