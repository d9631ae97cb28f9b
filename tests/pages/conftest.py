"""The demo's small world, served for real, and a Chromium that looks at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from conftest import dsn_of, scratch_database
from serving import SECRET, serve
from ticketing.demo import PASSWORD, plant
from ticketing.settings import Settings

from .browser import ARGUMENTS, find_browser

EXPECT_MS = 30_000
WAIT_MS = 60_000  # a busy machine is slow, not wrong


@dataclass(frozen=True)
class World:
    """Where the demo is served, and its database."""

    url: str
    dsn: str


@pytest.fixture(scope="session")
async def world(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The demo with pages on, a worker of its own, and mail in a folder."""
    async with scratch_database(postgres) as dsn:
        await plant(Settings(database_url=dsn, secret=SECRET), lambda _line: None)
        mail = str(tmp_path_factory.mktemp("mail"))
        environment = {"TICKETING_MAIL_FOLDER": mail, "TICKETING_RATE_LIMITS": "off"}
        async with serve(dsn, workers=1, environment=environment) as url:
            yield World(url.replace("127.0.0.1", "localhost"), dsn)


@pytest.fixture
async def db(world: World) -> AsyncIterator[asyncpg.Connection]:
    """A connection for what a test must see beside the pages."""
    connection = await asyncpg.connect(world.dsn)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the run."""
    program = await asyncio.to_thread(find_browser)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        await browser.close()


expect.set_options(timeout=EXPECT_MS)

OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page(world: World, chromium: Browser) -> AsyncIterator[OpenPage]:
    """Opens a window of its own; a script that fails, or an answer of 5xx, fails the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    async def open_(path: str = "/", *, user: str = "", width: int = 1280, **options: Any) -> Page:
        context = await chromium.new_context(
            base_url=world.url, viewport={"width": width, "height": 900}, permissions=["camera"], **options
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.on(
            "response", lambda answer: faults.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None
        )
        if user:
            await sign_in(page, user, path)
        else:
            await page.goto(path)
        return page

    yield open_
    for context in contexts:
        await context.close()
    assert not faults


async def sign_in(page: Page, user: str, back: str = "/tickets") -> None:
    """Sign in with the demo's password, and go on from there."""
    await page.goto(f"/sign-in?next={back}")
    await page.fill("#identification", user)
    await page.fill("#password", PASSWORD)
    await page.click("main form button")
    await page.wait_for_url(lambda url: "/sign-in" not in url)


def folder_of(request: pytest.FixtureRequest) -> Path:
    """Where screenshots of a run are kept."""
    folder = Path(str(request.config.rootpath)) / ".screenshots"
    folder.mkdir(exist_ok=True)
    return folder


__all__ = ["OpenPage", "World", "dsn_of", "folder_of", "sign_in"]
