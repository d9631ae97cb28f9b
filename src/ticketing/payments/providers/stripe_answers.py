"""What Stripe's answers mean for us. Pure: from its objects and errors to our outcomes."""

import re
from collections.abc import Mapping
from typing import Any

import stripe

from . import Action, Done, NotBegun, Outcome, Refused, Waiting

_CODE = re.compile(r"[a-z0-9_]{1,60}")
_NOTHING_DONE = frozenset({400, 401, 402, 403, 404, 429})

# What Stripe asks not to be told to the person who holds the card.
_CONFIDENTIAL = frozenset(
    {
        "fraudulent",
        "lost_card",
        "merchant_blacklist",
        "pickup_card",
        "restricted_card",
        "security_violation",
        "stolen_card",
    }
)


def intent_outcome(intent: Mapping[str, Any], return_url: str = "") -> Outcome:
    """What the state of a PaymentIntent means; `return_url` is where a bank sends the customer back to.

    Refused is final where its status is `canceled`; with `requires_payment_method` a card was declined, and whoever
    has the secret may try another.
    """
    reference = str(intent["id"])
    match intent["status"]:
        case "succeeded":
            return Done(reference)
        case "canceled":
            return Refused(reference, _declined(intent) or "cancelled")
        case "requires_payment_method" if declined := _declined(intent):
            return Refused(reference, declined)
        case "requires_payment_method" | "requires_confirmation":
            return NotBegun(reference)
        case "requires_action":
            return Waiting(reference, _action(intent, return_url))
        case _:
            return Waiting(reference)


def refund_outcome(refund: Mapping[str, Any]) -> Outcome:
    """What the state of a Refund means."""
    reference = str(refund["id"])
    match refund["status"]:
        case "succeeded":
            return Done(reference)
        case "failed" | "canceled":
            return Refused(reference, _public(refund.get("failure_reason"), "refund_failed"))
        case _:
            return Waiting(reference)


def error_code(error: stripe.StripeError, otherwise: str) -> str:
    """The word for an error that may be shown to the customer."""
    body = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    if not isinstance(body, dict):
        return otherwise
    return _public(body.get("decline_code") or body.get("code"), otherwise)


def did_nothing(error: stripe.StripeError) -> bool:
    """Whether Stripe answered that it did not do what it was asked.

    A key that was used for another request says nothing about what that request did.
    """
    return error.http_status in _NOTHING_DONE and not isinstance(error, stripe.IdempotencyError)


def is_repeated(error: stripe.StripeError) -> bool:
    """Whether Stripe answered what it had answered to this key before, and always will."""
    return str((error.headers or {}).get("idempotent-replayed", "")).lower() == "true"


def told(thing: Mapping[str, Any], name: str) -> str:
    """What we told Stripe about a thing under this name, or ""."""
    return str((thing.get("metadata") or {}).get(name) or "")


def _declined(intent: Mapping[str, Any]) -> str:
    error = intent.get("last_payment_error")
    return _public(error.get("decline_code") or error.get("code"), "card_declined") if error else ""


def _public(code: object, otherwise: str) -> str:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return otherwise
    return "card_declined" if code in _CONFIDENTIAL else code


def _action(intent: Mapping[str, Any], return_url: str) -> Action:
    """What the customer has to do: follow a link of his bank's, or let Stripe's library in his browser go on."""
    action = intent.get("next_action") or {}
    redirect = action.get("redirect_to_url") or {}
    return Action(
        type=str(action.get("type") or "use_stripe_sdk"),
        client_secret=str(intent.get("client_secret") or ""),
        return_url=str(redirect.get("return_url") or return_url),
        url=str(redirect.get("url") or ""),
    )
