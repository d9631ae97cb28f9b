"""The same POST sent twice: done once, answered twice."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

import ticketing.app
from conftest import Answer, Client, add_person, unique
from ticketing.sessions.permissions import ANY, MAY_CALL
from ticketing.settings import Settings
from ticketing.web import idempotency
from ticketing.web.errors import Busy, Conflict, Malformed, TooManyRequests, about
from ticketing.web.forms import Field, Form, text
from ticketing.web.operations import Call, Operations, Reply, created

STILL = "A request with this idempotency key is still being processed."
OTHER = "This idempotency key was already used for another request."

operations = Operations("Tests")
ANYTHING = Form([Field("wish", text(), required=False)])
performed: list[dict[str, Any]] = []
may_go = asyncio.Event()


@operations("POST /performances", form=ANYTHING, secret_members=("number", "cvv"))
async def perform(call: Call) -> Reply:
    """Do something that should be done once."""
    body = call.json()
    performed.append(body)
    match body.get("wish"):
        case "wait":
            await may_go.wait()
        case "busy" if len(performed) == 1:
            raise Busy
        case "slower" if len(performed) == 1:
            raise TooManyRequests(1, 10)
        case "crash" if len(performed) == 1:
            raise ZeroDivisionError
        case "invalid":
            raise Malformed
        case "conflict":
            raise Conflict("Not now.", about("trial", "wait a little"))
    return created({"times": len(performed), "name": body.get("name")})


@operations("POST /performances/{performance}")
async def perform_bare(call: Call) -> Reply:
    """Do something that takes no body."""
    performed.append({})
    return created({"times": len(performed)})


@operations("POST /keys", form=ANYTHING, carries_key=True)
async def make_key(call: Call) -> Reply:
    """Make a key."""
    performed.append({})
    return created({"times": len(performed)})


@pytest.fixture(scope="module", autouse=True)
def trials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ticketing.app, "OPERATIONS", [*ticketing.app.OPERATIONS, *operations.all])
        for operation in operations.all:
            patch.setitem(MAY_CALL, operation.id, ANY)
        yield


@pytest.fixture(autouse=True)
def fresh() -> None:
    performed.clear()
    may_go.clear()


async def send(person: Client, key: str, path: str = "/performances", **body: Any) -> Answer:
    return await person.send("POST", path, json=body, headers={"Idempotency-Key": key})


def replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


async def test_the_first_answer_is_given_again(alice: Client) -> None:
    key = unique("key")
    first, second = await send(alice, key, name="é"), await send(alice, key, name="é")
    assert (first.status, first.body) == (201, {"times": 1, "name": "é"})
    assert (second.status, second.body) == (201, first.body)
    assert (replayed(first), replayed(second)) == (False, True)
    assert second.headers["content-type"] == "application/json"


async def test_a_region_is_made_once(administrator: Client) -> None:
    key, name = unique("key"), unique("Region")
    answers = [await send(administrator, key, "/regions", name=name, country="France") for _ in range(3)]
    assert [answer.status for answer in answers] == [201] * 3
    assert len({answer["self"] for answer in answers}) == 1


async def test_without_a_key_nothing_is_remembered(alice: Client, db: asyncpg.Connection) -> None:
    before = await db.fetchval("SELECT count(*) FROM idempotency_keys")
    assert [(await alice.post("/performances"))["times"] for _ in range(2)] == [1, 2]
    assert await db.fetchval("SELECT count(*) FROM idempotency_keys") == before


async def test_refusals_are_answers_too(alice: Client) -> None:
    for wish, status in (("invalid", 400), ("conflict", 409)):
        performed.clear()
        key = unique("key")
        first, second = await send(alice, key, wish=wish), await send(alice, key, wish=wish)
        assert first.status == second.status == status
        assert first.error == second.error
        assert (len(performed), replayed(second)) == (1, True)


async def test_what_may_be_asked_again_is_not_kept(alice: Client) -> None:
    for wish, status in (("busy", 503), ("slower", 429), ("crash", 500)):
        performed.clear()
        key = unique("key")
        first, second, third = [await send(alice, key, wish=wish) for _ in range(3)]
        assert (first.status, second.status, third.status) == (status, 201, 201)
        assert (second["times"], third["times"], replayed(third)) == (2, 2, True)


async def test_two_at_once_are_one(alice: Client) -> None:
    """The second hears that the first is not done yet, and its answer once it is."""
    key = unique("key")
    first = asyncio.create_task(send(alice, key, wish="wait"))
    while not performed:
        await asyncio.sleep(0.005)
    assert (await send(alice, key, wish="wait")).error == STILL
    assert (await send(alice, key, wish="other")).error == OTHER
    may_go.set()
    assert (await first).status == 201
    again = await send(alice, key, wish="wait")
    assert (again.status, again["times"], replayed(again)) == (201, 1, True)


async def test_a_crowd_with_one_key_does_it_once(administrator: Client) -> None:
    key, name = unique("key"), unique("Region")
    answers = await asyncio.gather(
        *(send(administrator, key, "/regions", name=name, country="France") for _ in range(20))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert {answer.error for answer in answers if answer.status == 409} <= {STILL}
    assert len({answer["self"] for answer in answers if answer.status == 201}) == 1


async def test_another_request_cannot_use_the_key(alice: Client) -> None:
    key = unique("key")
    await send(alice, key, name="a")
    for path, body in (
        ("/performances", {"name": "b"}),
        ("/performances?page=1", {"name": "a"}),
        ("/performances/1", {"name": "a"}),
        ("/performances", {}),
    ):
        answer = await send(alice, key, path, **body)
        assert (answer.status, answer.error) == (422, OTHER)
    assert len(performed) == 1


async def test_the_order_of_members_and_spaces_do_not_matter(alice: Client) -> None:
    key = {"Idempotency-Key": unique("key")}
    await alice.send("POST", "/performances", content=b'{"name": "a", "wish": ""}', headers=key)
    again = await alice.send("POST", "/performances", content=b'{"wish":"","name":"a"}', headers=key)
    assert replayed(again)


async def test_secret_members_are_not_compared(alice: Client) -> None:
    key = unique("key")
    await send(alice, key, name="a", number="4111111111111111", cvv="123")
    assert replayed(await send(alice, key, name="a", number="5555555555555555"))
    assert (await send(alice, key, name="b", number="4111111111111111", cvv="123")).status == 422


async def test_keys_belong_to_whoever_used_them(alice: Client, bob: Client) -> None:
    key = unique("key")
    await send(alice, key, name="a")
    assert not replayed(await send(bob, key, name="b"))
    assert len(performed) == 2


async def test_an_operation_without_a_body(alice: Client) -> None:
    key = {"Idempotency-Key": unique("key")}
    answers = [await alice.send("POST", "/performances/1", headers=key) for _ in range(2)]
    assert [replayed(answer) for answer in answers] == [False, True]


async def test_answers_with_keys_are_never_kept(alice: Client, db: asyncpg.Connection) -> None:
    key = unique("key")
    assert [(await send(alice, key, "/keys"))["times"] for _ in range(2)] == [1, 2]
    assert not await db.fetchval("SELECT count(*) FROM idempotency_keys WHERE key = $1", key)
    kept = {one.id for one in ticketing.app.OPERATIONS if one.carries_key}
    assert kept == {"start_session", "sign_in_by_code", "create_integration", "make_key"}


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
async def test_a_key_is_printable_and_not_too_long(alice: Client, key: str) -> None:
    answer = await alice.send("POST", "/performances", json={}, headers={"Idempotency-Key": key.encode()})
    assert (answer.status, answer.error) == (400, "The following arguments have invalid values: Idempotency-Key.")
    assert performed == []


async def test_other_methods_ignore_it(administrator: Client) -> None:
    answer = await administrator.send("GET", "/regions", headers={"Idempotency-Key": "x" * 300})
    assert answer.status == 200


async def test_a_malformed_body_is_compared_as_it_came(alice: Client) -> None:
    key = {"Idempotency-Key": unique("key")}
    for body, status, again in ((b"{", 400, False), (b"{", 400, True), (b"{{", 422, False)):
        answer = await alice.send("POST", "/performances", content=body, headers=key)
        assert (answer.status, replayed(answer)) == (status, again)


async def test_nobody_without_permission_touches_a_key(http: Any, db: asyncpg.Connection) -> None:
    stranger = Client(http, "unknown")
    assert (await send(stranger, key := unique("key"))).status == 403
    assert not await db.fetchval("SELECT count(*) FROM idempotency_keys WHERE key = $1", key)


async def test_stored_answers_cannot_be_read_without_the_secret(alice: Client, db: asyncpg.Connection) -> None:
    key = unique("key")
    await send(alice, key, name="Marvin Fleurant")
    row = await db.fetchrow("SELECT * FROM idempotency_keys WHERE key = $1", key)
    assert b"Marvin" not in b"".join(value for value in row.values() if isinstance(value, bytes))


# --- time


async def test_a_dead_holders_key_is_free_again_after_its_lease(alice: Client, db: asyncpg.Connection) -> None:
    key = unique("key")
    await send(alice, key, name="a")
    await db.execute("UPDATE idempotency_keys SET status = NULL, body = NULL WHERE key = $1", key)
    assert (await send(alice, key, name="a")).error == STILL
    await db.execute("UPDATE idempotency_keys SET lease_until = clock() WHERE key = $1", key)
    assert (await send(alice, key, name="b")).error == OTHER
    taken_over = await send(alice, key, name="a")
    assert (taken_over.status, taken_over["times"], replayed(taken_over)) == (201, 2, False)
    assert replayed(await send(alice, key, name="a"))


async def test_a_holder_that_was_too_slow_does_not_overwrite_the_next(alice: Client, db: asyncpg.Connection) -> None:
    key = unique("key")
    slow = asyncio.create_task(send(alice, key, wish="wait"))
    while not performed:
        await asyncio.sleep(0.005)
    await db.execute("UPDATE idempotency_keys SET lease_until = clock() WHERE key = $1", key)
    next_one = asyncio.create_task(send(alice, key, wish="wait"))
    while len(performed) < 2:
        await asyncio.sleep(0.005)
    may_go.set()
    answers = await asyncio.gather(slow, next_one)
    assert [answer.status for answer in answers] == [201, 201]
    stored = await db.fetch("SELECT status FROM idempotency_keys WHERE key = $1", key)
    assert [row["status"] for row in stored] == [201]


async def test_after_a_day_the_key_is_free(alice: Client, db: asyncpg.Connection) -> None:
    key = unique("key")
    await send(alice, key, name="a")
    await db.execute("UPDATE idempotency_keys SET expires_at = clock() WHERE key = $1", key)
    other = await send(alice, key, name="b")
    assert (other.status, other["name"], replayed(other)) == (201, "b", False)


async def test_visitors_of_one_shop_do_not_meet_each_others_keys(settings: Settings, public: Client) -> None:
    edge = ticketing.app.build_app(replace(settings, rate_limits="on"))
    async with edge.app.router.lifespan_context(edge.app):

        async def ask(address: str, **body: Any) -> Answer:
            transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http:
                return await send(replace(public, http=http), "1", **body)

        assert (await ask("192.0.2.1", name="Ann"))["name"] == "Ann"
        assert (await ask("192.0.2.2", name="Bob"))["name"] == "Bob"
        again = await ask("192.0.2.1", name="Ann")
        assert (again["name"], replayed(again)) == ("Ann", True)
        assert (await ask("192.0.2.1", name="Eve")).error == OTHER
        assert (await ask("2001:db8::1", name="Ida"))["name"] == "Ida"
        assert replayed(await ask("2001:db8::2", name="Ida"))  # of the same /64


async def test_so_many_answers_are_kept_of_one_person(
    settings: Settings, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "COUNTED_EVERY", 2)
    edge = ticketing.app.build_app(replace(settings, rate_limits="on", answers_kept=4))
    async with edge.app.router.lifespan_context(edge.app):
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http:
            greedy, other = [await add_person(http, db, name) for name in ("greedy", "other")]
            answers = [await send(greedy, f"key {number}") for number in range(7)]
            assert [answer.status for answer in answers] == [201] * 5 + [429] * 2
            seconds = int(answers[-1].headers["retry-after"])
            assert 86_000 < seconds <= 86_400
            assert replayed(await send(greedy, "key 3"))  # what was answered is still repeated
            assert (await send(greedy, "key 9")).status == 429
            assert (await send(other, "key 9")).status == 201
