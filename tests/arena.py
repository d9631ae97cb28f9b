"""A real server with its limits on, somebody who abuses it, and a bystander who notices or does not.

A test of abuse tells what one visitor does to the server, and `Arena.ensure_unnoticed` compares what the bystander
sees meanwhile with what he sees in quiet times just before and after. The attacker calls from another address than the
bystander does, and both reach the server as everybody does: through its port.
"""

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
import httpx
import psutil

from conftest import SECRET, Client, add_person
from makers import make_stage, section_uri
from serving import ready, running

BYSTANDER, ATTACKER = "127.0.0.1", "127.0.0.2"
WORKERS_MODULE = "ticketing.serving.web_workers"
PEOPLE = 12
CLIENT_SECONDS = 10  # after which clients give up
PATIENCE_SECONDS = 60  # of who comes again

# What the bystander may notice: twice the time of quiet minutes and a tenth of a second. A busy machine is given
# another try, never a wider bound.
MOST_TIMES = 2.0
MOST_MORE_SECONDS = 0.1
TRIES = 4
ENOUGH_FAILURES = 3

MOST_WORKER_BYTES = 150 * 1024 * 1024

Errand = Callable[[], Awaitable[int]]
Attack = Callable[[], contextlib.AbstractAsyncContextManager[object]]


@dataclass
class Seen:
    """What a bystander saw: how long each errand took him, and the failures (statuses from 500 on, 429, and errors)."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def median(self, errand: str) -> float:
        """Of the times that an errand took, in seconds."""
        return statistics.median(self.seconds[errand])


class Bystander:
    """Somebody who goes about his errands, each over a connection of its own, as a new visitor would."""

    def __init__(self, errands: Mapping[str, Errand]) -> None:
        self.errands = errands

    async def watch(self, rounds: int, into: Seen | None = None) -> Seen:
        """Run every errand so many times, one after the other."""
        seen = into or Seen()
        for _ in range(rounds):
            for name, errand in self.errands.items():
                began = time.perf_counter()
                try:
                    status = await errand()
                except (httpx.HTTPError, OSError) as error:
                    seen.failures.append(f"{name}: {error!r}")
                    continue
                if status >= 500 or status == 429:
                    seen.failures.append(f"{name}: {status}")
                seen.seconds.setdefault(name, []).append(time.perf_counter() - began)
            if len(seen.failures) >= ENOUGH_FAILURES:
                break
        return seen


class Arena:
    """A running server with the database and the processes behind it."""

    def __init__(self, url: str, pid: int, db: asyncpg.Connection, http: httpx.AsyncClient) -> None:
        self.url = url
        self.db = db
        self.http = http
        self._pid = pid

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    async def person(self, name: str = "person", role: str = "customer") -> Client:
        """Somebody with an account and an open session, who calls from the attacker's address."""
        return await add_person(self.http, self.db, name, role)

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        children = psutil.Process(self._pid).children()
        [keeper] = [child for child in children if WORKERS_MODULE in child.cmdline()]
        return [child for child in keeper.children() if child.cmdline() == keeper.cmdline()]

    def largest_worker(self) -> int:
        """The memory of the worker that has most, in bytes."""
        return max(int(worker.memory_info().rss) for worker in self.workers())

    def ensure_small(self) -> None:
        """Fail unless every worker keeps the promise of docs/operations.md."""
        assert self.largest_worker() < MOST_WORKER_BYTES, self.largest_worker()

    async def bystander(self) -> Bystander:
        """One who reads what is on, and places an order and gives it back (as several: customers have limits)."""
        administrator, runner = await self.person("admin", "administrator"), await self.person("runner")
        event, section = await make_stage(runner, administrator, capacity=1_000_000)
        people, items = [await self.person("bystander") for _ in range(PEOPLE)], {section_uri(event, section): 1}
        turns = itertools.cycle(people)

        async def order() -> int:
            async with self.fresh(next(turns)) as own:
                placed = await own.post("/orders", items=items)
                if placed.status != 201:
                    return placed.status
                return (await own.delete(placed["self"])).status

        return Bystander({"events": self.errand(people[0], "/published-events"), "order": order})

    def errand(self, person: Client, path: str) -> Errand:
        """Read something over a connection of its own."""

        async def read() -> int:
            async with self.fresh(person) as own:
                return (await own.get(path)).status

        return read

    async def seconds_of(self, person: Client, path: str) -> float:
        """How long somebody waits for something that he asks for until he gets it, over connections of his own."""
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.errand(person, path)() != 200:
                await asyncio.sleep(MOST_MORE_SECONDS)
        return time.perf_counter() - began

    async def ensure_unnoticed(self, bystander: Bystander, attack: Attack, *, rounds: int = 12) -> None:
        """Fail if the bystander fails at anything while the attack is on, or is served much more slowly.

        `attack()` is under way while its block runs. The quiet times before and after it are measured together.
        """
        noticed: dict[str, tuple[float, float]] = {}
        for _ in range(TRIES):
            quiet = await bystander.watch(rounds // 2)
            async with attack():
                during = await bystander.watch(rounds)
            await bystander.watch(rounds // 2, quiet)
            assert not during.failures, during.failures
            assert not quiet.failures, quiet.failures
            noticed = {
                errand: (quiet.median(errand), during.median(errand))
                for errand in bystander.errands
                if during.median(errand) > MOST_TIMES * quiet.median(errand) + MOST_MORE_SECONDS
            }
            if not noticed:
                return
        raise AssertionError(f"the bystander waits, (quiet, during): {noticed}")

    @contextlib.asynccontextmanager
    async def fresh(self, person: Client) -> AsyncIterator[Client]:
        """The person as the bystander, over a connection of its own."""
        async with caller(self.url, BYSTANDER) as http:
            yield Client(http, person.key, person.number, person.id, person.username, person.email)


def caller(url: str, address: str) -> httpx.AsyncClient:
    """HTTP to the server from an address of this machine."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    transport = httpx.AsyncHTTPTransport(local_address=address, limits=limits)
    return httpx.AsyncClient(transport=transport, base_url=url, timeout=CLIENT_SECONDS)


@contextlib.asynccontextmanager
async def arena(
    dsn: str, *, workers: int = 2, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> AsyncIterator[Arena]:
    """A server with default settings, limits on, less what `environment` says."""
    settings = {"DATABASE_URL": dsn, "TICKETING_SECRET": SECRET} | dict(environment or {})
    command = ["serve", "--port", "0", "--workers", str(workers), *arguments]
    async with running(*command, environment=settings) as server:
        url = await ready(server)
        db = await asyncpg.connect(dsn)
        try:
            async with caller(url, ATTACKER) as http:
                yield Arena(url, server.process.pid, db, http)
        finally:
            await db.close()


@contextlib.asynccontextmanager
async def under_way(*work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do each of these over and over, side by side, while the block runs; what fails is tried again."""

    async def repeat(one: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await one()
            except (httpx.HTTPError, OSError):
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(repeat(one)) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
