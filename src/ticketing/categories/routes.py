"""Categories over HTTP."""

from ticketing.kit import ids
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries
from .schemas import CATEGORY, Category

operations = Operations("Category Management")

_TAKEN = Taken("category", {"name": "Music"})


@operations("GET /categories", answers=Page[Category], listing=queries.CATEGORIES)
async def list_categories(call: Call) -> Reply:
    """List event categories."""
    async with call.reading() as db:
        return Reply(await queries.CATEGORIES.page(db, call.query, where="category.removed_at IS NULL"))


@operations("POST /categories", answers=Category, status=201, form=CATEGORY, errors=[_TAKEN])
async def create_category(call: Call) -> Reply:
    """Create an event category.

    Events belong to a category and one of its subcategories.
    """
    body = call.json()
    category_id = call.new_id()
    async with call.transaction() as db:
        await actions.ensure_name_free(db, CATEGORY.text(body, "name"))
        await actions.create_category(db, category_id, await CATEGORY.read(body, db))
        return created(await queries.get_category(db, str(category_id)))


@operations("GET /categories/{category}", answers=Category)
async def retrieve_category(call: Call) -> Reply:
    """Retrieve category details."""
    async with call.reading() as db:
        return Reply(await queries.get_category(db, call.path["category"]))


@operations("PUT /categories/{category}", answers=Category, form=CATEGORY, errors=[_TAKEN, actions.CategoryInUse])
async def update_category(call: Call) -> Reply:
    """Modify category details.

    A subcategory that events belong to cannot be dropped.
    """
    async with call.transaction() as db:
        category_id = await actions.lock_category(db, ids.parse(call.path["category"]))
        body = call.json()
        await actions.ensure_name_free(db, CATEGORY.text(body, "name"), but=category_id)
        await actions.update_category(db, category_id, await CATEGORY.read(body, db, replacing=True))
        return Reply(await queries.get_category(db, str(category_id)))


@operations("DELETE /categories/{category}", errors=[actions.CategoryInUse])
async def delete_category(call: Call) -> Reply:
    """Remove a category.

    Only a category without events can be removed.
    """
    async with call.transaction() as db:
        await actions.remove_category(db, await actions.lock_category(db, ids.parse(call.path["category"])))
    return done("The category was removed.")
