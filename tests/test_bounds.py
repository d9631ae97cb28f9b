"""How much an event may hold, how large a page may be, and how much of bodies and answers a process holds."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import NEW_IDS, Client
from makers import make_event, make_section, section_uri
from ticketing.admissions.actions import MOST_TOKENS
from ticketing.events.sections import MOST_PRICES, MOST_SECTIONS, MOST_TEXT_BYTES
from ticketing.web import budget, paging, protocol, streaming
from ticketing.web.budget import Budget
from ticketing.web.errors import Busy
from ticketing.web.operations import Reply

TICKET = "\N{ADMISSION TICKETS}"  # four bytes


async def add_sections(db: asyncpg.Connection, event: dict[str, Any], number: int, description: str = "x") -> None:
    """Sections that were there before."""
    event_id = int(event["self"].rsplit("/", 1)[1])
    await db.executemany(
        "INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text,"
        " sales_start, sales_end, active, capacity, name_key)"
        " VALUES ($1, $2, $3, $4, 0, '2024-01-01T00:00', '2034-01-01T00:00', clock(), clock(), true, 1, lower($3))",
        [(NEW_IDS.new(), event_id, f"Section {number}", description) for number in range(number)],
    )


def body(**members: Any) -> dict[str, Any]:
    usual = {"name": "One more", "description": "Standing", "basePrice": 0, "capacity": 1}
    return usual | {"salesStart": "2024-01-01T00:00", "salesEnd": "2034-06-07T19:00"} | members


async def test_an_event_has_so_many_sections(alice: Client, administrator: Client, db: asyncpg.Connection) -> None:
    event = await make_event(alice, administrator)
    await add_sections(db, event, MOST_SECTIONS - 1)
    path = f"{event['self']}/sections"
    outcomes = await asyncio.gather(*(alice.post(path, body(name=f"Late {number}")) for number in range(4)))
    assert sorted(one.status for one in outcomes) == [201, 409, 409, 409]
    [refused, *_] = [one for one in outcomes if one.status == 409]
    assert refused.error == "The event has reached the limit of sections."
    assert refused["details"] == {"section": f"at most {MOST_SECTIONS} in one event"}
    # One that goes makes room.
    [made] = [one for one in outcomes if one.status == 201]
    assert (await alice.delete(f"{event['self']}{made['self']}")).status == 200
    assert (await alice.post(path, body(name="Room"))).status == 201


async def test_sections_say_so_much_together(alice: Client, administrator: Client, db: asyncpg.Connection) -> None:
    event = await make_event(alice, administrator)
    path, long = f"{event['self']}/sections", TICKET * 5_000
    kept = await alice.post(path, body(name="First", description=long))
    assert kept.status == 201
    assert [(await alice.post(path, body(name=f"Long {n}", description=long))).status for n in range(2)] == [201, 201]
    refused = await alice.post(path, body(name="Fourth", description=long))
    assert (refused.status, list(refused["details"])) == (400, ["description"])
    short = await alice.post(path, body(name="Fourth"))
    assert short.status == 201
    grown = await alice.put(f"{event['self']}{short['self']}", body(name="Fourth", description=long))
    assert grown.status == 400
    # What an older version let in can be changed, and shortened.
    await add_sections(db, event, 10, "x" * 5000)
    assert (await alice.put(f"{event['self']}{kept['self']}", body(name="First", description=long[1:]))).status == 200
    total = await db.fetchval(
        "SELECT sum(octet_length(description)) FROM sections WHERE event_id = $1", int(event["self"].rsplit("/", 1)[1])
    )
    assert total > MOST_TEXT_BYTES


async def test_prices_and_tokens_are_numbered(
    alice: Client, administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketing.events.sections.MOST_PRICES", MOST_PRICES // 10)
    monkeypatch.setattr("ticketing.admissions.actions.MOST_TOKENS", MOST_TOKENS // 20)
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    prices, price = f"{section_uri(event, section)}/prices", {"name": "Early", "price": 1}
    assert {(await alice.post(prices, price)).status for _ in range(MOST_PRICES // 10)} == {201}
    refused = await alice.post(prices, price)
    assert (refused.status, refused["details"]) == (409, {"price": f"at most {MOST_PRICES // 10} in one section"})
    tokens, token = f"{event['self']}/tokens", {"sections": [section_uri(event, section)]}
    assert {(await alice.post(tokens, token)).status for _ in range(MOST_TOKENS // 20 - 1)} == {
        201
    }  # and the global one
    refused = await alice.post(tokens, token)
    assert (refused.status, refused["details"]) == (409, {"token": f"at most {MOST_TOKENS // 20} of one event"})


async def test_a_page_is_of_so_many_bytes(
    alice: Client, administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await make_event(alice, administrator)
    again = {"venue": first["venue"]["self"], "category": first["category"]["self"]}
    for _ in range(30):
        await make_event(alice, administrator, first["host"], **again)
    path = f"{first['host']['self']}/events"
    assert len((await alice.get(path, records=500)).body["entries"]) == 31
    monkeypatch.setattr(paging, "MOST_PAGE_BYTES", 4096)
    refused = await alice.get(path, records=500)
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: records.")
    assert "ask for fewer" in refused["details"]["records"]
    assert (await alice.get(path)).status == 200, "the usual page is never refused"


def test_a_budget_is_shared_and_one_client_has_his_part():
    shared = Budget(total=100, each=60)
    shared.take("192.0.2.1", 50)
    with pytest.raises(Busy):
        shared.take("192.0.2.1", 11)
    shared.take("2001:db8::1", 50)
    with pytest.raises(Busy):
        shared.take("192.0.2.3", 1)
    shared.give_back("2001:db8::2", 50)  # of the same network
    shared.take("192.0.2.3", 50)


async def test_a_large_answer_goes_in_pieces_and_a_client_that_stalls_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, Any] = {"method": "GET", "client": ("192.0.2.1", 1), "headers": []}
    answers = Budget(total=1_000_000, each=600_000)
    monkeypatch.setattr(protocol, "ANSWERS", answers)
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.1)
    sent: list[dict[str, Any]] = []
    stalls = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if stalls.is_set() and message.get("more_body"):
            await asyncio.Event().wait()

    large = Reply(b"x" * 500_000)
    await protocol.send_reply(send, large, scope)
    assert b"".join(one.get("body", b"") for one in sent) == large.body
    assert len(sent) > 5
    assert not sent[-1].get("more_body")

    stalls.set()
    waiting = asyncio.create_task(protocol.send_reply(send, large, scope))
    await asyncio.sleep(0)
    sent.clear()
    await protocol.send_reply(send, large, scope)
    assert sent[0]["status"] == 503
    await asyncio.wait_for(waiting, 10)
    answers.take("192.0.2.1", 600_000)  # all of it is there again


async def test_bodies_under_way_are_bounded(
    http: httpx.AsyncClient, alice: Client, administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await make_event(alice, administrator)
    bodies = Budget(total=2_000_000, each=1_000_000)
    monkeypatch.setattr("ticketing.web.operations.REQUESTS", bodies)
    large = {"banner": "x" * 700_000}
    for _ in range(3):  # one after the other there is room for each
        assert (await alice.put(event["self"], large)).status == 400

    async def slow() -> Any:
        yield b'{"banner": "' + b"x" * 700_000
        await asyncio.sleep(0.2)
        yield b'"}'

    headers = {"X-API-Key": alice.key, "X-Client-Version": "3.0.0"}
    bodies.take("127.0.0.1", 600_000)
    refused = await alice.put(event["self"], large)
    assert (refused.status, refused.headers["connection"]) == (503, "close")
    assert (await alice.put(event["self"], {"title": "x" * 1000})).status == 400, "what is small counts for nothing"
    bodies.give_back("127.0.0.1", 600_000)
    answer = await http.put(f"/v3{event['self']}", headers=headers, content=slow())
    assert answer.status_code == 400
    bodies.take("127.0.0.1", 1_000_000)
    assert budget.SMALL_REQUEST == 65_536


async def test_answers_are_for_the_bearer_alone(alice: Client, public: Client) -> None:
    for answer in (
        await alice.get("/sessions/active"),
        await public.get("/countries"),
        await public.get("/nowhere"),
        await public.post("/countries"),
        await Client(public.http, "0" * 32).get("/events"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_connection_is_closed_over_a_large_body_that_nobody_read(
    http: httpx.AsyncClient, alice: Client
) -> None:
    async def endless() -> Any:
        yield b"x"

    headers = {"X-API-Key": alice.key, "X-Client-Version": "3.0.0"}
    for content, closed in ((b"{}", False), (b"x" * 100_000, True), (endless(), True)):
        answer = await http.request("GET", "/v3/countries", headers=headers, content=content)
        assert answer.status_code == 200
        assert (answer.headers.get("connection") == "close") is closed
        stranger = await http.request("POST", "/v3/orders", content=b"x" * 100_000)
        assert (stranger.status_code, stranger.headers["connection"]) == (412, "close")
