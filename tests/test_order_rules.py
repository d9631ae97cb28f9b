"""Who gets places: pure decisions, in arrival order."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ticketing.orders.rules import (
    Granted,
    Limits,
    PriceState,
    Reason,
    Refused,
    SectionState,
    Status,
    Usage,
    Wish,
    cheapest,
    decide,
    status_now,
)
from ticketing.tickets.rules import ALPHABET, new_serial, serial_stem

FLOOR, BALCONY, EVENT = 1, 2, 7
NO_LIMITS = Limits(open_orders=50, tickets_per_event=0)


def section(
    section_id: int = FLOOR,
    free: int = 10,
    price: int = 5000,
    prices: tuple[PriceState, ...] = (),
    on_sale: bool = True,
) -> SectionState:
    return SectionState(section_id, EVENT, "Dark Winter", "Floor", "", free, price, on_sale, False, list(prices))


def wish(*lines: tuple[int, int], customer: int = 1, privileged: bool = False) -> Wish:
    return Wish(0, "", customer, tuple((EVENT, place, n) for place, n in lines), privileged)


def place(
    *wishes: Wish, sections: tuple[SectionState, ...], limits: Limits = NO_LIMITS, usage: Usage | None = None
) -> list[Granted | Refused]:
    return decide(
        wishes,
        {one.id: one for one in sections},
        {one.customer_id: usage or Usage() for one in wishes},
        limits,
        lambda cents: 99 if cents else 0,
    )


def reasons(outcomes: list[Granted | Refused]) -> list[Reason | None]:
    return [outcome.reason if isinstance(outcome, Refused) else None for outcome in outcomes]


def test_the_last_place_goes_to_who_came_first() -> None:
    outcomes = place(wish((FLOOR, 1)), wish((FLOOR, 1)), sections=(section(free=1),))
    assert reasons(outcomes) == [None, Reason.NOT_AVAILABLE]


def test_a_refused_order_leaves_its_places_to_the_next() -> None:
    outcomes = place(
        wish((FLOOR, 2), (BALCONY, 1)), wish((FLOOR, 2)), sections=(section(free=2), section(BALCONY, free=0))
    )
    assert reasons(outcomes) == [Reason.NOT_AVAILABLE, None]


def test_administrators_order_from_what_is_not_on_sale() -> None:
    closed = section(on_sale=False)
    assert reasons(place(wish((FLOOR, 1)), sections=(closed,))) == [Reason.NOT_AVAILABLE]
    assert reasons(place(wish((FLOOR, 1), privileged=True), sections=(closed,))) == [None]
    closed.cancelled = True
    assert reasons(place(wish((FLOOR, 1), privileged=True), sections=(closed,))) == [Reason.NOT_AVAILABLE]


def test_a_section_of_another_event_is_unknown() -> None:
    stray = Wish(0, "", 1, ((8, FLOOR, 1),))
    assert reasons(place(stray, sections=(section(),))) == [Reason.UNKNOWN_SECTION]


def test_a_limited_price_never_sells_beyond_its_quantity() -> None:
    floor = section(prices=(PriceState(3, 1000, left=3), PriceState(4, 4000, left=None)))
    outcomes = place(wish((FLOOR, 2)), wish((FLOOR, 2)), wish((FLOOR, 1)), sections=(floor,))
    assert [bill(one) for one in outcomes] == [[(2, 1000)], [(1, 1000), (1, 4000)], [(1, 4000)]]


def bill(outcome: Granted | Refused) -> list[tuple[int, int]]:
    """Places and cents of each line."""
    assert isinstance(outcome, Granted)
    return [(line.quantity, line.price_cents) for line in outcome.lines]


def test_of_equal_prices_the_base_price_and_then_the_older_is_taken() -> None:
    equal = [PriceState(9, 100, 1), PriceState(4, 100, 1), PriceState(2, 500, None)]
    assert cheapest(500, equal, 3) == [(4, 100, 1), (9, 100, 1), (None, 500, 1)]


@given(
    base=st.integers(0, 6),
    prices=st.lists(st.tuples(st.integers(0, 6), st.none() | st.integers(-1, 4)), max_size=5),
    quantity=st.integers(1, 12),
)
def test_places_are_taken_one_by_one_each_at_the_lowest_price_left(
    base: int, prices: list[tuple[int, int | None]], quantity: int
) -> None:
    """Against every single place of the section, sorted by what it costs."""
    states = [PriceState(number, cents, left) for number, (cents, left) in enumerate(prices)]
    places = [(base, -1)] * quantity
    for state in states:
        places += [(state.cents, state.id)] * (quantity if state.left is None else max(0, state.left))
    taken = sorted(places)[:quantity]
    parts = cheapest(base, states, quantity)
    assert [(cents, -1 if price is None else price) for price, cents, size in parts for _ in range(size)] == taken
    assert len({price for price, _, _ in parts}) == len(parts)  # one part for each price


def test_what_costs_another_total_than_was_expected_is_refused_and_takes_nothing() -> None:
    floor = section(prices=(PriceState(3, 500, left=1),))
    first, second, third, fourth = (
        Wish(0, "", 1, ((EVENT, FLOOR, 1),), expected_cents=cents) for cents in (599, 599, 500, 5099)
    )
    outcomes = place(first, second, third, fourth, sections=(floor,))
    assert reasons(outcomes) == [None, Reason.PRICE, Reason.PRICE, None]
    assert floor.free == 8


def test_a_dearer_special_price_is_not_charged() -> None:
    [granted] = place(wish((FLOOR, 1)), sections=(section(price=500, prices=(PriceState(3, 900, None),)),))
    assert isinstance(granted, Granted)
    assert granted.lines[0].price_cents == 500


def test_totals_are_sums_of_price_and_fee_times_quantity() -> None:
    [granted] = place(wish((FLOOR, 3), (BALCONY, 1)), sections=(section(price=99), section(BALCONY, price=0)))
    assert isinstance(granted, Granted)
    assert (granted.subtotal_cents, granted.fees_cents, granted.is_free) == (297, 297, False)


def test_limits_count_what_neighbours_in_the_batch_took() -> None:
    outcomes = place(
        wish((FLOOR, 2)), wish((FLOOR, 2)), wish((FLOOR, 1)), sections=(section(),), limits=Limits(50, 3), usage=Usage()
    )
    assert reasons(outcomes) == [None, Reason.LIMIT, None]
    outcomes = place(wish((FLOOR, 1)), sections=(section(),), limits=Limits(1, 0), usage=Usage(open_orders=1))
    assert reasons(outcomes) == [Reason.LIMIT]


def test_free_orders_are_never_open() -> None:
    free = section(price=0)
    assert reasons(place(wish((FLOOR, 1)), sections=(free,), limits=Limits(0, 0))) == [None]


def test_a_hold_whose_time_is_over_is_timed_out_for_every_reader() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert status_now("Placed", now + timedelta(seconds=1), now) is Status.PLACED
    assert status_now("Placed", now, now) is Status.TIMED_OUT
    assert status_now("Cancelled", now, now) is Status.CANCELLED


def test_serials_tell_where_they_open_and_cannot_be_guessed() -> None:
    assert serial_stem("Dark Winter", "Backstage") == "DARTER-BACK"
    assert serial_stem("AB", "é1") == "ABXABX-E1XX"
    assert serial_stem("…", "") == "XXXXXX-XXXX"
    serials = {new_serial("Dark Winter", "Backstage") for _ in range(500)}
    assert len(serials) == 500
    assert all(len(one) == 19 and set(one[11:]) <= set(ALPHABET) for one in serials)


def test_a_host_says_less_or_more_than_the_platform() -> None:
    limits = Limits(open_orders=50, tickets_per_event=4)
    less, more = section(), section(free=90)
    less.tickets_per_customer, more.tickets_per_customer = 2, 9
    assert reasons(place(wish((FLOOR, 3)), wish((FLOOR, 2)), sections=(less,), limits=limits)) == [Reason.LIMIT, None]
    assert reasons(place(wish((FLOOR, 9)), sections=(more,), limits=limits)) == [None]
    assert reasons(place(wish((FLOOR, 1)), sections=(more,), limits=limits, usage=Usage(tickets={EVENT: 9}))) == [
        Reason.LIMIT
    ]
    assert reasons(place(wish((FLOOR, 3)), sections=(less,))) == [Reason.LIMIT]  # also where the platform says nothing
    assert reasons(place(wish((FLOOR, 3), privileged=True), sections=(less,))) == [None]


def test_what_costs_nothing_may_have_limits_of_its_own() -> None:
    limits = Limits(open_orders=50, tickets_per_event=6, free_per_event=2, free_verified=True)
    stranger = Usage(verified=False)
    assert reasons(place(wish((FLOOR, 1)), sections=(section(price=0),), limits=limits, usage=stranger)) == [
        Reason.UNVERIFIED
    ]
    assert reasons(place(wish((FLOOR, 1)), sections=(section(),), limits=limits, usage=stranger)) == [None]
    free = section(price=0)
    assert reasons(place(wish((FLOOR, 3)), wish((FLOOR, 2)), wish((FLOOR, 1)), sections=(free,), limits=limits)) == [
        *(Reason.LIMIT, None, Reason.LIMIT),
    ]
    assert reasons(place(wish((FLOOR, 6)), sections=(section(),), limits=limits)) == [None]
    free.tickets_per_customer = 1
    assert reasons(place(wish((FLOOR, 2)), sections=(free,), limits=limits)) == [Reason.LIMIT]
    assert reasons(place(wish((FLOOR, 3), privileged=True), sections=(free,), limits=limits, usage=stranger)) == [None]
