"""Reads that arrive together share one answer, and nobody notices: not who asks late, may not see, or hangs up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from conftest import Client
from makers import list_event, make_event, make_section, section_uri
from ticketing.kit import database as kit_database
from ticketing.kit.database import Connection, Database
from ticketing.settings import Settings
from ticketing.web import shared_reads
from ticketing.web.errors import Busy, NotFound
from ticketing.web.shared_reads import SharedReads


@pytest.fixture
async def own(settings: Settings, app: Any) -> AsyncIterator[Database]:
    database = Database(settings.database_url, pool_size=2)
    await database.open()
    yield database
    await database.close()


class Counter:
    """A read that waits to be let go, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def ask(self, db: Connection) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        await db.execute("SELECT")
        return number


async def nothing_is_asked(reads: SharedReads) -> None:
    """A moment after the last answer nothing is kept."""
    async with asyncio.timeout(10):
        while reads._questions or reads._tasks or reads._waiting:
            await asyncio.sleep(0.01)


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_comes_after_a_read_began_gets_the_next(own: Database) -> None:
    reads, counter = SharedReads(own), Counter()
    early = [asyncio.create_task(reads.read("a", counter.ask)) for _ in range(5)]
    async with asyncio.timeout(10):
        while not counter.begun:
            await asyncio.sleep(0.01)
    late = [asyncio.create_task(reads.read("a", counter.ask)) for _ in range(5)]
    other = asyncio.create_task(reads.read("b", lambda db: db.fetchval("SELECT 7")))
    assert await other == 7  # another question does not wait
    counter.gate.set()
    assert await asyncio.gather(*early) == [1] * 5
    assert await asyncio.gather(*late) == [2] * 5
    assert await reads.read("a", counter.ask) == 3
    await nothing_is_asked(reads)


async def test_the_end_of_one_reader_harms_no_other(own: Database) -> None:
    reads, counter = SharedReads(own), Counter()
    tasks = [asyncio.create_task(reads.read("a", counter.ask)) for _ in range(3)]
    await some_turns()
    tasks[0].cancel()
    counter.gate.set()
    assert await asyncio.gather(*tasks[1:]) == [1, 1]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


async def test_what_goes_wrong_is_heard_by_all_and_by_nobody_later(own: Database) -> None:
    reads, fails = SharedReads(own), True

    async def ask(db: Connection) -> int:
        if fails:
            raise NotFound
        number: int = await db.fetchval("SELECT 1")
        return number

    async def broken(db: Connection) -> None:
        await db.execute("SELECT nonsense")

    refused = await asyncio.gather(*(reads.read("a", ask) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in refused] == [NotFound] * 3
    broke = await asyncio.gather(*(reads.read("b", broken) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in broke] == [asyncpg.UndefinedColumnError] * 3
    fails = False
    assert await reads.read("a", ask) == 1
    await nothing_is_asked(reads)


async def test_only_so_many_wait(own: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_reads, "MOST_WAITING", 3)
    reads, counter = SharedReads(own), Counter()
    tasks = [asyncio.create_task(reads.read("a", counter.ask)) for _ in range(3)]
    await some_turns()
    with pytest.raises(Busy):
        await reads.read("b", counter.ask)
    counter.gate.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert await reads.read("b", counter.ask) == 2


# Over HTTP


@pytest.fixture(scope="module")
async def event(administrator: Client, alice: Client) -> dict[str, Any]:
    event = await make_event(alice, administrator)
    await make_section(alice, event, capacity=500)
    await list_event(administrator, event)
    return (await alice.get(event["self"])).body  # type: ignore[no-any-return]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the database for events from now on."""
    sent: list[str] = []
    fetchrow, fetch = kit_database._Connection.fetchrow, kit_database._Connection.fetch

    async def noted_row(self: Any, query: str, *values: Any, **details: Any) -> Any:
        sent.append(query)
        return await fetchrow(self, query, *values, **details)

    async def noted(self: Any, query: str, *values: Any, **details: Any) -> Any:
        sent.append(query)
        return await fetch(self, query, *values, **details)

    monkeypatch.setattr(kit_database._Connection, "fetchrow", noted_row)
    monkeypatch.setattr(kit_database._Connection, "fetch", noted)
    return sent


async def test_a_crowd_is_answered_by_few_statements(event: Any, bob: Client, statements: list[str]) -> None:
    answers = await asyncio.gather(*(bob.get(event["self"]) for _ in range(40)))
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body == event for answer in answers)
    assert len([one for one in statements if "FROM" in one and "events event" in one]) < 10
    statements.clear()
    pages = await asyncio.gather(*(bob.get("/published-events", sort="start") for _ in range(40)))
    assert {page.status for page in pages} == {200}
    assert len([one for one in statements if "events event" in one]) < 10


async def test_whoever_bought_sees_it_in_any_crowd(event: Any, bob: Client, administrator: Client) -> None:
    """Always: an answer from before one's own question would show fewer than one bought."""
    uri, stop = section_uri(event, event["sections"][0]), asyncio.Event()

    async def crowd() -> None:
        while not stop.is_set():
            assert (await bob.get(event["self"])).status == 200

    def sold(shown: Any) -> int:
        count: int = shown["sections"][0]["sold"]
        return count

    looking = [asyncio.create_task(crowd()) for _ in range(12)]
    try:
        for _ in range(40):
            before = sold(await bob.get(event["self"]))
            assert (await administrator.post("/orders", items={uri: 1})).status == 201
            assert sold(await bob.get(event["self"])) == before + 1
            listed = await bob.get("/published-events", title=event["title"])
            assert sold(listed["entries"][0]) == before + 1
    finally:
        stop.set()
        await asyncio.gather(*looking)


async def test_who_may_see_is_asked_for_each_of_a_shared_read(
    event: Any, alice: Client, bob: Client, support: Client, administrator: Client
) -> None:
    assert (await alice.delete(f"{event['self']}/publications")).status == 200
    try:
        people = [alice, bob, support, administrator] * 8
        answers = await asyncio.gather(*(person.get(event["self"]) for person in people))
        assert [answer.status for answer in answers] == [200, 403, 200, 200] * 8
    finally:
        assert (await alice.post(f"{event['self']}/publications", {})).status == 200


async def test_links_are_those_of_the_host_that_was_asked(event: Any, bob: Client) -> None:
    hosts = [replace(bob, headers={"Host": f"{name}.example"}) for name in ("one", "two")] * 10
    answers = await asyncio.gather(*(person.get(event["self"]) for person in hosts))
    for number, answer in enumerate(answers):
        assert answer["banner"].startswith(f"http://{('one', 'two')[number % 2]}.example/media/")
    pages = await asyncio.gather(*(person.get("/published-events") for person in hosts))
    for number, page in enumerate(pages):
        assert page["entries"][0]["banner"].startswith(f"http://{('one', 'two')[number % 2]}.example/media/")


async def test_what_is_not_there_is_not_there_for_anybody(bob: Client) -> None:
    answers = await asyncio.gather(*(bob.get("/events/1") for _ in range(10)))
    assert {answer.status for answer in answers} == {404}
    pages = await asyncio.gather(*(bob.get("/published-events", page="9999") for _ in range(10)))
    assert {page.status for page in pages} == {404}
