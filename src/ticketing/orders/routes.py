"""Orders over HTTP."""

from typing import Any

from ticketing.accounts.errors import AccountNotFound, NotYourAccount
from ticketing.accounts.queries import account_for, find_account
from ticketing.guesses import counting
from ticketing.history.recording import record
from ticketing.kit.database import Connection
from ticketing.letters.posting import Letter, post
from ticketing.settings import Settings
from ticketing.tickets.printing import order_pdf
from ticketing.web.errors import InvalidValues, Refusal, about
from ticketing.web.forms import BadValue
from ticketing.web.operations import FILE_COST, Call, Operations, Reply, created, done, private_file
from ticketing.web.paging import Page

from . import cancelling, queries
from .errors import (
    BeingPaid,
    LimitReached,
    NotCancellable,
    NotForThisAccount,
    NothingToPrint,
    NothingToSend,
    NotPlaced,
    NotTheCustomer,
    NotVerified,
    PriceChanged,
)
from .intake import AlreadyPlaced, Intake, new_number
from .locking import find_managed, lock_order
from .placing import Placement
from .rules import Reason, Status, Wish
from .schemas import ORDER, Order

operations = Operations("Placing an Order")


@operations(
    "POST /orders",
    answers=Order,
    status=201,
    form=ORDER,
    retried=False,
    errors=[AccountNotFound, NotForThisAccount, NotPlaced, LimitReached, NotVerified, PriceChanged],
)
async def place_order(call: Call) -> Reply:
    """Place a new order.

    Holds the places until `expires`; one order may span several sections and events. An order that costs nothing is
    fulfilled at once and its tickets are in the customer's wallet. The cheapest places are taken first, and each price
    has an item of its own; with `expected`, what would cost another total is refused.
    """
    body = call.json()
    customer_id = call.caller.account_id
    if ORDER.by_name["customer"].is_supplied(body) and body["customer"] != call.caller.number:
        async with call.reading() as db:
            customer_id = await _orderer(db, call, body)
    lines, expected = _asked(call, body)
    wish = Wish(call.new_id(), new_number(), customer_id, lines, call.caller.administers, expected)
    try:
        with call.client_watched() as is_gone:
            outcome = await call.the(Intake).place(wish, is_gone)
    except AlreadyPlaced:
        async with call.reading() as db:
            return created(await queries.get_order(db, wish.order_id))
    if isinstance(outcome, Placement):
        return created(_placed(outcome))
    raise _refusal(outcome.reason)


async def _orderer(db: Connection, call: Call, body: dict[str, Any]) -> int:
    """The account that an order is placed for. Raises AccountNotFound, NotForThisAccount."""
    customer_id = await find_account(db, str(body["customer"]))
    if customer_id is None:
        raise AccountNotFound
    if customer_id != call.caller.account and not call.caller.administers:
        raise NotForThisAccount
    return customer_id


def _asked(call: Call, body: dict[str, Any]) -> tuple[tuple[tuple[int, int, int], ...], int | None]:
    """Event, section and quantity of each item, and the total in cents that is expected.

    Raises Missing, InvalidValues.
    """
    ORDER.require(body)
    invalid: dict[str, str] = {}
    asked: dict[str, Any] = {}
    for name in ("items", "expected"):
        field = ORDER.by_name[name]
        try:
            asked[name] = field.kind.parse(body[name]) if field.is_supplied(body) else None
        except BadValue as bad:
            invalid[name] = bad.sentence
    most = call.the(Settings).tickets_per_order
    if "items" in asked and sum(quantity for _, _, quantity in asked["items"]) > most:
        invalid = {"items": f"at most {most} tickets in one order"} | invalid
    if invalid:
        raise InvalidValues(invalid)
    return asked["items"], asked["expected"]


def _refusal(reason: Reason) -> Refusal:
    if reason is Reason.UNKNOWN_SECTION:
        return InvalidValues(about("items", "names a section that does not exist"))
    refusals = {Reason.LIMIT: LimitReached, Reason.PRICE: PriceChanged, Reason.UNVERIFIED: NotVerified}
    return refusals.get(reason, NotPlaced)()


def _placed(placement: Placement) -> Order:
    """The answer from what was just written; nothing is read again."""
    granted = placement.granted
    return queries.order_on_the_wire(
        number=granted.wish.number,
        status=Status.FULFILLED if granted.is_free else Status.PLACED,
        placed_at=placement.placed_at,
        held_until=placement.held_until,
        subtotal_cents=granted.subtotal_cents,
        fees_cents=granted.fees_cents,
        items=[
            queries.build_item(
                line.section.event_id,
                line.section.id,
                number.hex,
                line.section.event_title,
                line.section.name,
                line.section.description,
                line.price_cents,
                line.quantity,
            )
            for line, number in zip(granted.lines, placement.item_numbers, strict=True)
        ],
        customer=placement.customer,
    )


@operations("GET /orders", answers=Page[Order], listing=queries.ORDERS)
async def list_orders(call: Call) -> Reply:
    """List orders.

    Everybody's, for support and administrators.
    """
    async with call.reading() as db:
        return Reply(await queries.ORDERS.page(db, call.query))


@operations("GET /orders/{order}", answers=Order, errors=[NotTheCustomer])
async def retrieve_order(call: Call) -> Reply:
    """Retrieve order details.

    An order whose time is over is `Timed Out` from that instant.
    """
    async with call.reading() as db:
        return Reply(await queries.order_for(db, call.caller, call.path["order"]))


@operations(
    "GET /orders/{order}/tickets.pdf",
    media_type="application/pdf",
    errors=[NotTheCustomer, NothingToPrint],
    cost=FILE_COST,
)
async def print_order_tickets(call: Call) -> Reply:
    """Print an order's tickets.

    A page of A6 for each ticket that the customer still holds and that opens a gate.
    """
    number = call.path["order"]
    async with call.reading() as db:
        order_id = await queries.readable_order(db, call.caller, number)
    printed = await order_pdf(call.services, order_id, asker=call.asker)
    if printed is None:
        raise NothingToPrint
    return private_file(printed, "application/pdf", f"tickets-{number}.pdf")


@operations("POST /orders/{order}/letters", status=202, errors=[NotTheCustomer, NothingToSend])
async def resend_order_tickets(call: Call) -> Reply:
    """Send an order's tickets again.

    The letter that came with the tickets, once more: to the e-mail address that the customer's account has now, with
    those of the tickets attached that he still holds. For the customer, support and administrators; so often an hour
    for one order, and so often a day for one customer.
    """
    number = call.path["order"]
    async with call.reading() as db:
        order = await queries.sendable_order(db, call.caller, number)
    await counting.claim_try(call, counting.resending_bounds(call, order["id"], order["customer_id"]))
    async with call.transaction() as db:
        await post(db, [Letter("order_fulfilled", account=order["customer_id"], about={"order": order["id"]})])
        await record(db, call.new_id(), call.caller, "order.tickets_sent", f"/orders/{number}")
    return done("The tickets are on their way to the customer's e-mail address.", 202)


@operations("DELETE /orders/{order}", errors=[NotTheCustomer, NotCancellable, BeingPaid])
async def cancel_order(call: Call) -> Reply:
    """Cancel an order.

    Its places are free at once; the order can still be read.
    """
    async with call.transaction() as db:
        order = await lock_order(db, await find_managed(db, call.caller, call.path["order"]))
        await cancelling.cancel_order(db, order)
    return done("The order was cancelled.")


@operations(
    "GET /accounts/{number}/orders",
    answers=Page[Order],
    listing=queries.ORDER_HISTORY,
    tag="Account Activity",
    errors=[AccountNotFound, NotYourAccount],
)
async def view_order_history(call: Call) -> Reply:
    """View order history.

    The orders of one account, without their `customer`.
    """
    async with call.reading() as db:
        account = await account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(
            await queries.ORDER_HISTORY.page(db, call.query, where="orders.customer_id = $1", values=[account])
        )
