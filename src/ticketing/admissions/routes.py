"""The gate over HTTP: valid tickets and admissions."""

from ticketing.hosts.errors import NotHostAdministrator
from ticketing.settings import Settings
from ticketing.tickets.queries import build_ticket
from ticketing.web.operations import Call, Operations, Reply, created
from ticketing.web.paging import Page

from . import actions, guests, offline, queries, refusals
from .errors import EventCancelled, NobodyAdmitted
from .schemas import ADMISSION, Admission, Refusal, RefusalPage, TicketPage

operations = Operations("Event Admissions")


@operations("GET /events/{event}/tickets", answers=TicketPage, listing=queries.TICKETS, errors=[NotHostAdministrator])
async def list_event_tickets(call: Call) -> Reply:
    """Retrieve valid event tickets.

    The tickets that open the sections of the key: Issued ones. With `modified_since` every ticket whose status changed
    since then, with its status, so that a gate that works offline learns what was used, voided or is being handed on.
    A ticket that changed hands is told twice: under its new serial, and under the old one as `Voided`.

    Ask next with the `cursor` of the first page: changes that were not committed yet are behind it, so a ticket may
    be told twice, but none is missed. To take over all tickets of an event page by page, begin with
    `modified_since=1970-01-01T00:00:00Z`: valid ones become fewer between two pages, changed ones do not.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        cursor = await queries.next_cursor(db)
        where, values = queries.within(gate, "ticket")
        build = queries.as_seen(gate, build_ticket, "owner")
        if call.query.get("modified_since"):
            page = await queries.CHANGES.page(db, call.query, where=where, values=values, build=build)
        else:
            valid = f"{where} AND {queries.VALID}"
            page = await queries.TICKETS.page(db, call.query, where=valid, values=values, build=build)
    return Reply(TicketPage(page.page, page.records, page.total, page.entries, cursor, gate.doors, gate.opens))


@operations(
    "POST /events/{event}/admissions",
    answers=list[Admission],
    status=201,
    form=ADMISSION,
    errors=[NobodyAdmitted, EventCancelled, NotHostAdministrator],
)
async def admit_event_patrons(call: Call) -> Reply:
    """Admit event patrons.

    Answers with those who were let in, in the order of their serials. Serials that open nothing here are left out:
    unknown ones, those of another event or section, used, voided, in a transfer, or handed on (which gave the ticket a
    new serial). A ticket is admitted once, however many gates scan it at the same moment. In place of a serial the
    whole text of a ticket's QR code may be sent; one that this server did not sign is left out too, and so is what can
    be neither. Where nobody is let in, `details` has the reason of each serial; refused scans can be read afterwards.
    """
    async with call.transaction() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"], admitting=True)
        values = await ADMISSION.read(call.json(), db)
        if gate.cancelled:
            raise EventCancelled
        scan = actions.Scan(values["serials"], values["redeemer"], values["device"])
        most_refused = call.the(Settings).refused_scans_per_gate
        outcome = await actions.admit(db, gate, scan, call.new_id, most_refused)
        admitted = await queries.get_admissions(db, gate, outcome.admitted)
    # Refused scans are remembered, so they are committed by now.
    if not admitted:
        raise NobodyAdmitted(outcome.reasons)
    return created(admitted)


@operations(
    "GET /events/{event}/admissions",
    answers=Page[Admission],
    listing=queries.ADMISSIONS,
    errors=[NotHostAdministrator],
)
async def list_event_admissions(call: Call) -> Reply:
    """List event admissions.

    Those to the sections of the key.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        where, values = queries.within(gate, "admission")
        build = queries.as_seen(gate, queries.build_admission, "patron")
        return Reply(await queries.ADMISSIONS.page(db, call.query, where=where, values=values, build=build))


@operations("GET /events/{event}/admissions/{admission}", answers=Admission, errors=[NotHostAdministrator])
async def retrieve_admission(call: Call) -> Reply:
    """Retrieve an admission.

    One to a section of the key.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        return Reply(await queries.get_admission(db, gate, call.path["admission"]))


@operations(
    "GET /events/{event}/refusals",
    answers=RefusalPage,
    listing=refusals.REFUSALS,
    errors=[NotHostAdministrator],
)
async def list_event_refusals(call: Call) -> Reply:
    """List refused scans.

    What was scanned at the gates of the event and opened nothing, with the reason. With a key of some sections: scans
    of tickets for these sections, and whatever was scanned with the key itself. `dropped` counts the scans that a gate
    was refused beyond what it may store in a day.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        where, values = refusals.within(gate)
        page = await refusals.REFUSALS.page(db, call.query, where=where, values=values, build=refusals.builder(gate))
        dropped = await refusals.count_dropped(db, gate)
    return Reply(RefusalPage(page.page, page.records, page.total, page.entries, dropped))


@operations(
    "POST /events/{event}/scans", answers=offline.ScanResults, form=offline.UPLOAD, errors=[NotHostAdministrator]
)
async def upload_scans(call: Call) -> Reply:
    """Upload scans made without a network.

    Whom a gate let in by itself, each known by its `nonce`, with the moment: recorded as it happened, also when it
    comes late. Where the ticket could not be used (any more), the first admission stands, and the scan is a `conflict`
    with its reason. Sending them again has no effect and is answered alike.
    """
    async with call.transaction() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"], admitting=True)
        values = await offline.UPLOAD.read(call.json(), db)
        upload = offline.Upload(values["scans"], values["redeemer"], values["device"])
        return Reply(await offline.record_scans(db, gate, upload, call.new_id))


@operations(
    "GET /events/{event}/scans",
    answers=Page[offline.Conflict],
    listing=offline.CONFLICTS,
    errors=[NotHostAdministrator],
)
async def list_scan_conflicts(call: Call) -> Reply:
    """List conflicts of scans made without a network.

    Who was let in with a ticket that opened nothing: used before, handed on, given back, unknown.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        where, values = offline.conflicts_within(gate)
        build = queries.as_seen(gate, offline.build_conflict, "patron")
        return Reply(await offline.CONFLICTS.page(db, call.query, where=where, values=values, build=build))


@operations("GET /events/{event}/scans/{scan}", answers=offline.Conflict, errors=[NotHostAdministrator])
async def retrieve_scan_conflict(call: Call) -> Reply:
    """Retrieve a conflict of a scan made without a network."""
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        return Reply(await offline.get_conflict(db, gate, call.path["scan"]))


@operations(
    "GET /events/{event}/guests",
    answers=Page[guests.Guest],
    listing=guests.GUESTS,
    errors=[NotHostAdministrator],
)
async def list_event_guests(call: Call) -> Reply:
    """List guests.

    Whoever holds tickets of the event, ticket by ticket, found by words of a name, an e-mail address, an order's number
    or the beginning of a serial. A gate's key finds by names, and is told no more than names, unless the host has set
    `contactsAtGates`; orders it is never told.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        return Reply(await guests.page_of_guests(db, gate, call.query))


@operations("GET /events/{event}/refusals/{refusal}", answers=Refusal, errors=[NotHostAdministrator])
async def retrieve_refusal(call: Call) -> Reply:
    """Retrieve a refused scan.

    One that the key may see.
    """
    async with call.reading() as db:
        gate = await queries.gate_for(db, call.caller, call.path["event"])
        return Reply(await refusals.get_refusal(db, gate, call.path["refusal"]))
