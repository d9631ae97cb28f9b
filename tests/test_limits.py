"""Counting within a minute."""

from ticketing.kit import limits
from ticketing.kit.limits import FixedWindow


class Watch:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_counts_start_anew_each_minute() -> None:
    watch = Watch()
    minute = FixedWindow(3, now=watch)
    assert [minute.count("a") for _ in range(5)] == [2, 1, 0, -1, -2]
    assert (minute.remaining("a"), minute.remaining("b")) == (0, 3)
    assert minute.is_past("a")
    assert not minute.is_past("a", times=2)
    assert minute.seconds_left() == 20  # minutes begin at multiples of sixty
    watch.now += 19.5
    assert minute.seconds_left() == 1
    assert minute.count("a") == -3
    watch.now += 0.5
    assert minute.count("a") == 2
    assert minute.seconds_left() == 60


def test_what_costs_more_counts_for_more() -> None:
    minute = FixedWindow(10, now=Watch())
    assert [minute.count("a", 4) for _ in range(3)] == [6, 2, -2]
    assert minute.count("b") == 9


def test_memory_is_bounded_and_nobody_hides_among_many_names() -> None:
    minute = FixedWindow(3, now=Watch())
    for name in range(limits.NAMES + 10):
        minute.count(name)
        if name % 1000 == 0:
            minute.count("busy")
    assert len(minute._counts) <= limits.NAMES
    assert minute.is_past("busy")  # who comes again and again is not forgotten
    assert minute.remaining(0) == 3  # the oldest are
