"""Limits on codes and passwords: nobody's letter box is filled, no address guesses for ever, no owner is shut out."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import PASSWORD, Answer, Client, MakePerson
from mailed import another, letters, mailed_code, stranger_code
from makers import register
from ticketing.app import build_app
from ticketing.settings import Settings

NEW = "battery staple"
ME = "198.51.100.1"
REGISTRATIONS = 6

At = Callable[[str], Client]


@pytest.fixture(scope="module")
async def strict(settings: Settings, administrator: Client) -> AsyncIterator[At]:
    """A server that bears one wrong password and two letters with codes, met with a public key from any address."""
    made = await administrator.post("/integrations", name="A page", access="public")
    limits: dict[str, Any] = {"rate_limits": "on", "wrong_passwords": 1, "wrong_codes": 1, "mailed_codes": 2}
    limits |= {"registrations_per_hour": REGISTRATIONS}
    edge = build_app(replace(settings, trusted_proxies="10.0.0.0/8", wrong_mailed_codes=3, **limits))
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False, client=("10.0.0.1", 4711))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(edge.app.router.lifespan_context(edge.app))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://t"))
        yield lambda address: Client(http, made["key"], headers={"X-Forwarded-For": address})


def limit(answer: Answer) -> tuple[int, str, str]:
    assert answer.headers["Retry-After"] == answer.headers["RateLimit-Reset"]
    return answer.status, answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]


async def test_an_account_is_mailed_so_many_codes_an_hour(
    strict: At, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin, arthur = await make_person("marvin"), await make_person("arthur")
    for number in range(2):
        for path in ("/verifications", "/resets"):  # each counted by itself
            assert (await strict(f"198.51.100.{number}").post(path, email=marvin.email)).status == 201
    again = await strict("198.51.100.1").post("/verifications", email=marvin.email)
    assert limit(again) == (429, "1", "0")
    third = await strict("198.51.100.3").post("/verifications", email=marvin.email)
    assert limit(third) == (429, "2", "0")
    assert 3500 < int(third.headers["Retry-After"]) <= 3600
    assert await letters(db, marvin) == ["verification", "reset"] * 2
    assert (await strict(ME).post("/verifications", email=arthur.email)).status == 201


@pytest.mark.parametrize("has_account", [True, False])
async def test_an_address_is_mailed_so_many_sign_in_codes_an_hour_whether_or_not_an_account_has_it(
    strict: At, make_person: MakePerson, db: asyncpg.Connection, has_account: bool
) -> None:
    email = (await make_person("marvin")).email if has_account else "nobody.yet@example.com"
    for number in range(2):
        assert (await strict(f"198.51.100.{number}").post("/sign-ins", email=email)).status == 201
    assert limit(await strict("198.51.100.1").post("/sign-ins", email=email.upper())) == (429, "1", "0")
    assert limit(await strict("198.51.100.3").post("/sign-ins", email=email)) == (429, "2", "0")
    assert await db.fetchval("SELECT count(*) FROM sign_ins WHERE email_key = $1", email) == 2


async def test_accounts_made_by_codes_count_as_registrations(strict: At, db: asyncpg.Connection) -> None:
    place = strict("203.0.113.77")

    async def come(email: str, *, wrong: bool = False) -> Answer:
        uri = (await place.post("/sign-ins", email=email))["self"]
        code = await stranger_code(db, email)
        return await place.send("PATCH", uri, json={"code": another(code) if wrong else code})

    assert (await come("wrong@example.net", wrong=True)).status == 400
    made = [(await come(f"crowd{number}@example.net")).status for number in range(REGISTRATIONS)]
    assert made == [201] * REGISTRATIONS
    assert limit(await come("one.more@example.net")) == (429, str(REGISTRATIONS), "0")
    known = (await strict(ME).post("/sign-ins", email="crowd0@example.net"))["self"]
    account = await db.fetchval("SELECT number FROM accounts WHERE email = 'crowd0@example.net'")
    code = await mailed_code(db, Client(place.http, "", account), "sign_in")
    assert (await place.send("PATCH", known, json={"code": code})).status == 201


async def test_an_address_has_so_many_wrong_codes_at_all_accounts(
    strict: At, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    people = [await make_person("victim") for _ in range(8)]
    uris = [(await strict("198.51.100.7").post("/verifications", email=one.email))["self"] for one in people]
    guesses = [
        (await strict("198.51.100.8").send("PATCH", uri, json={"code": "000000"})).status
        for uri in uris
        for _ in range(3)
    ]
    assert guesses == [400] * 20 + [429] * 4
    last = {"code": await mailed_code(db, people[-1], "verification")}
    assert limit(await strict("198.51.100.8").send("PATCH", uris[-1], json=last)) == (429, "20", "0")
    assert (await strict(ME).send("PATCH", uris[-1], json=last)).status == 200


async def test_right_codes_use_nothing_up(strict: At, make_person: MakePerson, db: asyncpg.Connection) -> None:
    for _ in range(25):
        person = await make_person("person")
        uri = (await strict("198.51.100.9").post("/verifications", email=person.email))["self"]
        code = await mailed_code(db, person, "verification")
        answers = [await strict("198.51.100.9").send("PATCH", uri, json={"code": code}) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 409]


async def test_codes_are_closed_for_the_day_and_the_password_still_works(
    strict: At, public: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    uri = (await strict(ME).post("/resets", email=marvin.email))["self"]
    for number in range(3):
        body = {"code": "000000", "password": NEW}
        assert (await strict(f"192.0.2.{number}").send("PATCH", uri, json=body)).status == 400
    shut = await strict(ME).send("PATCH", uri, json={"code": await mailed_code(db, marvin, "reset"), "password": NEW})
    assert limit(shut) == (429, "3", "0")
    assert await letters(db, marvin) == ["welcome", "reset", "codes_exhausted"]
    session = await strict(ME).post("/sessions", identification=marvin.username, password=PASSWORD)
    assert session.status == 201


async def test_a_reset_lets_the_owner_in_where_a_botnet_stands_before_the_door(
    strict: At, public: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(public)

    async def knock(address: str, password: str) -> int:
        body = {"identification": marvin.username, "password": password}
        return (await strict(address).post("/sessions", body)).status

    assert [await knock(f"192.0.2.{number}", "x") for number in range(10, 22)] == [401] * 10 + [429] * 2
    assert await knock("203.0.113.50", PASSWORD) == 429
    assert await knock("127.0.0.1", PASSWORD) == 201, "from where he registered he is let in"
    uri = (await strict("203.0.113.50").post("/resets", email=marvin.email))["self"]
    body = {"code": await mailed_code(db, marvin, "reset"), "password": NEW}
    assert (await strict("203.0.113.50").send("PATCH", uri, json=body)).status == 200
    assert await knock("203.0.113.50", NEW) == 201
    assert await knock("203.0.113.50", PASSWORD) == 401


async def test_strangers_do_not_keep_an_owner_out_of_where_he_has_been(strict: At, db: asyncpg.Connection) -> None:
    owner = await register(strict(ME))
    for number in range(20, 32):  # what a dozen addresses can do
        stranger = strict(f"198.51.100.{number}")
        await stranger.post("/sessions", identification=owner.email, password="a guess")
        for path in ("resets", "verifications"):
            asked = await stranger.post(f"/{path}", email=owner.email)
            if asked.status == 201:
                for _ in range(3):
                    await stranger.send("PATCH", asked["self"], json={"code": "000000", "password": NEW})
    for path in ("/resets", "/verifications"):
        assert (await strict("198.51.100.40").post(path, email=owner.email)).status == 429
    assert (await strict(ME).post("/sessions", identification=owner.email, password=PASSWORD)).status == 201
    verification = (await strict(ME).post("/verifications", email=owner.email))["self"]
    code = await mailed_code(db, owner, "verification")
    assert (await strict(ME).send("PATCH", verification, json={"code": another(code)})).status == 400
    assert (await strict(ME).send("PATCH", verification, json={"code": code})).status == 200
    reset = (await strict(ME).post("/resets", email=owner.email))["self"]
    code = await mailed_code(db, owner, "reset")
    # Where he has never been, his own code is as good as a stranger's guess: none is taken today.
    assert (await strict("198.51.100.41").send("PATCH", reset, json={"code": code, "password": NEW})).status == 429
    assert (await strict(ME).send("PATCH", reset, json={"code": code, "password": NEW})).status == 200
    assert (await strict(ME).post("/sessions", identification=owner.email, password=NEW)).status == 201


async def test_strangers_do_not_keep_an_owner_from_signing_in_by_code_where_he_has_been(
    strict: At, db: asyncpg.Connection
) -> None:
    owner = await register(strict(ME))
    own = (await strict(ME).post("/sign-ins", email=owner.email))["self"]
    code = await mailed_code(db, owner, "sign_in")
    for number in range(20, 23):
        stranger = strict(f"198.51.100.{number}")
        asked = await stranger.post("/sign-ins", email=owner.email)
        if asked.status == 201:
            await stranger.send("PATCH", asked["self"], json={"code": "000000"})
        await stranger.send("PATCH", own, json={"code": "000000"})
    assert (await strict("198.51.100.40").post("/sign-ins", email=owner.email)).status == 429
    assert (await strict("198.51.100.40").send("PATCH", own, json={"code": code})).status == 429
    assert (await strict(ME).send("PATCH", own, json={"code": another(code)})).status == 400
    assert (await strict(ME).send("PATCH", own, json={"code": code})).status == 201


async def test_guesses_where_an_owner_has_been_have_a_bound_too(strict: At, db: asyncpg.Connection) -> None:
    owner = await register(strict(ME))
    reset = (await strict(ME).post("/resets", email=owner.email))["self"]
    code = await mailed_code(db, owner, "reset")
    statuses = [
        (await strict(ME).send("PATCH", reset, json={"code": another(code), "password": NEW})).status for _ in range(3)
    ]
    assert statuses == [400] * 3
    assert (await strict(ME).send("PATCH", reset, json={"code": code, "password": NEW})).status == 429
    assert await db.fetchval("SELECT array_agg(count) FROM wrong_codes WHERE known") is not None
