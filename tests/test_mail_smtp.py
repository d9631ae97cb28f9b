"""Mail through a real server: encrypted, signed in, refused, silent, away for an hour; nothing lost, nothing twice."""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from email.utils import parseaddr
from itertools import pairwise
from pathlib import Path

import asyncpg
import httpx
import pytest
import structlog
from structlog.testing import LogCapture

from conftest import SECRET, Client, MakePerson, clock_moved
from mailing import FROM, MAIL_PASSWORD, USER, MailServer, certificate, mail_server, parse, postman
from ticketing.letters.posting import Letter, post, unsent_letters
from ticketing.mail import postman as postmen
from ticketing.mail.outbox import LEASE_SECONDS
from ticketing.settings import Settings


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture(autouse=True)
async def nothing_waits(db: asyncpg.Connection) -> None:
    await db.execute("DELETE FROM mails")


@pytest.fixture(autouse=True)
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was away is asked again at once."""
    monkeypatch.setattr(postmen, "FIRST_REST_SECONDS", 0.0)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    """What the postman writes into the log."""
    capture = LogCapture()
    monkeypatch.setattr(postmen, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=[capture]))
    return capture


@pytest.fixture
def smtp(database: str, server: MailServer) -> Settings:
    return smtp_settings(database, server.port)


def smtp_settings(database: str, port: int, **more: str) -> Settings:
    usual = {"mail_host": "localhost", "mail_from": FROM, "mail_security": "none"}
    return Settings(database_url=database, secret=SECRET, mail_port=port, **{**usual, **more})  # type: ignore[arg-type]


async def statuses(db: asyncpg.Connection) -> Counter[str]:
    return Counter(row["status"] for row in await db.fetch("SELECT status FROM mails"))


async def post_welcomes(db: asyncpg.Connection, *people: Client) -> None:
    await post(db, [Letter("welcome", account=person.id) for person in people])


async def test_a_letter_arrives_once_with_the_headers_mail_needs(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client
) -> None:
    await post_welcomes(db, alice)
    async with postman(smtp) as office:
        assert await office.make_round() == 1
        assert await office.make_round() == 0
    [message] = server.messages
    assert server.recipients == [alice.email]
    assert message["To"] == alice.email
    assert parseaddr(message["From"]) == ("Tickets & More", "tickets@shop.example")
    assert message["Subject"] == "Welcome to TickeTing"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@shop.example>")
    row = await db.fetchrow("SELECT * FROM mails")
    assert row is not None
    assert (row["status"], row["sealed"]) == ("Sent", None)
    assert row["done_at"] >= row["posted_at"]
    assert message["Date"].datetime == row["posted_at"].replace(microsecond=0)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert max(map(len, server.raw[0].split(b"\r\n"))) <= 998


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_by_tls_and_signed_in(
    db: asyncpg.Connection, database: str, tmp_path: Path, alice: Client, security: str
) -> None:
    tls, trusted = certificate(tmp_path)
    encrypted = {"tls": tls} if security == "starttls" else {"wrapped": tls}
    async with mail_server(login=security == "starttls", **encrypted) as server:
        settings = smtp_settings(
            database,
            server.port,
            mail_security=security,
            mail_user=USER if security == "starttls" else "",
            mail_password=MAIL_PASSWORD,
            mail_ca_file=str(trusted),
        )
        await post_welcomes(db, alice)
        async with postman(settings) as office:
            assert await office.make_round() == 1
    assert server.recipients == [alice.email]
    assert server.logins == ([USER] if security == "starttls" else [])


async def test_a_server_that_is_not_the_one_it_should_be_gets_no_mail(
    db: asyncpg.Connection, database: str, tmp_path: Path, alice: Client
) -> None:
    tls, trusted = certificate(tmp_path)
    secure = {"mail_security": "starttls", "mail_user": USER}
    await post_welcomes(db, alice)
    async with mail_server(tls=tls, login=True) as server, mail_server() as plain:
        for port, settings in (
            (server.port, secure | {"mail_password": MAIL_PASSWORD}),  # a certificate nobody vouches for
            (server.port, secure | {"mail_password": "wrong", "mail_ca_file": str(trusted)}),
            (plain.port, {"mail_security": "starttls"}),  # no TLS on offer
        ):
            async with postman(smtp_settings(database, port, **settings)) as office:
                assert await office.make_round() == 0
        assert (server.raw, plain.raw) == ([], [])
        assert set(server.logins) == {USER}  # both ways of saying a password
    row = await db.fetchrow("SELECT status, tries FROM mails")
    assert row is not None
    assert tuple(row) == ("Waiting", 0)


async def test_a_server_away_for_an_hour_loses_nothing_and_doubles_nothing(
    db: asyncpg.Connection, database: str, make_person: MakePerson, http: httpx.AsyncClient
) -> None:
    people = [await make_person("waiter") for _ in range(30)]
    async with mail_server() as server:
        settings = smtp_settings(database, server.port)
    async with postman(settings) as office:  # nobody listens there now
        await post_welcomes(db, *people)
        for minutes in range(0, 60, 10):
            async with clock_moved(db, minutes * 60):
                assert await office.make_round() == 0
        async with clock_moved(db, 3600):
            waiting = await unsent_letters(db)
            assert waiting.waiting == 30
            assert waiting.oldest_seconds >= 3600
            mail = (await http.get("/health/ready")).json()["checks"]["mail"]
            assert (mail["ok"], mail["waiting"]) == (False, 30)
            assert mail["oldestUnsentSeconds"] >= 3600
            assert "Mail waits too long" in mail["reason"]
        async with mail_server(server, port=server.port), clock_moved(db, 3600):
            assert await office.make_round() == 30
            assert await office.make_round() == 0
    assert Counter(server.recipients) == Counter(person.email for person in people)
    assert len(set(server.message_ids)) == 30
    assert await statuses(db) == {"Sent": 30}
    assert server.connections < 30  # each serves for many


async def test_while_a_server_is_away_it_is_asked_ever_less_often(
    db: asyncpg.Connection, database: str, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmen, "FIRST_REST_SECONDS", 0.05)
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(loop.time())
        writer.transport.abort()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    await post_welcomes(db, alice)
    async with listening, postman(smtp_settings(database, listening.sockets[0].getsockname()[1])) as office:
        while len(asked) < 4:
            await office.make_round()
            await asyncio.sleep(0.005)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] >= 0.04
    assert pauses[1] >= 0.08
    assert pauses[2] >= 0.16


async def test_one_recipient_refused_for_good_is_given_up_and_the_others_get_theirs(
    db: asyncpg.Connection,
    smtp: Settings,
    server: MailServer,
    alice: Client,
    bob: Client,
    logged: LogCapture,
) -> None:
    server.refused[alice.email] = f"550 5.1.1 <{alice.email}> unknown here"
    await post_welcomes(db, alice, bob, alice)
    async with postman(smtp) as office:
        assert await office.make_round() == 1
    assert server.recipients == [bob.email]
    rows = await db.fetch("SELECT account_id, status, code, tries FROM mails ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (alice.id, "Refused", 550, 1),
        (bob.id, "Sent", None, 1),
        (alice.id, "Refused", 550, 1),
    ]
    refused = [entry for entry in logged.entries if entry["event"] == "mail.refused"]
    assert [(entry["letter"], entry["code"]) for entry in refused] == [("welcome", 550)] * 2
    assert alice.email not in str(logged.entries)


async def test_a_recipient_refused_for_now_is_asked_again_later_and_given_up_after_days(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client
) -> None:
    server.refused[alice.email] = "451 4.7.1 Greylisted"
    await post_welcomes(db, alice)
    async with postman(smtp) as office:
        assert await office.make_round() == 0
        assert await office.make_round() == 0  # not at once
        assert await db.fetchval("SELECT tries FROM mails") == 1
        async with clock_moved(db, 75):
            assert await office.make_round() == 0
            assert await db.fetchval("SELECT tries FROM mails") == 2
        async with clock_moved(db, postmen.INSIST_SECONDS + 60):
            assert await office.make_round() == 0
    row = await db.fetchrow("SELECT status, code FROM mails")
    assert row is not None
    assert tuple(row) == ("Refused", 451)


async def test_greylisted_it_arrives_the_next_time(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client
) -> None:
    server.refused[alice.email] = "451 4.7.1 Greylisted"
    await post_welcomes(db, alice)
    async with postman(smtp) as office:
        await office.make_round()
        server.refused.clear()
        async with clock_moved(db, 75):
            assert await office.make_round() == 1
    assert server.recipients == [alice.email]


@pytest.mark.parametrize(
    ("said", "status"), [("554 5.7.1 Not such a message", "Refused"), ("452 4.3.1 Full", "Waiting")]
)
async def test_the_message_itself_may_be_refused(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client, bob: Client, said: str, status: str
) -> None:
    server.says_to_data = said
    await post_welcomes(db, alice, bob)
    async with postman(smtp) as office:
        assert await office.make_round() == 0
    rows = await db.fetch("SELECT status, code, tries FROM mails")
    assert [tuple(row) for row in rows] == [(status, int(said[:3]), 1)] * 2


async def test_a_server_that_takes_a_message_and_falls_silent_may_get_it_again_under_the_same_name(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client
) -> None:
    server.drops = 1
    await post_welcomes(db, alice)
    async with postman(smtp) as office:
        assert await office.make_round() == 0
        assert await office.make_round() == 0
        async with clock_moved(db, 75):
            assert await office.make_round() == 1
    assert len(server.raw) == 2
    assert len(set(server.message_ids)) == 1
    assert await statuses(db) == {"Sent": 1}


async def test_a_worker_that_dies_leaves_its_letters_to_the_next(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client
) -> None:
    await post_welcomes(db, alice)
    await db.execute("UPDATE mails SET due_at = clock() + make_interval(secs => $1), tries = 1", LEASE_SECONDS)
    async with postman(smtp) as office:
        assert await office.make_round() == 0
        async with clock_moved(db, LEASE_SECONDS + 1):
            assert await office.make_round() == 1


async def test_what_was_handed_over_is_not_handed_over_again_though_the_database_did_not_hear_of_it(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmen, "NOTING_SECONDS", 1)
    finish = postmen.outbox.finish

    async def unheard(*_arguments: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("gone")

    await post_welcomes(db, alice)
    async with postman(smtp) as office:
        monkeypatch.setattr(postmen.outbox, "finish", unheard)
        assert await office.make_round() == 1
        assert await statuses(db) == {"Waiting": 1}
        monkeypatch.setattr(postmen.outbox, "finish", finish)
        async with clock_moved(db, LEASE_SECONDS + 1):
            assert await office.make_round() == 0
    assert server.recipients == [alice.email]
    assert await statuses(db) == {"Sent": 1}


async def test_two_workers_never_send_the_same_letter(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, make_person: MakePerson
) -> None:
    people = [await make_person("reader") for _ in range(10)]
    await post_welcomes(db, *people * 12)
    async with postman(smtp) as one, postman(smtp) as other:
        sent = await asyncio.gather(one.make_round(), other.make_round(), one.make_round())
    assert sum(sent) == 120
    assert len(server.raw) == len(set(server.message_ids)) == 120


async def test_a_round_ends_in_time_and_what_it_did_not_get_to_is_not_late(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmen, "RUN_SECONDS", 0.05)
    server.delay_seconds = 0.1
    for _ in range(12):
        await post_welcomes(db, alice)
    async with postman(smtp) as office:
        assert await office.make_round() == postmen.SIDE_BY_SIDE
        assert await db.fetchval("SELECT max(tries) FROM mails WHERE status = 'Waiting' AND due_at <= clock()") == 0
        assert await office.make_round() == postmen.SIDE_BY_SIDE


async def test_an_address_in_other_letters(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, make_person: MakePerson
) -> None:
    jose, anna = await make_person("jose"), await make_person("anna")
    await db.execute("UPDATE accounts SET email = 'josé@example.com' WHERE id = $1", jose.id)
    await db.execute("UPDATE accounts SET email = 'anna@bücher.example' WHERE id = $1", anna.id)
    await post_welcomes(db, jose, anna)
    async with postman(smtp) as office:
        assert await office.make_round() == 2
    assert sorted(server.recipients) == ["anna@xn--bcher-kva.example", "josé@example.com"]
    assert "SMTPUTF8" in server.options
    assert {str(parse(raw)["To"]) for raw in server.raw} == set(server.recipients)


async def test_nothing_is_sent_where_nothing_is_to_be_sent(
    db: asyncpg.Connection, smtp: Settings, server: MailServer, alice: Client
) -> None:
    await post_welcomes(db, alice)
    async with postman(dataclasses.replace(smtp, mail="none")) as office:
        assert await office.make_round() == 0
    assert (await statuses(db), server.raw) == ({"Dropped": 1}, [])
