"""Answers that are large to make and that nobody takes."""

import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from arena import ATTACKER, Arena, Bystander, under_way
from conftest import Client
from makers import make_event
from ticketing.kit.ids import Ids

READERS = 40
IDS = Ids(254)


@pytest.fixture(scope="module")
async def place(database: str) -> AsyncIterator[Arena]:
    """One worker, so that it is the one that all of it meets."""
    from arena import arena

    async with arena(database, workers=1) as running:
        yield running


async def large_draft(place: Arena) -> tuple[Client, str]:
    """Somebody with a draft as large as it can be, and where it is read."""
    administrator, runner = await place.person("admin", "administrator"), await place.person("runner")
    event = await make_event(runner, administrator, description="\N{ADMISSION TICKETS}" * 20_000)
    event_id = int(event["self"].rsplit("/", 1)[1])
    await place.db.executemany(
        "INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text,"
        " sales_start, sales_end, active, capacity, name_key)"
        " VALUES ($1, $2, $3, $4, 0, '2024-01-01T00:00', '2034-01-01T00:00', now(), now(), true, 1, lower($3))",
        [(IDS.new(), event_id, f"Section {number}", "\N{ADMISSION TICKETS}" * 5_000) for number in range(100)],
    )
    return runner, event["self"]


@contextlib.asynccontextmanager
async def readers(place: Arena, person: Client, path: str) -> AsyncIterator[list[socket.socket]]:
    """Connections that ask, and never take what they are answered."""
    made = []
    request = f"GET /v3{path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {person.key}\r\nX-Client-Version: 3.0.0\r\n\r\n"
    try:
        for _ in range(READERS):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.bind((ATTACKER, 0))
            one.connect(place.address)
            one.send(request.encode() * 3)
            made.append(one)
        yield made
    finally:
        for one in made:
            one.close()


async def test_readers_that_do_not_read_hold_little(place: Arena, bystander: Bystander) -> None:
    person, path = await large_draft(place)
    await place.ensure_unnoticed(bystander, lambda: readers(place, person, path))
    place.ensure_small()


async def test_large_answers_are_made_one_after_the_other(place: Arena, bystander: Bystander) -> None:
    person, path = await large_draft(place)

    async def read() -> None:
        assert (await person.get(path)).status in (200, 503)

    await place.ensure_unnoticed(bystander, lambda: under_way(*[read] * 8))
    place.ensure_small()
