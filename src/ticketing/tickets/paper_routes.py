"""Tickets as files over HTTP: to print, to show at the gate, to note in a calendar."""

from ticketing.accounts.errors import NotYourAccount
from ticketing.events.errors import Unlisted
from ticketing.events.queries import visible_event
from ticketing.web.operations import FILE_COST, Call, Operations, Reply, private_file

from . import calendars, printing, queries
from .errors import NotInACalendar, OpensNoGate
from .schemas import Ticket

operations = Operations("Account Activity")


@operations("GET /accounts/{number}/tickets/{serial}", answers=Ticket, errors=[NotYourAccount])
async def retrieve_wallet_ticket(call: Call) -> Reply:
    """Retrieve a ticket of the wallet."""
    return Reply(await _held(call))


@operations(
    "GET /accounts/{number}/tickets/{serial}.pdf",
    media_type="application/pdf",
    errors=[NotYourAccount, OpensNoGate],
    cost=FILE_COST,
)
async def print_ticket(call: Call) -> Reply:
    """Print a ticket.

    A page of A6 with a QR code that a gate can verify. A ticket that opens no gate at present is not printed.
    """
    ticket = await _held(call)
    printed = await printing.ticket_pdf(call.services, ticket.serial, asker=call.asker)
    if printed is None:
        raise OpensNoGate
    return private_file(printed, "application/pdf", f"{ticket.serial}.pdf")


@operations("GET /accounts/{number}/tickets/{serial}.png", media_type="image/png", errors=[NotYourAccount, OpensNoGate])
async def draw_ticket_code(call: Call) -> Reply:
    """Draw a ticket's QR code.

    The code alone, white on all sides, for an app that shows tickets. A ticket that opens no gate at present has none.
    """
    ticket = await _held(call)
    drawn = await printing.ticket_png(call.services, ticket.serial, asker=call.asker)
    if drawn is None:
        raise OpensNoGate
    return private_file(drawn, "image/png", f"{ticket.serial}.png")


@operations(
    "GET /accounts/{number}/tickets/{serial}.ics", media_type="text/calendar", errors=[NotYourAccount, NotInACalendar]
)
async def note_ticket(call: Call) -> Reply:
    """Note a ticket's event in a calendar.

    An iCalendar file; it does not carry the serial, since calendars are shared.
    """
    ticket = await _held(call)
    noted = await printing.ticket_ics(call.services, ticket.serial)
    if noted is None:
        raise NotInACalendar
    return private_file(noted, calendars.CONTENT_TYPE, f"{ticket.serial}.ics")


@operations(
    "GET /events/{event}.ics", tag="Working with Events", media_type="text/calendar", errors=[Unlisted, NotInACalendar]
)
async def note_event(call: Call) -> Reply:
    """Note an event in a calendar.

    An iCalendar file, for whoever may see the event; an event without a date has none.
    """
    async with call.reading() as db:
        event_id = await visible_event(db, call.caller, call.path["event"])
        noted = await printing.listed_ics(db, event_id)
    if noted is None:
        raise NotInACalendar
    return private_file(noted, calendars.CONTENT_TYPE, f"event-{event_id}.ics")


async def _held(call: Call) -> Ticket:
    async with call.reading() as db:
        return await queries.held_ticket(db, call.caller, call.path["number"], call.path["serial"])
