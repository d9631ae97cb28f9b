"""Tickets that one can hold: what is printed can be read by people and by scanners, and by nobody else."""

import io
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pypdfium2
import pytest
from PIL import Image

from conftest import SECRET, Answer, Client, MakePerson, breaks_by_hand, unique
from makers import gate, hold_tickets, id_of, list_event, make_event, make_host, make_section, make_venue, section_uri
from paper import PRINTER_DPI, pages, read_code, sheet, texts
from ticketing.kit.database import Database
from ticketing.kit.overload import Overloaded
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.tickets.keys import find_public_keys
from ticketing.tickets.payloads import is_signed, parse
from ticketing.tickets.press import Press
from ticketing.tickets.printing import order_ics, order_pdf, ticket_pdf
from ticketing.tickets.sheets import PrintPdf
from ticketing.web.operations import Services

PHONE_PIXELS = 360  # the width of a small phone's screen
NO_GATE = "This ticket opens no gate: it is in a transfer or voided, or the event has been cancelled."
NOTHING = "This order has no tickets that could be printed."

Event = dict[str, Any]


@pytest.fixture(scope="module")
async def press() -> AsyncIterator[Press]:
    press = Press(seconds=600)
    yield press
    press.close()


@pytest.fixture(scope="module")
async def services(settings: Settings, press: Press) -> AsyncIterator[Services]:
    """What the worker has at hand when it writes letters."""
    database = Database(settings.database_url, pool_size=2)
    await database.open()
    yield Services(settings, database, Vault(settings.secret), press)
    await database.close()


@pytest.fixture(scope="module")
async def floor(alice: Client, administrator: Client) -> tuple[Event, Event]:
    """A listed event and its section."""
    event = await make_event(alice, administrator, disclaimer="Bring a coat.")
    section = await make_section(alice, event, name="Floor", capacity=200)
    await list_event(administrator, event)
    return event, section


async def buy(buyer: Client, floor: tuple[Event, Event], quantity: int = 1) -> Answer:
    """A free order, fulfilled at once."""
    order = await buyer.post("/orders", items={section_uri(*floor): quantity})
    assert order.status == 201, order.body
    return order


def paper(buyer: Client, serial: str, ending: str = "") -> str:
    return f"/accounts/{buyer.number}/tickets/{serial}{ending}"


async def test_a_printed_ticket_lets_its_holder_in(
    floor: tuple[Event, Event], alice: Client, bob: Client, public: Client
) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    printed = await bob.get(paper(bob, serial, ".pdf"))
    assert printed.status == 200
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.headers["content-disposition"] == f'attachment; filename="{serial}.pdf"'
    assert printed.headers["cache-control"] == "private, no-store"
    (page,) = pages(printed.body)
    assert (page.width, page.height) == (621, 875)  # A6
    (token,) = (await alice.get(f"{floor[0]['self']}/tokens"))["entries"]
    scanner = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    body = {"redeemer": "Vera", "device": "Scanner 4", "serials": [read_code(page)]}
    admitted = await scanner.post(f"{floor[0]['self']}/admissions", body)
    assert [one["ticket"] for one in admitted.body] == [serial]
    assert (await bob.get(paper(bob, serial, ".pdf"))).status == 200  # who was inside may still show what he paid for


async def test_the_page_says_what_and_where_and_when(floor: tuple[Event, Event], alice: Client, bob: Client) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    (text,) = texts((await bob.get(paper(bob, serial, ".pdf"))).body)
    event = floor[0]
    for said in (
        event["title"],
        event["host"]["name"],
        event["venue"]["name"],
        event["venue"]["address"],
        "Wednesday 7 June 2034 20:00 to 23:00 America/Antigua (UTC-04:00)",
        "SECTION Floor HOLDER Bob Tester",
        serial.split("-")[0],
        serial.split("-")[1],
        "Bring a coat.",
    ):
        assert said in text, text


async def test_the_code_can_be_read_on_paper_on_a_phone_and_alone(
    floor: tuple[Event, Event], alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    printed = await bob.get(paper(bob, serial, ".pdf"))
    drawn = await bob.get(paper(bob, serial, ".png"))
    assert (drawn.headers["content-type"], drawn.headers["cache-control"]) == ("image/png", "private, no-store")
    (on_paper,) = pages(printed.body)
    (on_phone,) = pages(printed.body, dpi=PHONE_PIXELS / (105 / 25.4))
    assert on_phone.width == PHONE_PIXELS + 1
    alone = Image.open(io.BytesIO(drawn.body))
    quiet = alone.convert("L").crop((0, 0, alone.width, 40))
    assert quiet.getextrema() == (255, 255)  # four modules of ten pixels
    read = {
        read_code(picture.convert("L")) for picture in (on_paper, on_paper.rotate(90, expand=True), on_phone, alone)
    }
    (payload,) = read
    claim = parse(payload)
    assert claim is not None
    assert is_signed(claim, await find_public_keys(db, [claim.key]))
    assert (claim.claim.serial, claim.claim.event) == (serial, int(id_of(floor[0])))


async def test_the_wallet_shows_the_ticket_itself(floor: tuple[Event, Event], alice: Client, bob: Client) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    shown = await bob.get(paper(bob, serial))
    assert shown.body == (await bob.get(f"/tickets/{serial}")).body
    for missing in (paper(bob, "NOBODY-HASITSERIAL0"), paper(alice, serial), paper(bob, f"{serial}.PDF")):
        answer = await (alice if alice.number in missing else bob).get(missing)
        assert answer.body == {"error": "There is presently no resource with the given URI."}
        assert answer.status == 404
    assert (await bob.get(paper(bob, serial, ".gif"))).status == 404
    assert (await bob.post(paper(bob, serial, ".pdf"))).status == 405


async def test_tickets_are_for_those_who_may_see_the_wallet(
    floor: tuple[Event, Event], alice: Client, bob: Client, support: Client, administrator: Client
) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    for ending in ("", ".pdf", ".png", ".ics"):
        stranger = await alice.get(paper(bob, serial, ending))
        assert (stranger.status, stranger.error) == (403, "You are not authorised to access or modify this account.")
        for caller in (bob, support, administrator):
            assert (await caller.get(paper(bob, serial, ending))).status == 200


async def test_a_ticket_on_its_way_has_no_code_and_its_new_owner_gets_another(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    order = (await bob.get(f"/accounts/{bob.number}/orders", order="desc", records=1))["entries"][0]
    carol = await make_person("carol")
    sent = await bob.post("/transfers", recipient=carol.number, tickets={section_uri(event, section): 1})
    assert sent.status == 201, sent.body
    for ending in (".pdf", ".png"):
        answer = await bob.get(paper(bob, serial, ending))
        assert (answer.status, answer.error) == (409, NO_GATE)
    assert (await bob.get(paper(bob, serial)))["status"] == "Pending"
    assert (await bob.get(paper(bob, serial, ".ics"))).status == 200  # he may still cancel, and go
    assert (await carol.post(sent["claims"], {})).status == 201
    for ending in ("", ".pdf", ".png", ".ics"):
        assert (await bob.get(paper(bob, serial, ending))).status == 404
    assert (await bob.get(f"{order['self']}/tickets.pdf")).error == NOTHING
    (hers,) = (await carol.get(f"/accounts/{carol.number}/tickets"))["entries"]
    (page,) = pages((await carol.get(paper(carol, hers["serial"], ".pdf"))).body)
    assert hers["serial"] != serial
    assert read_code(page).split(".")[2] == hers["serial"]


@breaks_by_hand
async def test_a_voided_ticket_has_no_code(
    floor: tuple[Event, Event], alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = $1", serial)
    for ending in (".pdf", ".png"):
        answer = await bob.get(paper(bob, serial, ending))
        assert (answer.status, answer.error) == (409, NO_GATE)
    assert (await bob.get(paper(bob, serial)))["status"] == "Voided"


async def test_nothing_is_printed_for_a_cancelled_event(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    order = await buy(bob, (event, section))
    (ticket,) = (await bob.get(f"/accounts/{bob.number}/tickets", event=id_of(event)))["entries"]
    await db.execute("UPDATE events SET status = 'Cancelled' WHERE id = $1", int(id_of(event)))
    assert (await bob.get(paper(bob, ticket["serial"], ".pdf"))).error == NO_GATE
    assert (await bob.get(f"{order['self']}/tickets.pdf")).error == NOTHING


@breaks_by_hand
async def test_an_order_prints_what_its_customer_still_holds(
    floor: tuple[Event, Event], alice: Client, bob: Client, support: Client, db: asyncpg.Connection
) -> None:
    serials = await hold_tickets(bob, alice, *floor, 4)
    (order,) = (await bob.get(f"/accounts/{bob.number}/orders", order="desc", records=1))["entries"]
    path = f"{order['self']}/tickets.pdf"
    stranger = await alice.get(path)
    assert stranger.status == 403
    assert stranger.error == "This account is not permitted to manage orders on behalf of the ordering customer."
    printed = await bob.get(path)
    assert printed.headers["content-disposition"] == f'attachment; filename="tickets-{order["number"]}.pdf"'
    assert [read_code(page).split(".")[2] for page in pages(printed.body)] == serials
    await db.execute("UPDATE tickets SET owner_id = $2 WHERE serial = $1", serials[0], alice.id)
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = ANY($1)", serials[1:3])
    rest = await support.get(path)
    assert [read_code(page).split(".")[2] for page in pages(rest.body)] == serials[3:]
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = $1", serials[3])
    nothing = await bob.get(path)
    assert (nothing.status, nothing.error) == (409, NOTHING)
    assert (await bob.get("/orders/000000000000/tickets.pdf")).status == 404


async def test_a_letter_gets_the_pages_and_the_days_of_an_order(
    services: Services, floor: tuple[Event, Event], alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event_id = int(id_of(floor[0]))
    order = await buy(bob, floor, 50)
    order_id = await db.fetchval("SELECT id FROM orders WHERE number = $1", order["number"])
    printed = await order_pdf(services, order_id)
    assert printed is not None
    assert len(printed) < 300_000  # a mail can take it
    with pypdfium2.PdfDocument(printed) as document:
        last = document[49].render(scale=PRINTER_DPI / 72).to_pil()
        assert len(document) == 50
    (newest,) = await db.fetch("SELECT serial FROM tickets WHERE event_id = $1 ORDER BY id DESC LIMIT 1", event_id)
    assert read_code(last).split(".")[2] == newest["serial"]
    noted = await order_ics(services, order_id)
    assert noted is not None
    assert noted.count(b"BEGIN:VEVENT") == 1
    unknown = await order_pdf(services, 1), await order_ics(services, 1)
    assert unknown == (None, None)


SCRIPTS = {
    "Arabic": "مهرجان الموسيقى",
    "Hebrew": "שלום עולם",
    "Chinese": "演唱会：第七日的黎明",
    "Japanese": "夜明けのコンサート",
    "Korean": "서울 공연",
    "Cyrillic": "Рассвет семи",
    "Greek": "Αυγή των επτά",
    "Vietnamese": "Bình minh của bảy người Đặng",
    "Thai": "กรุงเทพ",
    "Georgian": "ქართული",
    "Armenian": "Հայերեն",
    "Tamil": "தமிழ்",
}


async def test_names_in_any_script_print(press: Press) -> None:
    sheets = [sheet(title=f"{name} 2034", holder=name, host=name) for name in SCRIPTS.values()]
    printed = await press.print(PrintPdf(sheets))
    for script, text in zip(SCRIPTS, texts(printed), strict=True):
        assert text.count(SCRIPTS[script]) == 3, text
    assert {read_code(page) for page in pages(printed)} == {sheet().payload}


@pytest.mark.parametrize("text", ["ދިވެހި", "བོད་ཡིག", "ᏣᎳᎩ", "ꦗꦮ", "ᠮᠣᠩᠭᠣᠯ", "ߒߞߏ", "ᐃᓄᒃᑎᑐᑦ", "👩‍🚀"])
async def test_what_no_font_has_is_a_box_and_is_drawn(press: Press, text: str) -> None:
    printed = await press.print(PrintPdf([sheet(title=text), sheet(title="\u200d")]))
    assert "□" in texts(printed)[0]
    drawn, nothing = (page.convert("L").crop((0, 0, page.width, page.height // 3)) for page in pages(printed))
    assert drawn.tobytes() != nothing.tobytes()


async def test_an_evening_abroad_prints_as_it_was_written(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    host = await make_host(alice, name=unique("دار الأوبرا"))
    venue = await make_venue(
        administrator, name=unique("올림픽공원"), address="서울특별시 송파구", longitude=127.12, latitude=37.52
    )
    event = await make_event(
        alice, administrator, host, venue=venue["self"], title=unique("演唱会"), start="2034-06-07T20:00", end=""
    )
    section = await make_section(alice, event, name="Балкон")
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    (text,) = texts((await bob.get(paper(bob, serial, ".pdf"))).body)
    for said in (venue["name"], event["title"], "서울특별시 송파구", "Балкон", "20:00 Asia/Seoul (UTC+09:00)"):
        assert said in text, text


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2034-06-07T22:00+02:00", "2034-06-08T02:30", "Wednesday 7 June 2034 16:00 to 8 June 2034, 02:30"),
        ("2034-06-07T20:00", "9999-12-31T23:59:59.999Z", "Wednesday 7 June 2034 20:00 America/Antigua"),
        ("9999-12-31T23:59:59.999Z", "", "Date to be announced VENUE"),
        ("", "", "Date to be announced VENUE"),
    ],
)
async def test_times_are_the_venues(
    alice: Client, bob: Client, administrator: Client, start: str, end: str, said: str
) -> None:
    event = await make_event(alice, administrator, start=start, end=end)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    (text,) = texts((await bob.get(paper(bob, serial, ".pdf"))).body)
    assert said in text, text


BERLIN = {"longitude": 13.405, "latitude": 52.52}


@pytest.mark.parametrize(
    ("place", "times", "said"),
    [
        (
            BERLIN,  # clocks are changed that night
            {"start": "2034-10-28T22:00", "end": "2034-10-29T04:00", "doors": "2034-10-28T21:00"},
            "22:00 to 29 October 2034, 04:00 Europe/Berlin (UTC+02:00, at the end UTC+01:00) Doors 21:00 VENUE",
        ),
        (
            BERLIN,
            {"start": "2034-10-29T04:00", "end": "", "doors": "2034-10-29T02:30"},
            "04:00 Europe/Berlin (UTC+01:00) Doors 02:30 (UTC+02:00) VENUE",
        ),
        (
            {},
            {"start": "", "end": "", "doors": "2034-06-07T19:00"},
            "Date to be announced America/Antigua (UTC-04:00) Doors 7 June 2034, 19:00 VENUE",
        ),
        (
            {},
            {"doors": "2034-06-06T19:00"},
            "20:00 to 23:00 America/Antigua (UTC-04:00) Doors 6 June 2034, 19:00 VENUE",
        ),
    ],
)
async def test_the_page_tells_when_the_doors_open_and_how_clocks_stand(
    services: Services,
    alice: Client,
    bob: Client,
    administrator: Client,
    place: dict[str, float],
    times: dict[str, str],
    said: str,
) -> None:
    venue = await make_venue(administrator, **place)
    event = await make_event(alice, administrator, venue=venue["self"], **times)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    printed = await ticket_pdf(services, serial)
    assert printed is not None
    (text,) = texts(printed)
    assert said in text, text


PLACEHOLDER = "{nb}"  # fpdf2 would put the number of pages in its place
HOSTILE = [
    "🎉👩‍👩‍👧🏳️‍🌈",
    "Z̷̢͓̈́̂̃̄̅̆̇a̴͔̓l̷̟̀g̴̫͝o̶̰̚" * 15,
    "A" * 200,
    "W W " * 50,
    "\u202e\u2066reversed\u2069 \u200b\u200d\ufeff",
    "line\nbreak\ttab\x07\x1b[31m",
    "\U00020000\U0010ffff\ue000\ufffe",
    "(paren) \\ **bold** __under__ %s {0} <b>html</b> /F1 9 Tf",
    "\u0627" * 200,
    "語" * 200,
    "\u0300\u0301\u0302",
    PLACEHOLDER,
    "שלום (hello) עולם [1] مرحبا 3.14%",
]


async def test_no_name_breaks_the_page(press: Press) -> None:
    names = ("title", "host", "section", "holder", "venue", "address")
    sheets = [sheet(**dict.fromkeys(names, text), disclaimer=text * 40) for text in HOSTILE]
    printed = await press.print(PrintPdf(sheets))
    for text, page, shown in zip(HOSTILE, pages(printed), texts(printed), strict=True):
        assert read_code(page) == sheet().payload, text
        ink = page.convert("L").point(lambda level: 255 if level < 128 else 0)
        below = ink.crop((0, page.height - 20, page.width, page.height))
        assert below.getbbox() is None, text  # nothing runs off the page
        assert "\u202e" not in shown
        assert "HOLDER" in shown, text
        assert (PLACEHOLDER in shown) is (text == PLACEHOLDER)


async def test_a_serial_is_never_shortened(press: Press) -> None:
    serial = "WWWWWW-WWWWWWWWWWWW"
    (text,) = texts(await press.print(PrintPdf([sheet(serial=serial)])))
    assert "WWWWWWWWWWWW" in text
    assert "…" not in text


async def test_a_short_text_is_not_shortened_and_a_long_one_says_so(press: Press) -> None:
    long = "An Evening of Words and Music " * 6
    (short, shortened) = texts(await press.print(PrintPdf([sheet(title="Jazz"), sheet(title=long)])))
    assert "Jazz" in short
    assert "…" not in short
    assert "An Evening of Words" in shortened
    assert "… Wednesday" in shortened


async def test_an_overloaded_press_is_a_503(
    floor: tuple[Event, Event], alice: Client, bob: Client, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (serial,) = await hold_tickets(bob, alice, *floor)
    monkeypatch.setattr("ticketing.kit.threads.BoundedThreads.run", _full)
    busy = await bob.get(paper(bob, serial, ".pdf"))
    assert (busy.status, busy.error) == (503, "The server is busy. Please try again in 2 seconds.")
    assert busy.headers["retry-after"] == "2"


async def _full(*_arguments: object) -> bytes:
    raise Overloaded(2)


def test_who_answers_requests_loads_no_fonts() -> None:
    loaded = (
        "import sys, ticketing.app; print([n for n in ('fpdf', 'uharfbuzz', 'fontTools', 'segno') if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert SECRET not in said.stdout
