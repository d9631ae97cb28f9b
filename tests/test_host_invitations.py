"""Being asked to run a host: nobody runs one unasked, and nobody is written to again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from conftest import Answer, Client, MakePerson, clock_moved, unique
from makers import id_of, make_host
from ticketing.hosts.invitations import DAYS
from ticketing.hosts.jobs import forget_invitations
from ticketing.kit.database import Database
from ticketing.settings import Settings
from ticketing.web.operations import Services

DAY = 24 * 60 * 60
MOST = 4
NO_ACCOUNT = "The requested account could not be located"
TOO_MANY = "Too many invitations have been sent today."


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """An account makes few invitations a day, also where other limits are off."""
    return replace(settings, invitations_per_day=MOST)


def people_of(host: dict[str, Any]) -> str:
    """Where those who run the host are."""
    return f"{host['self']}/administrators"


async def ask(inviter: Client, host: dict[str, Any], person: Client) -> Answer:
    """Ask somebody to run the host."""
    return await inviter.post(people_of(host), account=person.number)


async def accept(person: Client, host: dict[str, Any]) -> Answer:
    """Say yes."""
    return await person.post(f"{people_of(host)}/{person.number}/acceptances")


async def take_back(actor: Client, host: dict[str, Any], person: Client) -> Answer:
    """Take the invitation back, or refuse it; or take the person off."""
    return await actor.delete(f"{people_of(host)}/{person.number}")


async def invitations_of(person: Client) -> list[str]:
    """The hosts that the person could run."""
    listed = await person.get(f"/accounts/{person.number}/invitations")
    return [invitation["host"]["self"] for invitation in listed["entries"]]


async def letters_to(db: asyncpg.Connection, *people: Client) -> int:
    """How many letters told these people of invitations."""
    ids = [person.id for person in people]
    asked = "SELECT count(*) FROM mails WHERE letter = 'host_invitation' AND account_id = ANY($1::bigint[])"
    return int(await db.fetchval(asked, ids))


async def test_no_stranger_learns_more_than_the_username(
    make_person: MakePerson, administrator: Client, public: Client
) -> None:
    mallory, bob = await make_person("mallory"), await make_person("bob")
    found = await mallory.post("/lookups", identification=bob.username)
    assert set(found.body) <= {"identification", "role", "found", "number", "verified"}
    host = await make_host(mallory)
    shown = {"self": f"/accounts/{bob.number}", "number": bob.number, "username": bob.username, "accepted": False}
    for _ in range(2):
        asked = await ask(mallory, host, bob)
        assert (asked.status, asked.body) == (201, shown)
    assert (await mallory.get(people_of(host)))["entries"][1:] == [shown]
    # Nor does it make him look like one of them.
    assert host["self"] not in [one["self"] for one in (await public.get("/hosts", account=bob.number))["entries"]]
    assert (await bob.get(f"/accounts/{bob.number}/hosts"))["total"] == 0
    await take_back(bob, host, bob)
    assert (await mallory.get(people_of(host)))["total"] == 1


async def test_an_invitation_that_comes_and_goes_is_told_once(make_person: MakePerson, db: asyncpg.Connection) -> None:
    mallory, bob = await make_person("mallory"), await make_person("bob")
    host = await make_host(mallory)
    for actor, said in ((mallory, "taken back"), (bob, "refused")) * 4:
        assert (await ask(mallory, host, bob)).status == 201
        assert await invitations_of(bob) == [host["self"]]
        ended = await take_back(actor, host, bob)
        assert (ended.status, ended["message"]) == (200, f"The invitation was {said}.")
        assert await invitations_of(bob) == []
        assert (await accept(bob, host)).error == NO_ACCOUNT
        assert (await take_back(mallory, host, bob)).error == NO_ACCOUNT
    assert await letters_to(db, bob) == 1
    async with clock_moved(db, (DAYS + 1) * DAY):
        assert (await ask(mallory, host, bob)).status == 201
        assert await letters_to(db, bob) == 2


async def test_one_account_asks_so_many_in_a_day(make_person: MakePerson, db: asyncpg.Connection) -> None:
    """However many hosts it makes, all at once, and whatever it takes back."""
    mallory, alice = await make_person("mallory"), await make_person("alice")
    crowd = [await make_person("guest") for _ in range(MOST + 2)]
    hosts = [await make_host(mallory) for _ in crowd]
    answers = await asyncio.gather(*(ask(mallory, host, person) for host, person in zip(hosts, crowd, strict=True)))
    assert sorted(answer.status for answer in answers) == [201] * MOST + [409] * 2
    assert {answer.error for answer in answers if answer.status == 409} == {TOO_MANY}
    assert await letters_to(db, *crowd) == MOST
    asked = answers.index(next(answer for answer in answers if answer.status == 201))
    assert (await ask(mallory, hosts[asked], crowd[asked])).status == 201  # who is asked already
    for host, person in zip(hosts, crowd, strict=True):
        await take_back(mallory, host, person)
    late = await make_person("late")
    assert (await ask(mallory, hosts[0], late)).error == TOO_MANY
    assert (await ask(alice, await make_host(alice), late)).status == 201
    async with clock_moved(db, DAY + 60):
        assert (await ask(mallory, hosts[0], late)).status == 201


async def test_an_invitation_lapses_and_is_forgotten(
    make_person: MakePerson, settings: Settings, db: asyncpg.Connection
) -> None:
    alice, bob, carol = await make_person("alice"), await make_person("bob"), await make_person("carol")
    host = await make_host(alice)
    await ask(alice, host, bob)
    database = Database(settings.database_url, pool_size=2)
    await database.open()
    try:
        await forget_invitations.run(Services(database, settings))
        assert await invitations_of(bob) == [host["self"]]
        async with clock_moved(db, DAYS * DAY + 60):
            assert await invitations_of(bob) == []
            assert (await accept(bob, host)).error == NO_ACCOUNT
            await ask(alice, host, carol)
            await forget_invitations.run(Services(database, settings))
            kept = await db.fetch("SELECT account_id FROM host_invitations WHERE host_id = $1", int(id_of(host)))
            assert [row["account_id"] for row in kept] == [carol.id]
            assert (await accept(carol, host)).status == 201
    finally:
        await database.close()


@pytest.mark.parametrize("way", ["removed", "closed", "erased"])
async def test_who_may_not_be_in_lets_nobody_in(make_person: MakePerson, administrator: Client, way: str) -> None:
    alice, mallory, accomplice = [await make_person(name) for name in ("alice", "mallory", "accomplice")]
    host = await make_host(alice)
    assert (await ask(administrator, host, mallory))["accepted"] is True
    assert (await ask(mallory, host, accomplice)).status == 201
    if way == "removed":
        done = await take_back(alice, host, mallory)
    elif way == "closed":
        done = await administrator.post(f"/accounts/{mallory.number}/toggles", reason="Fraud")
    else:
        done = await mallory.delete(f"/accounts/{mallory.number}")
    assert done.status in (200, 201), done.body
    assert await invitations_of(accomplice) == []
    assert (await accept(accomplice, host)).error == NO_ACCOUNT
    assert accomplice.number not in [one["number"] for one in (await alice.get(people_of(host)))["entries"]]
    # Who may, lets him in.
    assert (await ask(alice, host, accomplice)).status == 201
    assert (await accept(accomplice, host))["accepted"] is True


async def test_an_administrator_of_the_platform_lets_in_who_was_asked(
    make_person: MakePerson, administrator: Client, db: asyncpg.Connection
) -> None:
    alice, bob = await make_person("alice"), await make_person("bob")
    host = await make_host(alice)
    await ask(alice, host, bob)
    assert (await ask(administrator, host, bob))["accepted"] is True
    assert await invitations_of(bob) == []
    assert (await accept(bob, host))["accepted"] is True
    assert (await take_back(alice, host, bob)).status == 200
    # The invitation that was fulfilled does not let him in again.
    assert (await accept(bob, host)).error == NO_ACCOUNT


async def test_nobody_writes_to_a_program_or_a_closed_account(
    make_person: MakePerson, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    alice, closed = await make_person("alice"), await make_person("closed")
    host = await make_host(alice)
    await administrator.post(f"/accounts/{closed.number}/toggles", reason="Fraud")
    made = (await administrator.post("/integrations", name=unique("Shop"), access="host")).body
    program = Client(public.http, made["key"], made["account"])
    for invited in (closed, program):
        assert (await ask(alice, host, invited)).status == 201
    assert await letters_to(db, closed) == 0
    assert (await accept(program, host))["accepted"] is True


async def test_erasing_forgets_who_was_asked_and_by_whom(make_person: MakePerson, db: asyncpg.Connection) -> None:
    alice, bob, carol = await make_person("alice"), await make_person("bob"), await make_person("carol")
    host = await make_host(alice)
    for person in (bob, carol):
        await ask(alice, host, person)
    assert (await bob.delete(f"/accounts/{bob.number}")).status == 200
    assert [one["number"] for one in (await alice.get(people_of(host)))["entries"]] == [alice.number, carol.number]
    assert (await alice.delete(f"/accounts/{alice.number}")).status == 200
    about = "SELECT count(*) FROM host_invitations WHERE $1 IN (account_id, invited_by)"
    assert [await db.fetchval(about, person.id) for person in (bob, alice)] == [0, 0]


async def test_who_says_yes_where_and_for_whom(make_person: MakePerson, administrator: Client) -> None:
    alice, bob, carol = await make_person("alice"), await make_person("bob"), await make_person("carol")
    host, other = await make_host(alice), await make_host(carol)
    await ask(alice, host, bob)
    assert (await accept(bob, other)).error == NO_ACCOUNT
    for stranger in (alice, carol, administrator):
        refused = await stranger.post(f"{people_of(host)}/{bob.number}/acceptances")
        assert (refused.status, refused.error) == (403, "You are not authorised to access or modify this account.")
    for path in ("/hosts/1", "/hosts/x", f"{host['self']}0"):
        missing = await bob.post(f"{path}/administrators/{bob.number}/acceptances")
        assert (missing.status, missing.error) == (404, "The specified host could not be found.")
    assert (await bob.post(f"{people_of(host)}/XX-00000000/acceptances")).error == NO_ACCOUNT
    yes = await bob.post(f"{people_of(host)}/{bob.number.lower()}/acceptances")
    assert (yes.status, yes["accepted"], yes["email"]) == (201, True, bob.email)
    assert (await alice.delete(host["self"])).status == 200
    await ask(carol, other, bob)
    assert (await carol.delete(other["self"])).status == 200
    assert await invitations_of(bob) == []
    assert (await accept(bob, other)).error == "The specified host could not be found."


async def waiting(db: asyncpg.Connection, count: int) -> None:
    """Until so many wait for somebody's lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(2.5):  # they give up after three seconds
        while await db.fetchval(asked) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("first", ["yes", "no", "gone"])
async def test_yes_and_no_at_once(make_person: MakePerson, db: asyncpg.Connection, database: str, first: str) -> None:
    """The one that comes second finds what the first one did; nobody runs a host after all that took it from him."""
    alice, bob = await make_person("alice"), await make_person("bob")
    host = await make_host(alice)
    await ask(alice, host, bob)
    steps: dict[str, Callable[[], Awaitable[Answer]]] = {
        "yes": lambda: accept(bob, host),
        "no": lambda: take_back(alice, host, bob),
        "gone": lambda: bob.delete(f"/accounts/{bob.number}"),
    }
    second = "no" if first == "yes" else "yes"
    holder = await asyncpg.connect(database)
    try:
        async with holder.transaction():
            # Who is to come first waits for the host, but who erases, for the account.
            locked = f"accounts WHERE id = {bob.id}" if first == "gone" else f"hosts WHERE id = {id_of(host)}"
            await holder.execute(f"SELECT FROM {locked} FOR UPDATE")
            begun = [asyncio.ensure_future(steps[first]())]
            await waiting(db, 1)
            begun.append(asyncio.ensure_future(steps[second]()))
            await waiting(db, 2)
    finally:
        await holder.close()
    answers = [await answer for answer in begun]
    assert [answer.status for answer in answers] == ([201, 200] if first == "yes" else [200, 404])
    runs = "SELECT count(*) FROM host_administrators WHERE account_id = $1"
    assert await db.fetchval(runs, bob.id) == 0
    assert [one["number"] for one in (await alice.get(people_of(host)))["entries"]] == [alice.number]
