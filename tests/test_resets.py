"""A new password for whoever reads the account's mail, and for nobody else."""

import asyncio
from collections import Counter
from dataclasses import replace

import asyncpg
import httpx
import pytest

from conftest import PASSWORD, Answer, Client, MakePerson, add_person, scratch_database
from mailed import account_id, another, letters, mailed_code
from makers import register
from serving import serve
from test_accounts import NOT_LOCATED, invalid, missing
from ticketing.accounts.actions import set_role

WRONG = "The provided password reset code is incorrect."
CLOSED = "The password reset has already been completed or has expired."
NEW = "battery staple"


async def requested(public: Client, person: Client) -> str:
    made = await public.post("/resets", email=person.email)
    assert made.status == 201, made.body
    return str(made["self"])


async def reset(public: Client, uri: str, code: object, password: object = NEW) -> Answer:
    return await public.send("PATCH", uri, json={"code": code, "password": password})


async def test_a_reset_changes_the_password_ends_every_session_and_tells_the_owner(
    public: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    other = await public.post("/sessions", identification=marvin.email, password=PASSWORD)
    made = await public.post("/resets", email=marvin.email)
    assert (made.status, set(made.body)) == (201, {"self", "email", "status"})
    assert (made["email"], made["status"]) == (marvin.email, "Pending")
    code = await mailed_code(db, marvin, "reset")
    done = await reset(public, made["self"], int(code))
    said = {"status": "Completed", "message": "The password was reset."}
    assert (done.status, done.body) == (200, {**made.body, **said})
    for key in (marvin.key, other["key"]):
        assert (await Client(public.http, key).get("/regions")).status == 403
    assert (await public.post("/sessions", identification=marvin.email, password=PASSWORD)).status == 401
    assert (await public.post("/sessions", identification=marvin.email, password=NEW)).status == 201
    assert await letters(db, marvin) == ["welcome", "reset", "password_changed"]
    again = await reset(public, made["self"], code, "another one")
    assert (again.status, again.error) == (409, CLOSED)
    assert await db.fetchval("SELECT true FROM history WHERE action = 'account.password_reset'")


async def test_what_a_reset_needs(public: Client, make_person: MakePerson, db: asyncpg.Connection) -> None:
    marvin = await make_person("marvin")
    refused = await public.post("/resets", {})
    assert refused.error == "You must provide an email address to which to send the reset code."
    assert (await public.post("/resets", email="nobody@example.com")).error == NOT_LOCATED
    uri = await requested(public, marvin)
    code = await mailed_code(db, marvin, "reset")
    assert (await public.send("PATCH", "/resets/7", json={})).status == 404
    assert (await public.send("PATCH", uri, json={})).error == missing("code", "password")
    assert (await reset(public, uri, "x", "short")).error == invalid("code", "password")
    assert (await reset(public, uri, code, "short")).error == invalid("password")
    wrong = await reset(public, uri, another(code))
    assert (wrong.status, wrong.error) == (400, WRONG)
    assert (await reset(public, uri, code)).status == 200


async def test_one_reset_closes_the_others(public: Client, make_person: MakePerson, db: asyncpg.Connection) -> None:
    marvin = await make_person("marvin")
    first = await requested(public, marvin)
    code = await mailed_code(db, marvin, "reset")
    second = await requested(public, marvin)
    assert (await reset(public, second, await mailed_code(db, marvin, "reset"))).status == 200
    assert (await reset(public, first, code, "the thief's own")).error == CLOSED


async def test_an_administrator_gets_no_code_and_none_is_right(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    admin = await make_person("admin", role="administrator")
    uri = await requested(public, admin)
    assert await letters(db, admin) == []
    assert await db.fetchval("SELECT code_hmac FROM codes WHERE account_id = $1", admin.id) is None
    assert [(await reset(public, uri, "123456")).status for _ in range(6)] == [400] * 5 + [409]
    assert (await admin.get("/accounts")).status == 200


async def test_who_became_an_administrator_has_no_use_for_an_old_code(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    admin = await make_person("rising")
    uri = await requested(public, admin)
    code = await mailed_code(db, admin, "reset")
    await set_role(db, admin.number, "administrator")
    assert (await reset(public, uri, code)).error == WRONG


async def test_a_new_address_ends_what_was_sent_to_the_old_one(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    uri = await requested(public, marvin)
    code = await mailed_code(db, marvin, "reset")
    await marvin.put(f"/accounts/{marvin.number}", email=f"new.{marvin.email}")
    assert (await reset(public, uri, code)).error == CLOSED


async def test_a_reset_does_not_let_a_deactivated_account_in(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    await db.execute("UPDATE accounts SET activated = false WHERE number = $1", marvin.number)
    uri = await requested(public, marvin)
    assert (await reset(public, uri, await mailed_code(db, marvin, "reset"))).status == 200
    refused = await public.post("/sessions", identification=marvin.email, password=NEW)
    assert (refused.status, refused.error) == (403, "This account has been deactivated.")


async def test_wrong_codes_cost_as_much_work_as_right_ones(
    public: Client, make_person: MakePerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the time of an answer would tell a right code, also where none is taken any more."""
    hashed: list[str] = []
    monkeypatch.setattr("ticketing.accounts.passwords.hash_password", lambda word: hashed.append(word) or "")
    marvin = await make_person("marvin")
    uri = await requested(public, marvin)
    assert (await reset(public, uri, "000000", NEW)).error == WRONG
    assert hashed == [NEW]


async def test_one_code_tried_by_a_crowd_at_two_workers(postgres: str) -> None:
    async with scratch_database(postgres) as dsn, serve(dsn, workers=2) as url:
        db = await asyncpg.connect(dsn)
        limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as http:
            marvin = await add_person(http, db, "marvin")
            stranger = replace(marvin, key=(await add_person(http, db, "stranger")).key)

            async def crowd(code: str) -> Counter[int]:
                uri = await requested(stranger, marvin)
                right = await mailed_code(db, marvin, "reset")
                tried = right if code == "right" else another(right)
                return Counter(
                    answer.status for answer in await asyncio.gather(*(reset(stranger, uri, tried) for _ in range(20)))
                )

            assert await crowd("wrong") == {400: 5, 409: 15}
            assert await crowd("right") == {200: 1, 409: 19}
            assert await crowd("wrong") == {400: 5, 409: 15}
            assert await crowd("right") == {429: 20}
            count = await db.fetchval(
                "SELECT count FROM wrong_codes WHERE account_id = $1", await account_id(db, marvin)
            )
            assert count == 10
            assert (await letters(db, marvin)).count("codes_exhausted") == 1
            assert (await letters(db, marvin)).count("password_changed") == 1
        await db.close()
