"""`POST /webhooks/stripe`: Stripe tells that something has changed; we ask it what, and record that.

Outside /v3 and without a key: the signature tells who it is. Whatever keeps us from working an event off is answered
with 503, so that it comes again; what was worked off is remembered for good.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ticketing.history import recording as history
from ticketing.kit.database import Connection, Database
from ticketing.kit.database_errors import TROUBLE
from ticketing.settings import Settings
from ticketing.web.errors import BodyTooSlow, Busy, Invalid, Malformed, Refusal, TooLarge, about
from ticketing.web.operations import BODY_SECONDS, Services

from .asking import CALL_FAILURES, PATIENTLY_SECONDS, guarded
from .providers.choosing import Providers
from .reconciling import ask_about_payment
from .refunding import record_refund
from .refunds import get_refund

if TYPE_CHECKING:  # Stripe's library is loaded only where there is a webhook
    from .providers.stripe_events import Event

BODY_LIMIT = 512 * 1024
BUSY_SECONDS = 5
STRIPE = "stripe"

log = structlog.get_logger()

_IS_KNOWN = "SELECT true FROM provider_events WHERE provider = 'stripe' AND id = $1"

_REMEMBER = """
INSERT INTO provider_events (provider, id, type, received_at) VALUES ('stripe', $1, $2, clock())
ON CONFLICT DO NOTHING RETURNING true"""

_FIND_PAYMENT = "SELECT id FROM payments WHERE provider = 'stripe' AND reference = $1"

_FIND_NAMELESS = "SELECT id FROM payments WHERE provider = 'stripe' AND reference = '' AND id = $1"

_FIND_REFUNDS = """
SELECT refund.id FROM payments payment
  JOIN refunds refund ON refund.order_id = payment.order_id AND refund.payment_id = payment.id
 WHERE payment.id = $1 AND CASE WHEN $2 = '' THEN refund.status = 'Pending'
                                ELSE refund.reference = $2 OR refund.id = $3 END
 ORDER BY refund.id"""

_ORDER_OF = "SELECT orders.number FROM payments JOIN orders ON orders.id = payments.order_id WHERE payments.id = $1"


class WrongSignature(Invalid):
    """Not Stripe, or not with our secret, or too long ago."""

    text = "The signature is missing, wrong or too old."
    details = about("Stripe-Signature", "must be made with the secret of this endpoint, within the last minutes")


def routes(services: Services) -> list[BaseRoute]:
    """The endpoint, where its secret is set."""
    settings = services.the(Settings)
    if not settings.stripe_key or not settings.stripe_webhook_secret:
        return []
    from .providers.stripe_events import ABOUT_PAYMENTS, ABOUT_REFUNDS, Forged, read_event

    webhook = _Webhook(services)

    async def hear(request: Request) -> Response:
        body = await _read_body(request)
        try:
            event = read_event(body, request.headers.get("stripe-signature", ""), settings.stripe_webhook_secret)
        except Forged:
            log.warning("stripe.forged", bytes=len(body))
            raise WrongSignature from None
        except ValueError:
            log.error("stripe.not_understood", bytes=len(body))
            raise Malformed from None
        if event.type in ABOUT_PAYMENTS:
            await webhook.work_off(event, webhook.ask_about_payment)
        elif event.type in ABOUT_REFUNDS:
            await webhook.work_off(event, webhook.ask_about_refunds)
        return JSONResponse({"received": True})

    return [Route("/webhooks/stripe", _refusing(hear), methods=["POST"])]


def _refusing(hear: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Refusals as answers."""

    async def answer(request: Request) -> Response:
        try:
            return await hear(request)
        except Refusal as refusal:
            return JSONResponse(refusal.body(), refusal.status, refusal.headers)
        except ClientDisconnect:
            return Response(status_code=400)

    return answer


async def _read_body(request: Request) -> bytes:
    """The body. Raises TooLarge, BodyTooSlow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise TooLarge(BODY_LIMIT)
    except TimeoutError:
        raise BodyTooSlow from None
    return bytes(body)


class _Webhook:
    """What follows from an event that Stripe signed."""

    def __init__(self, services: Services) -> None:
        self._database = services.the(Database)
        self._providers = services.the(Providers)

    async def work_off(self, event: "Event", ask: Callable[["Event", int], Awaitable[None]]) -> None:
        """Do once what an event about a payment of ours leads to. Raises Busy when it has to come again.

        Other programs may use the same account: what is not ours is let pass, and not remembered.
        """
        try:
            async with self._database.reading() as db:
                payment_id = await _find_payment(db, event)
                if payment_id is None or await db.fetchval(_IS_KNOWN, event.id):
                    return
            await ask(event, payment_id)
            async with self._database.transaction() as db:
                is_new = await db.fetchval(_REMEMBER, event.id, event.type)
                if is_new and event.type == "refund.created":
                    await self._note_strangers(db, event, payment_id)
        except (*CALL_FAILURES, *TROUBLE) as error:
            log.warning("stripe.event_postponed", id=event.id, type=event.type, reason=type(error).__name__)
            raise Busy(BUSY_SECONDS) from None

    async def ask_about_payment(self, _event: "Event", payment_id: int) -> None:
        """Record what has become of a payment."""
        await ask_about_payment(self._database, self._providers, payment_id)

    async def ask_about_refunds(self, event: "Event", payment_id: int) -> None:
        """Record what has become of a refund; or, where the event does not say which, of all that are open."""
        provider = self._providers.find(STRIPE)
        async with self._database.reading() as db:
            found = [row["id"] for row in await db.fetch(_FIND_REFUNDS, payment_id, event.refund, event.our_id)]
            givings = [await get_refund(db, refund_id) for refund_id in found]
        for giving in givings:
            wanted = giving.repayment()
            wanted = replace(wanted, reference=event.refund or wanted.reference)
            if provider is not None and giving.amount_cents > 0:
                outcome = await guarded(provider.repay(wanted, again=True), PATIENTLY_SECONDS)
                await record_refund(self._database, giving.id, outcome)

    async def _note_strangers(self, db: Connection, event: "Event", payment_id: int) -> None:
        """Somebody gave money back at Stripe's dashboard: the order knows nothing of it, but its history does."""
        if await db.fetchrow(_FIND_REFUNDS, payment_id, event.refund, event.our_id) is not None:
            return
        number = await db.fetchval(_ORDER_OF, payment_id)
        what, new_id = "payment.repaid_elsewhere", self._database.new_id()
        await history.record(db, new_id, None, what, f"/orders/{number}", payment=payment_id, refund=event.refund)
        log.warning("payments.repaid_elsewhere", order=number, refund=event.refund)


async def _find_payment(db: Connection, event: "Event") -> int | None:
    """The payment that an event is about, if it is one of ours."""
    found: int | None = await db.fetchval(_FIND_PAYMENT, event.intent) if event.intent else None
    if found is None and event.type.startswith("payment_intent."):
        # Ours, but its name was never learnt.
        found = await db.fetchval(_FIND_NAMELESS, event.our_id)
    return found
