"""Pure decisions about money: what may be paid and given back, and what an answer of the provider leads to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from ticketing.orders.rules import Status

from .providers import Done, NotBegun, Outcome, Refused

HOLD_WHILE_PAYING = timedelta(minutes=10)
GRACE = timedelta(hours=1)  # how far beyond its deadline an attempt that is under way keeps the hold; see `held_while`
CARDS_LAST = timedelta(hours=12)  # it is still the last day of the month somewhere


class State(StrEnum):
    """What became of a payment or a refund."""

    PENDING = "Pending"
    AUTHORISED = "Authorised"
    DECLINED = "Declined"


class Places(Enum):
    """Whether an order could be fulfilled now."""

    HELD = "held for it"
    FREE = "no longer held, but free"
    GONE = "sold to others, or not on offer any more"


class Step(Enum):
    """What follows from an answer."""

    NOTHING = "it was known"
    WAIT = "not decided yet"
    DECLINE = "no money was taken"
    FULFIL = "the order is paid"
    GIVE_BACK = "the money came for an order that is gone"


def next_step(state: State, outcome: Outcome, order: Status, places: Places) -> Step:
    """What an answer means for an attempt of this state, of an order with this stored status.

    Money that was taken always leads somewhere, also when the attempt had been given up.
    """
    if state is State.AUTHORISED:
        return Step.NOTHING
    if isinstance(outcome, Done):
        is_wanted = order in (Status.PLACED, Status.TIMED_OUT) and places is not Places.GONE
        return Step.FULFIL if is_wanted else Step.GIVE_BACK
    if state is State.DECLINED:
        return Step.NOTHING
    return Step.DECLINE if isinstance(outcome, Refused) else Step.WAIT


def is_to_cancel(outcome: Outcome, order: Status, now: datetime, deadline: datetime) -> bool:
    """Whether an attempt that is not decided has to end now: it was never begun, or its time or its order is over."""
    if isinstance(outcome, Done | Refused):
        return False
    return isinstance(outcome, NotBegun) or now >= deadline or order is not Status.PLACED


def deadline_of(now: datetime, held_until: datetime, *, stretches: bool) -> datetime:
    """When an attempt that is opened now has to have ended.

    It has ten minutes and stretches the order's hold to its own end; one that stretches none ends with the hold.
    """
    deadline = now + HOLD_WHILE_PAYING
    return deadline if stretches else min(deadline, held_until)


def held_while(deadline: datetime, *, under_way: bool) -> datetime:
    """Until when an open attempt keeps its order's places.

    Up to its deadline; while a call to the provider is under way longer, so that a hold never ends between the charge
    and its record - and not for ever, in case nobody comes to record it.
    """
    return deadline + GRACE if under_way else deadline


def has_expired(month: int, year: int, now: datetime) -> bool:
    """Whether a card that lasts to the end of this month is of the past everywhere on earth."""
    today = now - CARDS_LAST
    return (year, month) < (today.year, today.month)


class RefundStep(Enum):
    """What follows from an answer about a refund."""

    NOTHING = "it was known, or is not decided yet"
    REPAID = "the money went back"
    REFUSED = "it did not; the items may be refunded again"


def next_refund_step(state: State, outcome: Outcome) -> RefundStep:
    """What an answer means for a refund of this state; one that had succeeded may fail at the customer's bank."""
    if isinstance(outcome, Done) and state is State.PENDING:
        return RefundStep.REPAID
    if isinstance(outcome, Refused) and state is not State.DECLINED:
        return RefundStep.REFUSED
    return RefundStep.NOTHING


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a fulfilled order, as refunds see it: its price and fee for all its tickets, in cents.

    `is_claimed`: a refund that gives it back is open or has succeeded.
    """

    id: int
    cents: int
    is_live: bool
    is_claimed: bool


class NoRefund(Enum):
    """Why an order's money does not go back."""

    STATUS = "only a fulfilled order is refunded"
    FREE = "there is nothing to give back"
    UNDER_WAY = "all of it is being given back already"


def choose_items(status: Status, total_cents: int, items: Sequence[Item]) -> list[Item] | NoRefund:
    """What a refund of the whole order gives back: the items that are live or still owed, each once."""
    if status is Status.FULFILLED and total_cents == 0:
        return NoRefund.FREE
    if status is not Status.FULFILLED:
        return NoRefund.STATUS
    chosen = [item for item in items if not item.is_claimed and (item.is_live or item.cents > 0)]
    return chosen or NoRefund.UNDER_WAY
