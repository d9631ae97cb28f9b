"""What Stripe tells on its own, and whether it was Stripe who told it.

An event is a hint that something has changed. What is true is asked for at Stripe: events come late, twice, and in any
order.
"""

import re
from typing import Any

import msgspec
import stripe

TOLERANCE_SECONDS = 300

# What may end, or give the customer something to do. Not `payment_intent.created`: at that moment we are at it.
ABOUT_PAYMENTS = frozenset(
    f"payment_intent.{what}" for what in ("succeeded", "payment_failed", "canceled", "processing", "requires_action")
)
ABOUT_REFUNDS = frozenset(
    {"refund.created", "refund.updated", "refund.failed", "charge.refund.updated", "charge.refunded"}
)

_ID = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)

_OUR_KEY = re.compile(r"(?:payment|refund)-([0-9]{1,18})", re.ASCII)


class Forged(Exception):
    """Not signed with our secret, or not lately."""


class _Thing(msgspec.Struct):
    object: str = ""
    id: str = ""
    payment_intent: str | None = None
    metadata: dict[str, Any] | None = None


class _Data(msgspec.Struct):
    object: _Thing = msgspec.field(default_factory=_Thing)


class _Signed(msgspec.Struct):
    id: str
    type: str
    data: _Data = msgspec.field(default_factory=_Data)


class Event(msgspec.Struct, frozen=True):
    """A signed event: its own id and type, the intent and the refund it is about ("": none), and our id for that."""

    id: str
    type: str
    intent: str
    refund: str
    our_id: int | None


def read_event(body: bytes, signature: str, secret: str) -> Event:
    """The event in a webhook's body. Raises Forged; ValueError when it is Stripe's, but no event."""
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        raise Forged from None
    try:
        signed = msgspec.json.decode(body, type=_Signed)
    except msgspec.DecodeError as error:
        raise ValueError("not an event") from error
    thing = signed.data.object
    names = [signed.id, thing.id, thing.payment_intent or ""]
    if not all(name == "" or _ID.fullmatch(name) for name in names) or not signed.id:
        raise ValueError("an event has a name of another kind")
    is_intent, is_refund = thing.object == "payment_intent", thing.object == "refund"
    metadata = thing.metadata or {}
    ours = _OUR_KEY.fullmatch(str(metadata.get("attempt" if is_intent else "refund", "")))
    return Event(
        id=signed.id,
        type=signed.type,
        intent=thing.id if is_intent else thing.payment_intent or "",
        refund=thing.id if is_refund else "",
        our_id=int(ours[1]) if ours else None,
    )
