"""From a choice to tickets: the cart, who buys, places held, payment."""

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from ticketing.languages import moment_of

from .client import Refused
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .offers import SectionOffer, section_offers
from .shop import show_event
from .visits import Visit
from .words import N_

pages = Pages()

CARD_FIELDS = (
    "name",
    "number",
    "expiryDate",
    "cvv",
    "email",
    "phone",
    "address1",
    "address2",
    "city",
    "district",
    "country",
)
KEPT_FIELDS = tuple(name for name in CARD_FIELDS if name not in ("number", "cvv", "expiryDate"))
WAIT_SECONDS = 4  # between looks at what became of a payment

DECLINED = {
    "incorrect_number": N_("This card number is not right. Please look at it again."),
    "insufficient_funds": N_("Your bank says that there is not enough on this card. Please try another."),
    "expired_card": N_("This card is no longer good. Please try another."),
}
DECLINED_OTHERWISE = N_("Your bank declined the card, without saying why. Nothing was charged: try another card.")


@dataclass
class Line:
    """Some tickets of one section in the cart."""

    event: dict[str, Any]
    offer: SectionOffer
    quantity: int

    @property
    def can_be_had(self) -> bool:
        """Whether so many can be bought now, as far as anybody knows before trying."""
        return self.offer.state == "open" and self.quantity <= self.offer.remaining


@dataclass
class Cart:
    """What is about to be ordered, as it can be had now."""

    lines: list[Line] = field(default_factory=list)

    @property
    def subtotal(self) -> float:
        """Without fees."""
        return round(sum(line.offer.price * line.quantity for line in self.lines), 2)

    @property
    def fees(self) -> float:
        """Of all tickets."""
        return round(sum(line.offer.fee * line.quantity for line in self.lines), 2)

    @property
    def total(self) -> float:
        """What it comes to, at the prices of now."""
        return round(self.subtotal + self.fees, 2)

    @property
    def is_ready(self) -> bool:
        """Whether it can be ordered as it is."""
        return bool(self.lines) and all(line.can_be_had for line in self.lines)

    @property
    def items(self) -> dict[str, int]:
        """As an order names them."""
        return {line.offer.uri: line.quantity for line in self.lines}


async def read_cart(visit: Visit) -> Cart:
    """The cart with what its sections cost and have left; what is gone altogether is left out."""
    wanted: dict[str, dict[str, int]] = defaultdict(dict)
    for uri, quantity in visit.cart().items():
        wanted[uri.split("/")[2]][uri] = quantity
    events = await asyncio.gather(*(_find_event(visit, event_id) for event_id in wanted))
    lines = []
    for event, chosen in zip(events, wanted.values(), strict=True):
        if event is not None:
            offers = {offer.uri: offer for offer in section_offers(event, visit.now)}
            lines += [Line(event, offers[uri], quantity) for uri, quantity in chosen.items() if uri in offers]
    return Cart(lines)


async def _find_event(visit: Visit, event_id: str) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = await visit.api.get(f"/events/{event_id}")
    except Refused as refused:
        if refused.answer.status in (403, 404):
            return None
        raise
    return event


@pages("POST /cart/items")
async def choose_items(visit: Visit) -> Response:
    """Put what was chosen on an event's page into the cart, in place of what was there of this event."""
    form = await visit.form()
    event_id = form.text("event")
    if not event_id.isdecimal():
        return visit.go("/")
    chosen = {uri: count for uri, count in form.quantities().items() if uri.startswith(f"/events/{event_id}/sections/")}
    others = {uri: count for uri, count in visit.cart().items() if not uri.startswith(f"/events/{event_id}/")}
    if not chosen and len(others) == len(visit.cart()):
        event = await visit.api.get(f"/events/{event_id}")
        return await show_event(visit, event, trouble=visit.language.say(N_("Choose how many tickets you want.")))
    if not visit.keep_cart({**others, **chosen}):
        visit.tell("cart_full")
    return visit.go("/cart")


@pages("GET /cart")
async def cart_page(visit: Visit) -> Response:
    """What is about to be ordered. Nothing is held yet, and the page says so."""
    return await _show_cart(visit, await read_cart(visit))


async def _show_cart(visit: Visit, cart: Cart, *, trouble: str = "", status: int = 200) -> Response:
    return await show(visit, "cart.html", status=status, is_private=True, cart=cart, trouble=trouble)


@pages("POST /cart")
async def change_cart(visit: Visit) -> Response:
    """Change quantities, or take a line out."""
    form = await visit.form()
    kept = {uri: count for uri, count in form.quantities().items() if uri != form.text("remove")}
    visit.keep_cart({uri: count for uri, count in kept.items() if uri in visit.cart()})
    visit.tell("cart_changed")
    return visit.go("/cart")


@pages("GET /checkout")
async def review(visit: Visit) -> Response:
    """Who buys is settled: one look at it all, one button."""
    await visit.account()
    return await _show_cart(visit, await read_cart(visit))


@pages("POST /checkout")
async def hold_places(visit: Visit) -> Response:
    """Place the order: from here on the places are held, and the clock runs."""
    form = await visit.form()
    if not visit.is_signed_in:
        return visit.go("/sign-in", next="/checkout")
    await visit.account()
    # What the form shows is ordered, not what the cart has by now: a second click of it finds the cart empty, and is
    # answered with the order of the first.
    body: dict[str, Any] = {"items": form.quantities()}
    if not body["items"]:
        return visit.go("/cart")
    with contextlib.suppress(ValueError):
        body["expected"] = float(form.text("expected"))
    try:
        order = await visit.api.post("/orders", body, once=form.once)
    except Refused as refused:
        if refused.answer.status not in (400, 409, 422, 429, 503):
            raise
        trouble = trouble_of(refused.answer, visit.language)
        return await _show_cart(visit, await read_cart(visit), trouble=trouble, status=refused.answer.status)
    visit.keep_cart({})
    if order["status"] == "Fulfilled":
        visit.tell("tickets_yours")
        return visit.go(f"/orders/{order['number']}")
    return visit.go(f"/checkout/{order['number']}")


@pages("GET /checkout/{order}")
async def payment_page(visit: Visit) -> Response:
    """What is held, how long, what it costs, and the card."""
    account = await visit.account()
    order = await visit.api.get(f"/orders/{visit.part('order')}")
    attempts = await _attempts(visit, order)
    if attempts and attempts[-1]["status"] == "Pending" and order["status"] == "Placed":
        return visit.go(f"/checkout/{order['number']}/waiting")
    filled = {
        "name": f"{account['firstName']} {account['lastName']}".strip(),
        "email": account["email"],
        "phone": account["phone"],
        "address1": account["firstAddressLine"],
        "address2": account["secondAddressLine"],
        "city": account["city"],
        "district": account["state"],
        "country": account["country"],
    }
    last = attempts[-1] if attempts else None
    trouble = _declined(visit, last) if last is not None and last["status"] == "Declined" else ""
    return await _show_payment(visit, order, filled=filled, trouble=trouble)


async def _attempts(visit: Visit, order: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await visit.api.get(order["payments"], records=100))["entries"]
    return found


async def _show_payment(
    visit: Visit,
    order: dict[str, Any],
    *,
    filled: dict[str, str],
    faults: dict[str, str] | None = None,
    trouble: str = "",
    status: int = 200,
) -> Response:
    if order["status"] == "Fulfilled":
        visit.tell("tickets_yours")
        return visit.go(f"/orders/{order['number']}")
    if order["status"] != "Placed":
        return await show(visit, "checkout_over.html", is_private=True, order=order)
    countries = (await visit.api.get("/countries"))["countries"]
    by_stripe = visit.site.payment_provider == "stripe"
    return await show(
        visit,
        "checkout.html",
        status=status,
        policy=_stripe_policy(visit) if by_stripe else None,
        is_private=True,
        order=order,
        expires=moment_of(order["expires"]),
        countries=countries,
        filled=filled,
        faults=faults or {},
        trouble=trouble,
        by_stripe=by_stripe,
    )


def _stripe_policy(visit: Visit) -> dict[str, str]:
    """What Stripe's script needs, on this page alone."""
    return {
        "script-src": visit.site.stripe_script.rsplit("/", 2)[0],
        "connect-src": "https://api.stripe.com",
        "frame-src": "https://js.stripe.com https://hooks.stripe.com",
    }


@pages("POST /checkout/{order}/payments")
async def pay(visit: Visit) -> Response:
    """Try a card; whatever comes of it is said as it is."""
    form = await visit.form()
    await visit.account()
    number = visit.part("order")
    order = await visit.api.get(f"/orders/{number}")
    filled = form.values(KEPT_FIELDS)
    body: dict[str, Any] = {name: value for name, value in form.values(CARD_FIELDS).items() if value}
    if token := form.text("token"):
        body = {**{name: value for name, value in filled.items() if value}, "token": token}
    try:
        payment = await visit.api.post(order["payments"], body, once=form.once)
    except Refused as refused:
        answer = refused.answer
        order = await visit.api.get(f"/orders/{number}")
        if answer.status == 409 and order["status"] == "Placed":
            return visit.go(f"/checkout/{number}")  # another attempt is under way: the page says what of it
        if answer.status not in (400, 409, 422, 429, 503):
            raise
        faults = faults_of(answer, visit.language)
        trouble = trouble_of(answer, visit.language, dict.fromkeys(CARD_FIELDS))
        return await _show_payment(visit, order, filled=filled, faults=faults, trouble=trouble, status=answer.status)
    if payment["status"] == "Authorised":
        visit.tell("tickets_yours")
        return visit.go(f"/orders/{number}")
    if payment["status"] == "Declined":
        order = await visit.api.get(f"/orders/{number}")
        return await _show_payment(visit, order, filled=filled, trouble=_declined(visit, payment), status=402)
    return visit.go(f"/checkout/{number}/waiting")


def _declined(visit: Visit, payment: dict[str, Any]) -> str:
    return visit.language.say(DECLINED.get(payment.get("code", ""), DECLINED_OTHERWISE))


@pages("GET /checkout/{order}/waiting")
async def waiting_page(visit: Visit) -> Response:
    """A payment of which nobody knows yet: the page asks again by itself."""
    await visit.account()
    order = await visit.api.get(f"/orders/{visit.part('order')}")
    attempts = await _attempts(visit, order)
    last = attempts[-1] if attempts else None
    if order["status"] != "Placed" or last is None or last["status"] != "Pending":
        return visit.go(f"/checkout/{order['number']}")
    action = last.get("action")
    response = await show(visit, "waiting.html", is_private=True, order=order, action=action, bank=_bank(order, action))
    response.headers["Refresh"] = str(WAIT_SECONDS)
    return response


def _bank(order: dict[str, Any], action: dict[str, Any] | None) -> str:
    """Where the customer's bank wants to see him; "" when it does not."""
    if action is None:
        return ""
    if action["type"] == "sandbox":
        return f"/checkout/{order['number']}/bank"
    return str(action.get("returnUrl") or "")


@pages("GET /checkout/{order}/bank")
async def sandbox_bank(visit: Visit) -> Response:
    """The sandbox's bank, which agrees by itself after a while."""
    await visit.account()
    order = await visit.api.get(f"/orders/{visit.part('order')}")
    return await show(visit, "bank.html", is_private=True, order=order)


@pages("POST /checkout/{order}/cancellations")
async def give_up(visit: Visit) -> Response:
    """Give the places back at once."""
    await visit.account()
    await visit.api.delete(f"/orders/{visit.part('order')}")
    visit.tell("order_cancelled")
    return visit.go("/cart")


@pages("POST /checkout/{order}/again")
async def choose_again(visit: Visit) -> Response:
    """Put what an order had into the cart once more, at the prices of now."""
    await visit.account()
    order = await visit.api.get(f"/orders/{visit.part('order')}")
    again: dict[str, int] = defaultdict(int)
    for item in order["items"]:
        again[item["section"]] += item["quantity"]
    visit.keep_cart({**visit.cart(), **again})
    return visit.go("/cart")


def event_ids(order: dict[str, Any]) -> list[str]:
    """The events that an order is about, each once, in its order."""
    return list(dict.fromkeys(item["section"].split("/")[2] for item in order["items"]))
