"""Orders paid and refunded through Stripe, and what Stripe tells by its webhook."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Literal

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from conftest import Client, clock_moved
from makers import PAYER, card, make_stage, place, section_uri
from money import count_open, faults, settle_all, worker_services
from stripe_double import KEY, WEBHOOK_SECRET, Double, Fault, open_double
from ticketing.payments import reconciling
from ticketing.payments.providers.choosing import Providers
from ticketing.settings import Settings
from ticketing.web.operations import Services

RETURN_URL = "https://shop.test/paid"
UNITS = 2099  # one ticket at 20, its fee included
VISA, MASTERCARD, POOR = "pm_card_visa", "pm_card_mastercard", "pm_card_visa_chargeDeclinedInsufficientFunds"
SECURED, PENDING_REFUND = "pm_card_threeDSecure2Required", "pm_card_pendingRefund"
FORGED = "The signature is missing, wrong or too old."
BUSY = "The server is busy. Please try again in 5 seconds."

Stage = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
async def double() -> AsyncIterator[Double]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        async with open_double() as opened:
            yield opened


@pytest.fixture(scope="module")
def settings(settings: Settings, double: Double) -> Settings:
    return replace(
        settings,
        payment_provider="stripe",
        stripe_key=KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
        stripe_api=double.url,
        stripe_return_url=RETURN_URL,
        payment_timeout_seconds=1,
        open_orders_per_customer=1000,
    )


@pytest.fixture(scope="module")
async def worker(settings: Settings, app: Any) -> AsyncIterator[Services]:
    async with worker_services(settings) as services:
        yield services
        await services.the(Providers).close()


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> Stage:
    return await make_stage(alice, administrator, capacity=1000)


@pytest.fixture(autouse=True)
async def the_books(db: asyncpg.Connection, double: Double) -> AsyncIterator[None]:
    """Each story starts with empty books at Stripe; what Stripe has at its end is what live items cost."""
    double.reset()
    last = await db.fetchval("SELECT coalesce(max(id), 0) FROM orders")
    yield
    worth = await db.fetchval(
        "SELECT coalesce(sum((price_cents + fee_cents) * quantity), 0) FROM order_items item"
        "  JOIN orders ON orders.id = item.order_id"
        " WHERE orders.status = 'Fulfilled' AND item.returned_at IS NULL AND orders.id > $1",
        last,
    )
    assert double.charged() - double.given_back() == worth


async def pay(buyer: Client, order: dict[str, Any], token: str = VISA) -> Any:
    return await buyer.post(order["payments"], {"token": token, **PAYER})


async def bought(buyer: Client, stage: Stage, token: str = VISA) -> dict[str, Any]:
    """An order that was paid."""
    order = await place(buyer, *stage)
    paid = await pay(buyer, order, token)
    assert (paid.status, paid["status"]) == (201, "Authorised"), paid.body
    return order


async def status(buyer: Client, order: dict[str, Any]) -> str:
    return str((await buyer.get(order["self"]))["status"])


async def entries(buyer: Client, uri: str) -> list[tuple[str, str]]:
    return [(entry["status"], entry.get("code", "")) for entry in (await buyer.get(uri))["entries"]]


async def deliver(http: httpx.AsyncClient, double: Double, event: Any, **signing: Any) -> httpx.Response:
    body, signature = double.sign(event, **signing)
    return await http.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})


def event_of(double: Double, kind: str, thing: str) -> dict[str, Any]:
    """The newest event of this type about an intent or a refund."""
    return [one for one in double.events if one["type"] == kind and one["data"]["object"]["id"] == thing][-1]


async def hear(http: httpx.AsyncClient, double: Double, kind: str, thing: str) -> None:
    answer = await deliver(http, double, event_of(double, kind, thing))
    assert (answer.status_code, answer.json()) == (200, {"received": True})


# Paying


async def test_an_order_is_paid_by_token(bob: Client, stage: Stage, double: Double, db: asyncpg.Connection) -> None:
    order = await place(bob, *stage, 2)
    paid = await pay(bob, order)
    assert (paid.status, paid["status"], paid["amount"]) == (201, "Authorised", 41.98)
    assert await status(bob, order) == "Fulfilled"
    wallet = await bob.get(f"/accounts/{bob.number}/tickets")
    assert [ticket["status"] for ticket in wallet["entries"]] == ["Issued", "Issued"]
    intent = double.intent_of(order["number"])
    assert (intent["status"], intent["amount_received"], intent["currency"]) == ("succeeded", 4198, "usd")
    assert intent["description"] == f"Order {order['number']}"
    row = await db.fetchrow("SELECT id, provider, reference FROM payments WHERE reference = $1", intent["id"])
    assert (row["provider"], f"payment-{row['id']}") == ("stripe", intent["metadata"]["attempt"])


async def test_a_declined_order_can_be_paid_with_another_token(bob: Client, stage: Stage, double: Double) -> None:
    order = await place(bob, *stage)
    declined = await pay(bob, order, POOR)
    assert (declined.status, declined["status"], declined["code"]) == (201, "Declined", "insufficient_funds")
    assert await status(bob, order) == "Placed"
    assert (await pay(bob, order, MASTERCARD))["status"] == "Authorised"
    assert [intent["status"] for intent in double.intents.values()] == ["canceled", "succeeded"]


async def test_card_numbers_are_refused(bob: Client, stage: Stage, double: Double, db: asyncpg.Connection) -> None:
    order = await place(bob, *stage)
    refused = await bob.post(order["payments"], card())
    text = "The following arguments have invalid values: number, cvv, expiryDate."
    assert (refused.status, refused.error) == (400, text)
    missing = await bob.post(order["payments"], PAYER)
    text = "The following arguments are required, but have not been supplied: token."
    assert (missing.status, missing.error) == (400, text)
    assert (await bob.get(order["payments"]))["total"] == 0
    assert not double.requests


async def test_money_taken_without_an_answer_is_found(
    bob: Client, stage: Stage, double: Double, worker: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    double.faults = [("/confirm", "hang after")]
    pending = await pay(bob, order)
    assert (pending.status, pending["status"]) == (202, "Pending")
    double.release()
    assert (await pay(bob, order)).status == 409
    async with clock_moved(db, 20):
        await settle_all(worker)
    assert await status(bob, order) == "Fulfilled"
    assert await entries(bob, order["payments"]) == [("Authorised", "")]
    assert double.charged() == UNITS


async def test_a_charge_that_never_reached_stripe_is_given_up(
    bob: Client, stage: Stage, double: Double, worker: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    double.faults = [("/confirm", "lose request")]
    assert (await pay(bob, order)).status == 202
    async with clock_moved(db, 20):
        await settle_all(worker)
    assert await entries(bob, order["payments"]) == [("Declined", "cancelled")]
    assert (await pay(bob, order))["status"] == "Authorised"


async def test_stripe_being_away_is_a_decline_that_can_be_tried_again(
    bob: Client, stage: Stage, double: Double
) -> None:
    order = await place(bob, *stage)
    double.faults = [("/payment_intents", "503")]
    assert (await pay(bob, order))["status"] == "Declined"
    assert [intent["status"] for intent in double.intents.values()] == ["canceled"]
    assert (await pay(bob, order))["status"] == "Authorised"


async def test_many_clicks_are_one_charge(bob: Client, stage: Stage, double: Double) -> None:
    order = await place(bob, *stage)
    answers = await asyncio.gather(*(pay(bob, order) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 5
    assert double.charged() == UNITS


async def test_stripe_may_tell_before_it_answers(
    bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient
) -> None:
    order = await place(bob, *stage)
    double.faults = [("/confirm", "hang after")]
    paying = asyncio.create_task(pay(bob, order))
    while not double.charged():
        await asyncio.sleep(0.01)
    await hear(http, double, "payment_intent.succeeded", double.intent_of(order["number"])["id"])
    assert await status(bob, order) == "Fulfilled"
    double.release()
    paid = await paying
    assert (paid.status, paid["status"]) == (201, "Authorised")


# The customer at his bank


async def test_a_bank_that_wants_its_customer(
    bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    pending = await pay(bob, order, SECURED)
    intent = double.intent_of(order["number"])
    assert (pending.status, pending["status"]) == (202, "Pending")
    assert pending["action"] == {
        "type": "redirect_to_url",
        "clientSecret": intent["client_secret"],
        "returnUrl": RETURN_URL,
        "url": f"https://hooks.stripe.test/3d_secure_2/{intent['id']}",
    }
    assert (await pay(bob, order)).status == 409
    assert (await bob.get(order["payments"]))["entries"] == [pending.body]
    written = await db.fetchval("SELECT action::text FROM payments WHERE reference = $1", intent["id"])
    assert "clientSecret" in written
    assert intent["client_secret"] not in written
    double.authenticate(intent["id"])
    await hear(http, double, "payment_intent.succeeded", intent["id"])
    assert await status(bob, order) == "Fulfilled"
    assert await entries(bob, order["payments"]) == [("Authorised", "")]
    assert await db.fetchval("SELECT count(*) FROM payments WHERE action IS NOT NULL") == 0


async def test_who_fails_at_his_bank_may_try_again(
    bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient
) -> None:
    order = await place(bob, *stage)
    await pay(bob, order, SECURED)
    intent = double.intent_of(order["number"])
    double.authenticate(intent["id"], succeeds=False)
    await hear(http, double, "payment_intent.payment_failed", intent["id"])
    assert await entries(bob, order["payments"]) == [("Declined", "payment_intent_authentication_failure")]
    assert intent["status"] == "canceled"
    assert (await pay(bob, order))["status"] == "Authorised"


async def test_who_never_comes_back_from_his_bank_loses_his_places(
    alice: Client, bob: Client, administrator: Client, double: Double, worker: Services, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator, capacity=2)
    order = await place(bob, event, section, 2)
    await pay(bob, order, SECURED)
    intent = double.intent_of(order["number"])
    async with clock_moved(db, 901):
        await settle_all(worker)
        assert await status(bob, order) == "Timed Out"
        assert (await bob.get(section_uri(event, section)))["reserved"] == 0
    assert intent["status"] == "canceled"
    assert await entries(bob, order["payments"]) == [("Declined", "cancelled")]


# The webhook


async def test_an_event_is_worked_off_once(
    bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    order = await bought(bob, stage)
    event = event_of(double, "payment_intent.succeeded", double.intent_of(order["number"])["id"])
    asked = len(double.requests)
    for _ in range(3):
        assert (await deliver(http, double, event)).status_code == 200
    assert len(double.requests) == asked + 1
    rows = await db.fetch("SELECT provider, type FROM provider_events WHERE id = $1", event["id"])
    assert [tuple(row) for row in rows] == [("stripe", "payment_intent.succeeded")]
    assert await status(bob, order) == "Fulfilled"


async def test_events_in_any_order_lead_to_what_is_true(
    bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient, worker: Services, db: asyncpg.Connection
) -> None:
    """All that happened to an order, the newest first, some at once, while the worker asks too."""
    order = await place(bob, *stage)
    await pay(bob, order, POOR)
    await pay(bob, order, SECURED)
    double.authenticate(double.intent_of(order["number"])["id"])
    events = double.events[::-1]
    async with clock_moved(db, 20):
        answers = await asyncio.gather(
            *(deliver(http, double, event) for event in events), reconciling.finish_payments(worker)
        )
    assert [answer.status_code for answer in answers if answer] == [200] * len(events)
    assert await status(bob, order) == "Fulfilled"
    assert await entries(bob, order["payments"]) == [("Declined", "insufficient_funds"), ("Authorised", "")]
    issued = await db.fetchval(
        "SELECT count(*) FROM tickets JOIN order_items item ON item.id = tickets.item_id"
        "  JOIN orders ON orders.id = item.order_id WHERE orders.number = $1",
        order["number"],
    )
    assert issued == 1


async def test_an_event_that_cannot_be_worked_off_comes_again(
    bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    await pay(bob, order, SECURED)
    intent = double.intent_of(order["number"])
    double.authenticate(intent["id"])
    event = event_of(double, "payment_intent.succeeded", intent["id"])
    double.faults = [(intent["id"], "503"), (intent["id"], "lose answer")]
    for _ in range(2):
        busy = await deliver(http, double, event)
        assert (busy.status_code, busy.json()["error"], busy.headers["retry-after"]) == (503, BUSY, "5")
    assert await status(bob, order) == "Placed"
    assert await db.fetchval("SELECT count(*) FROM provider_events WHERE id = $1", event["id"]) == 0
    assert (await deliver(http, double, event)).status_code == 200
    assert await status(bob, order) == "Fulfilled"


async def test_what_is_not_ours_is_let_pass(http: httpx.AsyncClient, double: Double, db: asyncpg.Connection) -> None:
    about = {"id": "pi_of_another_shop", "object": "payment_intent", "metadata": {"attempt": "payment-1"}}
    strange: list[dict[str, Any]] = [
        {"type": "payment_intent.succeeded", "data": {"object": about}},
        {"type": "payment_intent.succeeded", "data": {"object": about | {"metadata": {"attempt": ["x"]}}}},
        {"type": "refund.failed", "data": {"object": {"id": "re_x", "object": "refund", "payment_intent": None}}},
        {"type": "invoice.paid", "data": {"object": {"id": "in_1", "object": "invoice"}}},
        {"type": "v2.core.account.updated"},
    ]
    before = await db.fetchval("SELECT count(*) FROM provider_events")
    for number, event in enumerate(strange):
        answer = await deliver(http, double, {"id": f"evt_strange{number}", "object": "event", **event})
        assert answer.status_code == 200, event
    assert await db.fetchval("SELECT count(*) FROM provider_events") == before
    assert not double.requests


async def test_only_stripe_is_believed(bob: Client, stage: Stage, double: Double, http: httpx.AsyncClient) -> None:
    order = await place(bob, *stage)
    await pay(bob, order, SECURED)
    intent = double.intent_of(order["number"])
    event = {
        "id": "evt_forged",
        "object": "event",
        "type": "payment_intent.succeeded",
        "data": {"object": intent | {"status": "succeeded"}},
    }
    asked = len(double.requests)
    body, signature = double.sign(event)
    other, _ = double.sign(event | {"id": "evt_other"})
    forgeries = [
        (body, ""),
        (body, double.sign(event, secret="whsec_guessed")[1]),
        (body, double.sign(event, age=600)[1]),
        (other, signature),
        (body, signature.replace("v1=", "v0=")),
        (body, "t=x,v1=y"),
        (body, f"t={'9' * 5000},v1=0"),
        (body, "t=1,v1=é"),
        (b"\xff\xfe", signature),
        (b"", signature),
    ]
    for forged, header in forgeries:
        answer = await http.post(
            "/webhooks/stripe", content=forged, headers={b"Stripe-Signature": header.encode("latin-1")}
        )
        assert (answer.status_code, answer.json()["error"]) == (400, FORGED), header
        assert list(answer.json()["details"]) == ["Stripe-Signature"]
    assert len(double.requests) == asked
    # Signed, but not true: what counts is what Stripe says when it is asked.
    assert (await deliver(http, double, event)).status_code == 200
    assert await status(bob, order) == "Placed"
    assert await entries(bob, order["payments"]) == [("Pending", "")]
    double.authenticate(intent["id"])
    await hear(http, double, "payment_intent.succeeded", intent["id"])


async def test_one_right_signature_among_several_is_enough(http: httpx.AsyncClient, double: Double) -> None:
    """While the secret is being exchanged Stripe signs with both."""
    event = {"id": "evt_1", "object": "event", "type": "invoice.paid", "data": {"object": {}}}
    body, signature = double.sign(event)
    both = signature.replace("v1=", f"v1={'0' * 64},v1=")
    answer = await http.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": both})
    assert answer.status_code == 200


async def test_the_webhook_takes_events_and_nothing_else(http: httpx.AsyncClient, double: Double) -> None:
    large = await deliver(http, double, json.dumps({"id": "evt_1", "fill": "x" * 600_000}).encode())
    assert large.status_code == 413
    for body in (b"[]", b"null", b"{}", b'{"id": 1, "type": "x"}', b'{"id": "evt 1", "type": "x"}', b"{"):
        assert (await deliver(http, double, body)).status_code == 400, body
    assert (await http.get("/webhooks/stripe")).status_code == 405
    assert not double.requests


# Giving back


async def test_a_refund_goes_back_through_stripe(
    bob: Client, administrator: Client, stage: Stage, double: Double
) -> None:
    order = await bought(bob, stage)
    refund = await administrator.post(order["refunds"], reason="Ill")
    assert (refund.status, refund["status"], refund["amount"]) == (201, "Authorised", 20.99)
    assert double.given_back() == UNITS
    assert await status(bob, order) == "Refunded"


async def test_a_refund_without_an_answer_is_made_once(
    bob: Client, administrator: Client, stage: Stage, double: Double, worker: Services, db: asyncpg.Connection
) -> None:
    order = await bought(bob, stage)
    double.faults = [("/refunds", "lose answer")]
    refund = await administrator.post(order["refunds"], reason="Ill")
    assert (refund.status, refund["status"]) == (202, "Pending")
    double.forget_keys()
    async with clock_moved(db, 20):
        await settle_all(worker)
    assert await status(bob, order) == "Refunded"
    assert double.given_back() == UNITS
    assert len(double.refunds) == 1


@pytest.mark.parametrize(
    ("ending", "kind", "shown", "left"),
    [
        ("succeeded", "refund.updated", ("Authorised", ""), "Refunded"),
        ("failed", "refund.failed", ("Declined", "expired_or_canceled_card"), "Fulfilled"),
    ],
)
async def test_a_refund_that_takes_its_time(
    bob: Client,
    administrator: Client,
    stage: Stage,
    double: Double,
    http: httpx.AsyncClient,
    ending: str,
    kind: str,
    shown: tuple[str, str],
    left: str,
) -> None:
    order = await bought(bob, stage, PENDING_REFUND)
    refund = await administrator.post(order["refunds"], reason="Ill")
    assert (refund.status, refund["status"]) == (202, "Pending")
    [refund_id] = double.refunds
    await hear(http, double, "refund.created", refund_id)
    assert await entries(bob, order["refunds"]) == [("Pending", "")]
    double.end_refund(refund_id, ending)
    await hear(http, double, kind, refund_id)
    assert await entries(bob, order["refunds"]) == [shown]
    assert await status(bob, order) == left


async def test_an_event_about_the_charge_ends_its_open_refund(
    bob: Client, administrator: Client, stage: Stage, double: Double, http: httpx.AsyncClient
) -> None:
    order = await bought(bob, stage)
    double.faults = [("/refunds", "lose answer")]
    assert (await administrator.post(order["refunds"], reason="Ill")).status == 202
    await hear(http, double, "charge.refunded", double.intent_of(order["number"])["latest_charge"])
    assert await status(bob, order) == "Refunded"
    assert len(double.refunds) == 1


async def test_a_refund_that_comes_back_from_the_bank_is_owed_again(
    bob: Client,
    administrator: Client,
    stage: Stage,
    double: Double,
    http: httpx.AsyncClient,
    worker: Services,
    db: asyncpg.Connection,
) -> None:
    order = await bought(bob, stage)
    await administrator.post(order["refunds"], reason="Ill")
    [first] = double.refunds
    double.end_refund(first, "failed")
    await hear(http, double, "refund.failed", first)
    assert await entries(bob, order["refunds"]) == [("Declined", "expired_or_canceled_card")]
    async with clock_moved(db, 3700):
        await settle_all(worker)
    assert await entries(bob, order["refunds"]) == [("Declined", "expired_or_canceled_card"), ("Authorised", "")]
    assert double.given_back() == UNITS


async def test_money_for_an_order_that_is_gone_goes_back(
    alice: Client,
    bob: Client,
    administrator: Client,
    double: Double,
    http: httpx.AsyncClient,
    worker: Services,
    db: asyncpg.Connection,
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    await pay(bob, order, SECURED)
    intent = double.intent_of(order["number"])
    assert (await administrator.delete(section_uri(event, section))).status == 200
    double.authenticate(intent["id"])
    await hear(http, double, "payment_intent.succeeded", intent["id"])
    assert await status(bob, order) == "Cancelled"
    await settle_all(worker)
    assert (double.charged(), double.given_back()) == (UNITS, UNITS)
    letters = await db.fetchval(
        "SELECT count(*) FROM mails WHERE letter = 'payment_returned' AND account_id = $1", bob.id
    )
    assert letters == 1


async def test_a_refund_by_hand_is_written_down(
    bob: Client, administrator: Client, stage: Stage, double: Double, http: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    order = await bought(bob, stage)
    by_hand = double.refund_at_dashboard(double.intent_of(order["number"])["id"])
    with capture_logs() as lines:
        await hear(http, double, "refund.created", by_hand["id"])
        await hear(http, double, "refund.created", by_hand["id"])
    assert [line["event"] for line in lines if line["event"].startswith("payments")] == ["payments.repaid_elsewhere"]
    acts = await db.fetch("SELECT detail FROM history WHERE thing = $1 AND action LIKE '%elsewhere'", order["self"])
    assert [json.loads(act["detail"])["refund"] for act in acts] == [by_hand["id"]]
    # An administrator ends the order here too; nothing more goes back.
    assert (await administrator.post(order["refunds"], reason="Given back by hand"))["status"] == "Authorised"
    assert await status(bob, order) == "Refunded"


# Everything at once

LOST: list[Fault] = ["lose answer", "lose request", "500", "500 after", "503", "429", "409"]


class Crowd:
    """Customers and administrators whom chance leads; the same seed leads them the same way."""

    def __init__(self, seed: int, buyers: list[Client], administrator: Client, stage: Stage) -> None:
        self.luck = random.Random(seed)
        self._buyers, self._administrator, self._stage = buyers, administrator, stage

    def happens(self, share: float) -> bool:
        return self.luck.random() < share

    def fault(self) -> Fault | Literal[""]:
        return self.luck.choice(LOST) if self.happens(0.4) else ""

    async def buy(self) -> dict[str, Any]:
        buyer = self.luck.choice(self._buyers)
        order = await place(buyer, *self._stage)
        for _ in range(self.luck.randint(1, 3)):
            await pay(buyer, order, self.luck.choice([VISA, VISA, POOR, SECURED, PENDING_REFUND]))
        if self.happens(0.2):
            await buyer.delete(order["self"])
        if self.happens(0.3):
            await self._administrator.post(order["refunds"], reason="Ill")
        return order

    def come_back(self, double: Double) -> None:
        """From their banks, some with another card."""
        for intent in [one for one in double.intents.values() if one["status"] == "requires_action"]:
            if self.happens(0.7):
                double.authenticate(intent["id"], succeeds=self.happens(0.6))
            if intent["status"] == "requires_payment_method" and self.happens(0.5):
                double.try_another_card(intent["client_secret"])

    async def hear_rumours(self, http: httpx.AsyncClient, double: Double) -> None:
        """Events, of which some are lost, some come twice, and none in order."""
        told = [event for event in double.events for _ in range(self.luck.choice([0, 0, 1, 2]))]
        self.luck.shuffle(told)
        for start in range(0, len(told), 8):
            answers = await asyncio.gather(*(deliver(http, double, event) for event in told[start : start + 8]))
            assert {answer.status_code for answer in answers} <= {200, 503}


@pytest.mark.parametrize("orders", [18, pytest.param(300, marks=pytest.mark.heavy)])
async def test_whatever_is_lost_the_books_agree(
    alice: Client,
    bob: Client,
    administrator: Client,
    double: Double,
    http: httpx.AsyncClient,
    worker: Services,
    db: asyncpg.Connection,
    orders: int,
) -> None:
    """Many requests to Stripe go wrong, events are lost, doubled and shuffled, customers wander off."""
    stage = await make_stage(alice, administrator, capacity=1000)
    crowd = Crowd(orders, [alice, bob], administrator, stage)
    double.chaos = crowd.fault
    made: list[dict[str, Any]] = []
    for _ in range(orders // 6):
        made += await asyncio.gather(*(crowd.buy() for _ in range(6)))
    for seconds in (20, 60, 601, 1000):
        async with clock_moved(db, seconds):
            crowd.come_back(double)
            await asyncio.gather(crowd.hear_rumours(http, double), settle_all(worker))
    # Days later Stripe is well, and has forgotten the keys; what took its time there ends.
    double.chaos = None
    double.forget_keys()
    for days in (1, 2, 3):
        for refund in [one for one in double.refunds.values() if one["status"] == "pending"]:
            double.end_refund(refund["id"], "succeeded")
        async with clock_moved(db, days * 86_400):
            await settle_all(worker)
            ended = {order["number"]: await status(administrator, order) for order in made}
    assert (await count_open(db), await faults(db)) == (0, [])
    assert set(ended.values()) <= {"Fulfilled", "Refunded", "Cancelled", "Timed Out"}
    kept = {number: double.charged(number) - double.given_back(number) for number in ended}
    assert kept == {number: UNITS if how == "Fulfilled" else 0 for number, how in ended.items()}
    # What is left open at Stripe is nobody's to confirm: its secret was never given out.
    shown = {event["data"]["object"]["id"] for event in double.events if event["type"].endswith("requires_action")}
    assert {double.intents[intent]["status"] for intent in shown} <= {"succeeded", "canceled"}
    assert {one["status"] for one in double.intents.values()} <= {"succeeded", "canceled", "requires_payment_method"}
