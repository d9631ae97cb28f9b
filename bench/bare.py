"""The yardstick: a bare ASGI application with asyncpg that runs the same SQL and writes JSON; nothing is checked.

`GET /event/ID` reads an event, `POST /order` places a free order of one place, one transaction each.
"""

import os
from typing import Any

import msgspec

from ticketing.events.presenting import COLUMNS, SOURCE
from ticketing.kit.database import Database
from ticketing.orders.intake import new_number
from ticketing.orders.placing import Placement, Terms, place_orders
from ticketing.orders.rules import Limits, Wish

DATABASE = Database(os.environ["DATABASE_URL"], pool_size=12)
TERMS = Terms(Limits(50, 0), lambda cents: 0, 900, "USD")
EVENT_BY_ID = f"SELECT {COLUMNS} FROM {SOURCE} WHERE event.id = $1 AND event.removed_at IS NULL"
EVENT = int(os.environ.get("BENCH_EVENT", "0"))
CUSTOMER = int(os.environ.get("BENCH_CUSTOMER", "0"))


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["method"] == "GET":
        async with DATABASE.pool.acquire() as db:
            row = await db.fetchrow(EVENT_BY_ID, EVENT)
        await _answer(send, 200, msgspec.json.encode(dict(row.items()), enc_hook=str))
    else:
        body = msgspec.json.decode((await receive())["body"])
        await _answer(send, 201, msgspec.json.encode(await _place(body["section"])))


async def _place(section: int) -> dict[str, Any]:
    wish = Wish(DATABASE.new_id(), new_number(), CUSTOMER, ((EVENT, section, 1),))
    async with DATABASE.transaction() as db:
        [placement] = await place_orders(db, [wish], TERMS, DATABASE.new_id)
    assert isinstance(placement, Placement)
    return {"number": wish.number, "items": [number.hex for number in placement.item_numbers]}


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await DATABASE.open()
        else:
            await DATABASE.close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
