"""One visitor asks for all the passwords, searches and files that there can be; others have their turns."""

import contextlib
from functools import partial
from itertools import count

import pytest

from arena import Arena, Bystander, under_way
from conftest import PASSWORD, Client
from makers import register

AT_ONCE = 60


@pytest.fixture(scope="module")
async def shop(place: Arena) -> Client:
    """A public key, used from the attacker's address."""
    return await place.person("shop", "public")


async def signing_in(place: Arena, public: Client) -> Bystander:
    """Somebody who signs in, over connections of his own."""
    person = await register(public)

    async def sign_in() -> int:
        async with place.fresh(public) as own:
            return (await own.post("/sessions", identification=person.username, password=PASSWORD)).status

    return Bystander({"sign in": sign_in})


async def test_registrations_keep_nobody_from_signing_in(place: Arena, shop: Client) -> None:
    numbers = count()
    refused: set[int] = set()

    async def registration() -> None:
        name = f"bot{next(numbers)}"
        answer = await shop.post(
            "/accounts", username=name, email=f"{name}@example.com", password=PASSWORD, firstName="Bo", lastName="T"
        )
        refused.add(answer.status)

    def attack() -> contextlib.AbstractAsyncContextManager[None]:
        return under_way(*[registration] * AT_ONCE)

    await place.ensure_unnoticed(await signing_in(place, shop), attack, rounds=8)
    assert refused <= {201, 429, 503}
    place.ensure_small()


async def test_wrong_passwords_keep_nobody_from_signing_in(place: Arena, shop: Client) -> None:
    victims = [await register(shop) for _ in range(AT_ONCE)]

    async def guess(victim: Client) -> None:
        await shop.post("/sessions", identification=victim.username, password="wrong password")

    def attack() -> contextlib.AbstractAsyncContextManager[None]:
        return under_way(*(partial(guess, victim) for victim in victims))

    await place.ensure_unnoticed(await signing_in(place, shop), attack, rounds=8)


async def test_searches_keep_no_connection_from_those_who_buy(place: Arena, bystander: Bystander, shop: Client) -> None:
    seen: set[int] = set()

    async def search() -> None:
        slow = "((a{1,40}b?){1,40}c?){1,9}x$"  # to read it, before any title is looked at, takes the database longest
        seen.add((await shop.get("/published-events", title=slow)).status)

    def attack() -> contextlib.AbstractAsyncContextManager[None]:
        return under_way(*[search] * AT_ONCE)

    await place.ensure_unnoticed(bystander, attack, rounds=8)
    assert seen <= {200, 400, 429, 503}
    assert seen & {200, 400}
    place.ensure_small()
