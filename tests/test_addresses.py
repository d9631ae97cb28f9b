"""Where a request comes from, through proxies that are ours and past those who would like to be somebody else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from conftest import PASSWORD, Answer, Client, unique
from makers import register
from ticketing.app import build_app
from ticketing.settings import BadSetting, Settings
from ticketing.web.addresses import TrustedProxies, parse_networks

OURS = "10.0.0.0/8, 2001:db8:ffff::/48, 192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["198.51.100.7, 192.0.2.1"], "198.51.100.7"),
        ("10.1.2.3", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # the client wrote the first itself
        ("10.1.2.3", ["203.0.113.9", "198.51.100.7, 10.9.9.9"], "198.51.100.7"),  # lines are one list
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),  # whoever is no proxy of ours is believed nothing
        ("10.1.2.3", ["10.4.5.6"], "10.4.5.6"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.7, unknown"], "10.1.2.3"),
        ("10.1.2.3", ["<script>, 10.7.7.7"], "10.7.7.7"),
        ("10.1.2.3", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.1.2.3", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.1.2.3", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.1.2.3", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("2001:db8:ffff::1", ["198.51.100.7"], "198.51.100.7"),
        ("unix:", ["198.51.100.7"], "unix:"),
    ],
)
def test_the_client_behind_proxies(peer: str, forwarded: list[str], expected: str) -> None:
    proxies = TrustedProxies(None, parse_networks(OURS))
    assert proxies.client(peer, [line.encode() for line in forwarded]) == expected


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "proxy.example.com", "10.0.0.1/8"])
def test_a_network_that_is_none_stops_the_start(wrong: str) -> None:
    with pytest.raises(BadSetting, match="TICKETING_TRUSTED_PROXIES"):
        Settings(trusted_proxies=wrong)


# What hangs on it

PROXY = "10.0.0.1"


@pytest.fixture(scope="module")
async def doors(settings: Settings) -> AsyncIterator[Any]:
    """Servers by what they trust, as somebody at the proxy's address meets them."""
    async with AsyncExitStack() as stack:

        async def door(**changed: Any) -> httpx.AsyncClient:
            edge = build_app(replace(settings, rate_limits="on", **changed))
            await stack.enter_async_context(edge.app.router.lifespan_context(edge.app))
            transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False, client=(PROXY, 4711))
            return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://t"))

        yield door


async def sign_in(door: httpx.AsyncClient, public: Client, person: Client, address: str, password: str) -> int:
    client = replace(public, http=door, headers={"X-Forwarded-For": f"203.0.113.66, {address}"})
    return (await client.post("/sessions", identification=person.username, password=password)).status


async def test_the_history_shows_the_client_where_the_proxy_is_trusted(doors: Any, public: Client) -> None:
    trusting, blind = await doors(trusted_proxies="10.0.0.0/8"), await doors()
    marvin = await register(public)
    assert await sign_in(trusting, public, marvin, "198.51.100.7", PASSWORD) == 201
    assert await sign_in(blind, public, marvin, "198.51.100.7", PASSWORD) == 201
    sessions = await marvin.get(f"/accounts/{marvin.number}/sessions")
    assert [entry["ip"] for entry in sessions["entries"]] == ["127.0.0.1", "198.51.100.7", PROXY]


async def test_a_neighbour_behind_the_proxy_pays_for_nobody(doors: Any, public: Client) -> None:
    """Wrong passwords, unknown keys and too much traffic of one are his alone."""
    door = await doors(trusted_proxies="10.0.0.0/8", wrong_passwords=2, traffic_per_minute=20, failures_per_minute=5)
    marvin = await register(public)
    guesser, owner = "198.51.100.8", "198.51.100.9"
    guesses = [await sign_in(door, public, marvin, guesser, "x") for _ in range(4)]
    assert guesses == [401, 401, 429, 429]
    assert await sign_in(door, public, marvin, owner, PASSWORD) == 201

    def visitor(address: str, key: str) -> Client:
        return replace(public, http=door, key=key, headers={"X-Forwarded-For": address})

    flood = [(await visitor(guesser, "0" * 32).get("/regions")).status for _ in range(70)]
    assert flood[0] == 403
    assert flood[-1] == 429
    assert (await visitor(owner, "0" * 32).get("/regions")).status == 403
    busy = [(await visitor(guesser, public.key).get("/regions")).status for _ in range(30)]
    assert busy[-1] == 429
    assert (await visitor(owner, public.key).get("/regions")).status == 200


async def test_where_one_address_is_everybodys_the_known_are_let_in(doors: Any, public: Client) -> None:
    """Behind one address that is not resolved, a neighbour's guesses at other accounts stand in nobody's way."""
    door = await doors(wrong_passwords=2)
    marvin = await register(public)
    assert await sign_in(door, public, marvin, "", PASSWORD) == 201
    sprayer = replace(public, http=door)
    for number in range(41):
        sprayed = await sprayer.post("/sessions", identification=f"nobody{number}", password="x")
    assert sprayed.status == 429
    assert await sign_in(door, public, marvin, "", PASSWORD) == 201


async def test_a_key_that_was_valid_here_is_not_refused_for_a_flood_next_door(
    doors: Any, public: Client, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketing.sessions.keys.recheck_seconds", lambda _minutes: 0.0)
    door = await doors(failures_per_minute=1)
    assert (await replace(alice, http=door).get("/regions")).status == 200
    for _ in range(15):
        flooded = await replace(public, http=door, key="0" * 32).get("/regions")
    assert flooded.status == 429
    assert (await replace(alice, http=door).get("/regions")).status == 200


async def test_an_address_registers_so_many_an_hour(doors: Any, public: Client, administrator: Client) -> None:
    door = await doors(trusted_proxies="10.0.0.0/8", registrations_per_hour=2)

    async def registration(address: str, name: str, caller: Client = public) -> Answer:
        client = replace(caller, http=door, headers={"X-Forwarded-For": address})
        return await client.post("/accounts", username=name, email=f"{name}@example.com", password=PASSWORD)

    robot, shop = "198.51.100.11", "198.51.100.12"
    taken = unique("taken").replace(" ", "")
    assert (await registration(robot, taken)).status == 201
    assert (await registration(robot, taken)).status == 409  # what was not made counts for nothing
    statuses = [(await registration(robot, f"{taken}{number}")).status for number in range(3)]
    assert statuses == [201, 429, 429]
    assert (await registration(shop, f"{taken}9")).status == 201
    assert (await registration(robot, f"{taken}8", administrator)).status == 201
