"""A real mail server for tests, and the worker's postman at work on a test's database."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.mail.postman import Postmen, distribute
from ticketing.settings import Settings
from ticketing.tickets.press import Press
from ticketing.web.operations import Services

FROM = "Tickets & More <tickets@shop.example>"
USER, MAIL_PASSWORD = "shop", "mail password"


@dataclass
class MailServer:
    """aiosmtpd, taking mail on a port of its own. `refused` maps addresses to what the server says instead of 250."""

    port: int = 0
    raw: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    says_to_data: str = "250 Taken"
    drops: int = 0  # so many messages are taken, and the line goes dead before we hear of it
    delay_seconds: float = 0.0
    connections: int = 0
    logins: list[str] = field(default_factory=list)
    smtputf8: bool = True
    says_to_smtputf8: str = "250 OK"

    @property
    def messages(self) -> list[EmailMessage]:
        return [parse(one) for one in self.raw]

    @property
    def message_ids(self) -> list[str]:
        return [str(message["Message-ID"]) for message in self.messages]

    def to(self, address: str) -> list[EmailMessage]:
        return [message for message, to in zip(self.messages, self.recipients, strict=True) if to == address]

    # aiosmtpd's hooks

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "SMTPUTF8" in options and not self.says_to_smtputf8.startswith("250"):
            return self.says_to_smtputf8
        envelope.mail_from = address
        envelope.mail_options += options
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.delay_seconds)
        if self.says_to_data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.raw.append(envelope.content)
            self.recipients += envelope.rcpt_tos
            self.options += envelope.mail_options
        if self.drops:
            self.drops -= 1
            assert server.transport is not None
            server.transport.abort()
        return self.says_to_data

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(handled=False, success=(data.login.decode(), data.password.decode()) == (USER, MAIL_PASSWORD))


class Literal(SMTP):
    """aiosmtpd, which takes addresses for what they say, as mail servers do: it reads encoded words in them."""

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        found = re.fullmatch(r"<([^<>]*)>(.*)", arg.strip())
        return (found[1], found[2]) if found else (None, None)


@contextlib.asynccontextmanager
async def mail_server(
    into: MailServer | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    wrapped: ssl.SSLContext | None = None,
    port: int = 0,
    login: bool = False,
) -> AsyncIterator[MailServer]:
    """A mail server that listens.

    `tls`: it wants STARTTLS; `wrapped`: it speaks TLS from the first byte; `login`: it takes mail of USER alone.
    """
    server = into or MailServer()

    def accept() -> SMTP:
        server.connections += 1
        return Literal(
            server,
            hostname="mail.test",
            enable_SMTPUTF8=server.smtputf8,
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=server.authenticate,
            auth_required=login,
            auth_require_tls=login,
            loop=asyncio.get_running_loop(),
        )

    listening = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", port, ssl=wrapped)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def parse(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def text_of(message: EmailMessage) -> str:
    return _body(message, "plain")


def html_of(message: EmailMessage) -> str:
    return _body(message, "html")


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


@dataclass
class Office:
    """What a worker sends mail with; its rounds are made one after the other."""

    database: Database
    postmen: Postmen

    async def make_round(self) -> int:
        """Send what is due; how many letters left."""
        await distribute(self.database)
        postmen = self.postmen
        return sum([await one.make_round() for one in (postmen.security, postmen.letters, postmen.tickets)])


@contextlib.asynccontextmanager
async def postman(settings: Settings) -> AsyncIterator[Office]:
    """What a worker sends mail with, on the database of the settings."""
    database = Database(settings.database_url, pool_size=6)
    await database.open()
    press = Press(seconds=600)  # as in a worker
    try:
        yield Office(database, Postmen(Services(settings, database, Vault(settings.secret), press)))
    finally:
        press.close()
        await database.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for `localhost`, and the file with the certificate that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    began = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "mail.pem", folder / "mail.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return context, certificate_file
