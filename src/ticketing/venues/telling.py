"""Telling whoever holds a ticket that an event takes place at another time, or elsewhere.

A letter carries how it was before; what has become of it the letter says when it is sent, from the database.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from ticketing.kit.database import Connection
from ticketing.letters.posting import Letter, post

_STANDS = """
SELECT event.id AS event, event.start_text AS start, event.end_text AS "end", event.doors_text AS doors,
       event.timezone AS zone, venue.name, venue.address, region.city, venue.longitude, venue.latitude,
       event.over_at > clock() AS is_ahead
  FROM events event JOIN venues venue ON venue.id = event.venue_id JOIN regions region ON region.id = venue.region_id
 WHERE event.{column} = $1 AND event.removed_at IS NULL AND event.status <> 'Cancelled' ORDER BY event.id"""


@contextlib.asynccontextmanager
async def holders_hear_of_event(db: Connection, event_id: int) -> AsyncIterator[None]:
    """Tell holders when what is done inside gives the event another time or place."""
    async with _telling(db, _STANDS.format(column="id"), event_id):
        yield


@contextlib.asynccontextmanager
async def holders_hear_of_venue(db: Connection, venue_id: int) -> AsyncIterator[None]:
    """Tell holders of what takes place at the venue when what is done inside changes where, or when, that is."""
    async with _telling(db, _STANDS.format(column="venue_id"), venue_id):
        yield


@contextlib.asynccontextmanager
async def _telling(db: Connection, statement: str, thing: int) -> AsyncIterator[None]:
    before = await _read(db, statement, thing)
    yield
    after = await _read(db, statement, thing)
    letters = []
    for event, stood in before.items():
        lay_ahead, stands = stood.pop("is_ahead"), after[event]
        if (stands.pop("is_ahead") or lay_ahead) and stands != stood:
            letters.append(Letter("event_changed", about=stood))
    await post(db, letters)


async def _read(db: Connection, statement: str, thing: int) -> dict[int, dict[str, Any]]:
    return {row["event"]: dict(row) for row in await db.fetch(statement, thing)}
