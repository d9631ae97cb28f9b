"""Sections and prices over HTTP."""

from ticketing.history import recording as history
from ticketing.hosts.errors import NotHostAdministrator
from ticketing.settings import Settings
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import queries, removal, sections
from .errors import CapacityBelowTaken, HasPaidTickets, TooManyPrices, TooManySections, Unlisted
from .presenting import build_section, fee_bands
from .schemas import PRICE, SECTION, Price, Section

operations = Operations("Working with Events")

_TAKEN = Taken("section", {"name": "Backstage"})


@operations(
    "GET /events/{event}/sections",
    answers=Page[Section],
    listing=queries.SECTIONS,
    errors=[Unlisted],
)
async def list_sections(call: Call) -> Reply:
    """List event sections."""
    bands = fee_bands(call.the(Settings))
    async with call.reading() as db:
        event_id = await queries.visible_event(db, call.caller, call.path["event"])
        return Reply(
            await queries.SECTIONS.page(
                db,
                call.query,
                where="section.event_id = $1 AND section.removed_at IS NULL",
                values=[event_id],
                build=lambda row: build_section(row, bands),
            )
        )


@operations(
    "POST /events/{event}/sections",
    answers=Section,
    status=201,
    form=SECTION,
    errors=[NotHostAdministrator, _TAKEN, TooManySections(sections.MOST_SECTIONS)],
)
async def add_section(call: Call) -> Reply:
    """Add a section to an event.

    Its gates open for the event's global token at once.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        body = sections.with_base_price(call.json())
        await sections.ensure_name_free(db, event.id, SECTION.text(body, "name"))
        values = await SECTION.read(body, db, check=lambda values: sections.sales_misfits(db, values, event.timezone))
        await sections.ensure_room(db, event.id, values)
        section_id = call.new_id()
        await sections.add_section(db, section_id, event, values)
        return created(await queries.get_section(db, event.id, str(section_id), fee_bands(call.the(Settings))))


@operations("GET /events/{event}/sections/{section}", answers=Section, errors=[Unlisted])
async def retrieve_section(call: Call) -> Reply:
    """Retrieve section details."""
    async with call.reading() as db:
        event_id = await queries.visible_event(db, call.caller, call.path["event"])
        return Reply(await queries.get_section(db, event_id, call.path["section"], fee_bands(call.the(Settings))))


@operations(
    "PUT /events/{event}/sections/{section}",
    answers=Section,
    form=SECTION,
    errors=[NotHostAdministrator, _TAKEN, CapacityBelowTaken],
)
async def update_section(call: Call) -> Reply:
    """Update section details.

    What was sold or reserved stays, at the price it was ordered for.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        section_id = await queries.find_section(db, event.id, call.path["section"], locking=True)
        body = sections.with_base_price(call.json())
        await sections.ensure_name_free(db, event.id, SECTION.text(body, "name"), but=section_id)
        values = await SECTION.read(
            body, db, replacing=True, check=lambda values: sections.sales_misfits(db, values, event.timezone)
        )
        await sections.ensure_room(db, event.id, values, but=section_id)
        await sections.update_section(db, section_id, event, values)
        return Reply(await queries.get_section(db, event.id, str(section_id), fee_bands(call.the(Settings))))


@operations("DELETE /events/{event}/sections/{section}", errors=[NotHostAdministrator, HasPaidTickets])
async def remove_section(call: Call) -> Reply:
    """Remove a section.

    Its tickets are voided. Administrators remove any, hosts only those for which nobody has paid.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        section_id = await queries.find_section(db, event.id, call.path["section"])
        await removal.remove_section(db, section_id, by_administrator=call.caller.administers)
        await history.record(db, call.new_id(), call.caller, "section.removed", f"{event.uri}/sections/{section_id}")
    return done("The section was removed.")


@operations(
    "GET /events/{event}/sections/{section}/prices", answers=Page[Price], listing=queries.PRICES, errors=[Unlisted]
)
async def list_prices(call: Call) -> Reply:
    """List section prices.

    The timed and limited ones; while one is open and lower than the base price it is what a ticket costs.
    """
    async with call.reading() as db:
        event_id = await queries.visible_event(db, call.caller, call.path["event"])
        section_id = await queries.find_section(db, event_id, call.path["section"])
        return Reply(
            await queries.PRICES.page(
                db,
                call.query,
                where="price.section_id = $1 AND price.removed_at IS NULL",
                values=[section_id],
            )
        )


@operations(
    "POST /events/{event}/sections/{section}/prices",
    answers=Price,
    status=201,
    form=PRICE,
    errors=[NotHostAdministrator, TooManyPrices(sections.MOST_PRICES)],
)
async def add_price(call: Call) -> Reply:
    """Add a timed or limited price.

    It is open between `from` and `to` while fewer than `quantity` places were taken at it; left out, that is no bound.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        section_id = await queries.find_section(db, event.id, call.path["section"], locking=True)
        values = await PRICE.read(
            call.json(), db, check=lambda values: sections.price_misfits(db, values, event.timezone)
        )
        price_id = call.new_id()
        await sections.add_price(db, price_id, section_id, event, values)
        return created(await queries.get_price(db, section_id, str(price_id)))


@operations("GET /events/{event}/sections/{section}/prices/{price}", answers=Price, errors=[Unlisted])
async def retrieve_price(call: Call) -> Reply:
    """Retrieve a timed or limited price."""
    async with call.reading() as db:
        event_id = await queries.visible_event(db, call.caller, call.path["event"])
        section_id = await queries.find_section(db, event_id, call.path["section"])
        return Reply(await queries.get_price(db, section_id, call.path["price"]))


@operations("DELETE /events/{event}/sections/{section}/prices/{price}", errors=[NotHostAdministrator])
async def remove_price(call: Call) -> Reply:
    """Remove a timed or limited price.

    What was ordered at it keeps its price.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        section_id = await queries.find_section(db, event.id, call.path["section"], locking=True)
        await sections.remove_price(db, section_id, call.path["price"])
    return done("The price was removed.")
