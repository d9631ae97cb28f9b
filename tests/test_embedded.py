"""The embedded PostgreSQL through starts, kills, leftovers and bad folders, as root or as a normal user."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import pytest_asyncio

from ticketing.embedded import (
    EmbeddedError,
    EmbeddedPostgres,
    FolderInUseError,
    account,
    client_tool,
    cluster,
    default_data_dir,
    folder,
    reach,
)

AS_ROOT = os.geteuid() == 0


def mount_small_disk(place: Path, size: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)]
    subprocess.run(mount, check=True, capture_output=True)


def can_mount() -> bool:
    """Whether the machine lets us have a small disk: root may, outside most containers."""
    with tempfile.TemporaryDirectory() as place:
        try:
            mount_small_disk(Path(place), "1m")
        except (OSError, subprocess.CalledProcessError):
            sys.stderr.write("No small disk can be mounted here: the tests of full disks are left out.\n")
            return False
        subprocess.run(["umount", place], check=True)
        return True


CAN_MOUNT = can_mount()


def only_if(condition: bool) -> Callable[..., Any]:
    """A test of what only exists for one kind of user or machine; elsewhere it is not defined."""
    return lambda test: test if condition else None


SERVE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from ticketing.embedded import EmbeddedPostgres

async def serve() -> None:
    print(await EmbeddedPostgres(Path(sys.argv[1]), progress=lambda text: None).start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder below which the system user can work too; pytest's own are closed to it."""
    place = Path(tempfile.mkdtemp(prefix="ticketing-test-"))
    if AS_ROOT:
        place.chmod(0o755)
    yield place
    while place.exists():
        with contextlib.suppress(FileNotFoundError):  # an orphan that is told to end still tidies up after itself
            shutil.rmtree(place)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def made_once() -> AsyncIterator[Path]:
    """A data folder with a database that nobody has used."""
    with reachable_folder() as place:
        async with served(place / "data", []):
            pass
        yield place / "data"


@pytest.fixture
def new_dir() -> Iterator[Path]:
    """A data folder that does not exist yet."""
    with reachable_folder() as place:
        yield place / "data"


@pytest.fixture
def data_dir(made_once: Path, new_dir: Path) -> Path:
    """A data folder with a database, stopped in order."""
    subprocess.run(["cp", "-a", str(made_once), str(new_dir)], check=True)
    return new_dir


@pytest.fixture
def told() -> list[str]:
    """What the person at the terminal was told."""
    return []


@contextlib.asynccontextmanager
async def served(data_dir: Path, told: list[str]) -> AsyncIterator[str]:
    server = EmbeddedPostgres(data_dir, progress=told.append)
    try:
        yield await server.start()
    finally:
        await server.stop()


@contextlib.contextmanager
def other_process_serving(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", SERVE_UNTIL_KILLED, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        try:
            yield owner, owner.stdout.readline().strip()
        finally:
            owner.kill()


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def remembered(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    words = [row["word"] for row in await connection.fetch("SELECT word FROM memory ORDER BY word")]
    await connection.close()
    return words


async def remember(dsn: str, *words: str) -> None:
    await execute(dsn, "CREATE TABLE IF NOT EXISTS memory (word text)")
    for word in words:
        await execute(dsn, f"INSERT INTO memory VALUES ('{word}')")


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "database/cluster/postmaster.pid").read_text().split()[0])


async def stop_orphan(data_dir: Path, owner: subprocess.Popen[str]) -> None:
    """End an owner the hard way, and the server it leaves in order."""
    orphan = psutil.Process(postmaster_pid(data_dir))
    owner.kill()
    orphan.send_signal(signal.SIGINT)
    await asyncio.to_thread(orphan.wait, 15)


def leave_behind(data_dir: Path, pid: int) -> None:
    """Put the pid file of a killed server there, as if its number had been given to process `pid` since."""
    cluster_dir = data_dir / "database/cluster"
    pid_file = cluster_dir / "postmaster.pid"
    pid_file.write_text(f"{pid}\n{cluster_dir}\n1700000000\n5432\n\n\n  1234567   1234567\n")
    owner = cluster_dir.stat()
    os.chown(pid_file, owner.st_uid, owner.st_gid)


async def until(happened: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of this size."""
    place = Path(tempfile.mkdtemp(prefix="ticketing-disk-"))
    mount_small_disk(place, size)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


class TestStarting:
    async def test_a_new_folder_gets_a_database_and_a_second_start_finds_it(self, new_dir, told):
        async with served(new_dir, told) as first:
            await remember(first, "kept")
        async with served(new_dir, told) as second:
            assert await remembered(second) == ["kept"]
            assert second == first
        assert told.count(f"Making a new database in {new_dir}.") == 1

    async def test_the_database_keeps_what_it_promises(self, data_dir, told):
        async with served(data_dir, told) as dsn:
            connection = await asyncpg.connect(dsn)
            names = ("fsync", "synchronous_commit", "full_page_writes", "timezone", "listen_addresses")
            assert [await connection.fetchval(f"SHOW {name}") for name in names] == [
                "on",
                "on",
                "on",
                "UTC",
                "",
            ]
            assert await connection.fetchval("SHOW server_encoding") == "UTF8"
            assert await connection.fetchval("SELECT lower('ÄÖÜ')") == "äöü"
            assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            for extension in ("citext", "pg_trgm", "btree_gist"):
                await connection.execute(f"CREATE EXTENSION {extension}")
            await connection.close()

    async def test_only_its_owner_and_the_password_open_it(self, data_dir, told):
        async with served(data_dir, told) as dsn:
            database = data_dir / "database"
            assert (database / "socket").stat().st_mode & 0o077 == 0
            assert (database / "password").stat().st_mode & 0o077 == 0
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(dsn, password="guess")
            if AS_ROOT:
                assert psutil.Process(postmaster_pid(data_dir)).uids().effective == pwd.getpwnam("ticketing").pw_uid

    async def test_the_tools_of_the_wheel_reach_it_whatever_the_environment(self, data_dir, told, monkeypatch):
        for name in ("PGPASSWORD", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGDATA"):
            monkeypatch.setenv(name, "1")
        monkeypatch.setenv("PGSSLMODE", "require")
        async with served(data_dir, told) as dsn:
            await remember(dsn, "dumped")
            dump = await asyncio.to_thread(subprocess.check_output, [client_tool("pg_dump"), dsn], text=True)
            assert "dumped" in dump

    async def test_a_path_too_long_for_a_socket_is_no_obstacle(self, new_dir, told):
        deep = new_dir / ("folder-with-a-long-name, and a comma/" * 3)
        async with served(deep, told) as first, reach(deep, progress=told.append) as joined:
            assert joined == first
            await remember(first, "deep")
        shutil.rmtree((deep / "database/socket").resolve())

    async def test_a_lost_password_is_replaced(self, data_dir, told):
        async with served(data_dir, told) as dsn:
            await remember(dsn, "kept")
        (data_dir / "database/password").unlink()
        async with served(data_dir, told) as dsn:
            assert await remembered(dsn) == ["kept"]

    async def test_a_long_log_is_cut(self, data_dir, told, monkeypatch):
        monkeypatch.setattr(folder, "LOG_BYTES", 100)
        async with served(data_dir, told):
            log = data_dir / "database/server.log"
            assert "shut down" in log.with_name("server.log.1").read_text()
            assert log.read_text().count("starting PostgreSQL") == 1

    def test_the_default_folder_is_the_users_own(self):
        expected = "/var/lib/ticketing" if AS_ROOT else str(Path.home())
        assert str(default_data_dir()).startswith(expected)


class TestCrashes:
    async def test_a_killed_server_comes_back_with_all_it_answered(self, data_dir, told):
        server = EmbeddedPostgres(data_dir, progress=told.append)
        dsn = await server.start()
        watch = asyncio.create_task(server.supervise())
        try:
            for word in ("first", "second"):
                await remember(dsn, word)
                killed = postmaster_pid(data_dir)
                os.kill(killed, signal.SIGKILL)

                async def back(word: str = word) -> bool:
                    with contextlib.suppress(OSError, asyncpg.PostgresError):
                        return word in await remembered(dsn)
                    return False

                await asyncio.sleep(0.3)
                await until(back)
                assert postmaster_pid(data_dir) != killed
        finally:
            watch.cancel()
            await server.stop()
        assert "PostgreSQL is not running; starting it again now." in told
        assert "PostgreSQL is running again." in told

    async def test_a_server_that_cannot_start_is_tried_again_and_again(self, data_dir, told):
        server = EmbeddedPostgres(data_dir, progress=told.append)
        await server.start()
        watch = asyncio.create_task(server.supervise())
        control, hidden = data_dir / "database/cluster/global", data_dir / "database/cluster/hidden"
        try:
            os.kill(postmaster_pid(data_dir), signal.SIGKILL)
            control.rename(hidden)

            async def said_twice() -> bool:
                return "PostgreSQL is not running; starting it again in 1 s." in told

            await until(said_twice)
            hidden.rename(control)

            async def back() -> bool:
                return "PostgreSQL is running again." in told

            await until(back)
        finally:
            watch.cancel()
            await server.stop()

    async def test_an_orphan_of_a_killed_owner_is_taken_over(self, data_dir, told):
        with other_process_serving(data_dir) as (owner, dsn):
            await remember(dsn, "answered")
            orphan = psutil.Process(postmaster_pid(data_dir))
            owner.kill()
            owner.wait()
        assert orphan.is_running()
        async with served(data_dir, told) as again:
            assert await remembered(again) == ["answered"]
            assert postmaster_pid(data_dir) != orphan.pid
        assert any(f"process {orphan.pid}" in text for text in told)

    async def test_owner_and_server_killed_together(self, data_dir, told):
        with other_process_serving(data_dir) as (owner, dsn):
            await remember(dsn, "answered")
            owner.kill()
            os.kill(postmaster_pid(data_dir), signal.SIGKILL)
            owner.wait()
        async with served(data_dir, told) as again:
            assert await remembered(again) == ["answered"]

    async def test_a_pid_file_whose_number_is_somebody_elses(self, data_dir, told):
        # PostgreSQL believes a number of its own user's; this process has nothing to do with it.
        account = (data_dir / "database/cluster").stat().st_uid
        bystander = subprocess.Popen(["sleep", "60"], user=account if AS_ROOT else None, cwd="/")
        try:
            leave_behind(data_dir, bystander.pid)
            async with served(data_dir, told):
                assert postmaster_pid(data_dir) != bystander.pid
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()

    @pytest.mark.parametrize("torn", ["", "garbage\n"])
    async def test_a_torn_pid_file(self, data_dir, told, torn):
        leave_behind(data_dir, 1)
        (data_dir / "database/cluster/postmaster.pid").write_text(torn)
        async with served(data_dir, told):
            pass

    async def test_ctrl_c_at_the_terminal_does_not_reach_the_server(self, data_dir, told):
        async with served(data_dir, told):
            assert os.getsid(postmaster_pid(data_dir)) != os.getsid(0)


class TestSharing:
    async def test_a_second_serve_is_told_who_has_the_folder(self, data_dir, told):
        with other_process_serving(data_dir) as (owner, dsn):
            with pytest.raises(FolderInUseError) as refused:
                await EmbeddedPostgres(data_dir, progress=told.append).start()
            assert str(refused.value) == (
                f"{data_dir} is in use by process {owner.pid}; stop that one, or choose another --data-dir."
            )
            await remember(dsn, "undisturbed")
            await stop_orphan(data_dir, owner)

    async def test_a_command_joins_a_running_serve(self, data_dir, told):
        async with served(data_dir, told) as dsn:
            pid = postmaster_pid(data_dir)
            async with reach(data_dir, progress=told.append) as joined:
                assert joined == dsn
                await remember(joined, "together")
            assert postmaster_pid(data_dir) == pid
            assert await remembered(dsn) == ["together"]

    async def test_a_command_brings_the_server_when_none_runs(self, data_dir, told):
        async with reach(data_dir, progress=told.append) as dsn:
            await remember(dsn, "alone")
            pid = postmaster_pid(data_dir)
        assert not psutil.pid_exists(pid)
        async with served(data_dir, told) as dsn:
            assert await remembered(dsn) == ["alone"]

    async def test_commands_and_serve_wait_for_a_command(self, data_dir, told):
        async def write(word: str) -> None:
            async with reach(data_dir, progress=told.append) as dsn:
                await remember(dsn, word)

        await asyncio.gather(*(write(word) for word in ("a", "b", "c")))
        async with reach(data_dir, progress=told.append) as dsn:
            waiting = asyncio.create_task(EmbeddedPostgres(data_dir, progress=told.append).start())
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert await remembered(dsn) == ["a", "b", "c"]
            waiting.cancel()

    async def test_a_forked_child_does_not_keep_the_folder(self, data_dir, told):
        server = EmbeddedPostgres(data_dir, progress=told.append)
        await server.start()
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        try:
            await server.stop()
            async with served(data_dir, told):
                pass
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


class TestBadFolders:
    async def test_a_failed_first_start_leaves_nothing(self, new_dir, told, monkeypatch):
        monkeypatch.setitem(cluster.INITIAL_SETTINGS, "max_connections", "a few")
        with pytest.raises(EmbeddedError, match="PostgreSQL could not make a database in"):
            await EmbeddedPostgres(new_dir, progress=told.append).start()
        assert [path.name for path in (new_dir / "database").iterdir()] == ["lock"]
        monkeypatch.undo()
        async with served(new_dir, told):
            pass

    async def test_a_first_start_that_was_killed_half_way(self, new_dir, told):
        half = new_dir / "database/cluster.unfinished-abc"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        async with served(new_dir, told):
            assert not half.exists()

    async def test_a_folder_of_another_version(self, data_dir, told):
        version = data_dir / "database/cluster/PG_VERSION"
        own, _ = version.read_text(), version.write_text("99\n")
        with pytest.raises(
            EmbeddedError, match=r"was made by PostgreSQL 99, and this ticketing brings PostgreSQL \d+;"
        ):
            await EmbeddedPostgres(data_dir, progress=told.append).start()
        version.write_text(own)
        async with served(data_dir, told):
            pass

    async def test_a_folder_with_something_else_in_it(self, new_dir, told):
        (new_dir / "database/cluster").mkdir(parents=True)
        with pytest.raises(EmbeddedError, match="holds no PostgreSQL data"):
            await EmbeddedPostgres(new_dir, progress=told.append).start()

    async def test_a_file_in_place_of_the_folder(self, new_dir, told):
        new_dir.write_text("not a folder")
        with pytest.raises(EmbeddedError, match="cannot be used as data folder: Not a directory"):
            await EmbeddedPostgres(new_dir, progress=told.append).start()

    @only_if(not AS_ROOT)  # nothing is closed to root
    async def test_a_folder_that_cannot_be_written(self, new_dir, told):
        new_dir.mkdir(mode=0o500)
        with pytest.raises(EmbeddedError, match=r"cannot be written to \(Permission denied\)"):
            await EmbeddedPostgres(new_dir, progress=told.append).start()

    @only_if(CAN_MOUNT)
    async def test_a_full_disk_at_the_first_start(self, told):
        with small_disk("20m") as disk:
            with pytest.raises(EmbeddedError, match=f"The disk that holds {disk} is full"):
                await EmbeddedPostgres(disk, progress=told.append).start()
            assert [path.name for path in (disk / "database").iterdir()] == ["lock"]

    @only_if(CAN_MOUNT)
    async def test_a_disk_that_fills_up_and_is_cleared(self, told):
        with small_disk("400m") as disk:
            async with served(disk, told) as dsn:
                await remember(dsn, "kept")
            filler = disk / "filler"
            filler.write_bytes(b"")
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(b"x" * 65536)
            with pytest.raises(EmbeddedError, match=f"The disk that holds {disk} is full"):
                await EmbeddedPostgres(disk, progress=told.append).start()
            filler.unlink()
            async with served(disk, told) as dsn:
                assert await remembered(dsn) == ["kept"]

    @only_if(AS_ROOT)  # only root runs PostgreSQL as somebody else
    async def test_a_machine_that_makes_no_system_user(self, new_dir, told, monkeypatch):
        monkeypatch.setattr(account, "SYSTEM_USER", "ticketing-not-there")
        monkeypatch.setattr(account, "_create_system_user", lambda: "no reason given")
        async with served(new_dir, told):
            assert psutil.Process(postmaster_pid(new_dir)).username() == "nobody"
        assert "PostgreSQL will run as nobody" in told[0]
        monkeypatch.undo()
        async with served(new_dir, told):  # the cluster's owner stays, whoever else has come by
            assert psutil.Process(postmaster_pid(new_dir)).username() == "nobody"

    @only_if(AS_ROOT)  # only root runs PostgreSQL as somebody else
    async def test_roots_private_folder_stays_private(self, new_dir, told):
        new_dir.mkdir(mode=0o700)
        try:
            async with served(new_dir, told) as dsn:
                await remember(dsn, "kept")
            assert new_dir.stat().st_mode & 0o777 == 0o700
            async with served(new_dir, told) as dsn:
                assert await remembered(dsn) == ["kept"]
            assert sum("its files go to /var/lib/ticketing/databases/" in text for text in told) == 1
        finally:
            shutil.rmtree((new_dir / "database").resolve())
