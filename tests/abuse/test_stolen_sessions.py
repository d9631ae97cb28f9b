"""A thief has somebody's session, and wants the account: what he can do, and how its owner gets it back."""

from dataclasses import replace

import asyncpg

from conftest import PASSWORD, SECRET, Answer, Client, MakePerson, clock_moved, unique
from mailed import account_id
from makers import register
from ticketing.accounts import former_addresses
from ticketing.accounts.jobs import forget_former_addresses
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.letters.posting import unseal
from ticketing.settings import Settings
from ticketing.web.operations import Services

NEW = "battery staple"
DAY = 24 * 3600
WRONG = "The provided password reset code is incorrect."
CLOSED = "The password reset has already been completed or has expired."


async def verified(public: Client, db: asyncpg.Connection, name: str = "marvin") -> Client:
    owner = await register(public, name)
    await db.execute("UPDATE accounts SET verified = true WHERE number = $1", owner.number)
    return owner


async def elsewhere(public: Client, owner: Client) -> Client:
    """The session that was stolen: another than the owner's."""
    session = await public.post("/sessions", identification=owner.username, password=PASSWORD)
    return replace(owner, key=session["key"])


async def move(thief: Client, email: str) -> Answer:
    changed = await thief.put(f"/accounts/{thief.number}", email=email)
    assert (changed.status, changed["email"], changed["verified"]) == (200, email, False), changed.body
    return changed


async def ask(public: Client, email: str, what: str = "resets") -> str:
    asked = await public.post(f"/{what}", email=email)
    assert (asked.status, asked["email"], asked["status"]) == (201, email, "Pending"), asked.body
    return str(asked["self"])


async def sent(db: asyncpg.Connection, person: Client, letter: str = "reset") -> list[dict[str, str]]:
    """What was sealed in the letters of this name about the account, oldest first."""
    rows = await db.fetch(
        "SELECT sealed FROM mails WHERE letter = $1 AND account_id = $2 ORDER BY id",
        letter,
        await account_id(db, person),
    )
    return [unseal(Vault(SECRET), row["sealed"]) for row in rows]


async def set_password(public: Client, uri: str, code: str, password: str = NEW) -> Answer:
    return await public.send("PATCH", uri, json={"code": code, "password": password})


async def verify(public: Client, db: asyncpg.Connection, person: Client, email: str) -> None:
    uri = await ask(public, email, "verifications")
    code = (await sent(db, person, "verification"))[-1]["code"]
    assert (await public.send("PATCH", uri, json={"code": code})).status == 200


async def signs_in(public: Client, identification: str, password: str = NEW) -> int:
    return (await public.post("/sessions", identification=identification, password=password)).status


async def test_the_new_address_gets_no_reset_and_the_other_sessions_end(public: Client, db: asyncpg.Connection) -> None:
    owner = await verified(public, db)
    thief = await elsewhere(public, owner)
    await move(thief, "thief@example.net")
    assert (await owner.get("/sessions/active")).status == 401
    assert (await thief.get("/sessions/active")).status == 200
    uri = await ask(public, "thief@example.net")
    assert await sent(db, owner) == []
    guessed = await set_password(public, uri, "123456")
    assert (guessed.status, guessed.error) == (400, WRONG)
    assert await sent(db, owner, "email_changed") == [{"email": owner.email}]


async def test_the_owner_takes_the_account_back(public: Client, db: asyncpg.Connection) -> None:
    owner = await verified(public, db)
    thief = await elsewhere(public, owner)
    await move(thief, "robber@example.net")
    await verify(public, db, owner, "robber@example.net")
    uri = await ask(public, owner.email.upper().lower())
    [secret] = await sent(db, owner)
    assert secret["email"] == owner.email
    # Whatever the thief does meanwhile: another address, and a password of his own.
    await move(thief, "second@example.net")
    await verify(public, db, owner, "second@example.net")
    own = await ask(public, "second@example.net")
    assert (await set_password(public, own, (await sent(db, owner))[-1]["code"], "thief's own")).status == 200
    session = await public.post("/sessions", identification="second@example.net", password="thief's own")
    thief = replace(thief, key=session["key"])
    own_password = f"/accounts/{owner.number}/password"
    assert (await thief.put(own_password, current="thief's own", password="thief's next")).status == 200

    done = await set_password(public, uri, secret["code"])
    assert (done.status, done["email"], done["status"]) == (200, owner.email, "Completed")
    assert (await thief.get("/sessions/active")).status == 401
    assert await signs_in(public, owner.email) == 201
    assert await signs_in(public, owner.username, "thief's next") == 401
    shown = await db.fetchrow("SELECT email, verified, must_verify FROM accounts WHERE number = $1", owner.number)
    assert tuple(shown) == (owner.email, True, False)
    for former in ("robber@example.net", "second@example.net"):
        assert (await public.post("/resets", email=former)).status == 404
    assert (await sent(db, owner, "email_changed"))[-1] == {"email": "second@example.net"}
    action = await db.fetchval(
        "SELECT action FROM history WHERE thing = $1 ORDER BY id DESC", f"/accounts/{owner.number}"
    )
    assert action == "account.taken_back"


async def test_an_address_left_later_drops_none_that_was_left_before(public: Client, db: asyncpg.Connection) -> None:
    owner = await verified(public, db)
    thief = await elsewhere(public, owner)
    for email in ("first.loot@example.net", "second.loot@example.net"):
        await move(thief, email)
        await verify(public, db, owner, email)
    uri = await ask(public, "first.loot@example.net")
    assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"], "thief's own")).status == 200
    uri = await ask(public, owner.email)
    assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"])).status == 200
    assert await signs_in(public, owner.email) == 201
    assert (await public.post("/resets", email="first.loot@example.net")).status == 404


async def test_a_code_of_the_thief_ends_when_the_owner_is_back(public: Client, db: asyncpg.Connection) -> None:
    owner = await verified(public, db)
    thief = await elsewhere(public, owner)
    await move(thief, "late@example.net")
    await verify(public, db, owner, "late@example.net")
    await move(thief, "later@example.net")
    late = await ask(public, "late@example.net")
    late_code = (await sent(db, owner))[-1]["code"]
    verification = await ask(public, "later@example.net", "verifications")
    later_code = (await sent(db, owner, "verification"))[-1]["code"]
    uri = await ask(public, owner.email)
    assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"])).status == 200
    assert (await set_password(public, late, late_code)).error == CLOSED
    assert (await public.send("PATCH", verification, json={"code": later_code})).status == 409


async def test_back_at_the_old_address_it_is_verified_and_what_came_between_takes_nothing(
    public: Client, db: asyncpg.Connection
) -> None:
    owner = await verified(public, db)
    between = f"{unique('thief').replace(' ', '')}@example.net"
    await move(owner, between)
    await verify(public, db, owner, between)
    async with clock_moved(db, 6 * DAY):
        back = await owner.put(f"/accounts/{owner.number}", email=owner.email)
        assert (back.status, back["email"], back["verified"]) == (200, owner.email, True)
    async with clock_moved(db, 8 * DAY):
        # By then only the address between would be within its days.
        refused = await public.post("/resets", email=between)
        assert refused.status == 404
        uri = await ask(public, owner.email)
        assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"])).status == 200


async def test_an_address_too_long_for_a_name_gives_none(public: Client, db: asyncpg.Connection) -> None:
    owner = await verified(public, db, "zelda")
    long = f"{'z' * 60}@{unique('example').replace(' ', '')}.{'a' * 50}.example"
    assert (await owner.put(f"/accounts/{owner.number}", email=long)).status == 200
    await verify(public, db, owner, long)
    short = f"{unique('y').replace(' ', '')}@example.net"
    assert (await owner.put(f"/accounts/{owner.number}", username=short, email=short)).status == 200
    uri = await ask(public, long)
    assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"])).status == 200
    names = await db.fetchrow("SELECT username, email FROM accounts WHERE number = $1", owner.number)
    assert tuple(names) == (owner.number, long)


async def test_a_username_that_is_the_address_comes_back_with_it(public: Client, db: asyncpg.Connection) -> None:
    email = f"{unique('zoe').replace(' ', '')}@example.com"
    owner = await verified(public, db)
    assert (await owner.put(f"/accounts/{owner.number}", username=email, email=email)).status == 200
    await db.execute("UPDATE accounts SET verified = true, must_verify = false WHERE number = $1", owner.number)
    moved = await owner.put(f"/accounts/{owner.number}", username="x@example.net", email="x@example.net")
    assert moved.status == 200
    uri = await ask(public, email)
    assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"])).status == 200
    names = await db.fetchrow("SELECT username, username_key, email FROM accounts WHERE number = $1", owner.number)
    assert tuple(names) == (email, email, email)
    assert await signs_in(public, email) == 201


async def test_for_seven_days_and_nobody_else_registers_it(public: Client, db: asyncpg.Connection) -> None:
    owner = await verified(public, db)
    await move(await elsewhere(public, owner), "week@example.net")
    stranger = {"username": unique("stranger"), "password": PASSWORD, "email": owner.email.upper()}
    taken = await public.post("/accounts", stranger)
    assert (taken.status, taken.error) == (409, "The following arguments conflict with those of another user: email.")
    other = await register(public, "other")
    assert (await other.put(f"/accounts/{other.number}", email=owner.email)).status == 409
    async with clock_moved(db, former_addresses.DAYS * DAY - 60):
        uri = await ask(public, owner.email)
    code = (await sent(db, owner))[-1]["code"]
    async with clock_moved(db, former_addresses.DAYS * DAY + 60):
        late = await set_password(public, uri, code)
        assert (late.status, late.error) == (400, WRONG)
        assert (await public.post("/resets", email=owner.email)).status == 404
        assert (await public.post("/accounts", stranger)).status == 201


async def test_an_address_that_was_never_verified_is_corrected_freely(public: Client, db: asyncpg.Connection) -> None:
    owner = await register(public)
    second = await elsewhere(public, owner)
    await move(owner, f"right.{owner.email}")
    assert (await second.get("/sessions/active")).status == 200
    assert (await public.post("/resets", email=owner.email)).status == 404
    await register(public, "next", email=owner.email)
    uri = await ask(public, f"right.{owner.email}")
    assert (await set_password(public, uri, (await sent(db, owner))[-1]["code"])).status == 200


async def test_an_owner_who_moved_resets_once_the_new_address_is_verified(
    public: Client, db: asyncpg.Connection, make_person: MakePerson
) -> None:
    owner = await verified(public, db)
    administrator = await make_person("administrator", role="administrator")
    changed = await administrator.put(f"/accounts/{owner.number}", email="home@example.net")
    assert changed.status == 200
    assert (await owner.get("/sessions/active")).status == 401
    await verify(public, db, owner, "home@example.net")
    uri = await ask(public, "home@example.net")
    [secret] = await sent(db, owner)
    assert set(secret) == {"code"}
    assert (await set_password(public, uri, secret["code"])).status == 200
    # The old address stays good for its week: only time, or the owner from there, ends that.
    await ask(public, owner.email)


async def test_wrong_codes_for_a_former_address_are_told_there(
    public: Client, db: asyncpg.Connection, settings: Settings
) -> None:
    owner = await verified(public, db)
    await move(owner, "gone@example.net")
    for _request in range(settings.wrong_mailed_codes // settings.mailed_code_tries):
        uri = await ask(public, owner.email)
        code = (await sent(db, owner))[-1]["code"]
        for _try in range(settings.mailed_code_tries):
            assert (await set_password(public, uri, "100000" if code != "100000" else "100001")).status == 400
    assert await sent(db, owner, "codes_exhausted") == [{"email": owner.email}]


async def test_it_is_forgotten_with_the_account_and_after_the_week(
    public: Client, db: asyncpg.Connection, settings: Settings
) -> None:
    gone, stays = await verified(public, db), await verified(public, db)
    for person in (gone, stays):
        await move(person, f"moved.{person.email}")
        await ask(public, person.email)
    assert (await gone.delete(f"/accounts/{gone.number}")).status == 200
    assert not await db.fetchval("SELECT true FROM former_addresses WHERE email = $1", gone.email)
    assert not await db.fetchval("SELECT true FROM codes WHERE former_email = $1", gone.email)
    database = Database(settings.database_url, pool_size=2)
    await database.open()
    try:
        await forget_former_addresses.run(Services(database, settings))
        assert await db.fetchval("SELECT true FROM former_addresses WHERE email = $1", stays.email)
        async with clock_moved(db, former_addresses.DAYS * DAY + 60):
            await forget_former_addresses.run(Services(database, settings))
        assert not await db.fetchval("SELECT true FROM former_addresses")
    finally:
        await database.close()
