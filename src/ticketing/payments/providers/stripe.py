"""Stripe: real money. Cards are typed into Stripe's own form; the platform sees their tokens alone.

A charge takes three steps, so that an answer that never comes leaves no doubt behind. The intent is created, which
moves no money; what Stripe calls it is written down on our side; only then it is confirmed. So an attempt without a
reference was never charged, and one with a reference can be looked up. Stripe decides between a charge and its
cancelling; no clock of ours does.

Whoever has an intent's client secret can try another card on it after one was declined. An attempt that we call
refused is therefore cancelled there, unless the secret never left us.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import stripe
import structlog
from stripe.params import PaymentIntentConfirmParams

from ticketing.kit.vault import Vault

from . import (
    Card,
    Charge,
    Done,
    Failed,
    NotBegun,
    Outcome,
    Payer,
    Refused,
    Remember,
    Repayment,
    Silent,
    Token,
    Waiting,
)
from .minor_units import to_minor_units
from .sealing import seal
from .stripe_answers import did_nothing, error_code, intent_outcome, is_repeated, refund_outcome, told

API = "https://api.stripe.com"
API_VERSION = "2026-10-28.endive"  # the one that the pinned library, and `stripe_answers`, are made for

# Clients give up after ten seconds, and our own writing needs some of them.
CONNECT_SECONDS = 2.0
CREATE_SECONDS = 2.5
CONFIRM_SECONDS = 5.0
TIDY_SECONDS = 1.0
SECONDS = 6.0  # for everything else

TOKEN = re.compile(r"(pm|ctoken)_[A-Za-z0-9_]{1,190}", re.ASCII)  # no card number looks like that

log = structlog.get_logger()

stripe.enable_telemetry = False  # it would leave a file in the home folder and tell about the machine


_ABOUT_THE_KEY = (stripe.InvalidRequestError, stripe.IdempotencyError, stripe.APIError)


class _Moot(Failed):
    """Stripe answers this key with a fault for good: nothing of ours exists under it, and nothing ever will."""


class Stripe:
    """The provider of installations that have a key of Stripe's.

    `return_url`: where a bank sends the customer back to; without one, Stripe's library in the browser stays on the
    page. `api`: where Stripe's API is; somewhere else in tests alone.
    """

    name = "stripe"
    takes_cards = False

    def __init__(self, key: str, vault: Vault, *, return_url: str = "", api: str = API) -> None:
        self._vault = vault
        self._return_url = return_url
        self._http = _Http()
        client = stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": api.rstrip("/")},
            max_network_retries=0,  # what is not known is asked for later
            http_client=self._http,
        )
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    async def charge(self, charge: Charge, means: Card | Token, payer: Payer, remember: Remember) -> Outcome:
        """Create the intent, have its name written down, confirm it.

        The payer is not passed on: Stripe's form has asked for what the card's bank wants to know.

        Raises Silent, Failed.
        """
        if isinstance(means, Card) or not TOKEN.fullmatch(means.text):
            return Refused("", "invalid_token")
        try:
            intent = await self._create(charge)
        except Silent:
            # Whether the intent exists or not: nobody will confirm it, so no money moves.
            raise Failed("unreachable") from None
        if isinstance(intent, Refused):
            return intent
        await remember(intent)
        return await self._confirm(intent, charge, means)

    async def find(self, charge: Charge) -> Outcome:
        """What became of the charge. Raises Silent, Failed.

        Without a reference it was not confirmed: that is done only once the reference is written down.
        """
        if not charge.reference:
            return NotBegun()
        async with _asking("find"):
            intent = (await self._intents.retrieve_async(charge.reference)).to_dict()
        outcome = self._outcome(intent)
        if isinstance(outcome, Refused) and intent["status"] != "canceled":
            return await self._end(charge.reference)
        return outcome

    async def cancel(self, charge: Charge) -> Outcome:
        """Cancel the intent at Stripe. One whose name we never learnt is learnt by creating it again under its key.

        Refused, Done when the money had been taken, or Waiting when it is being taken at this moment.

        Raises Silent, Failed.
        """
        if charge.reference:
            return await self._end(charge.reference)
        try:
            intent = await self._create(charge)
        except _Moot:
            return Refused("", "cancelled")
        return intent if isinstance(intent, Refused) else await self._end(intent)

    async def repay(self, repayment: Repayment, *, again: bool) -> Outcome:
        """Give money back, once. Raises Silent, Failed.

        Stripe forgets a key after a day; so a refund that may have been asked for is first looked for.
        """
        async with _asking("find refund"):
            if repayment.reference:
                return refund_outcome((await self._refunds.retrieve_async(repayment.reference)).to_dict())
            if again and (known := await self._find_refund(repayment)):
                return known
        return await self._refund(repayment)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close_async()

    async def _create(self, charge: Charge) -> str | Refused:
        """The id of the charge's intent: there is one, however often it is asked for.

        All that is sent comes from the charge, so that asking again is the same request.

        Raises Silent, Failed.
        """
        amount = to_minor_units(charge.amount_cents, charge.currency)
        if amount is None:
            return Refused("", "amount_not_chargeable")
        try:
            async with _asking("create", CREATE_SECONDS, passing=_ABOUT_THE_KEY):
                intent = await self._intents.create_async(
                    {
                        "amount": amount,
                        "currency": charge.currency.lower(),
                        "allowed_payment_method_types": ["card"],
                        "capture_method": "automatic",
                        "description": f"Order {charge.order}",
                        "metadata": {"attempt": charge.key, "order": charge.order},
                    },
                    {"idempotency_key": charge.key},
                )
        except stripe.InvalidRequestError as error:
            return Refused("", error_code(error, "invalid_request"))
        except stripe.IdempotencyError as error:
            log.error("stripe.key_used_otherwise", key=charge.key, request=error.request_id)
            raise _Moot("provider_error") from None
        except stripe.APIError as error:
            raise (_Moot("provider_error") if is_repeated(error) else _failure("create", error)) from None
        return str(intent.id)

    async def _confirm(self, intent: str, charge: Charge, token: Token) -> Outcome:
        """Take the money of an intent whose name is written down. Raises Silent, Failed."""
        how: PaymentIntentConfirmParams = (
            {"return_url": self._return_url} if self._return_url else {"use_stripe_sdk": True}
        )
        if token.text.startswith("ctoken_"):
            how["confirmation_token"] = token.text
        else:
            how["payment_method"] = token.text
        try:
            async with _asking("confirm", CONFIRM_SECONDS, passing=(stripe.CardError, stripe.InvalidRequestError)):
                confirmed = await self._intents.confirm_async(intent, how, {"idempotency_key": f"{charge.key}-confirm"})
        except stripe.CardError as error:
            return await self._tidy(Refused(intent, error_code(error, "card_declined")))
        except stripe.InvalidRequestError as error:
            # A token that Stripe does not know; or the intent has been cancelled meanwhile.
            return await self._end(intent, error_code(error, "invalid_token"), TIDY_SECONDS)
        return self._outcome(confirmed.to_dict())

    async def _tidy(self, refused: Refused) -> Outcome:
        """Cancel an intent whose card was declined. Nobody else was given its secret: it could not succeed anyhow."""
        try:
            return await self._end(refused.reference, refused.code, TIDY_SECONDS)
        except (Silent, Failed):
            return refused

    async def _end(self, intent: str, code: str = "", seconds: float = SECONDS) -> Outcome:
        """Cancel an intent; what has become of it then: Done, Refused with this code (or its own), or Waiting.

        Raises Silent, Failed.
        """
        async with _asking("cancel", seconds):
            try:
                ended = await self._intents.cancel_async(intent, {"cancellation_reason": "abandoned"})
            except stripe.InvalidRequestError:
                ended = await self._intents.retrieve_async(intent)  # it has ended, or is being charged
        outcome = self._outcome(ended.to_dict())
        if ended.status == "canceled" and code:
            return Refused(intent, code)
        return outcome if ended.status in ("canceled", "succeeded") else Waiting(intent)

    def _outcome(self, intent: Mapping[str, Any]) -> Outcome:
        """What an intent's state means; an action is sealed, for it will be written down."""
        outcome = intent_outcome(intent, self._return_url)
        if isinstance(outcome, Waiting) and outcome.action:
            return replace(outcome, action=seal(self._vault, outcome.action))
        return outcome

    async def _find_refund(self, repayment: Repayment) -> Outcome | None:
        listed = await self._refunds.list_async({"payment_intent": repayment.charge_reference, "limit": 100})
        async for refund in listed.auto_paging_iter():
            if told(found := refund.to_dict(), "refund") == repayment.key:
                return refund_outcome(found)
        return None

    async def _refund(self, repayment: Repayment) -> Outcome:
        amount = to_minor_units(repayment.amount_cents, repayment.currency)
        if amount is None:
            return Refused("", "amount_not_chargeable")
        try:
            async with _asking("refund", passing=stripe.InvalidRequestError):
                refund = await self._refunds.create_async(
                    {
                        "payment_intent": repayment.charge_reference,
                        "amount": amount,
                        "reason": "requested_by_customer",
                        "metadata": {"refund": repayment.key},
                    },
                    {"idempotency_key": repayment.key},
                )
        except stripe.InvalidRequestError as error:
            code = error_code(error, "refund_refused")
            # Given back by somebody else, at Stripe's dashboard say: the customer has all of his money.
            return Done("") if code == "charge_already_refunded" else Refused("", code)
        return refund_outcome(refund.to_dict())


class _Http(stripe.HTTPClient):
    """How the library reaches Stripe. Its own way with httpx leans on what httpx is about to drop."""

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS))

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request; body, status and headers of the answer. Raises the library's APIConnectionError."""
        try:
            answer = await self._client.request(method, url, headers=dict(headers), content=post_data)
        except httpx.HTTPError as error:
            raise stripe.APIConnectionError(type(error).__name__) from None  # type: ignore[no-untyped-call]
        return answer.content, answer.status_code, answer.headers

    async def close_async(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


@asynccontextmanager
async def _asking(
    step: str,
    seconds: float = SECONDS,
    *,
    passing: type[stripe.StripeError] | tuple[type[stripe.StripeError], ...] = (),
) -> AsyncIterator[None]:
    """Requests to Stripe, in so many seconds; the library's errors become ours, but for those that pass.

    Theirs go no further: their texts and bodies hold what is nobody's business.

    Raises Silent, Failed.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except passing:
        raise
    except TimeoutError:
        raise Silent from None
    except stripe.StripeError as error:
        raise _failure(step, error) from None


def _failure(step: str, error: stripe.StripeError) -> Silent | Failed:
    """What to raise for an error; nothing of it but its kind is logged."""
    code = error_code(error, "provider_error")
    tell = log.error if error.http_status in (400, 401, 403, 404) else log.warning
    kind, status, request = type(error).__name__, error.http_status, error.request_id
    tell("stripe.failed", step=step, kind=kind, status=status, code=code, stripe_request=request)
    return Failed(code) if did_nothing(error) else Silent()
