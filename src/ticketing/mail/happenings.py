"""Events as letters tell of them: title, time at the venue with its zone, place."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ticketing.kit.database import Connection
from ticketing.tickets.printing import FOREVER

from .rendering import title

SAME_PLACE_METRES = 100  # a pin on the map that is set more exactly moves nobody
_METRES_PER_DEGREE = 111_195


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in words; `when` is "" while it has no date. `point` is told where words do not tell places apart."""

    id: int
    title: str
    when: str
    venue: str
    address: str
    city: str
    host: str
    longitude: float = 0.0
    latitude: float = 0.0
    point: str = ""

    @property
    def where(self) -> str:
        """The place on one line, without saying anything twice."""
        parts: list[str] = []
        for part in (self.venue, self.address, self.city):
            if part and not any(part.lower() in told.lower() for told in parts):
                parts.append(part)
        return ", ".join(parts) + self.point


def tell_apart(one: Happening, other: Happening) -> tuple[Happening, Happening]:
    """Both with the points where they take place, if that is all that tells their places apart."""
    if one.where != other.where or _metres(one, other) < SAME_PLACE_METRES:
        return one, other
    return replace(one, point=_point(one)), replace(other, point=_point(other))


def _metres(one: Happening, other: Happening) -> float:
    """How far apart they take place, nearly; 2,000 km or 20,000 is the same to a letter."""
    eastwards = abs(one.longitude - other.longitude)
    eastwards = min(eastwards, 360 - eastwards) * math.cos(math.radians((one.latitude + other.latitude) / 2))
    return math.hypot(eastwards, one.latitude - other.latitude) * _METRES_PER_DEGREE


def _point(one: Happening) -> str:
    """` (17.0009° N, 61.7533° W)`."""
    north, east = "N" if one.latitude >= 0 else "S", "E" if one.longitude >= 0 else "W"
    return f" ({abs(one.latitude):.4f}° {north}, {abs(one.longitude):.4f}° {east})"


def _local(instant: str, zone: str) -> str:
    """SQL: the day, the time, and the minutes the zone is ahead of UTC; NULL while there is no date.

    Never a Python datetime: it may overflow.
    """
    local = f"({instant} AT TIME ZONE {zone})"
    return f"""CASE WHEN extract(year FROM {local}) < {FOREVER} THEN json_build_array(
        to_char({local}, 'FMDay, FMDD FMMonth FMYYYY'), to_char({local}, 'HH24:MI'),
        (extract(epoch FROM {local} - ({instant} AT TIME ZONE 'UTC')) / 60)::int)::text END"""


_HAPPENINGS = f"""
SELECT event.id, event.title, event.timezone, venue.name AS venue, venue.address, region.city, host.name AS host,
       venue.longitude, venue.latitude,
       {_local("event.starts_at", "event.timezone")} AS starts, {_local("event.ends_at", "event.timezone")} AS ends,
       {_local("event.doors_at", "event.timezone")} AS doors
  FROM events event JOIN venues venue ON venue.id = event.venue_id
       JOIN regions region ON region.id = venue.region_id JOIN hosts host ON host.id = event.host_id
 WHERE event.id = ANY($1::bigint[]) ORDER BY event.starts_at, event.id"""

# As an event was with these times, in this zone.
_BEFORE = f"""
SELECT {_local("instant($1, $4)", "$4")} AS starts, {_local("instant($2, $4)", "$4")} AS ends,
       {_local("instant($3, $4)", "$4")} AS doors"""


async def find_happenings(db: Connection, event_ids: Sequence[int]) -> list[Happening]:
    """These events, the earliest first; removed ones too."""
    rows = await db.fetch(_HAPPENINGS, list(event_ids))
    return [_happening(dict(row)) for row in rows]


async def find_before(db: Connection, event: Happening, about: Mapping[str, Any]) -> Happening:
    """The event as it was, from what a letter about its change carries (see `venues/telling`)."""
    times = await db.fetchrow(_BEFORE, about["start"], about["end"], about["doors"], about["zone"])
    assert times is not None  # noqa: S101 - for the type checker: it computes
    return _happening({**about, **times, "timezone": about["zone"], "venue": about["name"]}, event)


def _happening(row: Mapping[str, Any], event: Happening | None = None) -> Happening:
    return Happening(
        id=event.id if event else row["id"],
        title=event.title if event else title(row["title"]),
        when=moments(_parts(row["starts"]), _parts(row["ends"]), row["timezone"], _parts(row["doors"])),
        venue=title(row["venue"]),
        address=title(row["address"]),
        city=title(row["city"]),
        host=event.host if event else title(row["host"]),
        longitude=row["longitude"],
        latitude=row["latitude"],
    )


def _parts(local: str | None) -> tuple[str, str, int] | None:
    return msgspec.json.decode(local, type=tuple[str, str, int]) if local else None


Told = tuple[str, str, int]  # a day, a time, and how many minutes its clock is ahead of UTC


def moments(start: Told | None, end: Told | None, zone: str, doors: Told | None = None) -> str:
    """`Wednesday, 7 June 2034, 20:00 to 23:00 (Antigua time, UTC−4), doors 19:00`."""
    if start is None:
        return f"Doors {doors[0]}, {doors[1]} ({zone_name(zone, doors[2])})" if doors is not None else ""
    day, time, ahead = start
    until = at_end = ""
    if end is not None and end != start:
        until = f" to {end[1]}" if end[0] == day else f" to {end[0]}, {end[1]}"
        at_end = f", at the end {offset_name(end[2])}" if end[2] != ahead else ""
    opening = f", doors {_opening(doors, start)}" if doors is not None else ""
    return f"{day}, {time}{until} ({zone_name(zone, ahead)}{at_end}){opening}"


def _opening(doors: Told, start: Told) -> str:
    """The time of the doors, with what is another than at the start: the day, the offset."""
    told = doors[1] if doors[0] == start[0] else f"{doors[0]}, {doors[1]}"
    return told if doors[2] == start[2] else f"{told} ({offset_name(doors[2])})"


def zone_name(zone: str, ahead_minutes: int) -> str:
    """`Antigua time, UTC−4`; a zone that names no place is its offset alone."""
    offset = offset_name(ahead_minutes)
    area, _, place = zone.rpartition("/")
    if not area or area.startswith("Etc"):
        return offset
    return f"{place.replace('_', ' ')} time, {offset}"


def offset_name(ahead_minutes: int) -> str:
    """`UTC−4`, `UTC+5:30`."""
    sign = "−" if ahead_minutes < 0 else "+"
    hours, minutes = divmod(abs(ahead_minutes), 60)
    return f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "") if ahead_minutes else "UTC"
