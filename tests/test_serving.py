"""The server as a process: started, refused, killed, stopped - with real workers and a real PostgreSQL."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest

from conftest import dsn_of, scratch_database
from serving import Server, clean_environment, ready, running, serve
from ticketing.serving import CannotServe, databases
from ticketing.serving.port import take_port
from ticketing.settings import BadSetting, injected, read_settings

KEY = "0123456789abcdef0123456789abcdef"
HEADERS = {"X-API-Key": KEY, "X-Client-Version": "3.0.0"}


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory(prefix="ticketing-tests-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        yield Path(path) / "data"


async def command(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run `ticketing ARGUMENTS` to its end; the exit code and all it said."""
    async with running(*arguments, environment=environment) as process:
        return await process.ended(), "".join(process.said).strip()


def serving(folder: Path) -> contextlib.AbstractAsyncContextManager[Server]:
    return running("serve", "--port", "0", "--workers", "2", "--data-dir", str(folder))


async def add_region(url: str, name: str) -> None:
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as client:
        answer = await client.post(f"{url}/v3/regions", json={"name": name, "country": "Bhutan"})
    assert answer.status_code == 201, answer.text


async def region_names(url: str) -> set[str]:
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as client:
        answer = await client.get(f"{url}/v3/regions")
    return {region["name"] for region in answer.json()["entries"]}


def descendants(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)


def postgres_of(server: Server) -> psutil.Process:
    [postmaster] = [child for child in psutil.Process(server.process.pid).children() if child.name() == "postgres"]
    return postmaster


def keeper_of(server: Server) -> psutil.Process:
    children = psutil.Process(server.process.pid).children()
    [keeper] = [child for child in children if "ticketing.serving.web_workers" in child.cmdline()]
    return keeper


async def eventually(met: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.02)


async def test_the_life_of_a_data_folder(folder: Path) -> None:
    """First start, refused neighbours, Ctrl-C; then kill -9 of everything in turn: no answered write is lost."""
    async with serving(folder) as server:
        url = await ready(server)
        port = url.rpartition(":")[2]

        # A key is made while the server runs; the command finds its database.
        made = await command(
            *("integrations", "create", "Tests", "--access", "administrator", "--key", KEY, "--data-dir", str(folder))
        )
        assert made[0] == 0, made
        await add_region(url, "Thimphu")

        second, third = await asyncio.gather(
            command("serve", "--port", "0", "--data-dir", str(folder)),
            command("serve", "--port", port, "--data-dir", str(folder.parent / "other")),
        )
        assert second == (
            1,
            f"{folder} is in use by process {server.process.pid}; stop that one, or choose another --data-dir.",
        )
        assert third[0] == 1
        assert third[1].startswith(f"Port {port} is in use by process ")
        assert not (folder.parent / "other").exists()
        assert await region_names(url) == {"Thimphu"}

        family = descendants(server)
        assert await server.stop(signal.SIGINT) == 0
        assert not [process for process in family if process.is_running()]
        assert not (folder / "database" / "cluster" / "postmaster.pid").exists()

    async with serving(folder) as server:
        url = await ready(server)
        assert await region_names(url) == {"Thimphu"}

        # PostgreSQL alone: the supervisor brings it back.
        await add_region(url, "Paro")
        postgres_of(server).kill()
        await server.until_said("PostgreSQL is running again", 20)
        await eventually_serves(url, "Paro")

        # The server: its workers end, the next start takes over.
        await add_region(url, "Punakha")
        family = [process for process in descendants(server) if process.name() != "postgres"]
        await server.stop(signal.SIGKILL)
        await eventually(lambda: not any(process.is_running() for process in family))

    async with serving(folder) as server:
        url = await ready(server)
        assert await region_names(url) == {"Thimphu", "Paro", "Punakha"}

        # Both at once.
        await add_region(url, "Wangdue")
        postmaster = postgres_of(server)
        server.process.kill()
        postmaster.kill()
        await server.ended()

    async with serving(folder) as server:
        url = await ready(server)
        assert await region_names(url) == {"Thimphu", "Paro", "Punakha", "Wangdue"}


async def eventually_serves(url: str, region: str) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(httpx.HTTPError, KeyError):
                if region in await region_names(url):
                    return
            await asyncio.sleep(0.05)


async def test_killed_workers_come_back(postgres: str) -> None:
    async with (
        scratch_database(postgres) as dsn,
        running("serve", "--port", "0", "--workers", "2", environment={"DATABASE_URL": dsn}) as server,
    ):
        url = await ready(server)
        await make_key(dsn)
        victim = keeper_of(server).children()[0]
        victim.kill()
        await eventually(lambda: len(keeper_of(server).children()) == 2 and not victim.is_running())
        await eventually_serves_any(url)

        old = keeper_of(server)
        workers = old.children()
        old.kill()
        await server.until_said("The workers ended by themselves; starting them again now.")
        await eventually(lambda: not any(worker.is_running() for worker in workers))
        await eventually_serves_any(url)
        assert keeper_of(server).pid != old.pid
        assert await server.stop() == 0


async def eventually_serves_any(url: str) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                async with httpx.AsyncClient() as client:
                    if (await client.get(f"{url}/health/ready")).status_code == 200:
                        return
            await asyncio.sleep(0.05)


async def make_key(dsn: str) -> None:
    made = await command(
        *("integrations", "create", "Tests", "--access", "administrator", "--key", KEY), DATABASE_URL=dsn
    )
    assert made[0] == 0, made


async def test_what_is_under_way_gets_its_answer(postgres: str) -> None:
    async with (
        scratch_database(postgres) as dsn,
        running("serve", "--port", "0", "--workers", "2", environment={"DATABASE_URL": dsn}) as server,
    ):
        url = await ready(server)
        await make_key(dsn)
        db = await asyncpg.connect(dsn)
        lock = db.transaction()
        await lock.start()
        await db.execute("LOCK TABLE regions IN ACCESS EXCLUSIVE MODE")
        slow = asyncio.create_task(add_region(url, "Trongsa"))
        await asyncio.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert not slow.done()
        await lock.rollback()
        await slow
        assert await server.ended() == 0
        assert await db.fetchval("SELECT name FROM regions") == "Trongsa"
        await db.close()


async def test_a_revoked_key_is_refused_by_every_worker_within_a_second(postgres: str) -> None:
    async with scratch_database(postgres) as dsn, serve(dsn, workers=2) as url, contextlib.AsyncExitStack() as stack:
        await make_key(dsn)
        # A connection stays with its worker: of twenty, both have some.
        visitors = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=HEADERS)) for _ in range(20)
        ]

        async def statuses() -> set[int]:
            return {
                answer.status_code for answer in await asyncio.gather(*(one.get("/v3/regions") for one in visitors))
            }

        assert await statuses() == {200}
        [integration] = (await visitors[0].get("/v3/integrations")).json()["entries"]
        assert (await visitors[0].delete(f"/v3{integration['self']}")).status_code == 200
        began = time.monotonic()
        while await statuses() != {403}:
            assert time.monotonic() - began < 1
        assert time.monotonic() - began < 1


def test_a_setting_that_nothing_reads_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadSetting, match="no setting TICKETING_HOLD_SECOND; TICKETING_HOLD_SECONDS is meant"):
        read_settings({"TICKETING_HOLD_SECOND": "60"})
    cluster = {
        "TICKETING_PORT": "tcp://10.0.0.1:8000",
        "TICKETING_PORT_8000_TCP_ADDR": "10.0.0.1",
        "TICKETING_API_SERVICE_PORT_HTTP": "8000",
        "TICKETING_SERVICE_HOST": "10.0.0.1",
    }
    assert injected(cluster | {"TICKETING_MAIL_PORT": "25"}) == sorted(cluster)
    assert read_settings(cluster | {"TICKETING_MAIL_PORT": "25"}).mail_port == 25


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"TICKETING_HOLD_SECONDS": "long"}, "TICKETING_HOLD_SECONDS is not a whole number: long."),
        ({"TICKETING_SECRET": "short"}, "TICKETING_SECRET is shorter than 32 characters."),
        (
            {"DATABASE_URL": "postgresql://nobody:hush@127.0.0.1:9/tickets"},
            "No PostgreSQL can be reached at 127.0.0.1:9 (Connection refused); check DATABASE_URL.",
        ),
        ({"TICKETING_DATA_DIR": __file__}, f"{__file__} cannot be used as data folder: "),
    ],
)
async def test_a_start_that_cannot_succeed_says_why(change: dict[str, str], sentence: str) -> None:
    code, said = await command("serve", "--port", "0", **change)
    assert code == 1
    assert said.startswith(sentence)
    assert "\n" not in said
    assert "hush" not in said


async def refusal(dsn: str) -> str:
    with pytest.raises(CannotServe) as refused:
        await databases.prepare_database(dsn, lambda _line: None)
    return str(refused.value)


async def test_a_database_that_cannot_be_used_is_explained(postgres: str) -> None:
    where = postgres.partition("host=")[2].partition("&")[0]
    assert await refusal(dsn_of(postgres, "nowhere")) == (
        f"The PostgreSQL at {where} has no database nowhere; create it, or correct DATABASE_URL."
    )
    user, _, rest = postgres.partition("@")
    assert await refusal(f"{user}wrong@{rest}") == (
        f"The PostgreSQL at {where} does not accept the user or the password in DATABASE_URL."
    )
    assert "is not the URL of a PostgreSQL" in await refusal("mysql://root@localhost/tickets")
    assert "No PostgreSQL can be reached at nowhere.invalid:5432 (" in await refusal("postgresql://nowhere.invalid/x")


async def test_a_newer_database_is_left_alone(postgres: str) -> None:
    async with scratch_database(postgres) as dsn:
        db = await asyncpg.connect(dsn)
        await db.execute("INSERT INTO schema_migrations (revision, name) VALUES ('9999', 'of_tomorrow')")
        assert await refusal(dsn) == databases.NEWER.format(revision="9999")
        assert await db.fetchval("SELECT max(revision) FROM schema_migrations") == "9999"
        await db.close()


@contextlib.asynccontextmanager
async def impostor(answer: bytes) -> AsyncIterator[str]:
    """Something that answers so to whatever it is asked first; its DSN."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        if not answer.startswith(b"HTTP"):
            await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"postgresql://anna:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/tickets?sslmode=disable"
    finally:
        server.close()


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


async def test_whoever_only_looks_wants_the_newest_shape(postgres: str) -> None:
    async with scratch_database(postgres) as dsn:
        await databases.ensure_shape(dsn)
        db = await asyncpg.connect(dsn)
        await db.execute("DELETE FROM schema_migrations WHERE revision > '0001'")
        with pytest.raises(CannotServe, match="is at revision 0001: run `ticketing migrate` first"):
            await databases.ensure_shape(dsn)
        await db.execute("INSERT INTO schema_migrations (revision, name) VALUES ('9999', 'of_tomorrow')")
        with pytest.raises(CannotServe, match="a newer one used it"):
            await databases.ensure_shape(dsn)
        await db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with pytest.raises(CannotServe, match="has nothing of TickeTing in it"):
            await databases.ensure_shape(dsn)
        assert await db.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await db.close()


async def test_only_a_postgresql_of_version_14_or_later_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    old = b"".join(
        [
            message(b"R", (0).to_bytes(4, "big")),
            message(b"S", b"server_version\x0013.4\x00"),
            message(b"K", bytes(8)),
            message(b"Z", b"I"),
        ]
    )
    async with impostor(old) as dsn:
        assert "is version 13; 14 or later is needed." in await refusal(dsn)
    async with impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n") as dsn:
        assert "does not speak like PostgreSQL" in await refusal(dsn)
    monkeypatch.setattr(databases, "CONNECT_SECONDS", 0.2)
    async with impostor(b"") as dsn:
        assert "No PostgreSQL answers at 127.0.0.1:" in await refusal(dsn)


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres: str) -> None:
    db = await asyncpg.connect(postgres)
    try:
        for encoding in ("SQL_ASCII", "LATIN1"):
            name = f"in_{encoding.lower()}"
            await db.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
            try:
                dsn = urlsplit(postgres)._replace(path=f"/{name}").geturl()
                assert f"is in {encoding}, which cannot hold every text" in await refusal(dsn)
            finally:
                await db.execute(f"DROP DATABASE {name}")
    finally:
        await db.close()


async def test_the_tree_ends_in_order_when_nobody_reads_what_it_says(folder: Path) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ticketing", "serve", "--port", "0", "--workers", "1", "--data-dir", str(folder)),
        stdout=writing,
        stderr=writing,
        env=clean_environment(),
    )
    os.close(writing)
    with os.fdopen(reading, "rb", 0) as pipe:
        said = b""
        while b"answers at" not in said:
            said += await asyncio.to_thread(pipe.read, 4096)
    family = psutil.Process(process.pid).children(recursive=True)
    assert any(child.name() == "postgres" for child in family)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    await eventually(lambda: not any(child.is_running() for child in family))


async def test_the_tree_ends_in_order_when_its_terminal_is_lost(folder: Path) -> None:
    """As when a window is closed: the terminal goes, and SIGHUP comes."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ticketing", "serve", "--port", "0", "--workers", "1", "--data-dir", str(folder)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env=clean_environment(),
    )
    os.close(theirs)
    said = b""
    while b"answers at" not in said:
        said += await asyncio.to_thread(os.read, ours, 4096)
    family = psutil.Process(process.pid).children(recursive=True)
    assert any(child.name() == "postgres" for child in family)
    os.close(ours)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    await eventually(lambda: not any(child.is_running() for child in family))
    assert not (folder / "database" / "cluster" / "postmaster.pid").exists()


async def test_a_port_is_taken_for_good() -> None:
    port = await take_port("localhost", 0, lambda _line: None)
    assert port.url == f"http://{port.reachable}:{port.number}"
    with pytest.raises(CannotServe, match=f"^Port {port.number} is in use by "):
        await take_port("localhost", port.number, lambda _line: None)
    port.release()
    (await take_port("localhost", port.number, lambda _line: None)).release()
    with pytest.raises(CannotServe, match=r"^192\.0\.2\.1 is no address of this machine"):
        await take_port("192.0.2.1", 0, lambda _line: None)


def test_the_tests_see_no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere")
    assert "DATABASE_URL" not in clean_environment()
