"""Payments and refunds over HTTP."""

import asyncio
import contextlib

from ticketing.guesses import counting as failures
from ticketing.guesses.counting import Bound
from ticketing.history import recording as history
from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE
from ticketing.kit.vault import Vault
from ticketing.orders.errors import NotTheCustomer
from ticketing.orders.locking import find_managed, lock_order
from ticketing.orders.queries import readable_order
from ticketing.settings import Settings
from ticketing.web.idempotency import Idempotency
from ticketing.web.operations import Call, Operations, Reply
from ticketing.web.paging import Page
from ticketing.web.shielding import Shield

from . import queries
from .asking import CALL_FAILURES
from .attempts import Attempt, end_open_attempt, find_attempt, get_attempt
from .errors import NoOpenPayment, NotPayable, NotRefundable, PaymentOpen, RefundOpen
from .providers import Card, Payer, Token
from .providers.choosing import Providers
from .providers.sealing import unseal
from .reconciling import ask_about_payment
from .refunding import begin_refund, repay
from .refunds import Giving, Request
from .rules import State
from .schemas import CARD_MEMBERS, PAYMENT, REFUND, Payment, Refund, read_payment
from .settling import begin, charge

RECORDING_SECONDS = 2.0  # an answer that takes longer to be recorded is not waited for

operations = Operations("Order Settlement")


@operations(
    "POST /orders/{order}/payments",
    answers=Payment,
    status=201,
    form=PAYMENT,
    secret_members=CARD_MEMBERS,
    errors=[NotTheCustomer, NotPayable, PaymentOpen],
)
async def settle_order(call: Call) -> Reply:
    """Attempt payment.

    `Authorised`: the order is fulfilled, its tickets are in the customer's wallet. `Declined`: the order still waits
    for payment. 202 with `Pending`: the outcome is not known yet, or the customer has something to do first (`action`);
    the order keeps its places meanwhile, for ten minutes at most, and its payments tell how it ended.
    """
    async with call.reading() as db:
        order_id = await find_managed(db, call.caller, call.path["order"])
        means, payer = await read_payment(db, call.json(), takes_cards=call.the(Providers).current.takes_cards)
        customer = await db.fetchval("SELECT customer_id FROM orders WHERE id = $1", order_id)
    # Whoever tries stolen cards tries many; for a shop that pays for its customers each of them counts by himself.
    bounds = [Bound(f"declined payments of {customer}", call.the(Settings).declined_payments)]
    await failures.claim_try(call, bounds)
    attempt = None
    try:
        attempt = await _open_and_charge(call, order_id, means, payer)
    finally:
        if attempt is None or attempt.state is not State.DECLINED:
            await failures.forget(call, bounds)
    return await _payment_reply(call, attempt)


async def _open_and_charge(call: Call, order_id: int, means: Card | Token, payer: Payer) -> Attempt:
    """The attempt as it stands when it is decided, or when nobody waits any longer; both parts outlive the client."""
    database, provider = call.the(Database), call.the(Providers).current
    shield, seconds = call.the(Shield), call.the(Settings).payment_timeout_seconds

    async def begin_and_go_on() -> tuple[Attempt, asyncio.Task[Attempt] | None]:
        attempt, is_new = await begin(database, provider, call.caller, order_id, _digests(call))
        charging = charge(database, provider, attempt, means, payer, seconds) if is_new else None
        return attempt, shield.start(charging) if charging else None

    attempt, charging = await shield.wait(shield.start(begin_and_go_on()))
    if charging is None:
        return attempt
    try:
        return await shield.wait(charging, seconds + RECORDING_SECONDS)
    except TimeoutError:
        return await _as_it_stands(database, attempt)


async def _as_it_stands(database: Database, attempt: Attempt) -> Attempt:
    async with database.reading() as db:
        return await find_attempt(db, attempt.id) or attempt


async def _payment_reply(call: Call, attempt: Attempt) -> Reply:
    """The answer about an attempt. Raises NotPayable when its money came too late and goes back."""
    if attempt.state is State.AUTHORISED and not attempt.kept:
        async with call.reading() as db:
            raise NotPayable(await queries.order_status(db, attempt.order_id))
    payment = queries.build_payment(attempt)
    payment.action = unseal(call.the(Vault), payment.action)
    return Reply(payment, 202 if attempt.state is State.PENDING else 201)


@operations("GET /orders/{order}/payments", answers=Page[Payment], listing=queries.PAYMENTS, errors=[NotTheCustomer])
async def list_payments(call: Call) -> Reply:
    """List the payments of an order.

    Every attempt to pay, declined ones included.
    """
    async with call.reading() as db:
        order_id = await readable_order(db, call.caller, call.path["order"])
        page = await queries.PAYMENTS.page(db, call.query, where="payment.order_id = $1", values=[order_id])
    for payment in page.entries:
        payment.action = unseal(call.the(Vault), payment.action)
    return Reply(page)


@operations("DELETE /orders/{order}/payments", answers=Payment, errors=[NoOpenPayment])
async def end_payment(call: Call) -> Reply:
    """End an open payment.

    Cancels an attempt that has not ended at the provider; the order has left of its time what it had before. The answer
    is the attempt: `Declined`, or `Authorised` when the money had been taken already. 202 with `Pending`: the provider
    has not answered yet, and is asked again until it does.
    """
    database = call.the(Database)
    async with call.transaction() as db:
        order = await lock_order(db, await find_managed(db, call.caller, call.path["order"]))
        attempt_id = await end_open_attempt(db, order.id)
        await history.record(db, call.new_id(), call.caller, "payment.ended", order.uri, payment=attempt_id)
    asking = call.the(Shield).start(ask_about_payment(database, call.the(Providers), attempt_id))
    with contextlib.suppress(TimeoutError, *TROUBLE, *CALL_FAILURES):  # the next turn of the worker asks again
        await call.the(Shield).wait(asking, call.the(Settings).payment_timeout_seconds)
    async with call.reading() as db:
        attempt = await get_attempt(db, attempt_id)
    return Reply(queries.build_payment(attempt), 202 if attempt.state is State.PENDING else 200)


@operations(
    "POST /orders/{order}/refunds",
    answers=Refund,
    status=201,
    form=REFUND,
    errors=[NotRefundable, RefundOpen],
)
async def refund_order(call: Call) -> Reply:
    """Refund order.

    Gives back all of a paid order that has not been given back yet, fees included: its tickets are Voided wherever
    they are, its places for sale again. `Declined`: the provider refused, and it may be tried again. 202 with
    `Pending`: the provider has not answered yet.
    """
    database = call.the(Database)
    async with call.reading() as db:
        order_id = await find_managed(db, call.caller, call.path["order"])
        values = await REFUND.read(call.json(), db)
    request = Request(values["reason"], call.caller.account, _digests(call))
    shield, seconds = call.the(Shield), call.the(Settings).payment_timeout_seconds

    async def open_and_repay() -> tuple[Giving, asyncio.Task[Giving] | None]:
        giving, is_new = await begin_refund(database, call.caller, order_id, request)
        provider = call.the(Providers).find(giving.provider)
        repaying = repay(database, provider, giving, seconds, again=False) if is_new else None
        return giving, shield.start(repaying) if repaying else None

    giving, repaying = await shield.wait(shield.start(open_and_repay()))
    if repaying is not None:
        with contextlib.suppress(TimeoutError):  # it goes on; what is answered is what was known then
            giving = await shield.wait(repaying, seconds + RECORDING_SECONDS)
    return _refund_reply(giving)


def _refund_reply(giving: Giving) -> Reply:
    return Reply(queries.build_refund(giving), 202 if giving.state is State.PENDING else 201)


@operations("GET /orders/{order}/refunds", answers=Page[Refund], listing=queries.REFUNDS, errors=[NotTheCustomer])
async def list_refunds(call: Call) -> Reply:
    """List the refunds of an order.

    Whoever asked for them: administrators, or an event that was cancelled.
    """
    async with call.reading() as db:
        order_id = await readable_order(db, call.caller, call.path["order"])
        return Reply(await queries.REFUNDS.page(db, call.query, where="refund.order_id = $1", values=[order_id]))


def _digests(call: Call) -> list[bytes]:
    """What tells this request from others when it is sent again under its Idempotency-Key; nothing without one."""
    if not Idempotency.concerns(call):
        return []
    name = f"{call.caller.account} {call.operation.id} {call.header('idempotency-key')}"
    return call.the(Vault).digests("payment request", name.encode())
