"""Letters from what causes them to the mailbox, through the front door and a real mail server."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import asyncpg
import httpx
import pypdfium2
import pytest

from conftest import PASSWORD, SECRET, Client, MakePerson, breaks_by_hand, clock_moved, unique
from mailed import mailed_code
from mailing import FROM, MailServer, Office, html_of, mail_server, postman, text_of
from makers import (
    card,
    hold_tickets,
    id_of,
    list_event,
    make_event,
    make_host,
    make_section,
    make_stage,
    make_venue,
    pay,
    place,
    register,
    section_uri,
)
from ticketing.accounts.actions import set_password
from ticketing.accounts.passwords import hash_password
from ticketing.accounts.rules import ChangedBy
from ticketing.letters.posting import Letter, post
from ticketing.mail import audiences
from ticketing.orders.jobs import time_out_due
from ticketing.settings import Settings
from ticketing.tickets.press import Press, PrintingFailed


@pytest.fixture(scope="module")
async def mailbox() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
async def office(database: str, app: Any, mailbox: MailServer) -> AsyncIterator[Office]:
    settings = Settings(
        database_url=database,
        secret=SECRET,
        mail_host="localhost",
        mail_port=mailbox.port,
        mail_security="none",
        mail_from=FROM,
    )
    async with postman(settings) as office:
        yield office


@dataclass
class Post:
    """The post of a test: `await deliver()` brings what was posted since, by addressee."""

    office: Office
    mailbox: MailServer
    seen: int = 0
    brought: dict[str, list[EmailMessage]] = field(default_factory=dict)

    async def deliver(self) -> dict[str, list[EmailMessage]]:
        while await self.office.make_round():
            pass
        self.brought = {}
        for to, message in list(zip(self.mailbox.recipients, self.mailbox.messages, strict=True))[self.seen :]:
            self.brought.setdefault(to, []).append(message)
        self.seen = len(self.mailbox.recipients)
        return self.brought

    def letters(self, person: Client) -> list[str]:
        """The names of the letters that this person got in the last delivery."""
        return sorted(str(message["X-Ticketing-Letter"]) for message in self.brought.get(person.email, []))

    def one(self, person: Client, letter: str) -> EmailMessage:
        [message] = [one for one in self.brought[person.email] if one["X-Ticketing-Letter"] == letter]
        return message


@pytest.fixture
async def mail(office: Office, mailbox: MailServer, db: asyncpg.Connection) -> Post:
    await db.execute("DELETE FROM mails")
    return Post(office, mailbox, len(mailbox.recipients))


def attachments(message: EmailMessage) -> dict[str, EmailMessage]:
    return {str(part.get_filename()): part for part in message.iter_attachments()}


async def test_who_registers_is_welcomed(public: Client, mail: Post) -> None:
    marvin = await register(public, firstName="Marvin")
    await mail.deliver()
    message = mail.one(marvin, "welcome")
    assert "Hello Marvin," in text_of(message)
    assert marvin.number in text_of(message)
    assert marvin.number in html_of(message)


async def test_a_free_order_comes_with_its_tickets(
    alice: Client, bob: Client, administrator: Client, mail: Post
) -> None:
    venue = await make_venue(administrator, name=unique("Shirley Heights"), address="Lookout Road")
    event = await make_event(alice, administrator, title=unique("Jazz"), venue=venue["self"])
    section = await make_section(alice, event, name="Lawn")
    await list_event(administrator, event)
    serials = await hold_tickets(bob, alice, event, section, 3)
    await mail.deliver()
    message = mail.one(bob, "order_fulfilled")
    assert message["Subject"] == f"Your 3 tickets: {event['title']}"
    for body in (text_of(message), html_of(message)):
        assert event["title"] in body
        assert "Wednesday, 7 June 2034, 20:00 to 23:00 (Antigua time, UTC−4)" in body
        assert f"{venue['name']}, Lookout Road" in body
        assert "attached to this mail" in body
    assert "3 x Lawn: free" in text_of(message)
    files = attachments(message)
    assert list(files) == ["tickets.pdf", "events.ics"]
    pdf = pypdfium2.PdfDocument(io.BytesIO(files["tickets.pdf"].get_content()))
    assert len(pdf) == 3
    assert serials[0] in "".join(pdf[0].get_textpage().get_text_range().split())
    pdf.close()
    assert files["events.ics"].get_content_type() == "text/calendar"
    assert "BEGIN:VEVENT" in files["events.ics"].get_payload(decode=True).decode()  # type: ignore[union-attr]


async def test_a_paid_order_its_refund_and_a_refusal_to_tell_others(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection, mail: Post
) -> None:
    event, section = await make_stage(alice, administrator)
    order = await pay(bob, await place(bob, event, section, 2))
    await mail.deliver()
    message = mail.one(bob, "order_fulfilled")
    assert "We have your payment" in text_of(message)
    assert "Total: 41.98 USD" in text_of(message)
    assert "tickets.pdf" in attachments(message)
    await administrator.post(order["refunds"], reason="The customer fell ill.\n-- \nNot us")
    await mail.deliver()
    message = mail.one(bob, "refund")
    assert message["Subject"] == f"Refund of 41.98 USD for order {order['number']}"
    assert "> The customer fell ill." in text_of(message)
    assert "\n> Not us" in text_of(message)
    assert event["title"] in html_of(message)
    refund_id = await db.fetchval("SELECT id FROM refunds ORDER BY id DESC LIMIT 1")
    await post(db, [Letter("refund", account=alice.id, about={"refund": refund_id})])  # none of hers
    await post(db, [Letter("payment_returned", account=bob.id, about={"refund": refund_id})])
    await mail.deliver()
    assert mail.letters(alice) == []
    assert "goes back" in mail.one(bob, "payment_returned")["Subject"]


async def test_orders_that_arrive_together_are_told_together(
    alice: Client, administrator: Client, make_person: MakePerson, db: asyncpg.Connection, mail: Post
) -> None:
    event = await make_event(alice, administrator)
    free, paid = await make_section(alice, event, capacity=100), await make_section(alice, event, basePrice=5)
    await list_event(administrator, event)
    buyers = [await make_person("buyer") for _ in range(6)]
    for buyer in buyers[:5]:
        await place(buyer, event, free)
    await place(buyers[5], event, paid)
    rows = await db.fetch("SELECT account_id FROM mails WHERE letter = 'order_fulfilled'")
    assert [row["account_id"] for row in rows] == [buyer.id for buyer in buyers[:5]]


async def test_who_runs_out_of_time_is_told_once_whoever_noticed(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection, mail: Post
) -> None:
    event, section = await make_stage(alice, administrator)
    tidied = await place(bob, event, section)
    async with clock_moved(db, 1000):
        await place(bob, event, section)  # frees the places of the first, whose row is tidied later
        async with db.transaction():
            await time_out_due(db, 100)
        async with db.transaction():
            assert await time_out_due(db, 100) == 0
    ended = await place(bob, event, section)
    async with clock_moved(db, 3000):
        removed = await administrator.delete(section_uri(event, section))
        assert removed.status == 200
        async with db.transaction():
            await time_out_due(db, 100)
        await mail.deliver()
    assert mail.letters(bob).count("order_timed_out") == 3
    texts = [text_of(one) for one in mail.brought[bob.email] if one["X-Ticketing-Letter"] == "order_timed_out"]
    for order in (tidied, ended):
        assert sum(order["number"] in text for text in texts) == 1
    assert all("You were not charged." in text for text in texts)


@breaks_by_hand
async def test_a_cancelled_event_is_told_once_to_whoever_held_a_ticket(
    alice: Client,
    administrator: Client,
    make_person: MakePerson,
    db: asyncpg.Connection,
    mail: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audiences, "AT_ONCE", 3)
    monkeypatch.setattr("ticketing.mail.postman.AT_ONCE", 3)
    event = await make_event(alice, administrator)
    floor = await make_section(alice, event, capacity=100)
    await list_event(administrator, event)
    holders = [await make_person("holder") for _ in range(7)]
    for holder in holders:
        await hold_tickets(holder, alice, event, floor, 2)
    former, later_refunded = holders[0], holders[1]
    await db.execute("UPDATE tickets SET status = 'Voided', changed_at = clock() WHERE owner_id = $1", former.id)
    await mail.deliver()
    cancelled = await alice.post(f"{event['self']}/cancellations", reason="Rain")
    assert cancelled.status == 200
    # Money goes back faster than mail goes out.
    await db.execute(
        "UPDATE tickets SET status = 'Voided', changed_at = clock() WHERE owner_id = $1", later_refunded.id
    )
    await mail.deliver()
    assert mail.letters(former) == []
    for holder in holders[1:]:
        assert mail.letters(holder) == ["event_cancelled"]
    message = mail.one(later_refunded, "event_cancelled")
    assert message["Subject"] == f"Cancelled: {event['title']}"
    assert "you hold 2 tickets for" in text_of(message)
    lanes = await db.fetch("SELECT DISTINCT lane FROM mails WHERE letter = 'event_cancelled'")
    assert [row["lane"] for row in lanes] == ["crowd"]


async def test_another_time_or_place_is_told_to_holders_and_nothing_else_is(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection, mail: Post
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section)
    await mail.deliver()
    body = {
        "type": "Standard",
        "title": event["title"],
        "description": "Better than ever",
        "category": event["category"]["self"],
        "subcategory": "Jazz",
        "public": True,
        "venue": event["venue"]["self"],
    }
    changes = alice.put
    assert (await changes(event["self"], body)).status == 200
    assert await mail.deliver() == {}
    assert await db.fetchval("SELECT count(*) FROM mails WHERE letter = 'event_changed'") == 0
    assert (await changes(event["self"], body | {"start": "2034-06-07T21:30"})).status == 200
    await mail.deliver()
    message = mail.one(bob, "event_changed")
    assert message["Subject"] == f"Changed: {event['title']}"
    assert "The time of an event that you hold a ticket for has changed" in text_of(message)
    assert "    Wednesday, 7 June 2034, 21:30 to 23:00 (Antigua time, UTC−4)" in text_of(message)
    assert "It was to be: Wednesday, 7 June 2034, 20:00 to 23:00 (Antigua time, UTC−4)" in text_of(message)
    assert "It was to be at" not in text_of(message)
    harpa = await make_venue(administrator, name=unique("Harpa"), longitude=-21.93, latitude=64.15)
    assert (await changes(event["self"], body | {"venue": harpa["self"]})).status == 200
    await mail.deliver()
    message = mail.one(bob, "event_changed")
    assert "The time and the place" in text_of(message)  # 21:30 is another moment there
    assert "21:30 to 23:00 (Reykjavik time, UTC)" in text_of(message)
    assert f"It was to be at: {event['venue']['name']}" in text_of(message)
    # Changed and changed back before anybody was told: nobody has to know.
    await changes(event["self"], body | {"venue": harpa["self"], "end": "2034-06-08T01:00"})
    await changes(event["self"], body | {"venue": harpa["self"], "end": "2034-06-07T23:00"})
    await mail.deliver()
    assert mail.letters(bob) == ["event_changed"]  # of the second change, which saw the first
    async with clock_moved(db, 20 * 365 * 86400):
        await changes(event["self"], body | {"start": "2034-06-07T20:00"})
    assert await db.fetchval("SELECT count(*) FROM mails WHERE status = 'Waiting'") == 0


async def test_who_was_handed_a_ticket_on_before_the_mail_went_out_is_told(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson, mail: Post
) -> None:
    carol = await make_person("carol")
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section)
    sent = await bob.post("/transfers", recipient=carol.number, tickets={section_uri(event, section): 1})
    await mail.deliver()
    assert (await alice.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    assert (await carol.post(sent["claims"])).status == 201
    await mail.deliver()
    assert mail.letters(bob) == ["transfer_claimed"]
    assert "you hold a ticket for" in text_of(mail.one(carol, "event_cancelled"))


async def test_a_removed_section_is_told_to_those_who_held_a_ticket_in_it(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson, mail: Post
) -> None:
    carol = await make_person("carol")
    event = await make_event(alice, administrator)
    floor, balcony = await make_section(alice, event), await make_section(alice, event, name="Balcony")
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, balcony, 2)
    await hold_tickets(bob, alice, event, floor)
    await hold_tickets(carol, alice, event, floor)
    await mail.deliver()
    assert (await alice.delete(section_uri(event, balcony))).status == 200
    await mail.deliver()
    assert mail.letters(carol) == []
    message = mail.one(bob, "section_removed")
    assert message["Subject"] == f"No longer valid: your 2 tickets for {event['title']}"
    assert 'the section "Balcony" was removed' in text_of(message)


async def test_a_decision_goes_to_everybody_who_runs_the_host(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson, mail: Post
) -> None:
    host, closed = await make_host(alice), await make_person("closed")
    for person in (bob, closed):
        await administrator.post(f"{host['self']}/administrators", account=person.number)
    await administrator.post(f"/accounts/{closed.number}/toggles", reason="Fraud")
    event = await make_event(alice, administrator, host)
    submission = await alice.post(f"{event['self']}/submissions")
    note = "Please add <b>a date</b>.\nThen again."
    assert (await administrator.delete(submission["self"], approved="false", note=note)).status == 200
    await mail.deliver()
    for person in (alice, bob):
        message = mail.one(person, "submission_decided")
        assert message["Subject"] == f"Not approved: {event['title']}"
        assert "> Please add <b>a date</b>.\n> Then again." in text_of(message)
        assert "Please add &lt;b&gt;a date&lt;/b&gt;." in html_of(message)
    assert mail.letters(closed) == ["deactivated"]
    await list_event(administrator, event)
    await mail.deliver()
    assert mail.one(alice, "submission_decided")["Subject"] == f"Approved: {event['title']}"


async def test_a_transfer_is_told_to_the_other_side(
    alice: Client, administrator: Client, make_person: MakePerson, mail: Post
) -> None:
    sender, recipient = await make_person("sender"), await make_person("recipient")
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, name="Lawn")
    await list_event(administrator, event)
    await hold_tickets(sender, alice, event, section, 3)
    await mail.deliver()
    tickets = {section_uri(event, section): 2}
    first = await sender.post("/transfers", recipient=recipient.number, tickets=tickets)
    await mail.deliver()
    message = mail.one(recipient, "transfer_received")
    assert message["Subject"] == "Sender Tester sends you 2 tickets"
    assert "2 x Lawn" in text_of(message)
    assert mail.letters(sender) == []
    await recipient.post(first["claims"])
    await mail.deliver()
    assert mail.one(sender, "transfer_claimed")["Subject"] == "Recipient Tester has your 2 tickets now"
    second = await sender.post("/transfers", recipient=recipient.number, tickets={section_uri(event, section): 1})
    await sender.delete(second["self"])
    await mail.deliver()
    # Taken back before anybody was told of it: that it was sent is no longer true.
    assert mail.letters(recipient) == ["transfer_cancelled"]
    assert "from Sender Tester to you was cancelled" in text_of(mail.one(recipient, "transfer_cancelled"))


async def test_letters_about_the_account_itself(
    public: Client, administrator: Client, support: Client, db: asyncpg.Connection, mail: Post
) -> None:
    person = await register(public, firstName="Zoe", lastName="Adams")
    account = f"/accounts/{person.number}"
    await mail.deliver()
    old = person.email
    shown = (await person.get(account)).body
    changed = await person.put(account, shown | {"email": f"new{old}"})
    assert changed.status == 200, changed.body
    await mail.deliver()
    [message] = mail.brought[old]
    assert message["X-Ticketing-Letter"] == "email_changed"
    assert f"new{old}" not in text_of(message)
    assert "take it back" not in text_of(message)
    person.email = f"new{old}"
    await db.execute("UPDATE accounts SET verified = true WHERE number = $1", person.number)
    assert (await person.put(account, email=old)).status == 200
    assert (await person.post("/resets", email=person.email)).status == 201
    await mail.deliver()
    assert mail.letters(person) == ["email_changed", "reset"]
    assert "take it back from here for 7 days" in text_of(mail.one(person, "email_changed"))
    assert "the address of your account again" in text_of(mail.one(person, "reset"))
    person.email = old
    asked = await person.post(f"{account}/deletions", reason="I move to the moon.")
    assert asked.status == 200
    await mail.deliver()
    assert mail.letters(person) == ["deactivated"]
    message = mail.one(administrator, "deletion_requested")
    assert f"Zoe Adams asked for account {person.number} to be deleted" in text_of(message)
    assert "> I move to the moon." in text_of(message)
    assert mail.letters(support) == []


async def test_a_new_password_is_told_with_who_stays_signed_in(
    public: Client, db: asyncpg.Connection, mail: Post, make_person: MakePerson
) -> None:
    person = await register(public)

    async def told() -> str:
        await mail.deliver()
        return " ".join(text_of(mail.one(person, "password_changed")).split())

    await mail.deliver()
    own = await person.put(f"/accounts/{person.number}/password", current=PASSWORD, password="battery staple")
    assert own.status == 200
    assert "that one stays signed in" in (said := await told())
    assert "Ask for a password reset at once" in said
    assert (await person.get("/sessions/active")).status == 200

    uri = (await public.post("/resets", email=person.email))["self"]
    body = {"code": await mailed_code(db, person, "reset"), "password": "staple battery"}
    assert (await public.send("PATCH", uri, json=body)).status == 200
    assert "with a code that we sent by mail, and every device was signed out" in await told()
    assert (await person.get("/sessions/active")).status == 401

    administrator = await make_person("root", role="administrator")
    person.email = administrator.email
    await set_password(db, administrator.id, hash_password(PASSWORD), by=ChangedBy.SERVER)
    assert "by those who run TickeTing, and every device was signed out" in await told()
    session = await public.post("/sessions", identification=administrator.username, password=PASSWORD)
    here = Client(public.http, session["key"])
    changed = await here.put(f"/accounts/{administrator.number}/password", current=PASSWORD, password="x" * 8)
    assert changed.status == 200
    assert "Have whoever runs our server set another one at once" in await told()


@pytest.mark.parametrize("letter", ["verification", "reset"])
async def test_a_code_is_in_the_mail_and_nowhere_else(
    public: Client,
    db: asyncpg.Connection,
    mail: Post,
    letter: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    person = await register(public)
    assert (await public.post(f"/{letter}s", email=person.email)).status == 201
    code = await mailed_code(db, person, letter)

    async def told() -> str:
        tables = ("mails", "history", "recurring_tasks", "codes", "idempotency_keys")
        rows = [row[0] for table in tables for row in await db.fetch(f"SELECT x::text FROM {table} x")]
        return "\n".join(rows)

    def is_told(text: str, everything: str) -> bool:
        return text in everything or text.encode().hex() in everything

    when_posted = await told()
    await mail.deliver()
    for everything in (when_posted, await told()):
        assert not is_told(person.email, everything)
        # A number may hold the digits of a code by chance; as a value of its own it must not stand anywhere.
        assert not is_told(f'"{code}"', everything)
        assert f",{code}," not in everything
    message = mail.one(person, letter)
    assert code in text_of(message)
    assert code not in message["Subject"]
    assert f"<span>{code[:3]}</span><span>{code[3:]}</span>" in html_of(message)
    assert await db.fetchval("SELECT bool_and(sealed IS NULL) FROM mails")
    lines = capfd.readouterr()
    assert not is_told(person.email, lines.out + lines.err)


async def test_a_code_goes_first_and_what_is_told_to_a_crowd_last(
    db: asyncpg.Connection, alice: Client, bob: Client, public: Client, mail: Post
) -> None:
    person = await register(public)
    await mail.deliver()
    for _ in range(45):
        await post(db, [Letter("welcome", account=alice.id)])
    await db.execute("UPDATE mails SET lane = 'crowd'")
    await post(db, [Letter("welcome", account=bob.id)])
    await public.post("/verifications", email=person.email)
    await mail.deliver()
    order = mail.mailbox.recipients[-47:]
    assert {person.email, bob.email} <= set(order[:20])


async def test_who_is_gone_gets_nothing_and_leaves_nothing(db: asyncpg.Connection, public: Client, mail: Post) -> None:
    person = await register(public)
    await public.post("/verifications", email=person.email)
    number = (await person.get(f"/accounts/{person.number}"))["number"]
    person_id = await db.fetchval("SELECT id FROM accounts WHERE number = $1", number)
    assert (await person.delete(f"/accounts/{person.number}")).status == 200
    assert await db.fetchval("SELECT count(*) FROM mails WHERE account_id = $1", person_id) == 0
    await post(db, [Letter("welcome", account=person_id)])  # by somebody who did not know
    assert await mail.deliver() == {}
    assert await db.fetchval("SELECT status FROM mails WHERE account_id = $1", person_id) == "Dropped"


async def test_with_another_secret_a_letter_waits_instead_of_being_lost(
    db: asyncpg.Connection, public: Client, database: str, mailbox: MailServer, mail: Post
) -> None:
    person = await register(public)
    await mail.deliver()
    await public.post("/resets", email=person.email)
    settings = Settings(
        database_url=database,
        secret="a secret from another installation, long",
        mail_host="localhost",
        mail_port=mailbox.port,
        mail_security="none",
        mail_from=FROM,
    )
    async with postman(settings) as stranger:
        assert await stranger.make_round() == 0
    assert await db.fetchval("SELECT status FROM mails WHERE letter = 'reset'") == "Waiting"
    async with clock_moved(db, 75):
        await mail.deliver()
    assert mail.letters(person) == ["reset"]


async def test_tickets_that_cannot_be_printed_do_not_keep_the_letter_for_ever(
    alice: Client,
    bob: Client,
    administrator: Client,
    db: asyncpg.Connection,
    mail: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def jam(_press: Press, _order: object, _asker: object) -> bytes:
        raise PrintingFailed("KeyError")

    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await mail.deliver()
    monkeypatch.setattr(Press, "print", jam)
    await place(bob, event, section)
    assert await mail.deliver() == {}
    async with clock_moved(db, 75):
        assert await mail.deliver() == {}
    async with clock_moved(db, 75 + 150):
        await mail.deliver()
    message = mail.one(bob, "order_fulfilled")
    assert attachments(message) == {}
    assert "is in your wallet." in text_of(message)


HOSTILE = "Rock\r\nBcc: mallory@example.com\r\n\r\n<script>alert(1)</script>\u202egnp.exe 🎷 \"'&"


async def test_hostile_names_are_harmless(
    alice: Client, administrator: Client, make_person: MakePerson, db: asyncpg.Connection, mail: Post
) -> None:
    eve = await make_person("eve")
    await db.execute(
        "UPDATE accounts SET first_name = $2, last_name = 'x' WHERE id = $1", eve.id, "Win at https://evil.example now"
    )
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await db.execute("UPDATE events SET title = $2 WHERE id = $1", int(id_of(event)), HOSTILE)
    await db.execute("UPDATE sections SET name = $2 WHERE id = $1", int(id_of(section)), HOSTILE)
    await db.execute("UPDATE venues SET name = $2 WHERE id = $1", int(id_of(event["venue"])), HOSTILE)
    await place(eve, event, section)
    await mail.deliver()
    message = mail.one(eve, "order_fulfilled")
    assert message["Bcc"] is None
    assert message["Subject"] == (
        "Your ticket: Rock Bcc: mallory@ example. com <script>alert(1)</script>gnp. exe 🎷 \"'&"
    )
    html, text = html_of(message), text_of(message)
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;gnp. exe 🎷" in html
    assert "\u202e" not in html + text
    assert "evil.example" not in html + text
    assert "\nBcc:" not in text
    assert text.startswith("Hello,\n")


async def test_readiness_tells_of_mail_that_waits(
    http: httpx.AsyncClient, db: asyncpg.Connection, alice: Client
) -> None:
    await db.execute("DELETE FROM mails")
    await post(db, [Letter("welcome", account=alice.id)])
    await db.execute("UPDATE mails SET posted_at = clock() - interval '11 minutes'")
    body = json.loads((await http.get("/health/ready")).content)
    assert body["ready"] is True
    assert body["checks"]["mail"]["ok"] is False
    await db.execute("DELETE FROM mails")


async def test_a_venue_that_moves_is_told_to_holders_with_the_new_ticket(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection, mail: Post
) -> None:
    venue = await make_venue(administrator, name=unique("Old Hall"))
    event = await make_event(alice, administrator, venue=venue["self"], doors="2034-06-07T19:00")
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section, 2)
    await mail.deliver()
    place = {"name": venue["name"], "region": venue["region"].rsplit("/", 1)[1], "address": venue["address"]}
    here = {"longitude": venue["longitude"], "latitude": venue["latitude"]}
    assert (await administrator.put(venue["self"], {**place, **here})).status == 200
    assert await mail.deliver() == {}  # nothing has moved
    moved = {**place, "address": "Harbour Road 2", "longitude": -21.93, "latitude": 64.15}
    assert (await administrator.put(venue["self"], moved)).status == 200
    await mail.deliver()
    message = mail.one(bob, "event_changed")
    text = text_of(message)
    assert "The time and the place of an event" in text
    assert "20:00 to 23:00 (Reykjavik time, UTC), doors 19:00" in text
    assert "It was to be: Wednesday, 7 June 2034, 20:00 to 23:00 (Antigua time, UTC−4), doors 19:00" in text
    assert f"It was to be at: {venue['name']}, High Street" in text
    assert "Harbour Road 2" in text
    assert "they are attached anew" in text
    assert [part.get_filename() for part in message.iter_attachments()] == ["tickets.pdf", "events.ics"]


async def test_a_pin_that_moves_is_another_place_when_words_say_the_same(
    alice: Client, bob: Client, administrator: Client, mail: Post
) -> None:
    venue = await make_venue(administrator, name=unique("Fort"))
    event = await make_event(alice, administrator, venue=venue["self"])
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section)
    await mail.deliver()
    place = {"name": venue["name"], "region": venue["region"].rsplit("/", 1)[1], "address": venue["address"]}
    at = {"longitude": venue["longitude"], "latitude": venue["latitude"]}
    assert (await administrator.put(venue["self"], {**place, **at, "latitude": at["latitude"] + 0.0005})).status == 200
    assert await mail.deliver() == {}  # 55 metres: the same door
    assert (await administrator.put(venue["self"], {**place, **at, "longitude": -61.8})).status == 200
    await mail.deliver()
    text = text_of(mail.one(bob, "event_changed"))
    assert "The place of an event" in text
    assert f"{venue['name']}, High Street (17.1274° N, 61.8000° W)" in text
    assert f"It was to be at: {venue['name']}, High Street (17.1279° N, 61.8456° W)" in text


async def test_who_holds_a_ticket_hears_that_the_event_was_moved_into_the_past(
    alice: Client, bob: Client, administrator: Client, mail: Post
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section)
    await mail.deliver()
    body = {
        **{name: event[name] for name in ("type", "title", "description", "subcategory", "public")},
        "category": event["category"]["self"],
        "venue": event["venue"]["self"],
    }
    past = {"start": "2024-06-07T20:00", "end": "2024-06-07T23:00"}
    assert (await administrator.put(event["self"], body | past)).status == 200
    await mail.deliver()
    assert "It was to be: Wednesday, 7 June 2034" in text_of(mail.one(bob, "event_changed"))
    # What was over before and after is nobody's evening any more.
    assert (await administrator.put(event["self"], body | past | {"start": "2024-06-06T20:00"})).status == 200
    assert await mail.deliver() == {}


async def test_a_cancellation_tells_why(
    alice: Client, bob: Client, administrator: Client, db: asyncpg.Connection, mail: Post
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await hold_tickets(bob, alice, event, section)
    await mail.deliver()
    reason = "The hall\nwas flooded.\nSee https://refund.example/now"
    assert (await alice.post(f"{event['self']}/cancellations", reason=reason)).status == 200
    posted = "SELECT about::text FROM mails WHERE letter = 'event_cancelled'"
    assert {row["about"] for row in await db.fetch(posted)} == {f'{{"event": {id_of(event)}}}'}
    await mail.deliver()
    message = mail.one(bob, "event_cancelled")
    assert "> The hall\n> was flooded.\n> See https: //refund. example/now" in text_of(message)
    assert "The hall\nwas flooded." in html_of(message)


async def test_who_was_handed_a_ticket_on_hears_that_it_was_given_back(
    alice: Client, bob: Client, administrator: Client, make_person: MakePerson, mail: Post
) -> None:
    carol = await make_person("carol")
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, basePrice=10)
    await list_event(administrator, event)
    order = await bob.post("/orders", items={section_uri(event, section): 2})
    assert (await bob.post(order["payments"], **card())).status == 201
    sent = await bob.post("/transfers", recipient=carol.number, tickets={section_uri(event, section): 1})
    assert (await carol.post(sent["claims"])).status == 201
    await mail.deliver()
    assert (await administrator.post(order["refunds"], reason="Ill")).status == 201
    await mail.deliver()
    assert mail.letters(bob)[-1] == "refund"
    message = mail.one(carol, "tickets_voided")
    assert message["Subject"] == f"No longer valid: your ticket to {event['title']}"
    assert "it opens no gate any more" in text_of(message)
