"""Whose turn is next, and who must come again: without anything that is done, and without a clock."""

import asyncio
import threading
from collections.abc import Hashable
from enum import Enum

import pytest

from ticketing.kit.overload import Overloaded
from ticketing.kit.threads import BoundedThreads
from ticketing.kit.turns import NAMES_REMEMBERED, PASSED_OVER_AT_MOST, Asker, Turns

HERE, THERE = "192.0.2.1", "198.51.100.1"


class Lane(Enum):
    SHORT = "short"
    LONG = "long"


class Shop:
    """Does parts when it is told to, and remembers whose they were."""

    def __init__(
        self, *, short: int = 64, long: int = 8, seconds: float = 60, at_once: int = 1, each: int | None = None
    ) -> None:
        self.turns = Turns({Lane.SHORT: short, Lane.LONG: long}, seconds, at_once=at_once, each=each)
        self.begun: list[Hashable] = []
        self.done: list[Hashable] = []
        self._steps = asyncio.Semaphore(0)

    def start(self, asker: Asker, parts: int = 1) -> asyncio.Task[int]:
        """Begin work of so many parts: a long one, unless it is one."""
        return asyncio.create_task(self._work(asker, parts))

    async def _work(self, asker: Asker, parts: int) -> int:
        lane, name = Lane.SHORT if parts == 1 else Lane.LONG, asker[-1] if asker else None

        async def work() -> bytes:
            self.begun.append(name)
            await self._steps.acquire()
            self.done.append(name)
            return b""

        async with self.turns.place(lane, asker):
            for _ in range(parts):
                await self.turns.take(lane, asker, work)
        return parts

    async def do(self, parts: int) -> None:
        """Let so many parts be done."""
        for _ in range(parts):
            await settle()
            self._steps.release()
        await settle()


async def settle() -> None:
    """Let everybody get as far as he does by himself."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_nobodys_second_part_is_done_before_anothers_first() -> None:
    shop = Shop(long=16)
    askers = [(HERE, f"account {number}") for number in range(8)]
    work = [shop.start(asker, 7) for asker in askers]
    await shop.do(16)
    assert shop.done == [account for _, account in askers] * 2
    newcomer = shop.start((THERE, "newcomer"), 2)
    await shop.do(2)
    assert shop.done[16:].count("newcomer") == 1, "not before the part under way"
    await shop.do(7 * 8 + 2 - 18)
    assert [await one for one in [*work, newcomer]] == [7] * 8 + [2]
    for so_far in range(1, 7 * 8 + 2):
        done = [shop.done[:so_far].count(account) for _, account in askers]
        assert max(done) - min(done) <= 1, shop.done


async def test_short_work_waits_for_no_more_than_what_is_under_way() -> None:
    shop = Shop()
    long = [shop.start((HERE, f"account {number}"), 7) for number in range(8)]
    await shop.do(3)
    short = shop.start((THERE, "newcomer"))
    await shop.do(2)
    assert shop.done[3:][-1] == "newcomer"
    assert await short == 1
    assert not any(one.done() for one in long)
    await shop.do(8 * 7 - 4)
    await asyncio.gather(*long)


async def test_short_work_without_end_does_not_keep_long_work_for_ever() -> None:
    shop = Shop()
    long = shop.start((HERE, "long"), 5)
    await settle()
    short = [shop.start((THERE, f"short {number}")) for number in range(60)]
    await shop.do(5 * (PASSED_OVER_AT_MOST + 1))
    assert await long == 5
    await shop.do(60 - len(shop.done) + 5)
    await asyncio.gather(*short)


async def test_many_accounts_of_one_address_take_turns_with_the_next_address() -> None:
    shop = Shop()
    many = [shop.start((HERE, f"account {number}")) for number in range(20)]
    await shop.do(5)
    own = [shop.start((THERE, "own")) for _ in range(3)]
    await shop.do(7)
    assert shop.done[5:12].count("own") == 3, shop.done
    await shop.do(20 + 3 - 12)
    await asyncio.gather(*many, *own)


async def test_many_addresses_of_one_account_take_turns_with_the_next_account() -> None:
    shop = Shop()
    many = [shop.start((f"192.0.2.{number}", "everywhere")) for number in range(20)]
    await shop.do(5)
    own = [shop.start((THERE, "own")) for _ in range(3)]
    await shop.do(7)
    assert shop.done[5:12].count("own") == 3, shop.done
    await shop.do(20 + 3 - 12)
    await asyncio.gather(*many, *own)


async def test_a_proxy_that_everybody_comes_through_is_shared_by_account() -> None:
    shop = Shop()
    greedy = [shop.start((HERE, "greedy")) for _ in range(10)]
    modest = shop.start((HERE, "modest"))
    await shop.do(2)
    assert shop.done == ["greedy", "modest"]
    await shop.do(9)
    await asyncio.gather(*greedy, modest)


async def test_who_has_most_places_gives_up_his_latest() -> None:
    shop = Shop(long=3)
    first, second, third = (shop.start((HERE, account), 2) for account in ("a", "b", "b"))
    await settle()
    with pytest.raises(Overloaded):
        shop.turns.ensure_room(Lane.LONG, (HERE, "b"))
    refused = shop.start((HERE, "b"), 2)
    with pytest.raises(Overloaded):
        await refused
    shop.turns.ensure_room(Lane.LONG, (THERE, "c"))
    newcomer = shop.start((THERE, "c"), 2)
    with pytest.raises(Overloaded):
        await third
    assert not any(one.done() for one in (first, second, newcomer))
    await shop.do(8)
    assert [await one for one in (first, second, newcomer)] == [2, 2, 2]
    again = shop.start((HERE, "b"), 2)
    await shop.do(2)
    assert await again == 2


async def test_work_without_a_name_is_bounded_and_never_given_up_for_others() -> None:
    shop = Shop(short=2)
    nameless = [shop.start(()) for _ in range(3)]
    with pytest.raises(Overloaded):
        await nameless[2]
    with pytest.raises(Overloaded):
        await shop.start((HERE, "somebody"))
    await shop.do(2)
    assert [await one for one in nameless[:2]] == [1, 1]


async def test_who_has_gone_takes_no_turn_and_what_fails_stops_nobody() -> None:
    shop = Shop()
    under_way, gone, next_one = (shop.start((HERE, account)) for account in ("a", "b", "c"))
    await settle()
    gone.cancel()
    under_way.cancel()
    await shop.do(2)
    assert await next_one == 1
    assert shop.done == ["a", "c"]  # what has begun is done to its end

    async def fail(error: Exception) -> bytes:
        raise error

    for error in (KeyError("ink"), TimeoutError("its own")):
        with pytest.raises(type(error)):
            await shop.turns.run(Lane.SHORT, (), lambda error=error: fail(error))  # type: ignore[misc]
    after = shop.start(())
    await shop.do(1)
    assert await after == 1


async def test_who_goes_as_his_turn_comes_passes_it_on() -> None:
    shop = Shop()
    first, second, third = (shop.start((HERE, account)) for account in ("a", "b", "c"))
    await settle()
    shop._steps.release()
    while not shop.done:
        await asyncio.sleep(0)
    second.cancel()  # it was told in this moment that it is next
    await shop.do(1)
    assert [await first, await third] == [1, 1]
    assert shop.done == ["a", "c"]


async def test_nobody_waits_longer_than_there_is_time() -> None:
    shop = Shop(seconds=0.05)
    with pytest.raises(Overloaded):
        await shop.start((HERE, "a"), 2)
    await shop.do(1)


async def test_several_turns_at_once_and_only_so_many_of_one_name() -> None:
    shop = Shop(at_once=3, each=2)
    work = [shop.start((HERE, account)) for account in ("a", "b", "c")]
    await settle()
    assert shop.begun == ["a", "b"], "the address has two"
    own = [shop.start((THERE, "own")) for _ in range(2)]
    await settle()
    assert shop.begun == ["a", "b", "own"]
    await shop.do(1)
    assert shop.begun == ["a", "b", "own", "c"]
    await shop.do(1)
    assert shop.begun == ["a", "b", "own", "c", "own"]
    await shop.do(3)
    await asyncio.gather(*work, *own)


async def test_a_turn_is_held_as_long_as_it_takes() -> None:
    turns = Turns({Lane.LONG: 4}, 0.05, come_again=5)
    async with turns.hold(Lane.LONG, (HERE, "a")):
        with pytest.raises(Overloaded) as late:
            async with turns.hold(Lane.LONG, (THERE, "b")):
                raise AssertionError("two at once")
        assert late.value.seconds == 5
        await asyncio.sleep(0.1)  # longer than anybody waits
    async with turns.hold(Lane.LONG, (THERE, "b")):
        pass


async def test_of_many_names_the_oldest_are_forgotten() -> None:
    turns = Turns({Lane.SHORT: 1}, 60)

    async def nothing() -> bytes:
        return b""

    for number in range(NAMES_REMEMBERED + 10):
        await turns.run(Lane.SHORT, (number,), nothing)
    assert len(turns._served) == NAMES_REMEMBERED
    assert not turns._taken_by


async def test_a_thread_is_taken_until_it_is_done() -> None:
    threads = BoundedThreads("test", threads=1, waiting=2, seconds=0.05)
    gate = threading.Event()
    try:
        with pytest.raises(Overloaded):
            await threads.run(gate.wait, asker=("a",))
        waiting = asyncio.create_task(threads.run(lambda: "done", asker=("a",)))
        await settle()
        assert not waiting.done()
        gate.set()
        assert await waiting == "done"
    finally:
        gate.set()
        threads.close()
    with pytest.raises(Overloaded):
        await threads.run(lambda: "too late")
