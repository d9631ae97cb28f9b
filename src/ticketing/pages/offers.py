"""What a buyer is told about an event and its sections: on sale or not, for how much, how many are left."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ticketing.languages import Moment, moment_of

from .words import N_, ends, starts

FEW = 10  # places, or a twentieth of them
A_DAY = timedelta(days=1)

SOLD_OUT, FEW_LEFT, NOT_YET = N_("Sold out"), N_("Few left"), N_("Soon on sale")
ENDED, OVER, CANCELLED = N_("Sales have ended"), N_("Over"), N_("Cancelled")


@dataclass(frozen=True)
class Offer:
    """What an event's card says: prices in whole units (None: nothing is on sale), a mark and its tone."""

    lowest: float | None
    highest: float | None
    mark: str
    tone: str


@dataclass(frozen=True)
class SectionOffer:
    """One section as it can be bought now.

    `state` is `open`, `sold_out`, `not_yet`, `ended`, `closed` (the host stopped it) or `off` (the event is not sold).
    """

    section: dict[str, Any]
    state: str
    opens: Moment | None
    closes: Moment | None
    price_until: Moment | None

    @property
    def uri(self) -> str:
        """The section's whole URI, as an order names it."""
        return str(self.section["uri"])

    @property
    def price(self) -> float:
        """Per ticket now, without the fee."""
        return float(self.section["price"]["current"])

    @property
    def fee(self) -> float:
        """Per ticket now."""
        return float(self.section["fees"])

    @property
    def remaining(self) -> int:
        """Places that can be had now."""
        return int(self.section["remaining"])

    @property
    def is_scarce(self) -> bool:
        """Whether to say how few are left."""
        return self.state == "open" and self.remaining <= max(FEW, int(self.section["capacity"]) // 20)


def section_offers(event: dict[str, Any], now: datetime) -> list[SectionOffer]:
    """The sections of an event, in its order."""
    zone = event["venue"].get("timezone", "UTC")
    is_off = event["status"] != "Listed" or is_over(event, now)
    found = []
    for section in event["sections"]:
        opens, closes = moment_of(section["salesStart"], zone), moment_of(section["salesEnd"], zone)
        if is_off:
            state = "off"
        elif not section["active"]:
            state = "closed"
        elif opens is not None and now < opens.at:
            state = "not_yet"
        elif closes is not None and now >= closes.at:
            state = "ended"
        elif int(section["remaining"]) <= 0:
            state = "sold_out"
        else:
            state = "open"
        price_until = moment_of(section["price"]["expires"], zone)
        found.append(SectionOffer(section, state, opens, closes, price_until))
    return found


def event_offer(event: dict[str, Any], now: datetime) -> Offer:
    """What the card of an event says."""
    sections = section_offers(event, now)
    if event["status"] == "Cancelled":
        return Offer(None, None, CANCELLED, "bad")
    if is_over(event, now):
        return Offer(None, None, OVER, "")
    on_sale = [one for one in sections if one.state == "open"]
    shown = on_sale or [one for one in sections if one.state in ("not_yet", "sold_out")]
    prices = [one.price for one in shown]
    lowest, highest = (min(prices), max(prices)) if prices else (None, None)
    if on_sale:
        few = all(one.is_scarce for one in on_sale)
        return Offer(lowest, highest, FEW_LEFT if few else "", "warn" if few else "")
    states = {one.state for one in sections}
    if "not_yet" in states:
        return Offer(lowest, highest, NOT_YET, "")
    if "sold_out" in states:
        return Offer(lowest, highest, SOLD_OUT, "bad")
    return Offer(None, None, ENDED if "ended" in states else "", "")


def is_over(event: dict[str, Any], now: datetime) -> bool:
    """Whether an event is over: its end has passed; without one, a day after its start; without dates never."""
    end, start = ends(event), starts(event)
    if end is not None:
        return end.at <= now
    return start is not None and start.at + A_DAY <= now
