"""Changing categories."""

from collections.abc import Iterable
from typing import Any

from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.kit.searching import fold
from ticketing.web.errors import Conflict, NotFound, Taken, about


class CategoryInUse(Conflict):
    """Events belong to the category, or to the subcategory that would go."""

    text = "You cannot delete in-use event categories."
    details = about("category", "move its events to other categories and subcategories first")


async def ensure_name_free(db: Connection, name: str | None, *, but: int | None = None) -> None:
    """Raise Taken when another category bears the name."""
    if name is not None and await db.fetchval(
        "SELECT true FROM categories WHERE name_key = $1 AND removed_at IS NULL AND id IS DISTINCT FROM $2",
        identity(name),
        but,
    ):
        raise Taken("category", {"name": name})


async def create_category(db: Connection, category_id: int, values: dict[str, Any]) -> None:
    """Write a new category."""
    await db.execute(
        "INSERT INTO categories (id, name, name_key, subcategories, search_text) VALUES ($1, $2, $3, $4, $5)",
        category_id,
        values["name"],
        identity(values["name"]),
        values["subcategories"],
        fold(values["name"]),
    )


async def lock_category(db: Connection, category_id: int | None) -> int:
    """The id of a category that no event joins until the transaction ends. Raises NotFound."""
    found = await db.fetchval("SELECT id FROM categories WHERE id = $1 AND removed_at IS NULL FOR UPDATE", category_id)
    if found is None:
        raise NotFound
    return int(found)


async def update_category(db: Connection, category_id: int, values: dict[str, Any]) -> None:
    """Replace what is given; the rest keeps its value.

    Raises CategoryInUse when an event would lose its subcategory.
    """
    subcategories = values.get("subcategories")
    if subcategories is not None:
        await _ensure_kept(db, category_id, subcategories)
    await db.execute(
        "UPDATE categories SET name = $2, name_key = $3, subcategories = coalesce($4, subcategories),"
        " search_text = $5 WHERE id = $1",
        category_id,
        values["name"],
        identity(values["name"]),
        subcategories,
        fold(values["name"]),
    )


async def remove_category(db: Connection, category_id: int) -> None:
    """Remove a category that no event belongs to.

    Raises CategoryInUse.
    """
    await _ensure_kept(db, category_id, ())
    await db.execute("UPDATE categories SET removed_at = clock() WHERE id = $1", category_id)


async def _ensure_kept(db: Connection, category_id: int, subcategories: Iterable[str]) -> None:
    """Raise CategoryInUse when an event of the category has a subcategory that is none of these."""
    if await db.fetchval(
        "SELECT true FROM events"
        " WHERE category_id = $1 AND removed_at IS NULL AND subcategory <> ALL ($2::text[]) LIMIT 1",
        category_id,
        list(subcategories),
    ):
        raise CategoryInUse
