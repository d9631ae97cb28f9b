"""Sessions: starting, continuing and ending them, and what remains to be seen of them."""

import asyncio
import dataclasses
import re
import threading
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher

from conftest import PASSWORD, Answer, Client, MakePerson
from makers import register
from ticketing.accounts.actions import set_password
from ticketing.accounts.passwords import Lane, Passwords, hash_password, is_outdated, is_right
from ticketing.accounts.rules import ChangedBy
from ticketing.app import build_app
from ticketing.kit.overload import Overloaded
from ticketing.kit.vault import hash_key
from ticketing.settings import Settings

RESTRICTED = {"message": "You are restricted from accessing this resource."}
UNAUTHENTICATED = {"message": "Your request could not be authenticated."}
WRONG = "A session cannot be started with the given password."
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


async def test_a_session_starts_by_name_or_address_in_any_case(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    account = (await marvin.get(f"/accounts/{marvin.number}")).body
    for identification in (marvin.username, marvin.username.upper(), marvin.email, marvin.email.upper()):
        started = await public.post("/sessions", identification=identification, password=PASSWORD)
        assert started.status == 201
        assert re.fullmatch("[0-9a-f]{32}", started["key"])
        assert re.fullmatch(MOMENT, started["started"])
        assert started["self"] == f"/sessions/{started['id']}"
        assert (started["open"], started["account"]) == (True, account)
        assert set(started.body) == {"self", "id", "open", "started", "key", "account"}
    stored = await db.fetch("SELECT key_hash FROM sessions WHERE account_id = $1", int(await id_of_account(db, marvin)))
    assert hash_key(started["key"]) in {row[0] for row in stored}


async def id_of_account(db: asyncpg.Connection, person: Client) -> int:
    found: int = await db.fetchval("SELECT id FROM accounts WHERE number = $1", person.number)
    return found


async def test_why_a_session_is_not_started(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    for wrong in ("Correct horse", "x", " ", "x" * 1000):
        refused = await public.post("/sessions", identification=marvin.username, password=wrong)
        assert (refused.status, refused.error) == (401, WRONG)
    unknown = await public.post("/sessions", identification="nobody at all", password=PASSWORD)
    assert (unknown.status, unknown.error) == (404, "The requested account could not be located")
    assert (await public.post("/sessions", {})).error == (
        "The following arguments are required, but have not been supplied: identification, password."
    )
    assert (await public.post("/sessions", identification=["x"], password=7)).error == (
        "The following arguments have invalid values: identification, password."
    )
    await db.execute("UPDATE accounts SET activated = false WHERE number = $1", marvin.number)
    closed = await public.post("/sessions", identification=marvin.username, password=PASSWORD)
    assert (closed.status, closed.error) == (403, "This account has been deactivated.")
    wrong = await public.post("/sessions", identification=marvin.username, password="x")
    assert wrong.status == 401


async def test_an_account_without_a_password_has_no_right_one(public: Client, alice: Client) -> None:
    for password in (" ", "*", PASSWORD):
        refused = await public.post("/sessions", identification=alice.username, password=password)
        assert (refused.status, refused.error) == (401, WRONG)


async def test_a_session_is_continued_with_its_key(public: Client) -> None:
    marvin = await register(public)
    session = await marvin.get("/sessions/active")
    assert (session.status, session["key"], session["open"]) == (200, marvin.key, True)
    assert session["account"]["number"] == marvin.number
    assert (await marvin.get(session["self"])).body == session.body


async def test_what_opens_no_session_is_told_apart(public: Client, administrator: Client) -> None:
    marvin = await register(public)
    integration = await administrator.post("/integrations", name="A shop", access="customer")
    program, nobody, nameless = (Client(public.http, key) for key in (integration["key"], "0" * 32, ""))
    for client in (program, nobody, nameless):
        answers = (await client.get("/sessions/active"), await client.delete("/sessions/active", {}))
        assert [(answer.status, answer.body) for answer in answers] == [(401, UNAUTHENTICATED)] * 2
    ended = await marvin.delete("/sessions/active", {})
    assert (ended.status, list(ended.body)) == (200, ["message"])
    again = await marvin.delete("/sessions/active", {})
    assert (again.status, again.body) == (403, RESTRICTED)
    continued = await marvin.get("/sessions/active")
    assert (continued.status, continued.body) == (401, UNAUTHENTICATED)
    elsewhere = await marvin.get("/regions")
    assert (elsewhere.status, elsewhere.body) == (403, RESTRICTED)


async def test_the_keys_of_a_deactivated_account_stop(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    await db.execute("UPDATE accounts SET activated = false WHERE number = $1", marvin.number)
    await db.execute("NOTIFY keys_changed")
    await asyncio.sleep(0.1)
    assert (await marvin.get("/sessions/active")).status == 401
    assert (await marvin.get("/regions")).body == RESTRICTED


async def test_somebody_ends_a_session_left_open_elsewhere(public: Client, bob: Client, administrator: Client) -> None:
    marvin = await register(public)
    left = await public.post("/sessions", identification=marvin.username, password=PASSWORD)
    seen = await marvin.get(left["self"])
    assert (seen["key"], seen["open"]) == ("", True)
    for answer in (await bob.get(left["self"]), await bob.delete(left["self"])):
        assert (answer.status, answer.error) == (
            403,
            "You are not authorised to access or modify this account.",
        )
    assert (await marvin.delete(left["self"])).status == 200
    assert (await Client(public.http, left["key"]).get("/regions")).status == 403
    assert (await marvin.delete(left["self"])).body == {"error": "There is presently no resource with the given URI."}
    assert (await administrator.delete((await marvin.get("/sessions/active"))["self"])).status == 200


async def test_the_history_tells_when_and_from_where(public: Client, bob: Client, support: Client) -> None:
    marvin = await register(public)
    phone = await public.send(
        "POST",
        "/sessions",
        json={"identification": marvin.username, "password": PASSWORD},
        headers={"User-Agent": b"Phone/1 \x00" + b"\xe9" * 400},
    )
    await Client(public.http, phone["key"]).delete("/sessions/active")
    history = await marvin.get(f"/accounts/{marvin.number}/sessions")
    assert history.status == 200
    assert (history["page"], history["records"], history["total"]) == (1, 25, 2)
    first, second = history["entries"]
    assert (first["open"], first["ended"], first["ip"]) == (True, "", "127.0.0.1")
    assert re.fullmatch(MOMENT, second["started"])
    assert re.fullmatch(MOMENT, second["ended"])
    assert second["open"] is False
    assert second["agent"] == "Phone/1 " + "é" * 292
    assert (await support.get(f"/accounts/{marvin.number}/sessions", order="desc", records=1))["entries"] == [second]
    assert (await bob.get(f"/accounts/{marvin.number}/sessions")).status == 403
    assert (await bob.get("/accounts/XX-00000000/sessions")).status == 404
    assert (await marvin.get(f"/accounts/{marvin.number}/sessions", page=2)).error == (
        "The specified page does not exist for the given records per page"
    )


# Guessing


@pytest.fixture
async def strict(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A server that bears two wrong passwords."""
    edge = build_app(dataclasses.replace(settings, rate_limits="on", wrong_passwords=2))
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
    async with (
        edge.app.router.lifespan_context(edge.app),
        httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as client,
    ):
        yield client


async def test_guesses_are_counted_and_a_right_password_makes_up_for_them(
    strict: httpx.AsyncClient, public: Client
) -> None:
    marvin = await register(public)
    door = Client(strict, public.key)

    async def knock(password: str) -> Answer:
        return await door.post("/sessions", identification=marvin.email, password=password)

    assert [(await knock(word)).status for word in ("x", PASSWORD, "x", "x")] == [401, 201, 401, 401]
    shut = await knock(PASSWORD)
    assert shut.status == 429
    assert shut.error == f"Too many requests. Please try again in {shut.headers['Retry-After']} seconds."
    assert (await door.post("/sessions", identification="nobody at all", password="x")).status == 404


# How many are open


async def test_an_account_has_so_many_open_sessions_and_loses_the_idlest(
    settings: Settings, public: Client, db: asyncpg.Connection
) -> None:
    edge = build_app(dataclasses.replace(settings, sessions_per_account=3, session_idle_minutes=600))
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
    async with (
        edge.app.router.lifespan_context(edge.app),
        httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http,
    ):
        marvin, door = await register(public), Client(http, public.key)
        await db.execute(
            "UPDATE sessions SET ended_at = clock() WHERE account_id = $1", await id_of_account(db, marvin)
        )
        keys = []
        for number in range(4):
            opened = await door.post("/sessions", identification=marvin.username, password=PASSWORD)
            keys.append(opened["key"])
            if number == 2:  # the first was used since, the second was not
                await db.execute(
                    "UPDATE sessions SET idle_until = idle_until + interval '1 minute' WHERE key_hash = $1",
                    hash_key(keys[0]),
                )
        statuses = [(await Client(http, key).get("/sessions/active")).status for key in keys]
        assert statuses == [200, 401, 200, 200]


# Passwords


async def test_a_hash_of_other_days_is_replaced_by_todays(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    await db.execute("UPDATE accounts SET password_hash = $2 WHERE number = $1", marvin.number, old)
    for _ in range(2):
        assert (await public.post("/sessions", identification=marvin.email, password=PASSWORD)).status == 201
    kept = await db.fetchval("SELECT password_hash FROM accounts WHERE number = $1", marvin.number)
    assert kept != old
    assert "$m=19456,t=2,p=1$" in kept
    assert not is_outdated(kept)


async def test_a_new_password_ends_every_session(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    await set_password(db, await id_of_account(db, marvin), hash_password("battery staple"), by=ChangedBy.SERVER)
    await asyncio.sleep(0.1)
    assert (await marvin.get("/regions")).status == 403
    assert (await public.post("/sessions", identification=marvin.email, password=PASSWORD)).status == 401
    assert (await public.post("/sessions", identification=marvin.email, password="battery staple")).status == 201


def test_the_same_letters_typed_elsewhere_are_the_same_password() -> None:
    assert is_right(hash_password("caf\u00e9 corretto"), "cafe\u0301 corretto")


async def test_only_so_many_wait_for_a_hash() -> None:
    passwords = Passwords(threads=1, checks=2, hashes=2)
    gate, somebody, other = threading.Event(), ("192.0.2.1",), ("192.0.2.2",)
    try:
        held = [
            asyncio.create_task(passwords._threads.run(gate.wait, asker=somebody, lane=Lane.HASH)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await passwords.hash(PASSWORD, asker=somebody)
        checked = asyncio.create_task(passwords.is_right("no hash", PASSWORD, asker=other))  # another lane
        given_up = asyncio.create_task(passwords.hash(PASSWORD, asker=other))  # the place of who has two
        await asyncio.sleep(0)
        gate.set()
        assert [type(one) for one in await asyncio.gather(*held, return_exceptions=True)] == [bool, Overloaded]
        assert not await checked
        assert is_right(await given_up, PASSWORD)
    finally:
        gate.set()
        passwords.close()


async def test_many_sign_in_at_once_and_nobody_gets_a_crash(public: Client, make_person: MakePerson) -> None:
    marvin = await register(public)
    answers = await asyncio.gather(
        *(public.post("/sessions", identification=marvin.username, password=PASSWORD) for _ in range(12))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer["key"] for answer in answers}) == 12
