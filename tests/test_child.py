"""What a process beside may take over one thing: time of a processor, not of a clock."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ticketing.kit.child import Child, ChildFailed, TookTooLong
from ticketing.kit.overload import Overloaded

MakeChild = Callable[[float, float], Child]


@pytest.fixture
def make_child(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeChild]:
    """Makes a child with so many seconds of a processor, and so many to wait for."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    made: list[Child] = []

    def make(seconds: float, patience_seconds: float) -> Child:
        made.append(Child("stand_ins.toiler", seconds=seconds, patience_seconds=patience_seconds, uses=100))
        return made[-1]

    yield make
    for child in made:
        child.close()


def test_time_that_others_have_the_processor_for_does_not_count(make_child: MakeChild) -> None:
    child = make_child(0.4, 60)
    assert child.ask("sleep 1") == b"done"
    for _ in range(4):
        assert child.ask("work 0.2") == b"done"  # each has its own


def test_too_much_work_ends_the_child_and_the_next_is_done(make_child: MakeChild) -> None:
    child = make_child(0.4, 60)
    for _ in range(2):
        with pytest.raises(TookTooLong):
            child.ask("work 600")
        assert child.ask("work 0.1") == b"done"


def test_a_child_that_does_not_get_on_is_given_up_without_blaming_what_it_was_at(make_child: MakeChild) -> None:
    child = make_child(60, 1.5)
    with pytest.raises(Overloaded) as raised:
        child.ask("sleep 600")
    assert not isinstance(raised.value, ChildFailed)
