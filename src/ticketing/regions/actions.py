"""Changing regions."""

from typing import Any

from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.web.errors import Conflict, NotFound, Taken, about


class RegionHasVenues(Conflict):
    """A region is removed only when no venue lies in it."""

    text = "A region cannot be deleted if it has venues attached"
    details = about("region", "remove its venues first")


async def ensure_name_free(db: Connection, name: str | None, *, but: int | None = None) -> None:
    """Raise Taken when another region bears the name."""
    if name is not None and await db.fetchval(
        "SELECT true FROM regions WHERE name_key = $1 AND removed_at IS NULL AND id IS DISTINCT FROM $2",
        identity(name),
        but,
    ):
        raise Taken("region", {"name": name})


async def add_region(db: Connection, region_id: int, values: dict[str, Any]) -> None:
    """Write a new region."""
    await db.execute(
        "INSERT INTO regions (id, name, name_key, country, district, city) VALUES ($1, $2, $3, $4, $5, $6)",
        region_id,
        values["name"],
        identity(values["name"]),
        values["country"],
        values["district"],
        values["city"],
    )


async def lock_region(db: Connection, region_id: int | None) -> int:
    """The id of a region that stays until the transaction ends. Raises NotFound."""
    found = await db.fetchval("SELECT id FROM regions WHERE id = $1 AND removed_at IS NULL FOR UPDATE", region_id)
    if found is None:
        raise NotFound
    return int(found)


async def update_region(db: Connection, region_id: int, values: dict[str, Any]) -> None:
    """Replace what is given; the rest keeps its value."""
    await db.execute(
        "UPDATE regions SET name = $2, name_key = $3, country = $4, district = coalesce($5, district),"
        " city = coalesce($6, city) WHERE id = $1",
        region_id,
        values["name"],
        identity(values["name"]),
        values["country"],
        values.get("district"),
        values.get("city"),
    )


async def remove_region(db: Connection, region_id: int) -> None:
    """Remove a region that nothing lies in; people who preferred it prefer none.

    Raises RegionHasVenues.
    """
    if await db.fetchval("SELECT true FROM venues WHERE region_id = $1 AND removed_at IS NULL LIMIT 1", region_id):
        raise RegionHasVenues
    await db.execute("UPDATE accounts SET preferred_region_id = NULL WHERE preferred_region_id = $1", region_id)
    await db.execute("UPDATE regions SET removed_at = clock() WHERE id = $1", region_id)
