"""Signing in, and up, by a code that was mailed to an address."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from conftest import PASSWORD, SECRET, Answer, Client, MakePerson, clock_moved, unique
from mailed import account_id, another, letters, mailed_code, stranger_code
from makers import register
from test_accounts import invalid, missing
from ticketing.accounts.actions import set_role
from ticketing.accounts.former_addresses import DAYS
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.letters.posting import unseal
from ticketing.sessions.jobs import forget_sign_ins
from ticketing.settings import Settings
from ticketing.web.operations import Services

WRONG = "The provided sign-in code is incorrect."
CLOSED = "The sign-in has already been completed or has expired."
NEW = "battery staple"


def new_address() -> str:
    return f"{unique('newcomer').replace(' ', '.')}@example.com"


async def requested(public: Client, email: str) -> str:
    made = await public.post("/sign-ins", email=email)
    assert (made.status, made.body) == (201, {"self": made["self"], "email": email, "status": "Pending"})
    return str(made["self"])


async def try_code(public: Client, sign_in: str, code: object) -> Answer:
    return await public.send("PATCH", sign_in, json={"code": code})


async def signed_up(public: Client, db: asyncpg.Connection, email: str | None = None) -> Client:
    """Somebody who registered with an address alone, in the session that came with it."""
    email = email or new_address()
    sign_in = await requested(public, email)
    session = await try_code(public, sign_in, await stranger_code(db, email))
    assert session.status == 201, session.body
    account = session["account"]
    return Client(public.http, session["key"], account["number"], username=account["username"], email=email)


async def verify(public: Client, db: asyncpg.Connection, person: Client) -> None:
    uri = (await public.post("/verifications", email=person.email))["self"]
    code = await mailed_code(db, person, "verification")
    assert (await public.send("PATCH", uri, json={"code": code})).status == 200


async def signed_in(public: Client, db: asyncpg.Connection, person: Client) -> Answer:
    return await try_code(public, await requested(public, person.email), await mailed_code(db, person, "sign_in"))


async def last_stranger(db: asyncpg.Connection) -> str:
    """To which address that no account has the last code went."""
    sealed = await db.fetchval("SELECT sealed FROM mails WHERE account_id = 0 ORDER BY id DESC LIMIT 1")
    return unseal(Vault(SECRET), sealed)["email"] if sealed else ""


async def accounts_with(db: asyncpg.Connection, email: str) -> int:
    found: int = await db.fetchval("SELECT count(*) FROM accounts WHERE email = $1", email)
    return found


# Somebody new


async def test_an_address_alone_makes_a_verified_account_with_a_neutral_name_and_no_password(
    public: Client, db: asyncpg.Connection
) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    assert await accounts_with(db, email) == 0, "nothing is made for an address that nobody has shown to be his"
    code = await stranger_code(db, email)
    made = await try_code(public, sign_in, int(code))
    assert made.status == 201, made.body
    usual = await public.post("/sessions", identification=(await register(public)).email, password=PASSWORD)
    assert set(made.body) == set(usual.body)
    account = made["account"]
    assert (account["email"], account["role"], account["verified"]) == (email, "customer", True)
    assert account["username"].startswith("guest-")
    assert email.partition("@")[0] not in account["username"]
    newcomer = Client(public.http, made["key"], account["number"], email=email)
    assert (await newcomer.get("/sessions/active"))["account"] == account
    for identification in (email, account["username"]):
        for password in ("", PASSWORD):
            refused = await public.post("/sessions", identification=identification, password=password)
            assert refused.status == (401 if password else 400)
    assert await letters(db, newcomer) == ["welcome"]
    again = await try_code(public, sign_in, code)
    assert (again.status, again.error) == (409, CLOSED)
    act = await db.fetchval("SELECT action FROM history WHERE thing = $1", account["self"])
    assert act == "account.created_by_code"


async def test_the_next_time_the_same_account_is_opened(public: Client, db: asyncpg.Connection) -> None:
    newcomer = await signed_up(public, db)
    again = await signed_in(public, db, newcomer)
    assert (again.status, again["account"]["number"]) == (201, newcomer.number)
    assert (await newcomer.get("/sessions/active")).status == 200, "the first session stays"
    assert await letters(db, newcomer) == ["welcome", "sign_in"]


async def test_an_address_in_another_case_is_the_same_and_mail_goes_where_the_account_says(
    public: Client, db: asyncpg.Connection
) -> None:
    newcomer = await signed_up(public, db)
    sign_in = await requested(public, newcomer.email.upper())
    session = await try_code(public, sign_in, await mailed_code(db, newcomer, "sign_in"))
    assert (session.status, session["account"]["number"]) == (201, newcomer.number)
    sealed = await db.fetchval("SELECT email FROM sign_ins WHERE id = $1", int(sign_in.rpartition("/")[2]))
    assert sealed == newcomer.email


async def test_a_code_sent_to_another_spelling_opens_no_account_that_was_made_since(
    public: Client, db: asyncpg.Connection
) -> None:
    """To a mail server they may be two mailboxes."""
    email = new_address()
    sign_in = await requested(public, email.upper())
    code = await stranger_code(db, email.upper())
    owner = await register(public, email=email)
    refused = await try_code(public, sign_in, code)
    assert (refused.status, refused.error) == (400, WRONG)
    assert (await owner.get("/sessions/active")).status == 200


async def test_who_registered_meanwhile_is_signed_in_and_no_second_account_is_made(
    public: Client, db: asyncpg.Connection
) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    code = await stranger_code(db, email)
    registered = await register(public, email=email)
    session = await try_code(public, sign_in, code)
    assert (session.status, session["account"]["number"]) == (201, registered.number)
    assert await accounts_with(db, email) == 1


async def test_the_same_code_many_times_at_once_is_one_account_and_one_session(
    public: Client, db: asyncpg.Connection
) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    code = await stranger_code(db, email)
    answers = await asyncio.gather(*(try_code(public, sign_in, code) for _ in range(10)))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 9}
    assert await accounts_with(db, email) == 1
    account = await db.fetchval("SELECT id FROM accounts WHERE email = $1", email)
    assert await db.fetchval("SELECT count(*) FROM sessions WHERE account_id = $1", account) == 1


async def test_two_codes_for_one_address_at_once_are_one_account(public: Client, db: asyncpg.Connection) -> None:
    email = new_address()
    tries = []
    for _ in range(2):
        sign_in = await requested(public, email)
        tries.append((sign_in, await stranger_code(db, email)))
    answers = await asyncio.gather(*(try_code(public, *one) for one in tries))
    assert sorted(answer.status for answer in answers) == [201, 409]
    assert await accounts_with(db, email) == 1


async def test_a_code_and_a_registration_at_once_are_one_account_that_the_reader_of_the_mail_has(
    public: Client, db: asyncpg.Connection
) -> None:
    for _ in range(5):
        email = new_address()
        sign_in = await requested(public, email)
        code = await stranger_code(db, email)
        typed = {"username": unique("squatter").replace(" ", ""), "email": email, "password": PASSWORD}
        session, registered = await asyncio.gather(try_code(public, sign_in, code), public.post("/accounts", typed))
        assert session.status == 201, session.body
        assert registered.status in (201, 409)
        assert await accounts_with(db, email) == 1
        refused = await public.post("/sessions", identification=email, password=PASSWORD)
        assert refused.status == 401


# Somebody known


async def test_where_the_address_was_verified_nothing_is_dropped(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    await verify(public, db, marvin)
    session = await signed_in(public, db, marvin)
    assert (session.status, session["account"]["number"]) == (201, marvin.number)
    assert (await marvin.get("/sessions/active")).status == 200
    assert (await public.post("/sessions", identification=marvin.email, password=PASSWORD)).status == 201
    assert "password_changed" not in await letters(db, marvin)


async def test_where_it_was_never_verified_password_and_sessions_are_dropped(
    public: Client, db: asyncpg.Connection
) -> None:
    """Else who types the address of somebody who is yet to come waits in his account."""
    squatter = await register(public)
    reset = (await public.post("/resets", email=squatter.email))["self"]
    session = await signed_in(public, db, squatter)
    assert (session.status, session["account"]["verified"]) == (201, True)
    assert (await squatter.get("/sessions/active")).status == 401
    assert (await public.post("/sessions", identification=squatter.username, password=PASSWORD)).status == 401
    owner = replace(squatter, key=session["key"])
    assert (await owner.get("/sessions/active")).status == 200
    assert (await owner.get(f"/accounts/{owner.number}/password"))["set"] is False
    assert await letters(db, owner) == ["welcome", "reset", "sign_in", "password_changed"]
    body = {"code": await mailed_code(db, owner, "reset"), "password": NEW}
    assert (await public.send("PATCH", reset, json=body)).status == 409
    assert await db.fetchval(
        "SELECT true FROM history WHERE action = 'account.verified' AND thing = $1", f"/accounts/{owner.number}"
    )


@pytest.mark.parametrize("role", ["administrator", "support"])
async def test_staff_is_answered_alike_and_sent_no_code(
    public: Client, make_person: MakePerson, db: asyncpg.Connection, role: str
) -> None:
    person = await make_person("staff", role=role)
    sign_in = await requested(public, person.email)
    assert await letters(db, person) == []
    assert [(await try_code(public, sign_in, "123456")).status for _ in range(6)] == [400] * 5 + [409]


async def test_who_became_staff_since_is_not_let_in(
    public: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    rising = await make_person("rising")
    sign_in = await requested(public, rising.email)
    code = await mailed_code(db, rising, "sign_in")
    await set_role(db, rising.number, "administrator")
    assert (await try_code(public, sign_in, code)).error == WRONG


async def test_a_host_signs_in_by_code(public: Client, make_person: MakePerson, db: asyncpg.Connection) -> None:
    host = await make_person("host", role="host")
    session = await signed_in(public, db, host)
    assert (session.status, session["account"]["role"]) == (201, "host")


async def test_a_deactivated_account_is_refused_as_by_password_and_nothing_is_dropped(
    public: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    await db.execute("UPDATE accounts SET activated = false WHERE number = $1", marvin.number)
    refused = await signed_in(public, db, marvin)
    assert (refused.status, refused.error) == (403, "This account has been deactivated.")
    await db.execute("UPDATE accounts SET activated = true WHERE number = $1", marvin.number)
    assert (await public.post("/sessions", identification=marvin.email, password=PASSWORD)).status == 201
    assert not (await marvin.get(f"/accounts/{marvin.number}"))["verified"]


async def test_a_code_does_not_open_what_an_address_was_changed_to_or_from(
    public: Client, db: asyncpg.Connection
) -> None:
    """Whoever has a mistyped address must not find somebody's tickets, nor may a left one be registered anew."""
    marvin = await register(public)
    await verify(public, db, marvin)
    sign_in = await requested(public, marvin.email)
    code = await mailed_code(db, marvin, "sign_in")
    typed = new_address()
    assert (await marvin.put(f"/accounts/{marvin.number}", email=typed)).status == 200
    assert (await try_code(public, sign_in, code)).error == WRONG
    sent = len(await letters(db, marvin))
    for address in (marvin.email, typed):
        sign_in = await requested(public, address)
        assert (await try_code(public, sign_in, "123456")).error == WRONG
    assert len(await letters(db, marvin)) == sent
    assert await last_stranger(db) not in (marvin.email, typed)
    await verify(public, db, replace(marvin, email=typed))
    assert (await signed_in(public, db, replace(marvin, email=typed))).status == 201
    async with clock_moved(db, DAYS * 24 * 3600 + 60):
        free = await signed_up(public, db, marvin.email)
    assert free.number != marvin.number


async def test_a_deleted_account_is_nobody_and_its_requests_are_gone(public: Client, db: asyncpg.Connection) -> None:
    newcomer = await signed_up(public, db)
    sign_in = await requested(public, newcomer.email)
    assert (await newcomer.delete(f"/accounts/{newcomer.number}")).status == 200
    assert (await try_code(public, sign_in, "123456")).status == 404
    assert (await signed_up(public, db, newcomer.email)).number != newcomer.number


# What is asked for and tried


async def test_what_a_request_needs(public: Client) -> None:
    for body in ({}, {"email": ""}, {"email": None}):
        refused = await public.post("/sign-ins", body)
        text = "You must provide an email address to which to send the sign-in code."
        assert (refused.status, refused.error) == (400, text)
    for bad in ("no address", "two@ats@example.com", 7, True, {"x": 1}, f"{'x' * 255}@example.com", "a\x00@b.example"):
        refused = await public.post("/sign-ins", email=bad)
        assert (refused.status, refused.error) == (400, invalid("email")), bad


async def test_the_order_of_what_a_try_is_refused_for(public: Client, db: asyncpg.Connection) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    code = await stranger_code(db, email)
    for path in ("/sign-ins/1", "/sign-ins/x", sign_in.replace("sign-ins", "resets")):
        assert (await public.send("PATCH", path, json={})).status == 404
    assert (await try_code(public, sign_in, "")).error == missing("code")
    assert (await try_code(public, sign_in, "12345x")).error == invalid("code")
    wrong = await try_code(public, sign_in, another(code))
    assert (wrong.status, wrong.error) == (400, WRONG)
    assert (await try_code(public, sign_in, code)).status == 201


async def test_staff_sees_how_a_request_stands(public: Client, support: Client, db: asyncpg.Connection) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    assert (await support.get(sign_in)).body == {"self": sign_in, "email": email, "status": "Pending"}
    assert (await public.get(sign_in)).status == 403
    await try_code(public, sign_in, await stranger_code(db, email))
    assert (await support.get(sign_in))["status"] == "Completed"
    left = await requested(public, email)
    async with clock_moved(db, 1800):
        assert (await support.get(left))["status"] == "Expired"


async def test_half_an_hour_later_a_code_is_good_for_nothing(public: Client, db: asyncpg.Connection) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    code = await stranger_code(db, email)
    async with clock_moved(db, 30 * 60):
        assert (await try_code(public, sign_in, code)).error == CLOSED
    assert await accounts_with(db, email) == 0
    async with clock_moved(db, 30 * 60 - 30):
        assert (await try_code(public, sign_in, code)).status == 201


async def test_five_wrong_codes_end_a_request_at_once_or_one_by_one(public: Client, db: asyncpg.Connection) -> None:
    email = new_address()
    sign_in = await requested(public, email)
    code = await stranger_code(db, email)
    crowd = await asyncio.gather(*(try_code(public, sign_in, another(code)) for _ in range(12)))
    assert Counter(answer.status for answer in crowd) == {400: 5, 409: 7}
    assert (await try_code(public, sign_in, code)).error == CLOSED


@pytest.mark.parametrize("is_known", [False, True])
async def test_ten_wrong_codes_within_a_day_close_an_address_to_codes_whether_or_not_an_account_has_it(
    public: Client, db: asyncpg.Connection, is_known: bool
) -> None:
    owner = await signed_up(public, db) if is_known else None
    email = owner.email if owner else new_address()
    if owner is not None:  # who asks stands elsewhere
        await db.execute("UPDATE sessions SET ip = '' WHERE account_id = $1", await account_id(db, owner))

    async def ask() -> tuple[str, str]:
        sign_in = await requested(public, email)
        return sign_in, await (mailed_code(db, owner, "sign_in") if owner else stranger_code(db, email))

    left_over, right = await ask()
    for count in range(10):
        if count % 5 == 0:
            sign_in, code = await ask()
        assert (await try_code(public, sign_in, another(code))).error == WRONG
    shut = await try_code(public, left_over, right)
    assert shut.status == 429
    seconds = int(shut.headers["Retry-After"])
    assert 24 * 3600 - 120 < seconds <= 24 * 3600
    if owner is not None:
        assert (await letters(db, owner)).count("codes_exhausted") == 1
        assert (await owner.get("/sessions/active")).status == 200
    async with clock_moved(db, seconds + 1):
        sign_in, code = await ask()
        assert (await try_code(public, sign_in, code)).status == 201


async def test_requests_are_forgotten_after_two_days(
    public: Client, db: asyncpg.Connection, settings: Settings
) -> None:
    old, kept = await requested(public, new_address()), await requested(public, new_address())
    await db.execute(
        "UPDATE sign_ins SET requested_at = clock() - interval '2 days' WHERE id = $1", int(old.rpartition("/")[2])
    )
    own = Database(settings.database_url, pool_size=1)
    await own.open()
    await forget_sign_ins.run(Services(own, settings))
    await own.close()
    assert [(await try_code(public, one, "000000")).status for one in (old, kept)] == [404, 400]


async def test_the_database_tells_no_code(public: Client, db: asyncpg.Connection) -> None:
    email = new_address()
    await requested(public, email)
    code = await stranger_code(db, email)
    for table in ("sign_ins", "mails"):
        rows = await db.fetchval(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t")
        assert code not in rows
        assert code.encode().hex() not in rows


# A first password


async def set_password(person: Client, **members: Any) -> Answer:
    return await person.put(f"/accounts/{person.number}/password", members)


async def test_a_first_password_needs_no_current_one_and_the_next_does(public: Client, db: asyncpg.Connection) -> None:
    newcomer = await signed_up(public, db)
    elsewhere = (await signed_in(public, db, newcomer))["key"]
    uri = f"/accounts/{newcomer.number}/password"
    assert (await newcomer.get(uri)).body == {"self": uri, "set": False}
    assert (await set_password(newcomer)).error == missing("password")
    assert (await set_password(newcomer, password="short")).error == invalid("password")
    assert (await set_password(newcomer, current=PASSWORD, password=NEW)).error == invalid("current")
    done = await set_password(newcomer, password=NEW)
    assert (done.status, done.body) == (200, {"message": "The password was changed."})
    assert (await newcomer.get(uri)).body == {"self": uri, "set": True}
    assert (await newcomer.get("/sessions/active")).status == 200
    assert (await Client(public.http, elsewhere).get("/sessions/active")).status == 401
    assert (await public.post("/sessions", identification=newcomer.email, password=NEW)).status == 201
    assert (await set_password(newcomer, password=PASSWORD)).error == missing("current")
    assert (await set_password(newcomer, current=NEW, password=PASSWORD)).status == 200
    assert (await signed_in(public, db, newcomer)).status == 201, "by code as well"
    assert "password_changed" in await letters(db, newcomer)


async def test_two_first_passwords_at_once_are_one(public: Client, db: asyncpg.Connection) -> None:
    newcomer = await signed_up(public, db)
    passwords = [f"{NEW} {number}" for number in range(4)]
    answers = await asyncio.gather(*(set_password(newcomer, password=password) for password in passwords))
    assert [answer.status for answer in answers].count(200) == 1
    (kept,) = [password for password, answer in zip(passwords, answers, strict=True) if answer.status == 200]
    assert (await public.post("/sessions", identification=newcomer.email, password=kept)).status == 201


async def test_nobody_else_learns_whether_there_is_a_password_or_sets_one(
    public: Client, alice: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    newcomer = await signed_up(public, db)
    for other in (alice, administrator):
        assert (await other.get(f"/accounts/{newcomer.number}/password")).status == 403
        assert (await other.put(f"/accounts/{newcomer.number}/password", password=NEW)).status == 403


async def test_a_forgotten_password_that_never_was_is_set_by_a_reset(public: Client, db: asyncpg.Connection) -> None:
    newcomer = await signed_up(public, db)
    reset = (await public.post("/resets", email=newcomer.email))["self"]
    body = {"code": await mailed_code(db, newcomer, "reset"), "password": NEW}
    assert (await public.send("PATCH", reset, json=body)).status == 200
    assert (await public.post("/sessions", identification=newcomer.email, password=NEW)).status == 201
