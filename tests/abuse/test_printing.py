"""Everybody prints all that he has, all the time."""

import asyncio
import contextlib
import statistics
from functools import partial
from typing import Any

import pytest

from arena import TRIES, Arena, Bystander, under_way
from conftest import Client
from makers import make_section, make_stage
from makers import place as order

CROWD, LARGE = 8, 50
AT_ONCE = 2  # for each: more than there are places
IMPATIENCE_SECONDS = 0.5  # sooner than they were told to come again
PRINTS = 4
# What somebody else's page waits for: the part under way, a second's work at most, while every processor is wanted.
MOST_TIMES = 8
MOST_MORE_SECONDS = 1.0

Paper = tuple[Client, str]  # whose, and where it is


@pytest.fixture(scope="module")
async def floor(place: Arena) -> tuple[dict[str, Any], dict[str, Any]]:
    """A listed event and a section of free tickets."""
    runner, administrator = await place.person("runner"), await place.person("admin", "administrator")
    event, _ = await make_stage(runner, administrator)
    return event, await make_section(runner, event, basePrice=0, capacity=1000)


async def buy(person: Client, floor: tuple[dict[str, Any], dict[str, Any]], tickets: int) -> Paper:
    """An order of so many tickets, to print."""
    return person, f"{(await order(person, *floor, tickets))['self']}/tickets.pdf"


async def test_a_crowd_that_prints_keeps_nobody_from_a_page(
    place: Arena, bystander: Bystander, floor: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    crowd = [await buy(await place.person("printer"), floor, LARGE) for _ in range(CROWD)]
    modest = await place.person("modest")
    seen: set[int] = set()

    async def print_all(person: Client, large: str) -> None:
        answer = await person.get(large)
        seen.add(answer.status)
        if answer.status != 200:
            await asyncio.sleep(IMPATIENCE_SECONDS)

    async def print_pages() -> float:
        """How long a page takes, of several that nobody printed before, in seconds."""
        papers = [await buy(modest, floor, 1) for _ in range(PRINTS)]
        return statistics.median([await place.seconds_of(*paper) for paper in papers])

    def attack() -> contextlib.AbstractAsyncContextManager[None]:
        return under_way(*(partial(print_all, *one) for one in crowd for _ in range(AT_ONCE)))

    await place.ensure_unnoticed(bystander, attack, rounds=6)
    await print_pages()  # both presses are warm
    for _ in range(TRIES):
        quiet = await print_pages()
        async with attack():
            during = await print_pages()
        if during <= MOST_TIMES * quiet + MOST_MORE_SECONDS:
            break
    else:
        raise AssertionError(f"a page waits: {quiet} s, and {during} s in the crowd")
    assert seen <= {200, 503}
    place.ensure_small()
