"""Buyers: from the front page to a code that opens the gate, with scripts and without."""

import io
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Page, expect

from .conftest import OpenPage, sign_in

CARD = {
    "number": "4111111111111111",
    "expiryDate": "12/34",
    "cvv": "123",
    "phone": "1",
    "address1": "High Street 1",
    "city": "Saint John's",
    "district": "Saint John",
}
DECLINED = "5555555555555555"


async def choose(page: Page, event: str, section: str, quantity: int) -> None:
    """From the front page into the cart."""
    await page.goto("/")
    await page.click(f"text={event}")
    await page.fill(f'input[aria-label="How many: {section}"]', str(quantity))
    await page.click("text=Get tickets")
    await page.wait_for_url("**/cart")


async def fill_card(page: Page, **other: str) -> None:
    for name, value in (CARD | other).items():
        await page.fill(f"#{name}", value)
    await page.select_option("#country", "Barbados")


async def read_code(page: Page) -> str:
    """What our own decoder reads from a picture of the page."""
    image = Image.open(io.BytesIO(await page.screenshot(full_page=True)))
    found = zxingcpp.read_barcodes(image)
    assert found, "no code on the page"
    return str(found[0].text)


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_buyer_gets_from_the_front_page_to_a_code(open_page: OpenPage, has_scripts: bool) -> None:
    page = await open_page("/", java_script_enabled=has_scripts)
    await choose(page, "Dawn of the Seven", "Quay", 2)
    await expect(page.locator("main")).to_contain_text("$45.98")
    await page.click("text=Go on")
    assert "/sign-in" in page.url
    await expect(page.locator("main")).to_contain_text("Nothing is held for you yet")
    await page.fill("#identification", "cleo")
    await page.fill("#password", "not this one")
    await page.click("main form button")
    await expect(page.locator("[role=alert]")).to_contain_text("This password does not fit")
    await page.fill("#password", "demo-password")
    await page.click("main form button")
    await page.wait_for_url("**/checkout")
    await page.click("text=Hold my places and pay")
    await page.wait_for_url("**/checkout/*")
    await expect(page.locator("[role=timer]")).to_contain_text("Your places are held")
    await fill_card(page, number=DECLINED)
    await page.click("button:has-text('Pay $45.98')")
    await expect(page.locator("[role=alert]")).to_contain_text("This card number is not right")
    assert await page.input_value("#address1") == CARD["address1"]
    assert await page.input_value("#number") == ""
    await fill_card(page)
    await page.click("button:has-text('Pay $45.98')")
    await page.wait_for_url("**/orders/*")
    await expect(page.locator("[role=status]")).to_contain_text("these tickets are yours")
    order = page.url.rsplit("/", 1)[1]
    await page.reload()
    await expect(page.locator("main")).to_contain_text(order)
    await page.goto("/tickets")
    await page.locator(".wallet a", has_text="Quay").first.click()
    await page.wait_for_load_state("networkidle")
    code = await read_code(page)
    assert code.startswith("TK1.")
    assert (await page.locator("article code").first.inner_text()) in code


async def test_a_double_click_orders_and_pays_once(open_page: OpenPage, db: Any) -> None:
    page = await open_page("/", user="dario")
    await choose(page, "Soca Sunrise", "Field", 1)
    before = await db.fetchval("SELECT count(*) FROM orders")
    form = page.locator("form[action='/checkout']")
    fields = await form.locator("input").evaluate_all("found => found.map(one => [one.name, one.value])")
    answers = [
        await page.request.post(
            "/checkout",
            form=dict(fields),
            headers={"Origin": page.url.split("/cart")[0], "Sec-Fetch-Site": "same-origin"},
            max_redirects=0,
        )
        for _ in range(2)
    ]
    assert {answer.headers["location"] for answer in answers} == {answers[0].headers["location"]}
    assert await db.fetchval("SELECT count(*) FROM orders") == before + 1


async def test_the_bank_is_asked_and_the_order_is_paid(open_page: OpenPage) -> None:
    page = await open_page("/", user="esther")
    await choose(page, "Soca Sunrise", "Field", 1)
    await page.click("text=Hold my places and pay")
    await page.wait_for_url("**/checkout/*")
    await fill_card(page, number="4000002500003155")
    await page.click("button:has-text('Pay ')")
    await page.wait_for_url("**/waiting")
    await expect(page.locator("main")).to_contain_text("Your bank wants to hear from you")
    await page.click("text=Go to my bank")
    await page.wait_for_url("**/bank")
    await page.click("text=Back to my order")
    await page.wait_for_url("**/orders/*", timeout=60_000)
    await expect(page.locator("main")).to_contain_text("Paid")


async def test_what_sold_out_meanwhile_is_said_and_what_was_chosen_is_kept(open_page: OpenPage, db: Any) -> None:
    page = await open_page("/", user="femi")
    await choose(page, "Soca Sunrise", "Party Stand", 2)
    await db.execute("UPDATE sections SET capacity = sold + held WHERE name = 'Party Stand'")
    await page.click("text=Hold my places and pay")
    await expect(page.locator("[role=alert]")).to_contain_text("could not be held")
    await expect(page.locator("main")).to_contain_text("Sold out")
    await db.execute("UPDATE sections SET capacity = 1200 WHERE name = 'Party Stand'")


async def test_a_price_that_changed_is_shown_and_never_silently_charged(open_page: OpenPage, db: Any) -> None:
    page = await open_page("/", user="hugo")
    await choose(page, "Soca Sunrise", "Party Stand", 1)
    await expect(page.locator("main")).to_contain_text("$96.99")
    await db.execute("UPDATE sections SET base_price_cents = 9900 WHERE name = 'Party Stand'")
    await page.click("text=Hold my places and pay")
    await expect(page.locator("[role=alert]")).to_contain_text("The price has changed")
    await expect(page.locator(".total")).to_contain_text("$100.99")
    await page.click("text=Hold my places and pay")
    await page.wait_for_url("**/checkout/*")
    await db.execute("UPDATE sections SET base_price_cents = 9500 WHERE name = 'Party Stand'")
    await page.click("text=Give the places back")
    await page.wait_for_url("**/cart")


async def test_tickets_are_handed_on_and_taken(open_page: OpenPage) -> None:
    sender = await open_page("/tickets", user="grace")
    await sender.locator("section", has_text="Soca Sunrise").locator("text=Send to somebody").click()
    await sender.fill("#recipient", "nobody-like-this")
    await sender.click("main form button:has-text('Send')")
    await expect(sender.locator("[role=alert]")).to_contain_text("We know no account")
    await sender.fill("#recipient", "iris")
    await sender.click("main form button:has-text('Send')")
    await sender.wait_for_url("**/transfers")
    await expect(sender.locator("main")).to_contain_text("To Iris Warner")
    taker = await open_page("/tickets", user="iris")
    await taker.click("text=Take them")
    await expect(taker.locator("[role=status]")).to_contain_text("yours now")
    await expect(taker.locator("main")).to_contain_text("Soca Sunrise")


async def test_who_signs_out_is_out(open_page: OpenPage) -> None:
    page = await open_page("/account", user="customer")
    await page.click("text=Sign out >> nth=0")
    await page.wait_for_url("**/")
    await page.goto("/tickets")
    assert "/sign-in" in page.url
    await sign_in(page, "customer")
    assert page.url.endswith("/tickets")
