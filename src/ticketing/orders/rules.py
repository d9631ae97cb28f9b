"""Pure decisions about orders: who gets places, at which price, and what may still become of an order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum


class Status(StrEnum):
    """What became of an order."""

    PLACED = "Placed"
    TIMED_OUT = "Timed Out"
    CANCELLED = "Cancelled"
    FULFILLED = "Fulfilled"
    REFUNDED = "Refunded"
    VOIDED = "Voided"


class Reason(Enum):
    """Why an order was not placed."""

    UNKNOWN_SECTION = "unknown section"
    NOT_AVAILABLE = "not enough left, not on sale, or not listed"
    LIMIT = "limit of tickets or open orders"
    PRICE = "it costs another price than was expected"
    UNVERIFIED = "it costs nothing, and the customer's address is not verified"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for: section ids (with the event each is said to be of) and quantities above zero.

    The id and the number are given before anything is written, so that a batch whose commit went unheard can be
    found again instead of being placed twice. `privileged` is an administrator's order: drafts, closed sales and
    events that are over, without a limit of tickets. `expected_cents` is the total that the customer was shown, if
    he says so.
    """

    order_id: int
    number: str
    customer_id: int
    lines: tuple[tuple[int, int, int], ...]
    privileged: bool = False
    expected_cents: int | None = None


@dataclass(slots=True)
class PriceState:
    """A timed or limited price as it stands: `left` is None when unlimited."""

    id: int
    cents: int
    left: int | None


@dataclass(slots=True)
class SectionState:
    """A locked section: what it holds, and the prices now open (the base price is always).

    `tickets_per_customer` is what its event's host says, if anything.
    """

    id: int
    event_id: int
    event_title: str
    name: str
    description: str
    free: int
    base_cents: int
    on_sale: bool
    cancelled: bool
    prices: list[PriceState]
    tickets_per_customer: int | None = None


@dataclass(slots=True)
class Usage:
    """What a customer already has: open orders, and per event tickets that are live, held, or were let go lately.

    `verified`: his e-mail address is.
    """

    open_orders: int = 0
    tickets: dict[int, int] = field(default_factory=dict)
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one customer may have; 0 tickets per event is no limit.

    Of orders that cost nothing: `free_per_event` tickets, with those that he has, and whether his address must be
    verified (`free_verified`).
    """

    open_orders: int
    tickets_per_event: int
    free_per_event: int = 0
    free_verified: bool = False

    def of_event(self, section: SectionState, *, is_free: bool) -> int:
        """How many tickets of a section's event; 0: no limit."""
        most = self.tickets_per_event if section.tickets_per_customer is None else section.tickets_per_customer
        if not is_free or not self.free_per_event:
            return most
        return min(most, self.free_per_event) if most else self.free_per_event


@dataclass(frozen=True, slots=True)
class Line:
    """A granted line: so many places of a section at one price; a section has a line for each price it took."""

    section: SectionState
    quantity: int
    price_id: int | None
    price_cents: int
    fee_cents: int


@dataclass(frozen=True, slots=True)
class Granted:
    """An order that is placed; free ones are fulfilled at once."""

    wish: Wish
    lines: tuple[Line, ...]
    subtotal_cents: int
    fees_cents: int

    @property
    def total_cents(self) -> int:
        """What has to be paid."""
        return self.subtotal_cents + self.fees_cents

    @property
    def is_free(self) -> bool:
        """Whether nothing has to be paid."""
        return self.total_cents == 0


@dataclass(frozen=True, slots=True)
class Refused:
    """An order that is not placed."""

    wish: Wish
    reason: Reason


def decide(
    wishes: Sequence[Wish],
    sections: Mapping[int, SectionState],
    usage: Mapping[int, Usage],
    limits: Limits,
    fee: Callable[[int], int],
) -> list[Granted | Refused]:
    """Who gets places, in arrival order; each wish is granted whole or refused, without regard to its neighbours.

    `sections` and `usage` are used up on the way: what one wish got, the next cannot have.
    """
    return [_decide_one(wish, sections, usage, limits, fee) for wish in wishes]


def _decide_one(
    wish: Wish,
    sections: Mapping[int, SectionState],
    usage: Mapping[int, Usage],
    limits: Limits,
    fee: Callable[[int], int],
) -> Granted | Refused:
    if wish.customer_id not in usage:  # deleted or deactivated in the meantime
        return Refused(wish, Reason.NOT_AVAILABLE)
    lines: list[Line] = []
    for event_id, section_id, quantity in wish.lines:
        section = sections.get(section_id)
        if section is None or section.event_id != event_id:
            return Refused(wish, Reason.UNKNOWN_SECTION)
        if section.free < quantity or section.cancelled or not (section.on_sale or wish.privileged):
            return Refused(wish, Reason.NOT_AVAILABLE)
        lines += (
            Line(section, places, price_id, cents, fee(cents))
            for price_id, cents, places in cheapest(section.base_cents, section.prices, quantity)
        )
    granted = Granted(
        wish,
        tuple(lines),
        sum(line.price_cents * line.quantity for line in lines),
        sum(line.fee_cents * line.quantity for line in lines),
    )
    if wish.expected_cents is not None and wish.expected_cents != granted.total_cents:
        return Refused(wish, Reason.PRICE)
    if granted.is_free and limits.free_verified and not (wish.privileged or usage[wish.customer_id].verified):
        return Refused(wish, Reason.UNVERIFIED)
    if _passes_limits(granted, usage[wish.customer_id], limits):
        _take(granted, usage[wish.customer_id])
        return granted
    return Refused(wish, Reason.LIMIT)


def cheapest(base_cents: int, prices: Sequence[PriceState], quantity: int) -> list[tuple[int | None, int, int]]:
    """So many places, the cheapest first: the price each part is taken at (None: the base price), its cents, its size.

    Of equal prices the older comes first, and the base price, which never runs out, before any other.
    """
    taken: list[tuple[int | None, int, int]] = []
    for price in sorted(prices, key=lambda price: (price.cents, price.id)):
        if price.cents >= base_cents:
            break
        places = quantity if price.left is None else min(price.left, quantity)
        if places > 0:
            taken.append((price.id, price.cents, places))
            quantity -= places
    if quantity > 0:
        taken.append((None, base_cents, quantity))
    return taken


def _passes_limits(granted: Granted, usage: Usage, limits: Limits) -> bool:
    if not granted.is_free and usage.open_orders >= limits.open_orders:
        return False
    if granted.wish.privileged:
        return True
    wanted: dict[int, int] = {}
    for line in granted.lines:
        event = line.section.event_id
        wanted[event] = wanted.get(event, 0) + line.quantity
        most = limits.of_event(line.section, is_free=granted.is_free)
        if most and usage.tickets.get(event, 0) + wanted[event] > most:
            return False
    return True


def _take(granted: Granted, usage: Usage) -> None:
    if not granted.is_free:
        usage.open_orders += 1
    for line in granted.lines:
        line.section.free -= line.quantity
        event = line.section.event_id
        usage.tickets[event] = usage.tickets.get(event, 0) + line.quantity
        for price in line.section.prices:
            if price.id == line.price_id and price.left is not None:
                price.left -= line.quantity


def status_now(stored: str, held_until: datetime | None, now: datetime) -> Status:
    """The status for every reader: a placed order whose hold has ended is timed out, tidied or not."""
    if stored == Status.PLACED and held_until is not None and held_until <= now:
        return Status.TIMED_OUT
    return Status(stored)


def storable(number: str) -> str:
    """An order number from a path, or one that nobody has when it cannot be one."""
    return number if len(number) == 12 and number.isascii() and number.isalnum() else ""
