"""One PostgreSQL for the whole run, one database per test module, the application in this process."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

import log_watch
import skips
from parts import PARTS, part_of
from ticketing.app import build_app
from ticketing.doctor import examine
from ticketing.embedded import EmbeddedPostgres
from ticketing.kit.ids import Ids
from ticketing.kit.logs import configure_logs
from ticketing.kit.vault import hash_key
from ticketing.migrations.runner import migrate
from ticketing.settings import Settings
from ticketing.tickets.press import Press

PRINT_SECONDS = 120  # a busy machine prints later, which tests of something else need not know
SECRET = "a secret that only the tests know, long enough"
# argon2id of "correct horse", so that people in fixtures cost no hashing
PASSWORD = "correct horse"
NEW_IDS = Ids(255)
_counter = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `--part api` run one part of the suite."""
    parser.addoption("--part", choices=PARTS, help="run only this part of the suite (tests/parts.py)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the modules of other parts alone; they are not even imported."""
    wanted = config.getoption("--part")
    if wanted and collection_path.name.startswith("test_") and part_of(collection_path) != wanted:
        return True
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Read what the application logged during a test, in the process that ran it."""
    if not hasattr(report, "node"):
        skips.note(report)
        if report.when == "teardown":
            for _name, text in report.sections:
                log_watch.read_lines(text.splitlines())


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """See whole modules that are skipped."""
    skips.note(report)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what should not have been logged, and what was not tested."""
    for title, lines in (
        ("the log tells what it must not", log_watch.leaks[:20]),
        ("a skipped test shows nothing", sorted(set(skips.skipped))),
    ):
        if lines:
            terminalreporter.section(title, red=True, bold=True)
            for line in lines:
                terminalreporter.line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for it; a process among several tells the first one."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput.update(leaks=log_watch.leaks, skipped=skips.skipped)
    elif log_watch.leaks or skips.wrong():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what another process found."""
    said = getattr(node, "workeroutput", {})
    log_watch.leaks += said.get("leaks", [])
    skips.skipped += said.get("skipped", [])


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[str]:
    """The DSN of a real PostgreSQL, migrated once; `template1`-like database `ticketing` is the template."""
    configure_logs("json")
    with tempfile.TemporaryDirectory(prefix="ticketing-tests-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(test_folder(Path(folder)), progress=lambda _line: None)
        dsn = await server.start()
        try:
            await migrate(dsn)
            yield dsn
        finally:
            await server.stop()


def test_folder(folder: Path) -> Path:
    """A folder that the server's user can reach."""
    folder.chmod(0o755)
    return folder / "data"


test_folder.__test__ = False  # type: ignore[attr-defined]


def dsn_of(dsn: str, name: str) -> str:
    """The same server, another database."""
    head, _, query = dsn.partition("?")
    return head.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")


async def drop_database(admin: asyncpg.Connection, name: str) -> None:
    """Drop a database with whoever is in it; a vacuum of the server's own, which only it may end, is waited for."""
    for _ in range(100):
        try:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        except asyncpg.InsufficientPrivilegeError:
            await asyncio.sleep(0.2)
        else:
            return
    raise AssertionError(f"{name} is never left alone")


@contextlib.asynccontextmanager
async def scratch_database(postgres: str) -> AsyncIterator[str]:
    """A migrated database of its own, gone afterwards."""
    name = f"scratch_{os.getpid()}_{next(_counter)}"
    admin = await asyncpg.connect(dsn_of(postgres, "postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE ticketing")
    try:
        yield dsn_of(postgres, name)
    finally:
        await drop_database(admin, name)
        await admin.close()


async def ensure_well(dsn: str) -> None:
    """Fail unless the doctor finds every promise kept in this database."""
    db = await asyncpg.connect(dsn)
    try:
        diagnosis = await examine(db)
    finally:
        await db.close()
    assert diagnosis.is_well, diagnosis.as_json()


# For a test that breaks promises by hand, with SQL that leaves half a truth behind: another database, and all that
# stands on it, for the tests of the module that do so. They run last.
BY_HAND = "by hand"
breaks_by_hand = pytest.mark.parametrize("database", [BY_HAND], indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a module change its database once at most."""
    places = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (places[item.path], is_by_hand(item)))


def is_by_hand(item: pytest.Item) -> bool:
    """Whether a test is among those that break something by hand."""
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("database") == BY_HAND


@pytest.fixture(scope="module")
async def database(postgres: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of this module's own database, which has kept every promise when its stories are told."""
    async with scratch_database(postgres) as dsn:
        yield dsn
        if getattr(request, "param", None) != BY_HAND:
            await ensure_well(dsn)


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    """The settings of this module's application; override to change one."""
    # Sessions last: some tests move the clock by years.
    forever = {"session_idle_minutes": 0, "session_minutes": 0}
    # Some buy a hall; what one may buy has tests of its own.
    unlimited = {"tickets_per_customer": 0}
    return Settings(database_url=database, secret=SECRET, rate_limits="off", pool_size=8, **forever, **unlimited)


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[Any]:
    """The application, started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ticketing.app.Press", partial(Press, seconds=PRINT_SECONDS))
        edge = build_app(settings)
    async with edge.app.router.lifespan_context(edge.app):
        yield edge


@pytest.fixture(scope="module")
async def db(database: str, app: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection for what a test must see or set up beside the API."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@dataclass
class Answer:
    """What came back, comfortable to compare."""

    status: int
    body: Any
    headers: httpx.Headers

    @property
    def error(self) -> str:
        """The text of an error, which must stand under both keys; a 400 and a 409 say besides what to do."""
        assert self.body.get("error") == self.body.get("message"), self.body
        assert self.body.get("details") or self.status not in (400, 409), self.body
        return str(self.body["error"])

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


@dataclass
class Client:
    """A person (or a gate, or an integration) at the API."""

    http: httpx.AsyncClient
    key: str
    number: str = ""
    id: int = 0
    username: str = ""
    email: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        log_watch.keep_secret(self.key, self.username)

    async def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **details: Any) -> Answer:
        """Send a request below /v3; `json` is the body, `params` the query."""
        sent = {"X-API-Key": self.key, "X-Client-Version": "3.0.0", **self.headers, **(headers or {})}
        answer = await self.http.request(method, f"/v3{path}", headers=sent, **details)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return Answer(answer.status_code, answer.json() if is_json else answer.content, answer.headers)

    async def get(self, path: str, **params: Any) -> Answer:
        return await self.send("GET", path, params=params)

    async def post(self, path: str, body: Any = None, **members: Any) -> Answer:
        return await self.send("POST", path, json=members if body is None else body)

    async def put(self, path: str, body: Any = None, **members: Any) -> Answer:
        return await self.send("PUT", path, json=members if body is None else body)

    async def delete(self, path: str, body: Any = None, **params: Any) -> Answer:
        return await self.send("DELETE", path, json=body, params=params)


MakePerson = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="module")
async def http(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the application."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as client:
        yield client


@pytest.fixture(scope="module")
def make_person(http: httpx.AsyncClient, db: asyncpg.Connection) -> MakePerson:
    """Make an account with an open session: `await make_person("alice", role="support")`."""

    async def make(name: str = "person", role: str = "customer") -> Client:
        return await add_person(http, db, name, role)

    return make


async def add_person(http: httpx.AsyncClient, db: asyncpg.Connection, name: str, role: str = "customer") -> Client:
    """An account with an open session, written directly: no password is hashed."""
    account = NEW_IDS.new()
    username = f"{name}{next(_counter)}"
    number = f"{username[:2].upper()}-{hashlib.sha256(username.encode()).hexdigest()[:8].upper()}"
    email = f"{username}@example.com"
    await db.execute(
        "INSERT INTO accounts (id, number, username, username_key, email, email_key, password_hash, role, first_name,"
        " last_name, created_at) VALUES ($1, $2, $3, lower($3), $4, lower($4), '', $5, $6, 'Tester', clock())",
        account,
        number,
        username,
        email,
        role,
        name.capitalize(),
    )
    return await add_session(db, Client(http, "", number, account, username, email))


async def add_session(db: asyncpg.Connection, person: Client) -> Client:
    """The person in one more open session."""
    session, key = NEW_IDS.new(), secrets.token_hex(16)
    await db.execute(
        "INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at) VALUES ($1, $2, $3, '', '', clock())",
        session,
        person.id,
        hash_key(key),
    )
    return replace(person, key=key)


@pytest.fixture(scope="module")
async def administrator(make_person: MakePerson) -> Client:
    return await make_person("admin", role="administrator")


@pytest.fixture(scope="module")
async def support(make_person: MakePerson) -> Client:
    return await make_person("support", role="support")


@pytest.fixture(scope="module")
async def alice(make_person: MakePerson) -> Client:
    return await make_person("alice")


@pytest.fixture(scope="module")
async def bob(make_person: MakePerson) -> Client:
    return await make_person("bob")


@pytest.fixture(scope="module")
async def public(make_person: MakePerson) -> Client:
    """A public key, as a web page would carry."""
    return await make_person("public", role="public")


@pytest.fixture(scope="module")
async def place(database: str) -> AsyncIterator[Any]:
    """A running server of this module's own, with default settings and limits on: an `arena.Arena`."""
    from arena import arena  # which needs what stands above

    async with arena(database) as running:
        yield running


@pytest.fixture(scope="module")
async def bystander(place: Any) -> Any:
    """Somebody whom none of it concerns: an `arena.Bystander`."""
    return await place.bystander()


def unique(noun: str) -> str:
    """A name nobody else in this run has."""
    return f"{noun} {next(_counter)}"


async def move_clock(db: asyncpg.Connection, seconds: float) -> None:
    """Set the clock of everybody who asks the database, so many seconds from now."""
    definition = await db.fetchval("SELECT pg_get_functiondef('clock()'::regprocedure)")
    # All but the body stays, so that the database plans and asks it as it does every day.
    head, quote, _ = definition.partition("$function$")
    await db.execute(f"{head}{quote}SELECT clock_timestamp() + interval '{seconds} seconds'{quote}")


@contextlib.asynccontextmanager
async def clock_moved(db: asyncpg.Connection, seconds: float) -> AsyncIterator[None]:
    """Another time for everybody who asks the database."""
    original = await db.fetchval("SELECT pg_get_functiondef('clock()'::regprocedure)")
    await move_clock(db, seconds)
    try:
        yield
    finally:
        await db.execute(original)
