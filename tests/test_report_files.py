"""Reports as files: CSV and spreadsheets, which of them is wanted, and what becomes of one that breaks off."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import openpyxl
import pytest

from conftest import NEW_IDS, Answer, Client, MakePerson
from makers import id_of, list_event, make_event, make_section, make_stage, pay, place
from ticketing.app import build_app
from ticketing.reports import files
from ticketing.reports.formats import Format, liked_best
from ticketing.reports.rules import defused
from ticketing.settings import Settings
from ticketing.web import streaming

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MANY = 5000


def lines(answer: Answer) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.body.startswith(b"\xef\xbb\xbf")  # Excel takes it for UTF-8
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))


def cells(answer: Answer) -> list[list[Any]]:
    """The rows of a spreadsheet, the header first."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == XLSX
    sheet = openpyxl.load_workbook(io.BytesIO(answer.body)).active
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


async def test_sales_as_files(alice: Client, bob: Client, administrator: Client) -> None:
    event, section = await make_stage(alice, administrator, price=19.99, name="=HYPERLINK(1)")
    await pay(bob, await place(bob, event, section, 2))
    path, name = f"{event['self']}/sales", f"sales-{id_of(event)}"
    as_csv = await alice.send("GET", path, headers={"Accept": "text/csv"})
    assert as_csv.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    figures = {"orders": "1", "tickets": "2", "gross": "39.98", "fees": "1.98", "refunded": "0.00", "net": "39.98"}
    assert lines(as_csv) == [
        {"key": id_of(section), "name": "'=HYPERLINK(1)", **figures},
        {"key": "total", "name": "Total", **figures},
    ]
    as_sheet = await alice.get(path, format="xlsx")
    assert as_sheet.headers["content-disposition"] == f'attachment; filename="{name}.xlsx"'
    assert cells(as_sheet) == [
        ["key", "name", "orders", "tickets", "gross", "fees", "refunded", "net"],
        [id_of(section), "'=HYPERLINK(1)", 1, 2, 39.98, 1.98, 0, 39.98],
        ["total", "Total", 1, 2, 39.98, 1.98, 0, 39.98],
    ]
    [row] = (await alice.get(path, group="day"))["rows"]
    _header, daily, _total = cells(await alice.get(path, group="day", format="xlsx"))
    assert daily[0] == datetime.fromisoformat(row["key"])


async def test_transactions_as_files(alice: Client, bob: Client, administrator: Client) -> None:
    event, section = await make_stage(alice, administrator, price=50)
    order = await pay(bob, await place(bob, event, section))
    await administrator.post(order["refunds"], reason="Ill")
    host = id_of(event["host"])
    entries = (await alice.get("/transactions", host=host))["entries"]
    expected = [
        [
            *(one["reference"], one["date"], one["type"], order["number"], bob.number),
            *(f"{one['amount']:.2f}", f"{one['fees']:.2f}", "USD", "Authorised", "sandbox"),
        ]
        for one in entries
    ]
    # A file has them all, whatever the page.
    as_csv = lines(await alice.get("/transactions", host=host, format="csv", records="1", page="7"))
    assert [list(row.values()) for row in as_csv] == expected
    header, *rows = cells(await alice.send("GET", "/transactions", params={"host": host}, headers={"Accept": XLSX}))
    assert header == list(entries[0])
    assert [
        [row[0], f"{row[1]:%Y-%m-%dT%H:%M:%S+00:00}", *row[2:5], f"{row[5]:.2f}", f"{row[6]:.2f}", *row[7:]]
        for row in rows
    ] == expected
    assert {type(value) for row in rows for value in row[5:7]} <= {int, float}


async def test_an_empty_file_has_its_header(alice: Client, administrator: Client) -> None:
    event, _section = await make_stage(alice, administrator)
    answer = await alice.get("/transactions", host=id_of(event["host"]), format="csv")
    assert (
        answer.body.decode("utf-8-sig") == "reference,date,type,order,customer,amount,fees,currency,status,provider\r\n"
    )
    assert len(cells(await alice.get("/transactions", host=id_of(event["host"]), format="xlsx"))) == 1


async def test_a_refusal_is_json_whatever_was_wanted(alice: Client, bob: Client, administrator: Client) -> None:
    event, _section = await make_stage(alice, administrator)
    refused = await bob.send("GET", f"{event['self']}/sales", headers={"Accept": "text/csv"})
    assert refused.status == 403
    assert refused.headers["content-type"] == "application/json"
    bad = await alice.get("/transactions", host=id_of(event["host"]), format="csv", status="Lost")
    assert (bad.status, bad.error) == (400, "The following arguments have invalid values: status.")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.JSON),
        ("text/csv", Format.CSV),
        ("TEXT/CSV; header=present", Format.CSV),
        ("text/*", Format.CSV),
        ("text/csv;q=0.5, application/json;q=0.9", Format.JSON),
        ("application/json;q=0.2, text/csv;q=0.4", Format.CSV),
        (f"{XLSX}, */*;q=0.1", Format.XLSX),
        ("text/csv;q=often", Format.JSON),
        ("image/png", Format.JSON),
    ],
)
def test_accept_says_what_is_wanted(accept: str, wanted: Format) -> None:
    assert liked_best(accept) is wanted


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_what_looks_like_a_formula_is_none(text: str) -> None:
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "1=1", "Floor", " =1", "O'Hara"])
def test_what_does_not_stays(text: str) -> None:
    assert defused(text) == text


async def test_a_full_sheet_is_followed_by_another(
    alice: Client, bob: Client, administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_PER_SHEET", 3)
    event = await make_event(alice, administrator)
    sections = [await make_section(alice, event) for _ in range(4)]
    event = await list_event(administrator, event)
    answer = await alice.get(f"{event['self']}/sales", format="xlsx")
    sheets = openpyxl.load_workbook(io.BytesIO(answer.body)).worksheets
    keys = [[row[0].value for row in sheet.iter_rows()] for sheet in sheets]
    first, second, third, fourth = (id_of(section) for section in sections)
    assert keys == [["key", first, second], ["key", third, fourth], ["key", "total"]]


# What breaks off


class Wire:
    """A connection to the application itself: its client takes chunks when it is told to, and can go away."""

    def __init__(self, app: Any, caller: Client, query: str, *, address: str = "127.0.0.1") -> None:
        self.said: list[dict[str, Any]] = []
        self.takes = asyncio.Semaphore(0)
        self.gone = asyncio.Event()
        headers = [(b"x-api-key", caller.key.encode()), (b"x-client-version", b"3.0.0")]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v3/transactions",
            "raw_path": b"/v3/transactions",
            "query_string": query.encode(),
            "headers": headers,
            "client": (address, 1),
        }
        self.answering = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await self.takes.acquire()
        self.said.append(message)

    @property
    def is_whole(self) -> bool:
        return bool(self.said) and not self.said[-1].get("more_body", self.said[-1]["type"] == "http.response.start")


@pytest.fixture(scope="module")
async def much(db: asyncpg.Connection, alice: Client, bob: Client, administrator: Client) -> None:
    """More payments than come in one piece."""
    event, section = await make_stage(alice, administrator)
    order = await place(bob, event, section)
    await db.execute(
        """INSERT INTO payments (id, order_id, provider, amount_cents, currency, status, opened_at, held_until,
                                 deadline_at, ask_at, closed_at)
           SELECT $1::bigint + n, (SELECT id FROM orders WHERE number = $2), 'sandbox', 2099, 'USD', 'Declined',
                  clock(), clock(), clock(), clock(), clock()
             FROM generate_series(1, $3) n""",
        NEW_IDS.new(),
        order["number"],
        MANY,
    )


async def reading(db: asyncpg.Connection) -> list[int]:
    """The connections whose cursor is open."""
    rows = await db.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"
    )
    return [row["pid"] for row in rows]


async def until(found: Any) -> None:
    async with asyncio.timeout(5):
        while not await found():
            await asyncio.sleep(0.01)


@pytest.fixture
async def wire(app: Any, administrator: Client, much: None, db: asyncpg.Connection) -> AsyncIterator[Wire]:
    """A client who has taken the first piece of a long file; the next is read, and waits for him."""
    wire = Wire(app, administrator, "format=csv&order=desc")
    wire.takes.release()
    await until(lambda: _has_said(wire, 2))
    await until(lambda: reading(db))
    yield wire
    wire.answering.cancel()
    await asyncio.gather(wire.answering, return_exceptions=True)


async def _has_said(wire: Wire, messages: int) -> bool:
    return len(wire.said) >= messages


async def test_a_long_file_comes_in_pieces_as_it_is_read(wire: Wire, db: asyncpg.Connection) -> None:
    assert len(await reading(db)) == 1
    assert not wire.is_whole
    for _piece in range(MANY):
        wire.takes.release()
    await asyncio.wait_for(wire.answering, 5)
    assert wire.is_whole
    body = b"".join(message.get("body", b"") for message in wire.said).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(body)))
    assert sum(row["status"] == "Declined" for row in rows) == MANY
    assert len(wire.said) > MANY // 1000
    assert await reading(db) == []


async def test_a_client_who_goes_away_lets_go_of_the_cursor(wire: Wire, db: asyncpg.Connection) -> None:
    assert len(await reading(db)) == 1
    wire.gone.set()
    await asyncio.wait_for(wire.answering, 5)
    assert await reading(db) == []
    assert not wire.is_whole


async def test_a_client_who_stalls_does_not_keep_the_cursor(
    app: Any, administrator: Client, db: asyncpg.Connection, much: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.05)
    stalled = Wire(app, administrator, "format=csv")
    await asyncio.wait_for(stalled.answering, 5)
    assert await reading(db) == []
    assert not stalled.is_whole


async def test_a_file_whose_reading_fails_is_never_ended_properly(wire: Wire, db: asyncpg.Connection) -> None:
    [pid] = await reading(db)
    await db.execute("SELECT pg_terminate_backend($1)", pid)
    for _piece in range(MANY):
        wire.takes.release()
    await asyncio.wait_for(wire.answering, 5)
    assert wire.said[0]["status"] == 200
    assert not wire.is_whole


async def test_nobody_has_all_the_files_that_are_made_at_a_time(
    settings: Settings, administrator: Client, make_person: MakePerson, much: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await make_person("accountant", "administrator")
    monkeypatch.setattr(files, "WAIT_SECONDS", 0.3)
    edge = build_app(settings)
    async with edge.app.router.lifespan_context(edge.app):
        greedy = [Wire(edge, administrator, "format=csv") for _ in range(3)]
        for wire in greedy:
            wire.takes.release()
        for wire in greedy:
            await until(lambda wire=wire: _has_said(wire, 1))
        # Two are his, though there is room for three; the third is told to come again.
        first, second, refused = sorted(greedy, key=lambda wire: int(wire.said[0]["status"]))
        assert [wire.said[0]["status"] for wire in (first, second, refused)] == [200, 200, 503]
        assert (b"retry-after", b"5") in refused.said[0]["headers"]
        modest = Wire(edge, other, "format=xlsx&type=refund", address="127.0.0.2")
        modest.takes = asyncio.Semaphore(100)
        await asyncio.wait_for(modest.answering, 10)
        assert modest.said[0]["status"] == 200
        first.gone.set()
        await asyncio.wait_for(first.answering, 5)
        again = Wire(edge, administrator, "format=csv")
        again.takes.release()
        await until(lambda: _has_said(again, 2))
        for wire in (*greedy, again):
            wire.answering.cancel()
        await asyncio.gather(*(wire.answering for wire in (*greedy, again)), return_exceptions=True)
