"""The server's secret: known by its fingerprint, changed while tickets are sold, given up when it is lost."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import httpx
import pytest

from conftest import PRINT_SECONDS, clock_moved, scratch_database
from makers import id_of, section_uri
from sealed_things import CODES, Things, ask_for_code, try_code, try_to_sign_in
from serving import SECRET, clean_environment, ready, running, serve
from test_serving import command
from ticketing.app import build_app
from ticketing.cli.secret import ONE_AT_A_TIME
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.sealing import SEALED, UnknownSecret, keeping, rotating, take_up
from ticketing.sealing.jobs import finish_rotation
from ticketing.sealing.sweeping import opens, pages
from ticketing.settings import Settings
from ticketing.tickets.press import Press
from ticketing.web.operations import Services

NEW = "another secret that only the tests know, long enough"
THIRD = "a third secret that only the tests know, long enough"
BOTH = {"TICKETING_SECRET": NEW, "TICKETING_SECRET_PREVIOUS": SECRET}
REFUSED = "The server's secret is another than the one in use here since "
UNPREPARED = (
    "Nothing is changed yet: processes that run do not know the new secret (2 of them). Start the servers and workers"
    " anew, with the new one in TICKETING_SECRET and the one in use in TICKETING_SECRET_PREVIOUS, and run this again."
)
DONE = (
    "Everything is sealed with the new secret, 0 things anew. The one before may be taken out of the settings at the"
    " next start. Keep it for backups that were made until now: they open with it alone."
)
STILL_KNOWN = (
    "Nothing is given up: processes that run know the secret (1 of them). It is in their environment"
    " (TICKETING_SECRET); or stop them first."
)
LETTERS_WAIT = {  # for a mail server that is away
    "TICKETING_MAIL_HOST": "127.0.0.1",
    "TICKETING_MAIL_FROM": "tickets@example.com",
    "TICKETING_MAIL_SECURITY": "none",
}


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


class Switch(httpx.AsyncHTTPTransport):
    """To the applications in the tests' own process by their hosts, to servers else."""

    at_hand: ClassVar[dict[str, httpx.ASGITransport]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if app := self.at_hand.get(request.url.host):
            return await app.handle_async_request(request)
        return await super().handle_async_request(request)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to whichever server a test says."""
    async with httpx.AsyncClient(transport=Switch(), timeout=30) as client:
        yield client


@contextlib.asynccontextmanager
async def at_hand(dsn: str, secret: str) -> AsyncIterator[str]:
    """An application in the tests' own process, without a worker, so that every letter waits; its URL, for `http`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ticketing.app.Press", partial(Press, seconds=PRINT_SECONDS))
        edge = build_app(Settings(database_url=dsn, secret=secret, rate_limits="off", pool_size=4))
    async with edge.app.router.lifespan_context(edge.app):
        Switch.at_hand = {"tickets.test": httpx.ASGITransport(app=edge, raise_app_exceptions=False)}
        yield "http://tickets.test"


@pytest.fixture(scope="module")
def no_mail_server() -> dict[str, str]:
    """Settings with which every letter waits."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return LETTERS_WAIT | {"TICKETING_MAIL_PORT": str(taken.getsockname()[1])}


def at(dsn: str, secret: str, previous: str = "", **more: str) -> dict[str, str]:
    """The environment of a command or server."""
    beside = {"TICKETING_SECRET_PREVIOUS": previous} if previous else {}
    return {"DATABASE_URL": dsn, "TICKETING_SECRET": secret, **beside, **more}


@contextlib.asynccontextmanager
async def opened(dsn: str, secret: str, *others: str) -> AsyncIterator[Services]:
    """A process's database and vault."""
    database, vault = Database(dsn, pool_size=2), Vault(secret, *others)
    await database.open()
    try:
        async with database.reading() as db:
            await take_up(db, vault)
        yield Services(Settings(), database, vault)
    finally:
        await database.close()


async def ensure_sealed_with(dsn: str, secret: str, *, but_not: str) -> None:
    """Fail unless there is one of each sealed thing, and all are sealed with this secret alone."""
    database = Database(dsn, pool_size=1)
    await database.open()
    try:
        for sealed in SEALED:
            rows = [row async for page in pages(database, sealed) for row in page]
            assert rows, sealed.name
            assert all(opens(Vault(secret), sealed, row) for row in rows), sealed.name
            assert not any(opens(Vault(but_not), sealed, row) for row in rows), sealed.name
    finally:
        await database.close()


async def test_the_secret_is_changed_while_tickets_are_sold(
    dsn: str, db: asyncpg.Connection, http: httpx.AsyncClient, no_mail_server: dict[str, str], tmp_path: Path
) -> None:
    """Servers come and go with the old secret, with both, and with the new one alone; nobody notices."""
    rotate = ("secret", "rotate")
    async with serve(dsn, workers=1, environment=no_mail_server) as old:
        http.base_url = httpx.URL(old)
        things = await Things.make(http, db)
        await ensure_sealed_with(dsn, SECRET, but_not=NEW)

        # A second server knows the new one too, and still seals with the old: each reads what the other sealed.
        async with serve(dsn, workers=1, environment=BOTH | no_mail_server) as both:
            await things.at(both).ensure_good()
            token = await things.host.post(
                f"{things.event['self']}/tokens", sections=[section_uri(things.event, things.event["sections"][0])]
            )
            asked = await ask_for_code(http, db)
            await things.at(old).ensure_good()
            assert (await things.host.get(f"/tokens/{token['code']}")).status == 200
            assert (await try_code(*asked)).status == 200
            assert await command(*rotate, **at(dsn, NEW, SECRET)) == (1, UNPREPARED)
            await ensure_sealed_with(dsn, SECRET, but_not=NEW)

    async with serve(dsn, workers=1, environment=BOTH | no_mail_server) as both:
        things.at(both)
        async with looking(things) as another_round:
            await another_round()
            code, said = await command(*rotate, **at(dsn, NEW, SECRET))
            await another_round()
        assert code == 0, said
        assert "The new secret is in use." in said
        assert "Everything is sealed with the new secret, " in said
        await ensure_sealed_with(dsn, NEW, but_not=SECRET)
        await things.ensure_good()
        assert await command(*rotate, **at(dsn, NEW, SECRET)) == (0, DONE)

    folder = {"TICKETING_MAIL": "folder", "TICKETING_MAIL_FOLDER": str(tmp_path)}
    await db.execute("UPDATE mails SET due_at = clock()")
    async with serve(dsn, workers=1, environment={"TICKETING_SECRET": NEW} | folder) as new:
        await things.at(new).ensure_good()
        code, said = await command("doctor", **at(dsn, NEW))
        assert (code, "\nAll is well" in said) == (0, True), said
        async with asyncio.timeout(30):  # the letters that waited through it all
            while await db.fetchval("SELECT count(*) FROM mails WHERE status = 'Waiting' AND sealed IS NOT NULL"):
                await asyncio.sleep(0.1)
        states = await db.fetch("SELECT status, count(*) FROM mails WHERE letter = 'reset' GROUP BY 1")
        assert [tuple(row) for row in states] == [("Sent", CODES + 1)]

    code, said = await command("secret", "status", **at(dsn, NEW))
    assert re.fullmatch(r"\w{12}  since \S+ \S+ UTC  in use\n\w{12}  since .* retired, needed until .* UTC", said), said


@contextlib.asynccontextmanager
async def looking(things: Things) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Print, read codes and repeat an order all the time; every answer is a good one.

    Gives what waits for a round that begins when it is called, or later.
    """
    rounds, ended, stop = 0, asyncio.Condition(), asyncio.Event()

    async def look() -> None:
        nonlocal rounds
        while not stop.is_set():
            await things.ensure_printed()
            for gate in (things.gate, things.older_gate):
                assert (await things.host.get(f"/tokens/{gate['code']}"))["key"] == gate["key"]
                assert (await things.host.get(gate["self"]))["code"] == gate["code"]
            await things.ensure_repeated()
            async with ended:
                rounds += 1
                ended.notify_all()

    async def another_round() -> None:
        last = rounds + 2  # the next one that ends may have begun before
        async with ended:
            await ended.wait_for(lambda: rounds >= last)

    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        yield another_round
        stop.set()


@pytest.fixture(scope="module")
async def used(postgres: str) -> AsyncIterator[str]:
    """A database whose secret is SECRET."""
    async with scratch_database(postgres) as dsn, opened(dsn, SECRET):
        yield dsn


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--port", "0", "--workers", "1"),
        ("demo", "--port", "0", "--workers", "1"),
        ("worker",),
        ("doctor",),
        ("secret", "rotate"),
    ],
)
async def test_another_secret_is_refused_in_one_sentence(used: str, words: tuple[str, ...]) -> None:
    code, said = await command(*words, **at(used, THIRD))
    sentence = said.splitlines()[-1]  # after what is in progress
    assert (code, sentence.startswith(REFUSED)) == (1, True), said
    for way_out in ("set TICKETING_SECRET to", "TICKETING_SECRET_PREVIOUS", "`ticketing secret rotate`", "give-up`"):
        assert way_out in sentence
    # Neither of two that are not it.
    code, said = await command(*words, **at(used, THIRD, NEW))
    assert (code, said.splitlines()[-1]) == (1, sentence)


async def test_a_job_worker_of_another_server_ends(used: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ticketing.serving.job_worker"),
        env=clean_environment() | at(used, THIRD),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said.decode().startswith(REFUSED)) == (1, True)


async def test_of_two_servers_with_different_secrets_one_runs(dsn: str) -> None:
    """Both are started at once, on a database that has none yet."""
    words = ("serve", "--port", "0", "--workers", "1")
    async with running(*words, environment=at(dsn, SECRET)) as one, running(*words, environment=at(dsn, NEW)) as other:
        ends = await asyncio.gather(ready(one), ready(other), return_exceptions=True)
        [url] = [end for end in ends if isinstance(end, str)]
        [refused] = [end for end in ends if isinstance(end, AssertionError)]
        assert REFUSED in str(refused)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/health/ready")).status_code == 200


async def test_the_one_before_is_told_so(dsn: str, db: asyncpg.Connection) -> None:
    async with opened(dsn, SECRET):
        pass
    assert (await command("secret", "rotate", **at(dsn, NEW, SECRET)))[0] == 0
    code, said = await command("serve", "--port", "0", **at(dsn, SECRET))
    told = (
        r"The server's secret was changed at \S+ \S+ UTC, and this is the one before: set TICKETING_SECRET to the one"
    )
    assert (code, bool(re.fullmatch(told + r" in use\.", said))) == (1, True), said
    code, said = await command("secret", "rotate", **at(dsn, NEW))
    assert code == 0  # it ends what was begun
    await db.execute("DELETE FROM secrets WHERE sealed IS NOT NULL")
    code, said = await command("secret", "rotate", **at(dsn, NEW))
    assert (code, said.startswith("This secret is the one in use: to change it, set ")) == (1, True)


async def test_a_running_process_hears_of_the_change_or_ends(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(keeping.signal, "raise_signal", raised.append)
    knows, knows_not = Vault(NEW, SECRET), Vault(SECRET)
    databases = [Database(dsn, pool_size=1) for _ in range(2)]
    for database, vault in zip(databases, (knows_not, knows), strict=True):
        keeping.keep_up(database, vault)
        await database.open()
    try:
        assert knows.fingerprints()[0] == knows_not.fingerprints()[0]
        async with opened(dsn, NEW, SECRET) as services:
            with pytest.raises(rotating.Unprepared) as refused:
                await rotating.put_in_use(services.the(Database), services.the(Vault), NEW)
            assert refused.value.count == 1
            # As when a process comes between the look and the change.
            monkeypatch.setattr(rotating, "processes_knowing", nobody)
            await rotating.put_in_use(services.the(Database), services.the(Vault), NEW)
        async with asyncio.timeout(10):
            while not raised:
                await asyncio.sleep(0.01)
        assert raised == [signal.SIGTERM]
        assert knows.fingerprints()[0] == Vault(NEW).fingerprints()[0]
        late = Database(dsn, pool_size=1)
        keeping.keep_up(late, Vault(SECRET))
        with pytest.raises(UnknownSecret):
            await late.open()
    finally:
        for database in databases:
            await database.close()


async def nobody(*_given: object, **_named: object) -> int:
    return 0


async def test_a_change_that_was_missed_is_made_up_for(dsn: str, db: asyncpg.Connection) -> None:
    """The process's own connection was away when it was told."""
    vault, database = Vault(NEW, SECRET), Database(dsn, pool_size=1)
    async with opened(dsn, SECRET):
        keeping.keep_up(database, vault)
        await database.open()
    try:
        async with opened(dsn, NEW, SECRET) as services:
            await rotating.put_in_use(services.the(Database), services.the(Vault), NEW)
        vault.turn_to(Vault(SECRET).fingerprints()[0])  # it did not hear
        await end_keepers(db)
        async with asyncio.timeout(10):
            while vault.fingerprints()[0] != Vault(NEW).fingerprints()[0]:
                await asyncio.sleep(0.01)
    finally:
        await database.close()


async def test_who_missed_a_change_to_a_secret_he_does_not_know_ends(
    dsn: str, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[int] = []
    monkeypatch.setattr(keeping.signal, "raise_signal", raised.append)
    database = Database(dsn, pool_size=1)
    keeping.keep_up(database, Vault(SECRET))
    await database.open()
    try:
        # As when the change came while nobody could be told: no notification.
        await db.execute("UPDATE secrets SET fingerprint = $1", Vault(NEW).fingerprints()[0])
        assert not raised
        await end_keepers(db)
        async with asyncio.timeout(10):
            while not raised:
                await asyncio.sleep(0.01)
        assert raised[0] == signal.SIGTERM
    finally:
        await database.close()


async def end_keepers(db: asyncpg.Connection) -> None:
    """Cut every process's own connection to the database."""
    await db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'ticketing keeper' AND datname = current_database()"
    )


async def test_one_changes_the_secret_at_a_time(dsn: str, db: asyncpg.Connection) -> None:
    async with opened(dsn, SECRET):
        pass
    await db.execute("SELECT pg_advisory_lock($1)", ONE_AT_A_TIME)
    for words in (("rotate",), ("give-up", "--yes")):
        assert await command("secret", *words, **at(dsn, NEW, SECRET)) == (
            1,
            "Another `ticketing secret` is at work here: wait until it has ended.",
        )
    await db.execute("SELECT pg_advisory_unlock($1)", ONE_AT_A_TIME)
    assert (await command("secret", "rotate", **at(dsn, NEW, SECRET)))[0] == 0


async def test_a_database_of_an_earlier_version_is_known_by_what_it_holds(
    dsn: str, db: asyncpg.Connection, http: httpx.AsyncClient
) -> None:
    async with at_hand(dsn, SECRET) as old:
        http.base_url = httpx.URL(old)
        things = await Things.make(http, db)
    await db.execute("DELETE FROM secrets")
    await db.execute("DELETE FROM calendar_salt")
    code, said = await command("serve", "--port", "0", **at(dsn, NEW))
    assert code == 1
    assert said.startswith("The server's secret opens nothing of what is sealed in this database: set TICKETING_SECRET")
    code, said = await command("doctor", **at(dsn, SECRET))
    assert (code, await db.fetchval("SELECT count(*) FROM secrets")) == (0, 0), said  # it only looks
    # Changed with the upgrade, before any server of this version ran.
    assert (await command("secret", "rotate", **at(dsn, NEW, SECRET)))[0] == 0
    async with at_hand(dsn, NEW) as new:
        await things.at(new).ensure_good()


async def test_what_somebody_holds_is_sealed_anew_later(
    dsn: str, db: asyncpg.Connection, http: httpx.AsyncClient
) -> None:
    """And a change that was broken off is ended by the worker, which then forgets the old secret in time."""
    async with at_hand(dsn, SECRET) as old:
        http.base_url = httpx.URL(old)
        things = await Things.make(http, db)
    async with opened(dsn, NEW, SECRET) as services:
        database, vault = services.the(Database), services.the(Vault)
        await rotating.put_in_use(database, vault, NEW)
        async with db.transaction():
            await db.execute("SELECT FROM tokens WHERE id = $1 FOR UPDATE", int(id_of(things.gate)))
            swept = await rotating.seal_all_anew(database, vault)
            assert (swept.left, swept.lost) == (1, 0)
            assert swept.anew > len(SEALED)
            await finish_rotation.run(services)
        assert await db.fetchval("SELECT count(*) FROM secrets") == 2
        await finish_rotation.run(services)
        await ensure_sealed_with(dsn, NEW, but_not=SECRET)
        assert await db.fetchval("SELECT count(*) FROM secrets") == 2, "stored requests need it for a day"
        async with clock_moved(db, 26 * 3600):
            await finish_rotation.run(services)
        assert await db.fetch("SELECT fingerprint FROM secrets") == [(Vault(NEW).fingerprints()[0],)]


async def test_a_third_secret_opens_what_the_first_one_hashed(
    dsn: str, db: asyncpg.Connection, http: httpx.AsyncClient
) -> None:
    """It leaked twice in a day."""
    async with at_hand(dsn, SECRET) as old:
        http.base_url = httpx.URL(old)
        things = await Things.make(http, db)
    assert (await command("secret", "rotate", **at(dsn, NEW, SECRET)))[0] == 0
    assert (await command("secret", "rotate", **at(dsn, THIRD, NEW)))[0] == 0
    async with at_hand(dsn, THIRD) as third:
        await things.at(third).ensure_good()
    # And back: the first one comes into use again.
    assert (await command("secret", "rotate", **at(dsn, SECRET, THIRD)))[0] == 0
    async with at_hand(dsn, SECRET) as first:
        await things.at(first).ensure_good()


# Lost


async def test_a_lost_secret_is_given_up(dsn: str, db: asyncpg.Connection, http: httpx.AsyncClient) -> None:
    async with at_hand(dsn, SECRET) as old:
        http.base_url = httpx.URL(old)
        things = await Things.make(http, db)
        code, said = await command("secret", "give-up", "--yes", **at(dsn, NEW))
        assert (code, said) == (1, STILL_KNOWN)
        await things.ensure_good()
    waiting = await db.fetchval("SELECT count(*) FROM mails WHERE sealed IS NOT NULL")

    code, said = await command("secret", "give-up", **at(dsn, NEW))  # nobody there to be asked
    assert code == 1
    for lost in (
        "ticket keys (1) are retired",
        "gate codes (2) are renewed",
        f"waiting letters ({waiting}) are dropped",
        "payments that wait for the customer's bank (1) cannot be confirmed any more",
        "stored answers (1) are forgotten",
        f"mailed codes ({2 * CODES - 2}) are right no more",
    ):
        assert lost in said, said
    await ensure_sealed_with(dsn, SECRET, but_not=NEW)

    code, said = await command("secret", "give-up", "--yes", **at(dsn, NEW))
    assert (code, said.splitlines()[-1]) == (0, "It is given up, and the secret that is set is in use.")
    assert await command("secret", "give-up", **at(dsn, NEW)) == (0, "Nothing is lost: the secret opens everything.")
    code, said = await command("doctor", **at(dsn, NEW))
    assert code == 0, said
    async with at_hand(dsn, NEW) as new:
        await ensure_as_good_as_can_be(things.at(new))


async def ensure_as_good_as_can_be(things: Things) -> None:
    """Nothing answers 5xx; codes are others, what was sold is sold once, and tickets are printed."""
    for gate in (things.gate, things.older_gate):
        assert await things.at_gate(gate) == 403
        shown = (await things.host.get(gate["self"]))["code"]
        assert shown != gate["code"]
        assert await things.at_gate({**gate, "key": (await things.host.get(f"/tokens/{shown}"))["key"]}) == 200
    await things.ensure_printed()
    assert await things.read_uid() == things.uid
    [payment] = (await things.buyer.get(things.order["payments"]))["entries"]
    assert payment["action"]["clientSecret"] == ""
    key, body, _ = things.ordered
    again = await things.buyer.send("POST", "/orders", json=body, headers={"Idempotency-Key": key})
    assert again.status == 422
    assert (await try_code(*things.codes[0])).status == 409
    assert (await try_to_sign_in(*things.sign_ins[0])).status == 409


async def test_the_doctor_names_what_no_secret_opens_and_it_can_be_given_up(
    dsn: str, db: asyncpg.Connection, http: httpx.AsyncClient
) -> None:
    """As where servers with two secrets ran on one database."""
    async with at_hand(dsn, SECRET) as old:
        http.base_url = httpx.URL(old)
        things = await Things.make(http, db)
    async with opened(dsn, NEW, SECRET) as services:
        await rotating.put_in_use(services.the(Database), services.the(Vault), NEW)
        await rotating.seal_all_anew(services.the(Database), services.the(Vault))
    await db.execute("DELETE FROM secrets")
    await db.execute("INSERT INTO secrets (fingerprint, since) VALUES ($1, clock())", Vault(SECRET).fingerprints()[0])

    code, said = await command("doctor", "--json", **at(dsn, SECRET))
    assert code == 2
    found = json.loads(said[said.index("{") :])
    assert set(found["counts"]) == {"sealed things"}
    named = {finding["thing"] for finding in found["findings"]}
    assert {things.gate["self"], things.older_gate["self"]} < named
    for kind in ("ticket key ", "letter ", "payment ", "stored answer of place_order"):
        assert any(thing.startswith(kind) for thing in named), kind

    # With the other one beside, nothing is lost at all.
    assert (await command("doctor", **at(dsn, SECRET, NEW)))[0] == 0
    code, said = await command("secret", "give-up", "--yes", **at(dsn, SECRET))
    assert (code, "mailed codes" in said) == (0, False), said
    assert (await command("doctor", **at(dsn, SECRET)))[0] == 0


# In the data folder


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory(prefix="ticketing-tests-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        yield Path(path) / "data"


async def test_the_secret_of_a_data_folder_is_changed_and_lost(folder: Path) -> None:
    serving = ("serve", "--port", "0", "--workers", "1", "--data-dir", str(folder))
    at_folder = ("--data-dir", str(folder))
    secret, previous = folder / "secret", folder / "secret.previous"
    async with running(*serving) as server:
        await ready(server)
        first = secret.read_text()
        code, said = await command("secret", "rotate", *at_folder)
        assert code == 1
        assert f"Start the servers and workers anew, with both in {folder}, where they find them" in said
        assert (previous.read_text(), secret.read_text() != first) == (first, True)
        assert secret.stat().st_mode & 0o777 == previous.stat().st_mode & 0o777 == 0o600
    second = secret.read_text()
    async with running(*serving) as server:
        await ready(server)
        assert "The secret before this one is still in use: `ticketing secret rotate` changes it." in "".join(
            server.said
        )
        code, said = await command("secret", "rotate", *at_folder)
        assert (code, secret.read_text(), previous.exists()) == (0, second, False), said
        assert (await command("doctor", *at_folder))[0] == 0

    # Nobody serves: it is changed in one go, also where a change broke off before the new one was made.
    previous.write_text(second)
    code, said = await command("secret", "rotate", *at_folder)
    assert (code, secret.read_text() != second, previous.exists()) == (0, True, False), said

    # Lost: no server makes another by itself.
    secret.unlink()
    for words in (serving, ("doctor", *at_folder), ("secret", "rotate", *at_folder)):
        code, said = await command(*words)
        assert (code, f"There is no secret in {folder}" in said, secret.exists()) == (1, True, False), said
    code, said = await command("secret", "give-up", *at_folder)
    assert (code, secret.exists()) == (1, False), said
    code, said = await command("secret", "give-up", "--yes", *at_folder)
    assert (code, secret.exists()) == (0, True), said
    async with running(*serving) as server:
        await ready(server)
