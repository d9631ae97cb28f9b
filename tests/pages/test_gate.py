"""The gate in a browser: online, without a network, by camera, by hand, and everything there once afterwards."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest
import segno
from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from serving import SECRET
from ticketing.kit.vault import Vault
from ticketing.tickets.keys import signing_key
from ticketing.tickets.payloads import Claim, sign

from .browser import ARGUMENTS, find_browser
from .conftest import OpenPage, World

CODE = "DEMOGATE"


async def open_gate(page: Page) -> None:
    await page.goto(f"/gate#{CODE}")
    await page.fill("#redeemer", "Kofi")
    await page.click("#enter button")
    await page.wait_for_selector("#event:not(:empty)")
    await expect(page.locator("#count")).not_to_have_text("")


async def scan(page: Page, text: str) -> tuple[str, str]:
    """The tone and the word of the verdict, which is closed again."""
    await page.fill("#serial", text)
    await page.click("#typed button")
    verdict = page.locator("#verdict:not([hidden]):not(.busy)")
    await verdict.wait_for()
    told = str(await verdict.get_attribute("class")), str(await verdict.get_attribute("data-word"))
    if told[0] != "warn":
        await page.keyboard.press("Escape")
        await page.locator("#verdict").wait_for(state="hidden")
    return told


async def valid_serials(db: asyncpg.Connection) -> list[str]:
    rows = await db.fetch(
        "SELECT serial FROM tickets WHERE status = 'Issued' AND event_id ="
        " (SELECT id FROM events WHERE title = 'Jazz at the Lookout') ORDER BY id"
    )
    return [row["serial"] for row in rows]


async def test_what_is_scanned_without_a_network_is_there_once_afterwards(
    open_page: OpenPage, db: asyncpg.Connection
) -> None:
    page = await open_page("/gate")
    await open_gate(page)
    serials = await valid_serials(db)
    first, second, third = serials[:3]
    assert await scan(page, first) == ("good", "admitted")
    assert await scan(page, first.lower()) == ("bad", "already admitted")
    assert (await scan(page, "NOBODY-HASTHISONE00"))[0] == "bad"
    await page.context.set_offline(True)
    assert await scan(page, second) == ("good", "admitted")
    assert await scan(page, second) == ("bad", "already admitted")
    assert await scan(page, "NOBODY-HASTHISONE00") == ("bad", "unknown")
    # A dead battery: the page is opened again without a network.
    await page.reload()
    await page.wait_for_selector("#scanner:not([hidden])")
    assert await scan(page, second) == ("bad", "already admitted")
    assert await scan(page, third) == ("good", "admitted")
    await expect(page.locator("#state")).to_contain_text("2 to upload")
    # Meanwhile another gate lets the third in: the first admission stands.
    other = await open_page("/gate")
    await open_gate(other)
    assert await scan(other, third) == ("good", "admitted")
    await page.context.set_offline(False)
    await expect(page.locator("#state")).to_have_text("Online", timeout=30_000)
    await expect(page.locator("#conflict-count")).to_have_text("1")
    rows = await db.fetch(
        "SELECT ticket.serial, count(*) FROM admissions JOIN tickets ticket ON ticket.id = ticket_id"
        " WHERE ticket.serial = ANY($1::text[]) GROUP BY 1",
        [first, second, third],
    )
    assert {row["serial"]: row["count"] for row in rows} == {first: 1, second: 1, third: 1}
    assert await db.fetchval("SELECT reason FROM offline_scans WHERE reason <> ''") == "already admitted"


async def test_a_signed_ticket_the_gate_does_not_know_is_the_stewards_to_decide(
    open_page: OpenPage, db: asyncpg.Connection
) -> None:
    page = await open_page("/gate")
    await open_gate(page)
    await page.context.set_offline(True)
    event = await db.fetchval("SELECT id FROM events WHERE title = 'Jazz at the Lookout'")
    key = await signing_key(db, Vault(SECRET))
    payload = sign(Claim("JAZOUT-LAWNSOLDLATE", event, 1_800_000_000), key.id, key.private)
    assert await scan(page, payload) == ("warn", "new ticket")
    await page.click("#send-away")
    # The last character of base64 has bits that mean nothing: one in the middle is changed, which always counts.
    forged = payload[:-10] + ("A" if payload[-10] != "A" else "B") + payload[-9:]
    assert (await scan(page, forged))[0] == "bad"
    assert await scan(page, payload) == ("warn", "new ticket")
    await page.click("#let-in")
    await expect(page.locator("#verdict")).to_have_class("good")


async def test_somebody_is_found_by_name(open_page: OpenPage) -> None:
    page = await open_page("/gate")
    await open_gate(page)
    await page.click("#find-open")
    await page.fill("#name", "WÍLLIAMS")
    await expect(page.locator("#found li").first).to_contain_text("Cleo Williams")


async def test_a_wrong_code_opens_nothing(open_page: OpenPage) -> None:
    page = await open_page("/gate")
    await page.fill("#code", "WRNGCDDE")
    await page.fill("#redeemer", "Kofi")
    await page.click("#enter button")
    await expect(page.locator("#enter-trouble")).to_contain_text("opens no gate")


def film(path: Path, text: str) -> None:
    """A film of a code, as a camera sees it: two frames of YUV."""
    code = Image.new("L", (640, 480), 200)
    drawn = Image.open(segno_png(path, text)).convert("L")
    scale = 420 // drawn.width
    drawn = drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)
    code.paste(drawn, ((640 - drawn.width) // 2, (480 - drawn.height) // 2))
    frame = code.tobytes() + bytes([128]) * (320 * 240 * 2)
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + (b"FRAME\n" + frame) * 2)


def segno_png(path: Path, text: str) -> Path:
    drawn = path.with_suffix(".png")
    segno.make(text, error="m").save(str(drawn), scale=1, border=4)
    return drawn


async def test_the_camera_reads_a_real_ticket(world: World, db: asyncpg.Connection, tmp_path: Path) -> None:
    serial = (await valid_serials(db))[-1]
    row = await db.fetchrow(
        "SELECT event_id, floor(extract(epoch FROM issued_at))::bigint AS issue FROM tickets WHERE serial = $1", serial
    )
    assert row is not None
    key = await signing_key(db, Vault(SECRET))
    film(tmp_path / "ticket.y4m", sign(Claim(serial, row["event_id"], row["issue"]), key.id, key.private))
    async with async_playwright() as playwright:
        seen = f"--use-file-for-fake-video-capture={tmp_path / 'ticket.y4m'}"
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=[*ARGUMENTS, seen])
        try:
            context = await browser.new_context(base_url=world.url, permissions=["camera"])
            context.set_default_timeout(30_000)
            page = await context.new_page()
            await open_gate(page)
            verdict: Any = page.locator("#verdict.good")
            await verdict.wait_for()
            assert await verdict.get_attribute("data-word") == "admitted"
        finally:
            await browser.close()
    assert await db.fetchval("SELECT status FROM tickets WHERE serial = $1", serial) == "Redeemed"


@pytest.mark.parametrize("path", ["/gate", "/gate-worker.js", "/gate.webmanifest"])
async def test_what_the_gate_is_made_of_is_served(open_page: OpenPage, path: str) -> None:
    page = await open_page("/gate")
    assert (await page.request.get(path)).status == 200
