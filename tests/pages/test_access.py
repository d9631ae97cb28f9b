"""Every page, with axe: names, contrast, order, targets; in light and dark. And what the eye should look at, kept."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page

from .browser import axe
from .conftest import OpenPage

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYBODY = ["/", "/?search=nothing-like-this", "/sign-in", "/register", "/reset", "/cart", "/nothing-here", "/gate"]
BUYER = ["/tickets", "/tickets?past=yes", "/transfers", "/orders", "/account"]
HOST = ["/host", "/host/new", "/host/events/new"]
DESK = ["/desk", *(f"/desk/{name}" for name in ("accounts", "orders", "transfers", "transactions"))]
PLACES = [f"/desk/{name}" for name in ("regions", "venues", "categories", "integrations")]
OF_EVENT = ["", "/edit", "/sections", "/sales", "/guests", "/door-list", "/gate", "/cancellation"]


async def faults(page: Page) -> list[str]:
    """What axe finds, with the elements."""
    await page.evaluate(axe())
    found = await page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    return [
        f"{page.url}: {one['id']}: {one['help']} | " + " | ".join(node["html"][:160] for node in one["nodes"][:3])
        for one in found["violations"]
    ]


async def look(page: Page, paths: list[str]) -> list[str]:
    wrong = []
    for path in paths:
        await page.goto(path)
        wrong += await faults(page)
    return wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_shop(open_page: OpenPage, scheme: str) -> None:
    page = await open_page("/", color_scheme=scheme)
    event = await page.locator(".event a").first.get_attribute("href")
    assert await look(page, [*EVERYBODY, str(event)]) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_what_is_theirs(open_page: OpenPage, scheme: str) -> None:
    page = await open_page("/tickets", user="customer", color_scheme=scheme)
    ticket = await page.locator(".wallet a").first.get_attribute("href")
    await page.goto("/orders")
    order = await page.locator("tbody a").first.get_attribute("href")
    assert await look(page, [*BUYER, str(ticket), str(order)]) == []


async def test_everybody_can_run_an_event(open_page: OpenPage) -> None:
    page = await open_page("/host", user="host")
    event = await page.locator(".managed a", has_text="Soca Sunrise").get_attribute("href")
    assert await look(page, [*HOST, *(f"{event}{below}" for below in OF_EVENT)]) == []


async def test_everybody_can_work_at_the_desk(open_page: OpenPage) -> None:
    page = await open_page("/desk", user="admin")
    assert await look(page, [*DESK, *PLACES]) == []


@pytest.mark.parametrize("width", [360, 768, 1280])
async def test_no_page_is_wider_than_the_window(open_page: OpenPage, width: int, pytestconfig: pytest.Config) -> None:
    page = await open_page("/", width=width)
    event = str(await page.locator(".event a").first.get_attribute("href"))
    await page.context.clear_cookies()
    folder = Path(pytestconfig.rootpath) / ".screenshots"
    folder.mkdir(exist_ok=True)
    for path in ("/", event, "/sign-in", "/register", "/gate", "/cart"):
        await page.goto(path)
        wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, (path, wider)
        name = re.sub(r"\W+", "-", path).strip("-") or "front"
        await page.screenshot(path=folder / f"{name[:40]}-{width}.png", full_page=True)
