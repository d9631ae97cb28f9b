"""The pure rules of payments: what an answer leads to, which card is past, what a refund gives back."""

from datetime import UTC, datetime, timedelta

import pytest

from ticketing.orders.rules import Status
from ticketing.payments.providers import Card, Done, NotBegun, Outcome, Payer, Refused, Token, Waiting
from ticketing.payments.providers.cards import PARTS, part_of, passes_luhn
from ticketing.payments.rules import (
    Item,
    NoRefund,
    Places,
    RefundStep,
    State,
    Step,
    choose_items,
    has_expired,
    held_while,
    is_to_cancel,
    next_refund_step,
    next_step,
)

NOW = datetime(2034, 6, 30, 22, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
DONE, REFUSED = Done("ch"), Refused("ch", "card_declined")
UNDECIDED: list[Outcome] = [Waiting("ch"), NotBegun()]


@pytest.mark.parametrize("order", list(Status))
@pytest.mark.parametrize("places", list(Places))
@pytest.mark.parametrize("state", [State.PENDING, State.DECLINED])
def test_money_always_leads_to_tickets_or_back(order: Status, places: Places, state: State) -> None:
    step = next_step(state, DONE, order, places)
    is_wanted = order in (Status.PLACED, Status.TIMED_OUT) and places is not Places.GONE
    assert step is (Step.FULFIL if is_wanted else Step.GIVE_BACK)


@pytest.mark.parametrize("order", list(Status))
def test_what_was_decided_is_not_decided_again(order: Status) -> None:
    for outcome in (DONE, REFUSED, *UNDECIDED):
        assert next_step(State.AUTHORISED, outcome, order, Places.HELD) is Step.NOTHING
    for outcome in (REFUSED, *UNDECIDED):
        assert next_step(State.DECLINED, outcome, order, Places.HELD) is Step.NOTHING
    assert next_step(State.PENDING, REFUSED, order, Places.HELD) is Step.DECLINE
    for outcome in UNDECIDED:
        assert next_step(State.PENDING, outcome, order, Places.HELD) is Step.WAIT


def test_an_attempt_ends_with_its_time_or_its_order() -> None:
    waiting = Waiting("ch")
    assert not is_to_cancel(waiting, Status.PLACED, NOW, LATER)
    assert is_to_cancel(waiting, Status.PLACED, LATER, LATER)
    for status in set(Status) - {Status.PLACED}:
        assert is_to_cancel(waiting, status, NOW, LATER)
    assert is_to_cancel(NotBegun(), Status.PLACED, NOW, LATER)
    for decided in (DONE, REFUSED):
        assert not is_to_cancel(decided, Status.CANCELLED, LATER, NOW)


def test_a_hold_outlasts_the_call_that_is_under_way_but_not_for_ever() -> None:
    assert held_while(LATER, under_way=False) == LATER
    assert LATER < held_while(LATER, under_way=True) <= LATER + timedelta(hours=2)


@pytest.mark.parametrize(
    ("month", "year", "expired"),
    [(6, 2034, False), (7, 2034, False), (5, 2034, True), (6, 2033, True), (1, 2035, False), (12, 2033, True)],
)
def test_a_card_lasts_to_the_end_of_its_month(month: int, year: int, expired: bool) -> None:
    assert has_expired(month, year, NOW) is expired


def test_a_month_is_over_when_it_is_over_everywhere() -> None:
    assert not has_expired(6, 2034, datetime(2034, 7, 1, 11, 59, tzinfo=UTC))
    assert has_expired(6, 2034, datetime(2034, 7, 1, 12, 0, tzinfo=UTC))


LIVE, CLAIMED = Item(1, 500, True, False), Item(2, 500, True, True)
OWED, REPAID = Item(3, 500, False, False), Item(4, 500, False, True)
FREE, FREE_GONE = Item(5, 0, True, False), Item(6, 0, False, False)


def test_a_refund_takes_what_is_live_or_owed_each_once() -> None:
    everything = [LIVE, CLAIMED, OWED, REPAID, FREE, FREE_GONE]
    assert choose_items(Status.FULFILLED, 2000, everything) == [LIVE, OWED, FREE]
    assert choose_items(Status.FULFILLED, 2000, [CLAIMED, REPAID, FREE_GONE]) is NoRefund.UNDER_WAY


def test_only_fulfilled_orders_that_cost_something_are_refunded() -> None:
    assert choose_items(Status.FULFILLED, 0, [FREE]) is NoRefund.FREE
    for status in set(Status) - {Status.FULFILLED}:
        assert choose_items(status, 500, [LIVE]) is NoRefund.STATUS


def test_a_refund_that_succeeded_may_fail_at_the_bank_but_not_the_other_way() -> None:
    assert next_refund_step(State.PENDING, DONE) is RefundStep.REPAID
    assert next_refund_step(State.PENDING, REFUSED) is RefundStep.REFUSED
    assert next_refund_step(State.AUTHORISED, REFUSED) is RefundStep.REFUSED
    assert next_refund_step(State.AUTHORISED, DONE) is RefundStep.NOTHING
    for outcome in (DONE, REFUSED, *UNDECIDED):
        assert next_refund_step(State.DECLINED, outcome) is RefundStep.NOTHING
    for outcome in UNDECIDED:
        assert next_refund_step(State.PENDING, outcome) is RefundStep.NOTHING


def test_the_sandbox_knows_its_cards() -> None:
    assert all(passes_luhn(number) for number in PARTS)
    assert not passes_luhn("5555555555555555")
    assert part_of(Card("5555555555555555", "123", 1, 2040)).ending == "declined"
    assert part_of(Card("4242424242424242", "123", 1, 2040)).ending == "succeeded"
    assert part_of(Token("tok_nobody_has")).ending == "declined"
    for number, (token, part) in PARTS.items():
        assert part_of(Card(number, "123", 1, 2040)) == part_of(Token(token)) == part


def test_what_is_private_shows_itself_to_nobody() -> None:
    shown = repr(
        [
            Card("4111111111111111", "737", 12, 2049),
            Token("tok_secret"),
            Payer("Marvin Hunte", "marvin@example.com", "12345678", ("High Street", "Flat 2"), "Town", "D", "France"),
        ]
    )
    for private in ("4111", "737", "2049", "secret", "Marvin", "example", "12345", "High", "Flat", "Town", "France"):
        assert private not in shown
