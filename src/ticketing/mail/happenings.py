"""Events as letters tell of them: title, time at the venue with its zone, place."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ticketing.kit.database import Connection, Row
from ticketing.tickets.printing import FOREVER

from .rendering import title


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in words; `when` is "" while it has no date."""

    id: int
    title: str
    when: str
    venue: str
    address: str
    city: str
    host: str

    @property
    def where(self) -> str:
        """The place on one line, without saying anything twice."""
        parts: list[str] = []
        for part in (self.venue, self.address, self.city):
            if part and not any(part.lower() in told.lower() for told in parts):
                parts.append(part)
        return ", ".join(parts)


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
       {_local("event.starts_at", "event.timezone")} AS starts, {_local("event.ends_at", "event.timezone")} AS ends
  FROM events event JOIN venues venue ON venue.id = event.venue_id
       JOIN regions region ON region.id = venue.region_id JOIN hosts host ON host.id = event.host_id
 WHERE event.id = ANY($1::bigint[]) ORDER BY event.starts_at, event.id"""

# As an event would be with these times at this venue.
_ELSEWHERE = f"""
SELECT venue.timezone, venue.name AS venue, venue.address, region.city,
       {_local("instant($2, venue.timezone)", "venue.timezone")} AS starts,
       {_local("instant($3, venue.timezone)", "venue.timezone")} AS ends
  FROM venues venue JOIN regions region ON region.id = venue.region_id WHERE venue.id = $1"""


async def find_happenings(db: Connection, event_ids: Sequence[int]) -> list[Happening]:
    """These events, the earliest first; removed ones too."""
    rows = await db.fetch(_HAPPENINGS, list(event_ids))
    return [_happening(row, row["id"], row["title"], row["host"]) for row in rows]


async def find_elsewhere(db: Connection, event: Happening, venue_id: int, start: str, end: str) -> Happening | None:
    """The event as it was with these times (text, as sent) at this venue."""
    row = await db.fetchrow(_ELSEWHERE, venue_id, start, end)
    return _happening(row, event.id, event.title, event.host) if row else None


def _happening(row: Row, event_id: int, name: str, host: str) -> Happening:
    return Happening(
        id=event_id,
        title=title(name),
        when=_when(row["starts"], row["ends"], row["timezone"]),
        venue=title(row["venue"]),
        address=title(row["address"]),
        city=title(row["city"]),
        host=title(host),
    )


def _when(starts: str | None, ends: str | None, zone: str) -> str:
    return moments(_parts(starts), _parts(ends), zone)


def _parts(local: str | None) -> tuple[str, str, int] | None:
    return msgspec.json.decode(local, type=tuple[str, str, int]) if local else None


def moments(start: tuple[str, str, int] | None, end: tuple[str, str, int] | None, zone: str) -> str:
    """`Wednesday, 7 June 2034, 20:00 to 23:00 (Antigua time, UTC−4)`: each moment is a day, a time, and an offset."""
    if start is None:
        return ""
    day, time, ahead = start
    until = ""
    if end is not None and end[:2] != start[:2]:
        until = f" to {end[1]}" if end[0] == day else f" to {end[0]}, {end[1]}"
    return f"{day}, {time}{until} ({zone_name(zone, ahead)})"


def zone_name(zone: str, ahead_minutes: int) -> str:
    """`Antigua time, UTC−4`; a zone that names no place is its offset alone."""
    sign = "−" if ahead_minutes < 0 else "+"
    hours, minutes = divmod(abs(ahead_minutes), 60)
    offset = f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "") if ahead_minutes else "UTC"
    area, _, place = zone.rpartition("/")
    if not area or area.startswith("Etc"):
        return offset
    return f"{place.replace('_', ' ')} time, {offset}"
