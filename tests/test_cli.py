"""The command as a person at the terminal meets it, the demo, and the README's walk from nothing to inside."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import scratch_database
from serving import ready, running
from test_serving import command
from ticketing import demo
from ticketing.accounts.passwords import is_right
from ticketing.kit.vault import Vault, hash_key
from ticketing.serving import complete
from ticketing.serving.completing import complete_for_serving
from ticketing.sessions.gate_keys import code_digests
from ticketing.settings import Settings

ROOT = Path(__file__).parent.parent
KEY = "fedcba9876543210fedcba9876543210"


@pytest.fixture(scope="module")
async def dsn(postgres: str) -> AsyncIterator[str]:
    async with scratch_database(postgres) as dsn:
        yield dsn


@pytest.fixture
def password_file() -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("two heads are better\n")
        file.flush()
        yield file.name


async def test_help_lists_the_commands() -> None:
    code, said = await command("--help")
    assert code == 0
    for name in (
        "serve",
        "demo",
        "migrate",
        "worker",
        "admin",
        "integrations",
        "ticket-keys",
        "openapi",
        "settings",
        "version",
    ):
        assert re.search(rf"^\W+{name}\b", said, re.MULTILINE), said


async def test_the_first_administrator(dsn: str, password_file: str) -> None:
    zaphod = ["--username", "zaphod", "--email", "zaphod@example.com", "--password-file", password_file]
    code, said = await command("admin", "create", *zaphod, DATABASE_URL=dsn)
    assert code == 0, said
    number = said.splitlines()[-1]
    assert re.fullmatch(r"ZA-[0-9A-Z]{8}", number)

    taken = "The following arguments conflict with those of another user: username."
    assert await command("admin", "create", *zaphod, DATABASE_URL=dsn) == (1, taken)
    # Somebody must be able to administer the platform.
    last = "The last administrator cannot be removed."
    assert await command("admin", "role", number, "customer", DATABASE_URL=dsn) == (1, last)


async def test_the_way_back_in(dsn: str) -> None:
    db = await asyncpg.connect(dsn)
    await db.execute("UPDATE accounts SET role = 'customer', activated = false")
    number = await db.fetchval("SELECT number FROM accounts")
    code, said = await command("admin", "role", number, "administrator", DATABASE_URL=dsn)
    assert (code, said) == (0, f"{number} is an administrator now.")
    account = await db.fetchrow("SELECT role, activated FROM accounts WHERE number = $1", number)
    assert tuple(account) == ("administrator", True)
    await db.close()

    nobody = "The requested account could not be located"
    assert await command("admin", "role", "XX-00000000", "support", DATABASE_URL=dsn) == (1, nobody)


async def test_a_password_is_set_at_the_server(dsn: str, password_file: str) -> None:
    db = await asyncpg.connect(dsn)
    number = await db.fetchval("SELECT number FROM accounts")
    file = ["--password-file", password_file]
    set_so_far = await db.fetchval("SELECT password_hash FROM accounts")
    assert await command("admin", "password", number.lower(), *file, DATABASE_URL=dsn) == (0, "The password is set.")
    kept = await db.fetchval("SELECT password_hash FROM accounts")
    assert kept != set_so_far
    assert is_right(kept, "two heads are better")
    assert await db.fetchval("SELECT letter FROM mails ORDER BY id DESC LIMIT 1") == "password_changed"
    await db.close()
    nobody = "The requested account could not be located"
    assert await command("admin", "password", "XX-00000000", *file, DATABASE_URL=dsn) == (1, nobody)
    Path(password_file).write_text("short")
    short = await command("admin", "password", number, *file, DATABASE_URL=dsn)
    assert short == (1, "A password has 8 to 256 characters.")


async def test_keys_for_programs(dsn: str) -> None:
    code, said = await command("integrations", "create", "Shop", "--access", "public", "--key", KEY, DATABASE_URL=dsn)
    assert (code, said.splitlines()[-1]) == (0, KEY)
    short = await command("integrations", "create", "Other", "--access", "public", "--key", "abc", DATABASE_URL=dsn)
    assert short == (1, "A key is 32 lower-case hex characters.")

    _, listed = await command("integrations", "list", DATABASE_URL=dsn)
    id_, access, _number, name = listed.split()
    assert (access, name) == ("public", "Shop")
    assert KEY not in listed
    assert await command("integrations", "revoke", id_, DATABASE_URL=dsn) == (0, "The key is revoked.")
    assert await command("integrations", "list", DATABASE_URL=dsn) == (0, "No program has a key.")


async def test_the_description_is_the_servers_own() -> None:
    code, said = await command("openapi")
    assert code == 0
    assert json.loads(said)["openapi"].startswith("3.1")


async def test_the_demo_is_worth_looking_at_and_stays(dsn: str, postgres: str) -> None:
    async with scratch_database(postgres) as empty:
        settings = Settings(database_url=empty, secret="a secret that only this test knows")
        await demo.plant(settings, lambda _line: None)
        await demo.plant(settings, lambda _line: None)

        db = await asyncpg.connect(empty)
        statuses = {row["status"] for row in await db.fetch("SELECT status FROM events")}
        assert statuses == {"Draft", "Submitted", "Listed", "Unlisted", "Cancelled"}
        assert await db.fetchval("SELECT count(*) FROM events") == len(demo.content.EVENTS)
        assert await db.fetchval("SELECT array_agg(DISTINCT status) FROM transfers") == ["Claimed", "Pending"]
        assert await db.fetchval("SELECT true FROM sections WHERE capacity > 0 AND sold = capacity")
        assert await db.fetchval("SELECT true FROM events WHERE ends_at < clock()")
        assert await db.fetchval("SELECT count(*) FROM admissions") == 7
        assert await db.fetchval("SELECT count(*) FROM tickets WHERE status = 'Issued'") > 50
        await db.close()

    with pytest.raises(demo.NotEmpty):
        await demo.plant(Settings(database_url=dsn, secret="a secret that only this test knows"), lambda _line: None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - what is refused
async def test_the_demo_listens_to_this_machine_alone(host: str, tmp_path: Path) -> None:
    code, said = await command("demo", "--host", host, "--data-dir", str(tmp_path / "demo"))
    assert code == 1
    assert (
        f"Everybody knows the demo's passwords, its administrator's too, and other machines can reach {host}." in said
    )
    assert "--open-to-network" in said
    assert not (tmp_path / "demo").exists()


async def test_a_demo_that_others_reach_has_passwords_of_its_own(postgres: str) -> None:
    async with scratch_database(postgres) as empty:
        arguments = ("demo", "--port", "0", "--workers", "1", "--host", "0.0.0.0", "--open-to-network")  # noqa: S104
        async with running(*arguments, environment={"DATABASE_URL": empty}) as server:
            url = await ready(server)
            await server.until_said("gate code")
            said = "".join(server.said)
            for known in (demo.PASSWORD, demo.PUBLIC_KEY, demo.GATE_CODE):
                assert known not in said
            people = dict(
                re.findall(r"^  (?:administrator|host|customer)\s+(\w+)\s+password\s+(\S+)$", said, re.MULTILINE)
            )
            assert len(set(people.values())) == 3
            [key] = re.findall(r"public key\s+([0-9a-f]{32})$", said, re.MULTILINE)
            headers = {"X-API-Key": key, "X-Client-Version": "3.0.0"}
            async with httpx.AsyncClient(base_url=f"{url}/v3", headers=headers) as client:
                for username, password in people.items():
                    for tried, status in ((password, 201), (demo.PASSWORD, 401)):
                        body = {"identification": username, "password": tried}
                        assert (await client.post("/sessions", json=body)).status_code == status
                known = await client.get("/countries", headers={"X-API-Key": demo.PUBLIC_KEY})
            assert known.status_code == 403


async def test_each_start_of_the_demo_says_what_lets_in(postgres: str) -> None:
    async with scratch_database(postgres) as empty:
        settings = Settings(database_url=empty, secret="a secret that only this test knows")
        db = await asyncpg.connect(empty)
        first, second = demo.own_credentials(), demo.own_credentials()
        for planted in (demo.KNOWN, demo.KNOWN, first, second, demo.KNOWN):
            await demo.plant(settings, lambda _line: None, planted)
            rows = await db.fetch(
                "SELECT username, password_hash FROM accounts WHERE username = ANY($1)", demo_people()
            )
            assert len(rows) == len(demo_people())
            for row in rows:
                for credentials in (demo.KNOWN, first, second):
                    is_right_now = is_right(row["password_hash"], credentials.passwords[row["username"]])
                    assert is_right_now == (credentials is planted)
            shop = await db.fetchval("SELECT key_hash FROM integrations WHERE name = $1", demo.content.SHOP)
            assert shop == hash_key(planted.public_key)
            digest = code_digests(Vault(settings.secret), planted.gate_code)[0]
            assert await db.fetchval("SELECT count(*) FROM tokens WHERE code_hmac = $1", digest) == 1
        told = await db.fetchval("SELECT count(*) FROM mails WHERE letter = 'password_changed'")
        assert told == 3 * len(demo_people()), "the second start with the same ones changed something"
        await db.close()


def demo_people() -> list[str]:
    return [username for username, *_ in demo.content.PEOPLE]


async def test_the_readme_leads_from_nothing_to_inside(postgres: str) -> None:
    walk = example("README.md", "first sale")
    assert len(re.findall(r"\bcurl\b", walk)) == 6
    paying = example("docs/payments.md", "paid order")

    async with (
        scratch_database(postgres) as empty,
        running("demo", "--port", "0", "--workers", "1", environment={"DATABASE_URL": empty}) as server,
    ):
        url = await ready(server)
        for printed in (demo.PASSWORD, demo.PUBLIC_KEY, demo.GATE_CODE, f"{url}/dev/mail"):
            await server.until_said(printed)
        script = walk.replace("http://localhost:8000", url)
        for _ in range(2):  # it may be read twice
            order, admitted = await run_script(script)
            assert order["status"] == "Fulfilled"
            [admission] = admitted
            # A gate's key is told no usernames.
            assert (admission["redeemer"], admission["patron"]["username"]) == ("Kofi", "")

            paid, order = await run_script(paying.replace("http://localhost:8000", url))
            assert (paid["status"], paid["amount"]) == ("Authorised", order["total"])
            assert order["status"] == "Fulfilled"

        # A front end on this machine may call, one elsewhere may not.
        async with httpx.AsyncClient(timeout=60) as client:
            here = await client.get(f"{url}/v3/countries", headers={"Origin": "http://localhost:5173"})
            there = await client.get(f"{url}/v3/countries", headers={"Origin": "http://localhost.example"})
            async with asyncio.timeout(60):  # until the jobs' worker has sent the tickets
                while f"{demo.CUSTOMER}@example.com" not in (await client.get(f"{url}/dev/mail")).text:
                    await asyncio.sleep(0.2)
        assert here.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "access-control-allow-origin" not in there.headers


def example(page: str, name: str) -> str:
    """The script of this name in a page of the documentation."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert found is not None, (page, name)
    return found[1]


async def run_script(script: str) -> list[Any]:
    path = os.environ["PATH"] + ("" if shutil.which("curl") else f":{ROOT / 'tests' / 'stand_ins'}")
    environment = os.environ | {"PATH": path}
    done = subprocess.run(
        ["sh", "-euc", script], capture_output=True, text=True, check=False, timeout=30, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("integrations", "list"),
        ("integrations", "revoke", "1"),
        ("ticket-keys", "list"),
        ("ticket-keys", "rotate"),
        ("admin", "role", "MO-6A39EE8D", "support"),
        ("admin", "password", "MO-6A39EE8D", "--password-file"),
        ("worker",),
    ],
)
async def test_a_command_about_what_is_there_makes_nothing(
    words: tuple[str, ...], password_file: str, tmp_path: Path
) -> None:
    missing = tmp_path / "typo"
    file = [password_file] if words[-1] == "--password-file" else []
    code, said = await command(*words, *file, "--data-dir", str(missing))
    assert (code, said.startswith(f"There is no database in {missing}")) == (1, True)
    assert not missing.exists()


async def test_a_doctor_without_the_secret_makes_none(dsn: str, tmp_path: Path) -> None:
    missing = tmp_path / "nothing here"
    for wants_it in ("doctor", "worker"):
        code, said = await command(wants_it, "--data-dir", str(missing), DATABASE_URL=dsn)
        assert (code, said.startswith(f"There is no secret in {missing}:")) == (1, True), said
    assert not missing.exists()


async def test_a_secret_is_made_for_a_database_that_has_none(dsn: str, tmp_path: Path) -> None:
    said: list[str] = []
    made = await complete_for_serving(Settings(), dsn, tmp_path / "data", said.append)
    file = tmp_path / "data" / "secret"
    assert file.read_text().strip() == made.secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert said == [f"Made the server's secret, {file}: keep a copy, the database is worth little without it."]
    assert complete(Settings(), dsn, tmp_path / "data") == made
