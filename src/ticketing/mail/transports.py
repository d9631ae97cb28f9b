"""The ways a message leaves: to a mail server, or into a folder."""

import asyncio
import contextlib
import os
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol, Self

import aiosmtplib

from ticketing.settings import Settings

from .headers import WIRE

STEP_SECONDS = 20.0  # for each step of talking to a server
SENDING_SECONDS = 120.0  # for all of them

# What a connection can come to grief with; ssl's and asyncio's time-outs are OSErrors.
_TROUBLE = (aiosmtplib.SMTPException, OSError)
NO_SMTPUTF8 = "the mail server takes no addresses in other letters than ASCII (SMTPUTF8)"
_CLOSING = 421  # the server's way of saying that it goes away, whatever was asked


class Away(Exception):
    """Nothing can be sent at present, whoever it is for; this was not. The text names the kind of trouble."""


class Rejected(Exception):
    """This message was not taken. `code` is what the server said (None: nothing); `for_good`: do not insist."""

    def __init__(self, code: int | None, *, for_good: bool, reason: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.for_good = for_good
        self.reason = reason


@dataclass(frozen=True)
class Parcel:
    """A message on its way to one recipient; `name` is the same at every try, and no other's."""

    name: str
    sender: str
    recipient: str
    content: bytes  # as it travels

    @classmethod
    def pack(cls, name: str, sender: str, recipient: str, message: EmailMessage) -> Self:
        """Write the message down. Raises ValueError when it has what no message can have."""
        return cls(name, sender, recipient, message.as_bytes(policy=WIRE.clone(utf8=not recipient.isascii())))

    @property
    def is_in_letters(self) -> bool:
        """Whether the recipient can be written only where servers know SMTPUTF8 (RFC 6531)."""
        return not self.recipient.isascii()


class Transport(Protocol):
    """A way for messages to leave."""

    async def send(self, parcel: Parcel) -> None:
        """Hand it over; on return it is the other side's to deliver. Raises Away, Rejected."""

    async def rest(self) -> None:
        """Let go of what was kept for the next message."""


def build_transport(settings: Settings) -> Transport | None:
    """The transport of the settings; None when nothing is to be sent."""
    match settings.mail_transport:
        case "smtp":
            return Smtp(settings)
        case "folder":
            return Folder(Path(settings.mail_folder))
        case _:
            return None


class Smtp:
    """A mail server. Its connections are kept until `rest`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        if settings.mail_security != "none":
            self._tls = ssl.create_default_context()
            if settings.mail_ca_file:
                self._tls.load_verify_locations(settings.mail_ca_file)
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, parcel: Parcel) -> None:
        """Hand the message to the server. Raises Away, Rejected."""
        said: list[bool] = []  # whether the message itself was under way, from where on silence proves nothing
        try:
            async with asyncio.timeout(SENDING_SECONDS):
                server = await self._ready_for(parcel)
                try:
                    await _address(server, parcel)
                    said.append(True)
                    await server.data(parcel.content)
                except aiosmtplib.SMTPResponseException:
                    await self._keep(server)
                    raise
                except BaseException:
                    server.close()
                    raise
                self._idle.append(server)
        except aiosmtplib.SMTPRecipientRefused as error:
            raise _verdict(error.code) from None
        except aiosmtplib.SMTPDataError as error:
            raise _verdict(error.code) from None
        except aiosmtplib.SMTPNotSupported:  # an address in letters that the server does not know
            raise Rejected(None, for_good=True, reason=NO_SMTPUTF8) from None
        except aiosmtplib.SMTPSenderRefused as error:
            if parcel.is_in_letters and error.code >= 500 and not said:  # of the option, which others do not need
                raise Rejected(error.code, for_good=True, reason=NO_SMTPUTF8) from None
            raise Away(_reason(error)) from None
        except _TROUBLE as error:
            if said:
                raise Rejected(None, for_good=False) from None
            raise Away(_reason(error)) from None

    async def rest(self) -> None:
        """Say goodbye."""
        idle, self._idle = self._idle, []
        for server in idle:
            await _leave(server)

    async def _ready_for(self, parcel: Parcel) -> aiosmtplib.SMTP:
        """A connection on which the sender was accepted. A kept one may have been closed by the server meanwhile."""
        while self._idle:
            server = self._idle.pop()
            try:
                await _introduce(server, parcel)
            except _TROUBLE:
                server.close()
            else:
                return server
        server = await self._connect()
        try:
            await _introduce(server, parcel)
        except BaseException:
            server.close()
            raise
        return server

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        server = aiosmtplib.SMTP(
            hostname=settings.mail_host,
            port=settings.mail_port,
            use_tls=settings.mail_security == "tls",
            start_tls=settings.mail_security == "starttls",
            tls_context=self._tls,
            username=settings.mail_user or None,
            password=settings.mail_password or None,
            local_hostname=settings.mail_domain,
            timeout=STEP_SECONDS,
        )
        await server.connect()
        return server

    async def _keep(self, server: aiosmtplib.SMTP) -> None:
        """Keep a connection after the server said no to something."""
        try:
            await server.rset()
        except _TROUBLE:
            server.close()
        else:
            self._idle.append(server)


async def _introduce(server: aiosmtplib.SMTP, parcel: Parcel) -> None:
    if not parcel.is_in_letters:
        await server.mail(parcel.sender)
        return
    if server.is_ehlo_or_helo_needed:
        await server.ehlo()
    if not server.supports_extension("smtputf8"):
        raise aiosmtplib.SMTPNotSupported("SMTPUTF8")
    await server.mail(parcel.sender, options=["SMTPUTF8"], encoding="utf-8")


async def _address(server: aiosmtplib.SMTP, parcel: Parcel) -> None:
    await server.rcpt(parcel.recipient, encoding="utf-8" if parcel.is_in_letters else "ascii")


async def _leave(server: aiosmtplib.SMTP) -> None:
    with contextlib.suppress(*_TROUBLE):
        await server.quit(timeout=2)
    server.close()


def _verdict(code: int) -> Away | Rejected:
    """What a refusal means, without the server's words: they repeat the address."""
    if code == _CLOSING:
        return Away("421")
    return Rejected(code, for_good=code >= 500)


def _reason(error: BaseException) -> str:
    """The kind of trouble; what was refused to all (a sender, a password) by its code."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if isinstance(code, int) else type(error).__name__


class Folder:
    """A folder of `.eml` files, for development: the same message again is the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def send(self, parcel: Parcel) -> None:
        """Write the file. Raises Away."""
        try:
            await asyncio.to_thread(self._write, f"{parcel.name}.eml", parcel.content)
        except OSError as error:
            raise Away(type(error).__name__) from None

    async def rest(self) -> None:
        """Nothing is kept."""

    def _write(self, name: str, content: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path / f".{name}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor, so that nobody else can ever read it
            file.write(content)
        fresh.replace(self.path / name)
