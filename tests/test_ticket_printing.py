"""Tickets that one can hold: the PDF, the QR code, the calendar file."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from conftest import Client
from makers import list_event, make_event, make_section, section_uri
from ticketing.kit.database import Database
from ticketing.kit.operations import Services
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.tickets.press import Press
from ticketing.tickets.printing import order_ics, order_pdf

PRINTED = 150  # dots per inch


def pages(pdf: bytes, *, dpi: int = PRINTED) -> list[Image.Image]:
    """The pages of the file, drawn as a printer would."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=dpi / 72).to_pil() for page in document]


def read_code(picture: Image.Image) -> str:
    """What a scanner reads in the picture, which must hold one code."""
    (found,) = zxingcpp.read_barcodes(picture)
    return found.text


@pytest.fixture(scope="module")
async def services(settings: Settings) -> AsyncIterator[Services]:
    """What the worker has at hand when it writes letters."""
    database, press = Database(settings.database_url, pool_size=2), Press()
    await database.open()
    yield Services(settings, database, Vault(settings.secret), press)
    press.close()
    await database.close()


async def buy(buyer: Client, event: dict[str, Any], section: dict[str, Any], quantity: int = 1) -> dict[str, Any]:
    """A free order, fulfilled at once."""
    order = await buyer.post("/orders", items={section_uri(event, section): quantity})
    assert order.status == 201, order.body
    bought: dict[str, Any] = order.body
    return bought


async def test_an_order_prints_as_one_file(
    services: Services, alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    floor = await make_section(alice, event)
    await list_event(administrator, event)
    order = await buy(bob, event, floor, 2)
    order_id = await db.fetchval("SELECT id FROM orders WHERE number = $1", order["number"])
    printed = await order_pdf(services, order_id)
    assert printed is not None
    read = [read_code(page) for page in pages(printed)]
    serials = [row["serial"] for row in await db.fetch("SELECT serial FROM tickets ORDER BY id")]
    assert [text.split(".")[2] for text in read] == serials
    calendar = await order_ics(services, order_id)
    assert calendar is not None
    assert b"DTSTART:20340608T000000Z\r\nDTEND:20340608T030000Z\r\n" in calendar
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = $1", serials[0])
    rest = await order_pdf(services, order_id)
    assert rest is not None
    assert len(pages(rest)) == 1
