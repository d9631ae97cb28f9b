"""Venues over HTTP."""

from ticketing.kit import ids
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries
from .maps import maps_of
from .schemas import VENUE, Venue

operations = Operations("Venue Management")

_TAKEN = Taken("venue", {"name": "Sir Vivian Richards Stadium"})


@operations("GET /venues", answers=Page[Venue], listing=queries.VENUES)
async def list_venues(call: Call) -> Reply:
    """List event venues.

    `region` is the id of a region, `name` a whole name.
    """
    maps = maps_of(call)
    async with call.reading() as db:
        return Reply(
            await queries.VENUES.page(
                db,
                call.query,
                where="venue.removed_at IS NULL",
                build=lambda row: queries.build_venue(row, maps),
            )
        )


@operations("POST /venues", answers=Venue, status=201, form=VENUE, errors=[_TAKEN])
async def create_venue(call: Call) -> Reply:
    """Create an event venue.

    Its time zone comes from the coordinates: event times without an offset are local to it.
    """
    body = call.json()
    venue_id = call.new_id()
    async with call.transaction() as db:
        await actions.ensure_name_free(db, VENUE.text(body, "name"))
        await actions.create_venue(db, venue_id, await VENUE.read(body, db))
        return created(await queries.get_venue(db, str(venue_id), maps_of(call)))


@operations("GET /venues/{venue}", answers=Venue)
async def retrieve_venue(call: Call) -> Reply:
    """Retrieve event venue details."""
    async with call.reading() as db:
        return Reply(await queries.get_venue(db, call.path["venue"], maps_of(call)))


@operations("PUT /venues/{venue}", answers=Venue, form=VENUE, errors=[_TAKEN])
async def update_venue(call: Call) -> Reply:
    """Modify event venue details.

    The local times of its events follow it into another time zone.
    """
    async with call.transaction() as db:
        venue_id = await actions.lock_venue(db, ids.parse(call.path["venue"]))
        body = call.json()
        await actions.ensure_name_free(db, VENUE.text(body, "name"), but=venue_id)
        await actions.update_venue(db, venue_id, await VENUE.read(body, db, replacing=True))
        return Reply(await queries.get_venue(db, str(venue_id), maps_of(call)))


@operations("DELETE /venues/{venue}", errors=[actions.VenueInUse])
async def delete_venue(call: Call) -> Reply:
    """Remove an event venue.

    Only a venue at which no event takes or took place can be removed.
    """
    async with call.transaction() as db:
        await actions.remove_venue(db, await actions.lock_venue(db, ids.parse(call.path["venue"])))
    return done("The venue was removed.")
