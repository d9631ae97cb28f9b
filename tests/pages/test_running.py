"""Hosts and administrators: from nothing to a listed event, and through the desk."""

import io

from PIL import Image
from playwright.async_api import expect

from .conftest import OpenPage


def photo() -> bytes:
    """A photo from a phone that lies on its side, to be turned by its EXIF orientation."""
    image = Image.new("RGB", (1600, 1200), "teal")
    image.paste("gold", (0, 0, 800, 1200))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=80)
    return out.getvalue()


async def test_a_host_is_registered_and_its_first_event_is_listed(open_page: OpenPage) -> None:
    host = await open_page("/host", user="grace")
    await host.click("text=Begin")
    await host.fill("#name", "Hilltop Readings")
    await host.click("text=Go on")
    await host.wait_for_url("**/host/events/new*")
    await host.fill("#title", "Poems at Noon")
    await host.fill("#description", "Six poets.\n\nOne microphone.")
    await host.select_option("#kind", label="Reading")
    await host.select_option("#venue", index=1)
    await host.fill("#start", "2031-05-05T12:00")
    await host.fill("#end", "2031-05-05T14:00")
    await host.set_input_files("#banner", {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()})
    await host.click("text=Keep the draft and go on")
    await host.wait_for_url("**/sections")
    await host.fill("#name", "Garden")
    await host.fill("#basePrice", "7,50")
    await host.fill("#capacity", "30")
    await host.click("text=Add the section")
    await expect(host.locator("main")).to_contain_text("0 of 30 sold")
    await host.click("text=Done: look at the event")
    await host.click("text=Send to the reviewers")
    await expect(host.locator("[role=status]").first).to_contain_text("with the reviewers")
    banner = await host.locator(".poster img").get_attribute("src")
    answer = await host.request.get(str(banner).split("?")[0])
    turned = Image.open(io.BytesIO(await answer.body())).convert("RGB")
    top, bottom = turned.getpixel((turned.width // 2, 5)), turned.getpixel((turned.width // 2, turned.height - 5))
    assert top[0] > 200 > bottom[0]  # gold above, teal below: it lay on its side

    desk = await open_page("/desk", user="admin")
    await desk.locator("li", has_text="Poems at Noon").locator("text=Look at it").click()
    await expect(desk.locator("article")).to_contain_text("Six poets.")
    await desk.click("button:has-text('Approve')")
    await expect(desk.locator("[role=status]").first).to_contain_text("on sale")

    buyer = await open_page("/?search=poems noon")
    await expect(buyer.locator(".events")).to_contain_text("Poems at Noon")
    await expect(buyer.locator(".events")).to_contain_text("$7.50")


async def test_what_is_sent_back_says_why_and_faults_stand_beside_their_fields(open_page: OpenPage) -> None:
    host = await open_page("/host/events/new", user="host")
    await host.fill("#title", "Jazz at the Lookout")
    await host.fill("#description", "The same once more")
    await host.select_option("#kind", index=1)
    await host.select_option("#venue", index=1)
    await host.fill("#start", "2031-05-05T12:00")
    await host.fill("#end", "2031-05-05T10:00")
    await host.click("text=Keep the draft and go on")
    await expect(host.locator("#title-fault")).to_contain_text("already")
    await host.fill("#title", "Jazz at the Lookout, again")
    await host.click("text=Keep the draft and go on")
    await expect(host.locator("#end-fault")).to_be_visible()
    assert await host.input_value("#description") == "The same once more"


async def test_cancelling_says_what_it_will_do_before_it_does(open_page: OpenPage) -> None:
    host = await open_page("/host", user="marcus")
    await host.click("text=Small Islands, Big Screens")
    await host.click("text=Cancel the event")
    await expect(host.locator("main")).to_contain_text("40 tickets open no gate any more")
    await host.click("text=Keep it")
    await expect(host.locator("main")).to_contain_text("On sale")


async def test_guests_are_found_and_the_door_list_is_sorted(open_page: OpenPage) -> None:
    page = await open_page("/host", user="marcus")
    await page.click("text=Small Islands, Big Screens")
    await page.click("nav >> text=Guests")
    await page.fill("#search", "okafor")
    await page.click("main button:has-text('Find')")
    await expect(page.locator("main")).to_contain_text("10 tickets")
    await page.click("text=Door list to print")
    names = await page.locator("tbody th").all_inner_texts()
    assert len(names) == 40
    assert [name.split()[-1] for name in names] == sorted(name.split()[-1] for name in names)
