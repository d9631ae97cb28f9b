"""Changing venues."""

from typing import Any

from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.kit.searching import fold
from ticketing.web.errors import Conflict, InvalidValues, NotFound, Taken, about

from .telling import holders_hear_of_venue
from .timezones import timezone_at


class VenueInUse(Conflict):
    """Events take place, or took place, at the venue."""

    text = "A venue cannot be deleted if it is staging an event"
    details = about("venue", "move its events to another venue first; past ones count too")


# By events, or by one that may come back to it, or to it, once a change of it is decided about.
_IS_IN_USE = """
SELECT EXISTS (SELECT FROM events WHERE venue_id = $1 AND removed_at IS NULL)
    OR EXISTS (SELECT FROM submissions WHERE venue_id = $1 AND status = 'Pending')"""


async def ensure_name_free(db: Connection, name: str | None, *, but: int | None = None) -> None:
    """Raise Taken when another venue bears the name."""
    if name is not None and await db.fetchval(
        "SELECT true FROM venues WHERE name_key = $1 AND removed_at IS NULL AND id IS DISTINCT FROM $2",
        identity(name),
        but,
    ):
        raise Taken("venue", {"name": name})


async def create_venue(db: Connection, venue_id: int, values: dict[str, Any]) -> None:
    """Write a new venue, in the time zone of its coordinates."""
    await db.execute(
        "INSERT INTO venues (id, name, region_id, address, longitude, latitude, name_key, search_text, timezone)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        venue_id,
        *_place(values),
        await _timezone(db, values),
    )


async def lock_venue(db: Connection, venue_id: int | None) -> int:
    """The id of a venue that no event comes to until the transaction ends. Raises NotFound."""
    found = await db.fetchval("SELECT id FROM venues WHERE id = $1 AND removed_at IS NULL FOR UPDATE", venue_id)
    if found is None:
        raise NotFound
    return int(found)


async def update_venue(db: Connection, venue_id: int, values: dict[str, Any]) -> None:
    """Replace the venue; its events follow it into another time zone, and whoever holds a ticket hears of it."""
    timezone = await _timezone(db, values)
    async with holders_hear_of_venue(db, venue_id):
        before = await db.fetchval("SELECT timezone FROM venues WHERE id = $1", venue_id)
        await db.execute(
            "UPDATE venues SET name = $2, region_id = $3, address = $4, longitude = $5, latitude = $6, name_key = $7,"
            " search_text = $8, timezone = $9 WHERE id = $1",
            venue_id,
            *_place(values),
            timezone,
        )
        if timezone != before:
            await _move_events(db, venue_id, timezone)


async def remove_venue(db: Connection, venue_id: int) -> None:
    """Remove a venue at which nothing takes or took place.

    Raises VenueInUse.
    """
    if await db.fetchval(_IS_IN_USE, venue_id):
        raise VenueInUse
    await db.execute("UPDATE venues SET removed_at = clock() WHERE id = $1", venue_id)


def _place(values: dict[str, Any]) -> tuple[Any, ...]:
    given = (values[member] for member in ("name", "region", "address", "longitude", "latitude"))
    return (*given, identity(values["name"]), fold(values["name"]))


async def _timezone(db: Connection, values: dict[str, Any]) -> str:
    """The zone at the coordinates.

    Raises InvalidValues for a zone younger than the database's own list, which could not compute with it.
    """
    timezone = await timezone_at(values["latitude"], values["longitude"])
    if not await db.fetchval("SELECT true FROM pg_timezone_names WHERE name = $1", timezone):
        raise InvalidValues(
            dict.fromkeys(
                ("longitude", "latitude"), f"lie in the time zone {timezone}, which the database does not know"
            )
        )
    return timezone


async def _move_events(db: Connection, venue_id: int, timezone: str) -> None:
    """Compute again what the events' local times mean; the text that was sent stays."""
    moved = await db.fetch(
        "UPDATE events SET timezone = $2, starts_at = instant(start_text, $2), ends_at = instant(end_text, $2),"
        " doors_at = instant(doors_text, $2)"
        " WHERE venue_id = $1 RETURNING id",
        venue_id,
        timezone,
    )
    # Locked in id order, as orders lock them.
    sections = await db.fetch(
        "SELECT id FROM sections WHERE event_id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE",
        [row["id"] for row in moved],
    )
    section_ids = [row["id"] for row in sections]
    await db.execute(
        "UPDATE sections SET sales_start = instant(sales_start_text, $2), sales_end = instant(sales_end_text, $2)"
        " WHERE id = ANY ($1::bigint[])",
        section_ids,
        timezone,
    )
    await db.execute(
        "UPDATE prices SET opens_at = instant(from_text, $2), closes_at = instant(to_text, $2)"
        " WHERE section_id = ANY ($1::bigint[])",
        section_ids,
        timezone,
    )
