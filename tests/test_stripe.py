"""Stripe as a provider, against a double of its API: no charge twice, none that nobody knows of, whatever is lost."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe
from structlog.testing import capture_logs

from stripe_double import KEY, Double, Fault, Problem, open_double
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.payments.providers import (
    Action,
    Card,
    Charge,
    Done,
    Failed,
    NotBegun,
    Outcome,
    Payer,
    Refused,
    Repayment,
    Silent,
    Token,
    Waiting,
)
from ticketing.payments.providers import stripe as module
from ticketing.payments.providers.choosing import build_providers
from ticketing.payments.providers.minor_units import to_minor_units
from ticketing.payments.providers.sealing import seal, unseal
from ticketing.payments.providers.stripe import Stripe
from ticketing.settings import BadSetting, read_settings

MARVIN = Payer("Marvin", "marvin@example.com", "+1 268 460 1234", ("1 High Street", ""), "S", "S", "Dominica")
CHARGE = Charge("payment-17325458293736", "", 5099, "USD", "0123456789AB")
VAULT = Vault("a secret that only the tests know, long enough")
VISA = Token("pm_card_visa")
SECURED = Token("pm_card_threeDSecure2Required")


@pytest.fixture(scope="module")
async def opened() -> AsyncIterator[tuple[Double, Stripe]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        async with open_double() as double:
            provider = Stripe(KEY, VAULT, return_url="https://shop.test/paid", api=double.url)
            yield double, provider
            await provider.close()


@pytest.fixture
def double(opened: tuple[Double, Stripe]) -> Double:
    """Stripe with empty books."""
    opened[0].reset()
    return opened[0]


@pytest.fixture
def provider(opened: tuple[Double, Stripe], double: Double) -> Stripe:
    return opened[1]


class Book:
    """What the platform wrote down about an attempt."""

    def __init__(self, provider: Stripe, charge: Charge = CHARGE) -> None:
        self.provider = provider
        self.attempt = charge

    async def remember(self, reference: str) -> None:
        self.attempt = replace(self.attempt, reference=reference)

    async def charge(self, means: Card | Token = VISA) -> Outcome:
        return await self.provider.charge(self.attempt, means, MARVIN, self.remember)


@pytest.fixture
def book(provider: Stripe) -> Book:
    return Book(provider)


def unsealed(outcome: Outcome) -> Outcome:
    """As the customer sees it."""
    assert isinstance(outcome, Waiting)
    return replace(outcome, action=unseal(VAULT, outcome.action))


# Charging


async def test_a_token_is_charged(book: Book, double: Double) -> None:
    outcome = await book.charge()
    [intent] = double.intents.values()
    assert outcome == Done(intent["id"])
    assert book.attempt.reference == intent["id"]
    assert (intent["amount_received"], intent["currency"]) == (5099, "usd")
    assert intent["metadata"] == {"attempt": CHARGE.key, "order": "0123456789AB"}
    assert [request.key for request in double.requests] == [CHARGE.key, f"{CHARGE.key}-confirm"]
    assert await book.provider.find(book.attempt) == outcome


async def test_a_confirmation_token_is_charged(book: Book, double: Double) -> None:
    assert isinstance(await book.charge(Token("ctoken_good")), Done)
    assert double.charged() == 5099


async def test_the_name_is_written_down_before_money_can_move(provider: Stripe, double: Double) -> None:
    seen = []

    async def remember(reference: str) -> None:
        seen.append((reference, double.intents[reference]["status"], double.charged()))

    done = await provider.charge(CHARGE, VISA, MARVIN, remember)
    assert seen == [(done.reference, "requires_payment_method", 0)]


async def test_an_attempt_that_has_ended_meanwhile_is_not_charged(provider: Stripe, double: Double) -> None:
    async def remember(_reference: str) -> None:
        raise LookupError("it has ended")

    with pytest.raises(LookupError, match="it has ended"):
        await provider.charge(CHARGE, VISA, MARVIN, remember)
    assert double.charged() == 0


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined"),  # who holds the card must not be told
        ("pm_of_nobody", "resource_missing"),
    ],
)
async def test_a_refused_token_is_refused_for_good(book: Book, double: Double, token: str, code: str) -> None:
    outcome = await book.charge(Token(token))
    [intent] = double.intents.values()
    assert outcome == Refused(intent["id"], code)
    assert intent["status"] == "canceled"
    with pytest.raises(Problem):
        double.try_another_card(intent["client_secret"])


async def test_a_decline_is_known_even_when_stripe_then_falls_silent(book: Book, double: Double) -> None:
    double.faults = [("/cancel", "lose request")]
    outcome = await book.charge(Token("pm_card_visa_chargeDeclinedInsufficientFunds"))
    assert isinstance(outcome, Refused)
    assert outcome.code == "insufficient_funds"


@pytest.mark.parametrize(
    "means", [Card("4242424242424242", "123", 12, 2034), Token("4242424242424242"), Token("pm_x/../refunds"), Token("")]
)
async def test_cards_never_reach_stripe_through_us(book: Book, double: Double, means: Card | Token) -> None:
    assert await book.charge(means) == Refused("", "invalid_token")
    assert not double.requests
    assert not Stripe.takes_cards


async def test_an_amount_that_stripe_does_not_take_is_refused(provider: Stripe, double: Double) -> None:
    assert await Book(provider, replace(CHARGE, amount_cents=49)).charge() == Refused("", "amount_too_small")
    half_a_yen = replace(CHARGE, amount_cents=1050, currency="JPY")
    assert await Book(provider, half_a_yen).charge() == Refused("", "amount_not_chargeable")


async def test_yen_are_counted_in_yen(provider: Stripe, double: Double) -> None:
    yen = replace(CHARGE, amount_cents=500000, currency="JPY")
    book = Book(provider, yen)
    assert isinstance(await book.charge(), Done)
    assert double.charged() == 5000
    repaid = await provider.repay(Repayment("refund-1", "", book.attempt.reference, 200000, "JPY"), again=False)
    assert isinstance(repaid, Done)
    assert double.given_back() == 2000


@pytest.mark.parametrize(
    ("cents", "currency", "units"),
    [
        (5099, "USD", 5099),
        (5099, "usd", 5099),
        (500000, "JPY", 5000),
        (500050, "krw", None),
        (1234, "KWD", 12340),
        (500, "ISK", 500),
        (550, "ISK", None),
    ],
)
def test_amounts_in_stripes_units(cents: int, currency: str, units: int | None) -> None:
    assert to_minor_units(cents, currency) == units


# The customer at his bank


async def test_a_bank_that_wants_its_customer(book: Book, double: Double) -> None:
    outcome = await book.charge(SECURED)
    [intent] = double.intents.values()
    url = f"https://hooks.stripe.test/3d_secure_2/{intent['id']}"
    action = Action("redirect_to_url", intent["client_secret"], "https://shop.test/paid", url)
    assert unsealed(outcome) == Waiting(intent["id"], action)
    assert unsealed(await book.provider.find(book.attempt)) == Waiting(intent["id"], action)
    assert intent["client_secret"] not in repr(outcome)
    double.authenticate(intent["id"])
    assert await book.provider.find(book.attempt) == Done(intent["id"])


async def test_without_a_return_url_the_browsers_library_goes_on(double: Double) -> None:
    provider = Stripe(KEY, VAULT, api=double.url)
    outcome = await Book(provider).charge(SECURED)
    [intent] = double.intents.values()
    assert unsealed(outcome) == Waiting(intent["id"], Action("use_stripe_sdk", intent["client_secret"], ""))
    await provider.close()


async def test_an_action_sealed_with_another_secret_shows_none() -> None:
    sealed = seal(VAULT, Action("use_stripe_sdk", "pi_1_secret_2", ""))
    assert unseal(Vault("another secret of the server, long enough"), sealed) == Action("use_stripe_sdk", "", "")
    assert unseal(VAULT, sealed) == Action("use_stripe_sdk", "pi_1_secret_2", "")
    assert unseal(VAULT, None) is None


async def test_an_abandoned_one_can_be_ended(book: Book, double: Double) -> None:
    await book.charge(SECURED)
    [intent] = double.intents.values()
    assert await book.provider.cancel(book.attempt) == Refused(intent["id"], "cancelled")
    assert await book.provider.cancel(book.attempt) == Refused(intent["id"], "cancelled")
    with pytest.raises(Problem):
        double.try_another_card(intent["client_secret"])
    assert double.charged() == 0


async def test_who_fails_at_his_bank_cannot_go_on_with_another_card(book: Book, double: Double) -> None:
    await book.charge(SECURED)
    [intent] = double.intents.values()
    double.authenticate(intent["id"], succeeds=False)
    refused = Refused(intent["id"], "payment_intent_authentication_failure")
    assert await book.provider.find(book.attempt) == refused
    with pytest.raises(Problem):
        double.try_another_card(intent["client_secret"])
    assert await book.provider.find(book.attempt) == refused


async def test_who_was_faster_with_another_card_has_paid(book: Book, double: Double) -> None:
    """Between our look at the declined intent and our cancelling of it."""
    await book.charge(SECURED)
    [intent] = double.intents.values()
    double.authenticate(intent["id"], succeeds=False)
    double.faults = [("/cancel", "hang")]
    finding = asyncio.create_task(book.provider.find(book.attempt))
    while not double.requests[-1].path.endswith("/cancel"):
        await asyncio.sleep(0.01)
    double.try_another_card(intent["client_secret"])
    double.release()
    assert await finding == Done(intent["id"])


# Answers that do not come


@pytest.mark.parametrize("fault", ["lose answer", "lose request", "hang", "hang after", "500", "500 after", "503"])
async def test_without_an_intent_nothing_is_charged(
    book: Book, double: Double, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CREATE_SECONDS", 0.3)
    double.faults = [("/payment_intents", fault)]
    with pytest.raises(Failed):
        await book.charge()
    double.release()
    assert book.attempt.reference == ""
    assert await book.provider.find(book.attempt) == NotBegun()
    cancelled = await book.provider.cancel(book.attempt)
    assert isinstance(cancelled, Refused)
    if fault not in ("500", "500 after"):
        assert {intent["status"] for intent in double.intents.values()} == {"canceled"}
        assert len(double.intents) == 1
    assert double.charged() == 0


@pytest.mark.parametrize("fault", ["lose answer", "hang after", "500 after"])
async def test_a_charge_whose_answer_is_lost_is_found(
    book: Book, double: Double, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONFIRM_SECONDS", 0.3)
    double.faults = [("/confirm", fault)]
    with pytest.raises(Silent):
        await book.charge()
    double.release()
    assert await book.provider.find(book.attempt) == Done(book.attempt.reference)
    assert await book.provider.cancel(book.attempt) == Done(book.attempt.reference)
    assert double.charged() == 5099


@pytest.mark.parametrize("fault", ["lose request", "hang", "500", "503", "409"])
async def test_a_charge_that_was_not_begun_is_ended(
    book: Book, double: Double, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONFIRM_SECONDS", 0.3)
    double.faults = [("/confirm", fault)]
    with pytest.raises(Silent):
        await book.charge()
    reference = book.attempt.reference
    assert await book.provider.find(book.attempt) == NotBegun(reference)
    assert await book.provider.cancel(book.attempt) == Refused(reference, "cancelled")
    double.release()  # what hung goes on, too late
    await asyncio.sleep(0.05)
    assert await book.provider.find(book.attempt) == Refused(reference, "cancelled")
    assert double.charged() == 0


async def test_too_many_requests_are_said_to_have_done_nothing(book: Book, double: Double) -> None:
    double.faults = [("/confirm", "429")]
    with pytest.raises(Failed):
        await book.charge()
    assert double.charged() == 0


async def test_stripe_decides_between_a_charge_and_its_cancelling(book: Book, double: Double) -> None:
    """Cancelled by somebody who has not read the reference that was just written down."""
    unread, may_go_on, remembered = book.attempt, asyncio.Event(), asyncio.Event()

    async def remember(reference: str) -> None:
        await book.remember(reference)
        remembered.set()
        await may_go_on.wait()

    charging = asyncio.create_task(book.provider.charge(CHARGE, VISA, MARVIN, remember))
    await remembered.wait()
    cancelled = await book.provider.cancel(unread)
    assert cancelled == Refused(book.attempt.reference, "cancelled")
    may_go_on.set()
    outcome = await charging
    assert isinstance(outcome, Refused)
    assert double.charged() == 0
    assert len(double.intents) == 1


async def test_a_slow_charge_is_awaited(book: Book, double: Double) -> None:
    waiting = await book.charge(Token("pm_card_slow"))
    reference = book.attempt.reference
    assert waiting == Waiting(reference)
    assert await book.provider.find(book.attempt) == waiting
    assert await book.provider.cancel(book.attempt) == waiting  # Stripe does not cancel what is being charged
    double.settle(reference)
    assert await book.provider.cancel(book.attempt) == Done(reference)


async def test_a_charge_that_is_asked_for_twice_is_charged_once(provider: Stripe, double: Double) -> None:
    first, second = Book(provider), Book(provider)
    done = await first.charge()
    assert await second.charge() == done
    assert double.charged() == 5099
    # With another card under the same key Stripe says no; what the key did before is what counts.
    with pytest.raises(Silent):
        await second.charge(Token("pm_card_mastercard"))
    assert await provider.find(second.attempt) == done


async def test_a_key_that_somebody_else_used_charges_nothing(provider: Stripe, double: Double) -> None:
    await Book(provider).charge()
    other = Book(provider, replace(CHARGE, amount_cents=100))
    with pytest.raises(Failed):
        await other.charge()
    assert isinstance(await provider.cancel(other.attempt), Refused)
    assert double.charged() == 5099


# Giving back


@pytest.fixture
async def paid(book: Book) -> str:
    await book.charge()
    return book.attempt.reference


def back(paid: str, cents: int = 1000, key: str = "refund-1", reference: str = "") -> Repayment:
    return Repayment(key, reference, paid, cents, "USD")


async def test_money_goes_back_in_parts(provider: Stripe, double: Double, paid: str) -> None:
    first = await provider.repay(back(paid), again=False)
    assert isinstance(first, Done)
    assert double.refunds[first.reference]["metadata"] == {"refund": "refund-1"}
    assert isinstance(await provider.repay(back(paid, 4099, "refund-2"), again=False), Done)
    assert double.given_back() == 5099


async def test_more_than_was_paid_does_not_go_back(provider: Stripe, double: Double, paid: str) -> None:
    assert await provider.repay(back(paid, 5100), again=False) == Refused("", "refund_refused")
    assert double.given_back() == 0


@pytest.mark.parametrize("fault", ["lose answer", "lose request", "500 after", "503", "409"])
async def test_a_refund_without_an_answer_is_made_once(
    provider: Stripe, double: Double, paid: str, fault: Fault
) -> None:
    double.faults = [("/refunds", fault)]
    with pytest.raises(Silent):
        await provider.repay(back(paid), again=False)
    assert isinstance(await provider.repay(back(paid), again=True), Done)
    double.forget_keys()
    assert isinstance(await provider.repay(back(paid), again=True), Done)
    assert double.given_back() == 1000


async def test_a_refund_is_found_among_many(provider: Stripe, double: Double, paid: str) -> None:
    made = [await provider.repay(back(paid, 100, f"refund-{number}"), again=False) for number in range(7)]
    double.forget_keys()
    double.page_length = 3
    assert await provider.repay(back(paid, 100, "refund-0"), again=True) == made[0]
    assert double.given_back() == 700


async def test_a_refund_that_takes_its_time(book: Book, provider: Stripe, double: Double) -> None:
    await book.charge(Token("pm_card_pendingRefund"))
    waiting = await provider.repay(back(book.attempt.reference), again=False)
    assert isinstance(waiting, Waiting)
    known = back(book.attempt.reference, reference=waiting.reference)
    assert await provider.repay(known, again=True) == waiting
    double.end_refund(waiting.reference, "failed")
    assert await provider.repay(known, again=True) == Refused(waiting.reference, "expired_or_canceled_card")


async def test_what_was_given_back_by_hand_has_gone_back(provider: Stripe, double: Double, paid: str) -> None:
    double.refund_at_dashboard(paid)
    assert await provider.repay(back(paid), again=False) == Done("")
    assert double.given_back() == 5099


# Keys and versions


async def test_a_wrong_key_charges_nothing_and_is_not_shown(double: Double) -> None:
    provider = Stripe("sk_test_wrong_a1b2c3d4", VAULT, api=double.url)
    with capture_logs() as lines, pytest.raises(Failed):
        await Book(provider).charge()
    await provider.close()
    assert [line["log_level"] for line in lines] == ["error"]
    assert "sk_test" not in str(lines)


async def test_nothing_confidential_is_logged(book: Book, double: Double) -> None:
    with capture_logs() as lines:
        double.faults = [("/confirm", "500 after"), ("/cancel", "429")]
        with pytest.raises(Silent):
            await book.charge(SECURED)
        with pytest.raises(Failed):
            await book.provider.cancel(book.attempt)
    assert len(lines) == 2
    secrets = [intent["client_secret"] for intent in double.intents.values()]
    assert not any(word in str(lines) for word in [KEY, SECURED.text, "Marvin", *secrets])


def test_the_api_version_is_the_librarys() -> None:
    """A newer library may mean other parameters: `API_VERSION` and the double move with it, by hand."""
    assert stripe.api_version == module.API_VERSION


async def test_an_unknown_charge_is_a_fault(provider: Stripe) -> None:
    elsewhere: Any = replace(CHARGE, reference="pi_of_another_account")
    with pytest.raises(Failed):
        await provider.find(elsewhere)
    with pytest.raises(Failed):
        await provider.cancel(elsewhere)


# Settings


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"PAYMENT_PROVIDER": "stripe"}, "Payments by Stripe need TICKETING_STRIPE_KEY."),
        ({"STRIPE_KEY": "pk_test_1"}, "TICKETING_STRIPE_KEY is no secret (`sk_`) or restricted (`rk_`) key."),
        (
            {"STRIPE_API": "http://api.stripe.example"},
            "TICKETING_STRIPE_API is not https: the key would travel in the clear.",
        ),
        ({"STRIPE_RETURN_URL": "/paid"}, "TICKETING_STRIPE_RETURN_URL is no https address."),
        ({"STRIPE_RETURN_URL": "https://[shop"}, "TICKETING_STRIPE_RETURN_URL is no https address."),
        ({"PAYMENT_PROVIDER": "paper"}, "TICKETING_PAYMENT_PROVIDER is none of sandbox, stripe."),
    ],
)
def test_wrong_settings_stop_the_start(environment: dict[str, str], text: str) -> None:
    with pytest.raises(BadSetting) as stopped:
        read_settings({f"TICKETING_{name}": value for name, value in environment.items()})
    assert str(stopped.value) == text


async def test_the_setting_chooses_and_old_payments_keep_their_provider(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    with_key = {"TICKETING_STRIPE_KEY_FILE": str(tmp_path / "key")}
    database = Database("")
    for name in ("sandbox", "stripe"):
        providers = build_providers(read_settings({**with_key, "TICKETING_PAYMENT_PROVIDER": name}), database, VAULT)
        assert providers.current.name == name
        assert [bool(providers.find(one)) for one in ("sandbox", "stripe", "paper")] == [True, True, False]
        await providers.close()
    assert build_providers(read_settings({}), database, VAULT).find("stripe") is None


def test_the_library_is_loaded_only_with_a_key() -> None:
    """It takes 27 MB, in every process."""
    code = "import sys, ticketing.app, ticketing.serving.job_worker; sys.exit('stripe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
