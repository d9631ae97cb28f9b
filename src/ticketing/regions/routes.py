"""Regions over HTTP."""

from ticketing.kit import ids
from ticketing.pictures.serving import media_url
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries
from .schemas import REGION, Region

operations = Operations("Region Management")

_TAKEN = Taken("region", {"name": "Saint John's"})


@operations("GET /regions", answers=Page[Region], listing=queries.REGIONS)
async def list_regions(call: Call) -> Reply:
    """List supported regions.

    Where events can be staged. `active` regions have an approved event that has not ended.
    """
    media = media_url(call)
    async with call.reading() as db:
        return Reply(
            await queries.REGIONS.page(
                db,
                call.query,
                where="region.removed_at IS NULL",
                build=lambda row: queries.build_region(row, media),
            )
        )


@operations("POST /regions", answers=Region, status=201, form=REGION, errors=[_TAKEN])
async def add_region(call: Call) -> Reply:
    """Add a supported region.

    Venues refer to the region in which they lie, and people may prefer one.
    """
    body = call.json()
    region_id = call.new_id()
    async with call.transaction() as db:
        await actions.ensure_name_free(db, REGION.text(body, "name"))
        await actions.add_region(db, region_id, await REGION.read(body, db))
        return created(await queries.get_region(db, str(region_id), media_url(call)))


@operations("GET /regions/{region}", answers=Region)
async def retrieve_region(call: Call) -> Reply:
    """Retrieve region details."""
    async with call.reading() as db:
        return Reply(await queries.get_region(db, call.path["region"], media_url(call)))


@operations("PUT /regions/{region}", answers=Region, form=REGION, errors=[_TAKEN])
async def update_region(call: Call) -> Reply:
    """Modify region details."""
    async with call.transaction() as db:
        region_id = await actions.lock_region(db, ids.parse(call.path["region"]))
        body = call.json()
        await actions.ensure_name_free(db, REGION.text(body, "name"), but=region_id)
        await actions.update_region(db, region_id, await REGION.read(body, db, replacing=True))
        return Reply(await queries.get_region(db, str(region_id), media_url(call)))


@operations("DELETE /regions/{region}", errors=[actions.RegionHasVenues])
async def remove_region(call: Call) -> Reply:
    """Remove a supported region.

    Only a region without venues can be removed.
    """
    async with call.transaction() as db:
        await actions.remove_region(db, await actions.lock_region(db, ids.parse(call.path["region"])))
    return done("The region was removed.")
