"""Tickets over HTTP: the wallet, the itinerary."""

from ticketing.accounts.errors import AccountNotFound, NotYourAccount
from ticketing.accounts.queries import account_for
from ticketing.events.presenting import build_event, presentation
from ticketing.events.schemas import Event
from ticketing.web.operations import Call, Operations, Reply
from ticketing.web.paging import Page

from . import queries
from .schemas import Ticket

operations = Operations("Account Activity")


@operations(
    "GET /accounts/{number}/tickets",
    answers=Page[Ticket],
    listing=queries.WALLET,
    errors=[AccountNotFound, NotYourAccount],
)
async def list_ticket_wallet(call: Call) -> Reply:
    """Retrieve ticket wallet.

    Every ticket of the account; those in a transfer are `Pending` (or, as a filter, `Held`).
    """
    async with call.reading() as db:
        account = await account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(await queries.WALLET.page(db, call.query, where="ticket.owner_id = $1", values=[account]))


@operations(
    "GET /accounts/{number}/events",
    answers=Page[Event],
    listing=queries.ITINERARY,
    errors=[AccountNotFound, NotYourAccount],
)
async def view_event_itinerary(call: Call) -> Reply:
    """Retrieve event itinerary.

    The events, past and future, that the account has tickets for.
    """
    shown = presentation(call)
    async with call.reading() as db:
        account = await account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(
            await queries.ITINERARY.page(
                db,
                call.query,
                where=queries.HAS_TICKETS,
                values=[account],
                build=lambda row: build_event(row, shown),
            )
        )


@operations("GET /tickets/{serial}", answers=Ticket, errors=[NotYourAccount])
async def retrieve_ticket(call: Call) -> Reply:
    """Retrieve a ticket.

    For its owner, support and administrators.
    """
    async with call.reading() as db:
        return Reply(await queries.ticket_for(db, call.caller, call.path["serial"]))
