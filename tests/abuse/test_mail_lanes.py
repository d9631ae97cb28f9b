"""So much to send that somebody's code would wait."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import asyncpg
import httpx

from conftest import SECRET, Client, MakePerson
from mailing import FROM, MailServer, mail_server
from makers import id_of, list_event, make_event, make_section, place, register
from ticketing.jobs.recurring import Jobs
from ticketing.letters.posting import Lane
from ticketing.mail.jobs import jobs
from ticketing.serving.job_worker import run_worker
from ticketing.settings import Settings

CUSTOMERS, ORDERS, TICKETS = 5, 40, 20  # 200 attachments, which take minutes to print
CROWD = 2000
MESSAGE_SECONDS = 0.5  # a slow server
ENOUGH_SECONDS = 10


@contextlib.asynccontextmanager
async def worker(database: str, server: MailServer) -> AsyncIterator[None]:
    """A worker that sends mail through this server."""
    settings = Settings(
        database_url=database,
        secret=SECRET,
        mail_host="localhost",
        mail_port=server.port,
        mail_security="none",
        mail_from=FROM,
    )
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings, stop, Jobs("mail").include([jobs])))
    try:
        yield
    finally:
        stop.set()
        await working


async def waiting(db: asyncpg.Connection, lane: Lane) -> int:
    """How many letters of the lane wait."""
    count: int = await db.fetchval("SELECT count(*) FROM mails WHERE status = 'Waiting' AND lane = $1", lane)
    return count


async def test_a_code_leaves_at_once_whatever_else_waits(
    database: str,
    http: httpx.AsyncClient,
    db: asyncpg.Connection,
    alice: Client,
    administrator: Client,
    make_person: MakePerson,
    public: Client,
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, capacity=CUSTOMERS * ORDERS * TICKETS)
    await list_event(administrator, event)
    customers = [await make_person("hoarder") for _ in range(CUSTOMERS)]
    for customer in customers:
        for _ in range(ORDERS):
            await place(customer, event, section, TICKETS)
    await db.execute(
        "INSERT INTO mails (letter, account_id, about, lane, posted_at, due_at)"
        " SELECT 'event_cancelled', $1, jsonb_build_object('event', $2::bigint), 'crowd', clock(), clock()"
        "   FROM generate_series(1, $3)",
        customers[0].id,
        int(id_of(event)),
        CROWD,
    )
    async with mail_server(MailServer(delay_seconds=MESSAGE_SECONDS)) as server, worker(database, server):
        async with asyncio.timeout(60):
            while not server.recipients:
                await asyncio.sleep(0.1)
        took = []
        for _ in range(3):
            person = await register(public)
            asked = time.monotonic()
            assert (await public.post("/resets", email=person.email)).status == 201
            async with asyncio.timeout(60):
                while not has_arrived(server, person, "reset"):
                    await asyncio.sleep(0.05)
            took.append(time.monotonic() - asked)
        assert await waiting(db, Lane.TICKETS) > CUSTOMERS * ORDERS // 2, "it was no crowd"
        assert await waiting(db, Lane.CROWD) > CROWD // 2, "it was no crowd"
    assert max(took) < ENOUGH_SECONDS, took


def has_arrived(server: MailServer, person: Client, letter: str) -> bool:
    """Whether this letter is in the person's mailbox."""
    name = f"X-Ticketing-Letter: {letter}\r\n".encode()
    return any(name in raw for raw, to in zip(server.raw, server.recipients, strict=True) if to == person.email)
