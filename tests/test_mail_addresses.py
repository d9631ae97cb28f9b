"""What is accepted as an address can be written to, exactly; what cannot be written is dead at once."""

from collections.abc import AsyncIterator
from email import message_from_string
from email.policy import default

import asyncpg
import httpx
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from conftest import SECRET, Client, MakePerson, clock_moved, unique
from mailing import FROM, MailServer, mail_server, postman
from ticketing.accounts.rules import is_email, wire_address
from ticketing.kit.identity import address_identity
from ticketing.letters.posting import Letter, post, unsent_letters
from ticketing.mail.headers import new_message
from ticketing.mail.rendering import one_line
from ticketing.mail.transports import Parcel
from ticketing.settings import Settings

VICTIM = "=?utf-8?q?victim?=@example.com"
PASSWORD = "correct horse"
INVALID = "The following arguments have invalid values: email."


@pytest.fixture(autouse=True)
async def nothing_waits(db: asyncpg.Connection) -> None:
    await db.execute("DELETE FROM mails")


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


def smtp(database: str, server: MailServer) -> Settings:
    return Settings(
        database_url=database,
        secret=SECRET,
        mail_host="localhost",
        mail_port=server.port,
        mail_security="none",
        mail_from=FROM,
    )


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("x@straße.example", "x@xn--strae-oqa.example"),  # and not strasse.example, as in IDNA 2003
        ("x@faß.de", "x@xn--fa-hia.de"),
        ("x@Bücher.example", "x@xn--bcher-kva.example"),
        ("x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("x@אבג.example", "x@xn--4dbcd.example"),
        ("x@אבג1.example", "x@xn--1-zhcde.example"),  # IDNA 2003 has no such domain
        ("x@1א.example", None),
        ("x@a\u05d0.example", None),
        ("x@1.אבג.example", None),  # beside a label from right to left, none may begin with a digit
        ("x@אבג.1a.example", None),
        ("x@אבג.a-1.example", "x@xn--4dbcd.a-1.example"),
        ("josé@example.com", "josé@example.com"),
        (VICTIM, VICTIM),
        ("Ann.O'Hara+x@EXAMPLE.com", "Ann.O'Hara+x@example.com"),
        ("x@[192.0.2.1]", None),
        ('"a b"@example.com', None),
        ("x@xn--a.com", None),
        ("x@example.com\r\nBcc: y@example.com", None),
        (f"{'x' * 65}@example.com", None),
    ],
)
def test_an_address_is_written_as_mail_servers_know_it(address: str, wire: str | None) -> None:
    assert wire_address(address) == wire
    assert is_email(address) == (wire is not None)


LOCAL = st.one_of(
    st.text(alphabet="ab=?_q.+-!'{}", min_size=1, max_size=20),
    st.builds(
        "=?{}?{}?{}?=".format,
        st.sampled_from(["utf-8", "us-ascii"]),
        st.sampled_from("qbQB"),
        st.text("vic=_", max_size=9),
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)
LABEL = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True),
    st.text("abß1üאבا٣中-", min_size=1, max_size=6),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6),
)
ADDRESSES = st.builds("{}@{}.{}".format, LOCAL, LABEL, st.sampled_from(["example", "com", "אב", "xn--p1ai"]))


@given(ADDRESSES)
@example(VICTIM)
@example("x@אבג1.example")
def test_whatever_is_accepted_is_who_the_letter_says_it_is_to(address: str) -> None:
    wire = wire_address(address)
    assume(wire is not None)
    assert wire is not None
    domain = wire.rpartition("@")[2]
    assert domain.isascii()
    assert domain == address_identity(address).rpartition("@")[2]
    message = new_message()
    message["To"] = wire
    message["Subject"] = "Hello"
    message.set_content("Hello")
    raw = Parcel.pack("1", "us@example.com", wire, message).content
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert sum(line.lower().startswith((b"to:", b"bcc:", b"cc:")) for line in lines) == 1
    read = message_from_string(raw.decode(), policy=default)
    [to] = read["To"].addresses
    assert (to.username, to.domain) == (wire.rpartition("@")[0], domain)
    assert to.display_name == ""


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=150).map(one_line))
@example("=?utf-8?q?victim?= cancels")
@example("x" * 150)
@example("=?")
@example("ab " * 49 + "ab")
def test_whatever_a_subject_says_is_read_as_it_was_meant(subject: str) -> None:
    message = new_message()
    message["Subject"] = subject
    message["To"] = "a@example.com"
    raw = Parcel.pack("1", "us@example.com", "a@example.com", message).content
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert message_from_string(raw.decode(), policy=default)["Subject"] == subject


@pytest.mark.parametrize("header", ["To", "Subject"])
def test_a_header_is_one_line(header: str) -> None:
    message = new_message()
    with pytest.raises(ValueError, match="linefeed"):
        message[header] = "a@example.com\r\nBcc: b@example.com"


async def test_a_letter_reaches_who_registered_and_nobody_else(
    db: asyncpg.Connection, database: str, server: MailServer, public: Client
) -> None:
    tag = unique("x").replace(" ", "")
    addresses = {
        f"=?utf-8?q?{tag}?=@example.com": f"=?utf-8?q?{tag}?=@example.com",
        f"{tag}@straße.example": f"{tag}@xn--strae-oqa.example",
        f"{tag}@אבג1.example": f"{tag}@xn--1-zhcde.example",
        f"{tag}é@bücher.example": f"{tag}é@xn--bcher-kva.example",
    }
    for address in addresses:
        answer = await public.post("/accounts", username=unique("exact"), email=address, password=PASSWORD)
        assert (answer.status, answer.body.get("email")) == (201, address)
    async with postman(smtp(database, server)) as office:
        assert await office.make_round() == len(addresses)
    assert sorted(server.recipients) == sorted(addresses.values())
    for raw, recipient in zip(server.raw, server.recipients, strict=True):
        assert read_to(raw) == recipient


def read_to(raw: bytes) -> str:
    """Whom the message says it is for, as a mail program reads it."""
    [to] = message_from_string(raw.decode(), policy=default)["To"].addresses
    return f"{to.username}@{to.domain}"


@pytest.mark.parametrize("email", ["x@1א.example", "x@1.אבג.example", "x@a\u05d0.example"])
async def test_a_domain_that_no_server_can_be_asked_for_is_no_address(
    public: Client, alice: Client, email: str
) -> None:
    refused = await public.post("/accounts", username=unique("bidi"), email=email, password=PASSWORD)
    assert (refused.status, refused.error) == (400, INVALID)
    assert (await alice.put(f"/accounts/{alice.number}", email=email)).error == INVALID


@pytest.mark.parametrize("email", ["x@1א.example", "no address", "a@b.example\r\nRCPT TO:<c@d.example>"])
async def test_what_cannot_be_written_is_dead_at_once_and_alarms_nobody(
    db: asyncpg.Connection,
    database: str,
    server: MailServer,
    http: httpx.AsyncClient,
    make_person: MakePerson,
    bob: Client,
    email: str,
) -> None:
    person = await make_person("unwritable")
    await db.execute("UPDATE accounts SET email = $2 WHERE id = $1", person.id, email)
    await post(db, [Letter("welcome", account=person.id), Letter("welcome", account=bob.id)])
    async with postman(smtp(database, server)) as office:
        assert await office.make_round() == 1
    assert server.recipients == [bob.email]
    row = await db.fetchrow("SELECT status, code, tries FROM mails WHERE account_id = $1", person.id)
    assert row is not None
    assert tuple(row) == ("Refused", None, 1)
    assert (await unsent_letters(db)).waiting == 0
    async with clock_moved(db, 3600):
        assert (await http.get("/health/ready")).json()["checks"]["mail"]["ok"] is True


@pytest.mark.parametrize("lacking", ["not offered", "555 5.5.4 SMTPUTF8 not implemented", "550 5.6.7 no"])
async def test_letters_that_the_mail_server_does_not_know_stop_one_letter_alone(
    db: asyncpg.Connection, database: str, server: MailServer, make_person: MakePerson, bob: Client, lacking: str
) -> None:
    if lacking == "not offered":
        server.smtputf8 = False
    else:
        server.says_to_smtputf8 = lacking
    jose = await make_person("jose")
    await db.execute("UPDATE accounts SET email = 'josé' || $1 || '@example.com' WHERE id = $1", jose.id)
    await post(db, [Letter("welcome", account=one) for one in (jose.id, bob.id, jose.id, bob.id)])
    async with postman(smtp(database, server)) as office:
        assert await office.make_round() == 2
    assert server.recipients == [bob.email] * 2
    rows = await db.fetch("SELECT status, tries FROM mails WHERE account_id = $1", jose.id)
    assert [tuple(row) for row in rows] == [("Refused", 1)] * 2
