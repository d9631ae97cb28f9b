"""From a letter to a message: who gets it, what it says, and its headers."""

from collections.abc import Sequence
from datetime import UTC
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from functools import partial

import jinja2
import structlog

from ticketing.accounts.rules import wire_address
from ticketing.kit.database import Connection, Database
from ticketing.kit.vault import Vault
from ticketing.letters.posting import STRANGER, unseal
from ticketing.settings import Settings
from ticketing.tickets.press import PrintingFailed
from ticketing.tickets.printing import event_ics, event_pdf, order_ics, order_pdf
from ticketing.web.operations import Services

from . import event_letters, order_letters, people_letters, transfer_letters
from .content import Attachment, Compose, Content, Desk, Person
from .headers import new_message, phrase
from .outbox import Mail
from .rendering import Renderer
from .transports import Parcel

PRINTING_TRIES = 3


class Unwritable(Exception):
    """A letter that can never be written as it is. The text names the kind of trouble."""


log = structlog.get_logger()

COMPOSERS: dict[str, Compose] = {
    **people_letters.COMPOSERS,
    **order_letters.COMPOSERS,
    **transfer_letters.COMPOSERS,
    **event_letters.COMPOSERS,
}

_PERSON = """
SELECT id, number, email, username, first_name FROM accounts
 WHERE id = $1 AND removed_at IS NULL AND NOT integration"""


class Composer:
    """Writes letters, from what the database says at the time; `services` must hold a Press."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.the(Settings)
        self._renderer = Renderer(self._settings.platform_name)

    async def compose(self, mail: Mail) -> Parcel | None:
        """The message of a letter; None when there is nobody to send it to any more, or nothing to say.

        Raises Overloaded, PrintingFailed, Unwritable.
        """
        secrets = unseal(self._services.the(Vault), mail.sealed)
        async with self._services.the(Database).reading() as db:
            person = await _find_person(db, mail)
            recipient = secrets.get("email") or (person.email if person else "")
            if person is None or not recipient:
                return None
            content = await COMPOSERS[mail.letter](
                Desk(db, person, mail.about, secrets, mail.posted_at, self._settings)
            )
        if content is None:
            return None
        attachments = await self._print(mail, person, content)
        address = wire_address(recipient)
        if address is None:  # accepted by an earlier version
            raise Unwritable("address")
        try:
            message = self._message(mail, address, person, content, attachments)
            return Parcel.pack(f"{mail.id:012d}-{mail.message_id.hex}", self._settings.mail_address, address, message)
        except (jinja2.TemplateError, ValueError) as error:
            raise Unwritable(type(error).__name__) from None

    async def _print(self, mail: Mail, person: Person, content: Content) -> list[Attachment]:
        """The tickets that go along, as a PDF and for the calendar; without the PDF rather than never."""
        services = self._services
        if content.tickets_of is not None:
            order = (services, content.tickets_of)
            print_them, note_them = partial(order_pdf, *order), partial(order_ics, *order)
        elif content.tickets_to is not None:
            held = (services, person.id, content.tickets_to)
            print_them, note_them = partial(event_pdf, *held), partial(event_ics, *held)
        else:
            return []
        attachments = []
        try:
            if pdf := await print_them(asker=(person.id,)):
                attachments.append(Attachment("tickets.pdf", "application/pdf", pdf))
        except PrintingFailed:
            if mail.tries < PRINTING_TRIES:
                raise
            log.error("mail.not_printed", mail=mail.id, letter=mail.letter)
        if attachments and (calendar := await note_them()):
            attachments.append(Attachment("events.ics", "text/calendar", calendar))
        return attachments

    def _message(
        self, mail: Mail, recipient: str, person: Person, content: Content, attachments: Sequence[Attachment]
    ) -> EmailMessage:
        rendered = self._renderer.render(mail.letter, person, content, attached=bool(attachments))
        message = new_message()
        message["Subject"] = rendered.subject
        message["From"] = self._sender()
        message["To"] = recipient
        message["Date"] = format_datetime(mail.posted_at.astimezone(UTC))
        message["Message-ID"] = f"<{mail.message_id.hex}@{self._settings.mail_domain}>"
        # So that no holiday responder answers us.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["X-Ticketing-Letter"] = mail.letter
        message.set_content(rendered.text)
        message.add_alternative(rendered.html, subtype="html")
        for one in attachments:
            kind, _, subtype = one.content_type.partition("/")
            message.add_attachment(one.body, maintype=kind, subtype=subtype, filename=one.name)
        return message

    def _sender(self) -> str:
        name, _address = parseaddr(self._settings.mail_from)
        return formataddr((phrase(name or self._settings.platform_name), self._settings.mail_address))


async def _find_person(db: Connection, mail: Mail) -> Person | None:
    if mail.account_id == STRANGER:
        return Person(STRANGER, "", "", "", "")
    row = await db.fetchrow(_PERSON, mail.account_id)
    return Person(row["id"], row["number"], row["email"], row["username"], row["first_name"]) if row else None
