"""Sessions that end by themselves: by lying idle, and by age; in every process, and never before their time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import asyncpg
import httpx
import pytest

from conftest import PASSWORD, Client, clock_moved
from makers import register
from test_accounts import RESTRICTED
from ticketing.app import build_app
from ticketing.sessions.rules import idle_seconds, recheck_seconds
from ticketing.settings import BadSetting, Settings
from ticketing.web.callers import announce

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
UNAUTHENTICATED = {"message": "Your request could not be authenticated."}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return replace(settings, session_idle_minutes=60, session_minutes=24 * 60)


@pytest.fixture(scope="module")
async def public(administrator: Client) -> Client:
    """A key that does not expire."""
    made = await administrator.post("/integrations", name="A page", access="public")
    return replace(administrator, key=made["key"])


async def is_open(person: Client, db: asyncpg.Connection) -> bool:
    """Whether the key still opens, asked of the database and not of a memory."""
    await announce(db)
    await asyncio.sleep(0.05)
    status = (await person.get("/regions")).status
    assert status in (200, 403)
    return status == 200


async def test_a_session_that_lies_idle_ends(public: Client, db: asyncpg.Connection) -> None:
    marvin, arthur = [await register(public) for _ in range(2)]
    async with clock_moved(db, 60 * MINUTE):
        assert await is_open(arthur, db)
    async with clock_moved(db, 64 * MINUTE):
        assert not await is_open(marvin, db)
        assert (await marvin.get("/sessions/active")).body == UNAUTHENTICATED
        ended = await marvin.delete("/sessions/active")
        assert (ended.status, ended.body) == (403, RESTRICTED)
        again = await public.post("/sessions", identification=marvin.email, password=PASSWORD)
        marvin = replace(marvin, key=again["key"])
        first, second = (await marvin.get(f"/accounts/{marvin.number}/sessions"))["entries"]
        assert (first["open"], second["open"]) == (False, True)
        assert first["ended"] > first["started"]
        assert second["ended"] == ""
        assert (await marvin.get(first["self"])).status == 404


async def test_a_session_in_use_goes_on_until_it_is_old(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    for hours in range(1, 24):
        async with clock_moved(db, hours * HOUR - hours):
            assert await is_open(marvin, db), hours
    async with clock_moved(db, DAY + 1):
        assert not await is_open(marvin, db)


async def test_using_a_key_hardly_ever_writes(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    for seconds in (0, 60, 120, 170):
        async with clock_moved(db, seconds):
            assert await is_open(marvin, db)
    before = await version(db, marvin)
    async with clock_moved(db, 175):
        assert await is_open(marvin, db)
        assert await version(db, marvin) == before
    async with clock_moved(db, 185):
        assert await is_open(marvin, db)
        assert await version(db, marvin) != before


async def version(db: asyncpg.Connection, person: Client) -> str:
    found: str = await db.fetchval(
        "SELECT session.ctid::text FROM sessions session JOIN accounts account ON account.id = account_id"
        " WHERE account.number = $1",
        person.number,
    )
    return found


async def test_a_stricter_setting_holds_from_the_next_use(
    public: Client, db: asyncpg.Connection, settings: Settings
) -> None:
    marvin = await register(public)
    await db.execute("UPDATE sessions SET idle_until = 'infinity'")
    assert await is_open(marvin, db)
    async with clock_moved(db, 64 * MINUTE):
        assert not await is_open(marvin, db)


@dataclass
class Workers:
    """Processes of one server, each with a memory of its own."""

    doors: list[httpx.AsyncClient]

    async def statuses(self, person: Client) -> list[int]:
        return [(await replace(person, http=door).get("/regions")).status for door in self.doors]


@pytest.fixture
async def workers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workers]:
    """Two that ask again after a fifth of a second."""
    monkeypatch.setattr("ticketing.sessions.keys.recheck_seconds", lambda _minutes: 0.2)
    async with AsyncExitStack() as stack:
        doors = []
        for _ in range(2):
            edge = build_app(settings)
            await stack.enter_async_context(edge.app.router.lifespan_context(edge.app))
            transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
            doors.append(await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://t")))
        yield Workers(doors)


async def test_every_worker_notices_though_it_remembers_the_key(
    public: Client, workers: Workers, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    assert await workers.statuses(marvin) == [200, 200]
    async with clock_moved(db, 64 * MINUTE):
        await asyncio.sleep(0.25)
        assert await workers.statuses(marvin) == [403, 403]


async def test_a_key_is_not_remembered_beyond_the_end_of_its_session(
    public: Client, workers: Workers, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    await db.execute("UPDATE sessions SET expires_at = clock() + interval '0.15 seconds'")
    assert await workers.statuses(marvin) == [200, 200]
    await asyncio.sleep(0.16)
    assert await workers.statuses(marvin) == [403, 403]


async def test_use_at_one_worker_keeps_the_session_open_at_the_other(
    public: Client, workers: Workers, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    first, second = (replace(marvin, http=door) for door in workers.doors)
    assert (await second.get("/regions")).status == 200
    for minutes in (50, 100):
        async with clock_moved(db, minutes * MINUTE):
            await asyncio.sleep(0.25)
            assert (await first.get("/regions")).status == 200
    async with clock_moved(db, 150 * MINUTE):
        await asyncio.sleep(0.25)
        assert (await second.get("/regions")).status == 200


async def test_zero_is_for_ever(settings: Settings, public: Client, db: asyncpg.Connection) -> None:
    edge = build_app(replace(settings, session_idle_minutes=0, session_minutes=0))
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
    async with (
        edge.app.router.lifespan_context(edge.app),
        httpx.AsyncClient(transport=transport, base_url="http://t") as http,
    ):
        marvin = await register(replace(public, http=http))
        async with clock_moved(db, 3000 * DAY):
            assert await is_open(marvin, db)


def test_how_long_and_how_exactly() -> None:
    assert idle_seconds(0) == (None, None)
    assert idle_seconds(20) == (1200, 1260)
    assert [recheck_seconds(minutes) for minutes in (0, 1, 20, 43_200)] == [300, 3, 60, 300]
    with pytest.raises(BadSetting, match="TICKETING_SESSION_MINUTES is too large"):
        Settings(session_minutes=10**10)
