"""What the platform asks of a payment provider, and what a provider may answer.

Every request carries a key made from the id of our row, so that asking twice charges, or refunds, once. What is not
known after the answer (or the lack of one) is asked for again by `reconciling`, until it is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Silent(Exception):
    """No answer in time, or no connection: the provider may have done what it was asked, or not."""


class Failed(Exception):
    """The provider answered with a fault of its own, and did nothing as far as it says."""


class Action(msgspec.Struct, omit_defaults=True):
    """What the customer has to do at his bank before the provider goes on; a real secret is sealed (`sealing`)."""

    type: str
    client_secret: str = msgspec.field(name="clientSecret")
    return_url: str = msgspec.field(name="returnUrl")
    url: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it was typed in. It lives in the request alone and shows itself to nobody."""

    number: str = field(repr=False)
    cvv: str = field(repr=False)
    month: int = field(repr=False)
    year: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A provider's name for a card that the platform never saw."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whom the provider may ask about the charge."""

    name: str = field(repr=False)
    email: str = field(repr=False)
    phone: str = field(repr=False)
    lines: tuple[str, str] = field(repr=False)
    city: str = field(repr=False)
    district: str = field(repr=False)
    country: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Charge:
    """An attempt to take money: our key, what the provider calls it ("": not known), the amount in minor units.

    `order` is the order's number, by which people find the charge at the provider.
    """

    key: str
    reference: str
    amount_cents: int
    currency: str
    order: str = ""


@dataclass(frozen=True, slots=True)
class Repayment:
    """Money that is to go back: our key, the charge's reference, the amount in minor units."""

    key: str
    reference: str
    charge_reference: str
    amount_cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class Done:
    """The money was taken, or given back."""

    reference: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not, and under this key never will be; `code` says why in a word."""

    reference: str
    code: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """It is not decided; perhaps because the customer has something to do first."""

    reference: str = ""
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The provider was asked for nothing under this key so far; a request may still be on its way."""

    reference: str = ""


Outcome = Done | Refused | Waiting | NotBegun

Remember = Callable[[str], Awaitable[None]]


class Provider(Protocol):
    """One way to take money and to give it back. Every method raises Silent or Failed."""

    name: str
    takes_cards: bool

    async def charge(self, charge: Charge, means: Card | Token, payer: Payer, remember: Remember) -> Outcome:
        """Take the money.

        Awaits `remember(reference)` before the money can move, where the provider names the charge beforehand; what
        that raises ends the attempt.
        """

    async def find(self, charge: Charge) -> Outcome:
        """What became of the charge."""

    async def cancel(self, charge: Charge) -> Outcome:
        """See to it that the charge can never succeed: Refused, or Done when it already had, or Waiting."""

    async def repay(self, repayment: Repayment, *, again: bool) -> Outcome:
        """Give money back; `again`: it may have been asked for before."""

    async def close(self) -> None:
        """Let go of connections."""
