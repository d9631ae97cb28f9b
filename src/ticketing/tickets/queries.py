"""Reading tickets: what the wallet and the gate share."""

import re
from dataclasses import replace

from ticketing.accounts.errors import NotYourAccount
from ticketing.accounts.queries import account_for, build_short_account, short_columns
from ticketing.events.queries import ACTIVE, EVENTS, OVER
from ticketing.events.schemas import Event
from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound
from ticketing.web.paging import Filter, Listing, one_of, reference

from .schemas import ShortSection, Ticket

SECTION_COLUMNS = (
    "section.event_id AS section_event_id, section.id AS section_id, section.name AS section_name,"
    " section.description AS section_description"
)
COLUMNS = (
    "ticket.serial, ticket.status, ticket.issued_at, ticket.redeemed_at,"
    f" {SECTION_COLUMNS}, {short_columns('owner', 'owner_')}"
)

# Outer joins although each finds its row: what a query does not use of them (to count, say) is then not read at all.
_MENTIONED = """
    LEFT JOIN sections section ON section.id = ticket.section_id
    LEFT JOIN events event ON event.id = ticket.event_id
    LEFT JOIN accounts owner ON owner.id = ticket.owner_id"""
SOURCE = f"tickets ticket{_MENTIONED}"

# With the serials that tickets had before they changed hands: for who knew them they are Voided.
SOURCE_WITH_RETIRED = f"""(
    SELECT id, serial, status, issued_at, redeemed_at, changed_at, event_id, section_id, owner_id FROM tickets
    UNION ALL
    SELECT id, serial, 'Voided'::text, issued_at, NULL::timestamptz, retired_at, event_id, section_id, owner_id
      FROM retired_serials) ticket{_MENTIONED}"""


def build_ticket(row: Row) -> Ticket:
    """A ticket as the API shows it, from COLUMNS."""
    redeemed_at = row["redeemed_at"]
    return Ticket(
        uri=f"/tickets/{row['serial']}",
        serial=row["serial"],
        status=row["status"],
        section=build_short_section(row),
        owner=build_short_account(row, "owner_"),
        issued=clock.stamp(row["issued_at"]),
        redeemed=clock.stamp(redeemed_at) if redeemed_at else "N/A",
    )


def build_short_section(row: Row) -> ShortSection:
    """The section of a ticket or an admission, from SECTION_COLUMNS."""
    return ShortSection(
        uri=f"/events/{row['section_event_id']}/sections/{row['section_id']}",
        name=row["section_name"],
        description=row["section_description"],
    )


_SERIAL = re.compile(r"[0-9A-Z]{6}-[0-9A-Z]{12}")

WALLET: Listing[Ticket] = Listing(
    source=SOURCE,
    columns=COLUMNS,
    id="ticket.id",
    key="ticket.id",
    build=build_ticket,
    filters={
        "event": reference("ticket.event_id"),
        "section": reference("ticket.section_id"),
        "serial": Filter("starts_with(ticket.serial, {})", str.upper),
        "status": one_of(
            "ticket.status",
            {"Issued": "Issued", "Pending": "Pending", "Held": "Pending", "Redeemed": "Redeemed", "Voided": "Voided"},
        ),
    },
)

HAS_TICKETS = """event.id IN (
    SELECT ticket.event_id FROM tickets ticket WHERE ticket.owner_id = $1 AND ticket.status <> 'Voided')"""

ITINERARY: Listing[Event] = replace(EVENTS, filters={"active": ACTIVE, "over": OVER})


async def held_ticket(db: Connection, caller: Caller, number: str, serial: str) -> Ticket:
    """The ticket of this serial in the wallet of this account, for whoever may see the wallet.

    Raises AccountNotFound, NotYourAccount, NotFound.
    """
    account = await account_for(db, caller, number, support_may=True)
    row = None
    if _SERIAL.fullmatch(serial):
        row = await db.fetchrow(
            f"SELECT {COLUMNS} FROM {SOURCE} WHERE ticket.serial = $1 AND ticket.owner_id = $2", serial, account
        )
    if row is None:
        raise NotFound
    return build_ticket(row)


async def ticket_for(db: Connection, caller: Caller, serial: str) -> Ticket:
    """The ticket, if this caller may see it: its owner, support, administrators.

    Under a serial that it had before it changed hands it is its former owner's, and Voided.

    Raises NotFound, NotYourAccount.
    """
    row = None
    if _SERIAL.fullmatch(serial):
        row = await db.fetchrow(
            f"SELECT ticket.owner_id, {COLUMNS} FROM {SOURCE_WITH_RETIRED} WHERE ticket.serial = $1", serial
        )
    if row is None:
        raise NotFound
    if row["owner_id"] != caller.account and not caller.reads_people:
        raise NotYourAccount
    return build_ticket(row)
