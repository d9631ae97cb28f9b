"""Verifying an address with the code that was mailed there, and what guessing at codes comes to."""

import asyncio
import itertools

import asyncpg
import pytest

from conftest import Answer, Client, MakePerson, clock_moved
from mailed import another, letters, mailed_code
from test_accounts import NOT_LOCATED, invalid, missing
from ticketing.accounts.jobs import forget_codes
from ticketing.accounts.rules import Tried, Verdict, judge
from ticketing.kit.database import Database
from ticketing.settings import Settings
from ticketing.web.operations import Services

WRONG = "The provided account verification code is incorrect."
CLOSED = "The verification has already been completed or has expired."
NOTHING_THERE = {"error": "There is presently no resource with the given URI."}


async def requested(public: Client, person: Client) -> str:
    made = await public.post("/verifications", email=person.email)
    assert made.status == 201, made.body
    return str(made["self"])


async def try_code(public: Client, verification: str, code: object) -> Answer:
    return await public.send("PATCH", verification, json={"code": code})


async def is_verified(person: Client) -> bool:
    return bool((await person.get(f"/accounts/{person.number}"))["verified"])


async def test_the_mailed_code_verifies_the_account_once(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    made = await public.post("/verifications", email=marvin.email.upper())
    assert (made.status, set(made.body)) == (201, {"self", "email", "status"})
    assert (made["email"], made["status"]) == (marvin.email, "Pending")
    code = await mailed_code(db, marvin, "verification")
    verified = await try_code(public, made["self"], code)
    said = {"status": "Completed", "message": "The account was verified."}
    assert (verified.status, verified.body) == (200, {**made.body, **said})
    assert await is_verified(marvin)
    again = await try_code(public, made["self"], code)
    assert (again.status, again.error) == (409, CLOSED)
    assert await letters(db, marvin) == ["verification"]
    act = await db.fetchrow("SELECT action FROM history WHERE thing = $1", f"/accounts/{marvin.number}")
    assert act["action"] == "account.verified"


async def test_a_code_is_text_or_a_number(public: Client, make_person: MakePerson, db: asyncpg.Connection) -> None:
    for as_sent in (str, int):
        marvin = await make_person("marvin")
        verification = await requested(public, marvin)
        code = await mailed_code(db, marvin, "verification")
        assert (await try_code(public, verification, as_sent(code))).status == 200


async def test_what_a_request_needs(public: Client, alice: Client) -> None:
    no_address = "You must provide an email address to which to send the verification code."
    for body in ({}, {"email": ""}, {"email": None}, {"email": []}):
        refused = await public.post("/verifications", body)
        assert (refused.status, refused.error) == (400, no_address)
    for email in ("nobody@example.com", "no address", alice.username, alice.number):
        refused = await public.post("/verifications", email=email)
        assert (refused.status, refused.error) == (404, NOT_LOCATED)
    for bad in (7, True, {"x": 1}, "x" * 321, "a\x00@example.com"):
        refused = await public.post("/verifications", email=bad)
        assert (refused.status, refused.error) == (400, invalid("email"))


async def test_the_order_of_what_a_try_is_refused_for(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    verification = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    for path in ("/verifications/1", "/verifications/x", verification.replace("verifications", "resets")):
        unknown = await public.send("PATCH", path, json={})
        assert (unknown.status, unknown.body) == (404, NOTHING_THERE)
    for empty in ("", None, []):
        refused = await try_code(public, verification, empty)
        assert (refused.status, refused.error) == (400, missing("code"))
    for bad in ("12345", "1234567", 12345, 123456.5, True, "12345x", "١٢٣٤٥٦", " 12345", {"a": 1}, -12345):
        refused = await try_code(public, verification, bad)
        assert (refused.status, refused.error) == (400, invalid("code")), bad
    wrong = await try_code(public, verification, another(code))
    assert (wrong.status, wrong.error) == (400, WRONG)
    assert (await try_code(public, verification, code)).status == 200
    malformed = await try_code(public, verification, "x")
    assert (malformed.status, malformed.error) == (400, invalid("code"))


async def test_five_wrong_codes_end_a_request_and_another_may_be_made(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    first = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    second = await requested(public, marvin)
    for _ in range(5):
        wrong = await try_code(public, first, another(code))
        assert (wrong.status, wrong.error) == (400, WRONG)
    for tried in (code, another(code)):
        ended = await try_code(public, first, tried)
        assert (ended.status, ended.error) == (409, CLOSED)
    assert (await try_code(public, second, await mailed_code(db, marvin, "verification"))).status == 200


async def test_a_code_of_one_request_is_none_of_another(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    first = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    second = await requested(public, marvin)
    if code != await mailed_code(db, marvin, "verification"):
        assert (await try_code(public, second, code)).error == WRONG
    assert (await try_code(public, first, code)).status == 200
    assert (await try_code(public, second, await mailed_code(db, marvin, "verification"))).error == CLOSED


async def test_half_an_hour_later_a_code_is_good_for_nothing(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    verification = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    async with clock_moved(db, 30 * 60):
        late = await try_code(public, verification, code)
        assert (late.status, late.error) == (409, CLOSED)
    async with clock_moved(db, 30 * 60 - 30):
        assert (await try_code(public, verification, code)).status == 200


async def test_ten_wrong_codes_a_day_close_the_account_to_codes_and_its_owner_is_told(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    left_over = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    for count in range(10):
        if count % 4 == 0:
            request = await requested(public, marvin)
        wrong = await try_code(public, request, another(await mailed_code(db, marvin, "verification")))
        assert (wrong.status, wrong.error) == (400, WRONG)
    assert (await letters(db, marvin)).count("codes_exhausted") == 1
    for tried in (code, another(code)):
        refused = await try_code(public, left_over, tried)
        seconds = int(refused.headers["Retry-After"])
        assert (refused.status, refused.error) == (429, f"Too many requests. Please try again in {seconds} seconds.")
        assert seconds <= 24 * 3600
    assert not await is_verified(marvin)
    assert await db.fetchval("SELECT wrong FROM codes WHERE id = $1", int(left_over.rsplit("/", 1)[1])) == 0
    async with clock_moved(db, seconds + 1):
        fresh = await requested(public, marvin)
        code = await mailed_code(db, marvin, "verification")
        assert (await try_code(public, fresh, another(code))).error == WRONG
        assert (await try_code(public, fresh, code)).status == 200
    assert (await letters(db, marvin)).count("codes_exhausted") == 1


async def test_wrong_verifications_and_wrong_resets_count_together(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    verifications = [await requested(public, marvin) for _ in range(2)]
    code = another(await mailed_code(db, marvin, "verification"))
    for verification in verifications:
        for _ in range(5):
            await try_code(public, verification, code)
    reset = (await public.post("/resets", email=marvin.email))["self"]
    body = {"code": await mailed_code(db, marvin, "reset"), "password": "battery staple"}
    assert (await public.send("PATCH", reset, json=body)).status == 429


async def test_a_code_for_the_old_address_does_not_verify_the_new_one(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    verification = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    await marvin.put(f"/accounts/{marvin.number}", email=f"new.{marvin.email}")
    assert (await try_code(public, verification, code)).error == CLOSED
    assert not await is_verified(marvin)


async def test_who_is_gone_has_no_requests(public: Client, make_person: MakePerson, db: asyncpg.Connection) -> None:
    marvin = await make_person("marvin")
    verification = await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    await marvin.delete(f"/accounts/{marvin.number}")
    assert (await try_code(public, verification, code)).body == NOTHING_THERE
    assert (await public.post("/verifications", email=marvin.email)).error == NOT_LOCATED


async def test_of_many_at_once_five_wrong_ones_are_looked_at(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    marvin = await make_person("marvin")
    verification = await requested(public, marvin)
    code = another(await mailed_code(db, marvin, "verification"))
    answers = await asyncio.gather(*(try_code(public, verification, code) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [400] * 5 + [409] * 15
    assert await db.fetchval("SELECT count FROM wrong_codes WHERE account_id = $1", marvin.id) == 5


async def test_the_database_tells_no_code(public: Client, make_person: MakePerson, db: asyncpg.Connection) -> None:
    marvin = await make_person("marvin")
    await requested(public, marvin)
    code = await mailed_code(db, marvin, "verification")
    for table in ("codes", "mails", "history", "wrong_codes"):
        rows = await db.fetchval(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t")
        assert code not in rows
        assert code.encode().hex() not in rows


async def test_old_requests_are_forgotten(
    public: Client, make_person: MakePerson, db: asyncpg.Connection, settings: Settings
) -> None:
    marvin = await make_person("marvin")
    old = await requested(public, marvin)
    await try_code(public, old, "000000")
    await db.execute("UPDATE codes SET requested_at = clock() - interval '31 days'")
    kept = await requested(public, marvin)
    await db.execute("UPDATE wrong_codes SET day = day - 1")
    own = Database(settings.database_url, pool_size=1)
    await own.open()
    await forget_codes.run(Services(own, settings))
    await own.close()
    assert (await try_code(public, old, "000000")).status == 404
    assert (await try_code(public, kept, "000000")).status == 400
    assert await db.fetchval("SELECT count FROM wrong_codes WHERE account_id = $1", marvin.id) == 1


@pytest.mark.parametrize(("closed", "wrong", "right"), [*itertools.product((True, False), (0, 9, 10), (True, False))])
def test_how_a_code_is_judged(closed: bool, wrong: int, right: bool) -> None:
    verdict = judge(Tried(closed, wrong, right), 10)
    if closed:
        assert verdict is Verdict.CLOSED
    elif wrong == 10:
        assert verdict is Verdict.REFUSED_TODAY
    else:
        assert verdict is (Verdict.RIGHT if right else Verdict.WRONG)
