"""Tickets that one can hold: the PDF, the QR code and the calendar file of a ticket or of a whole order.

What is printed is read first and the connection given back: no transaction is open while the press works.
"""

import hmac
from collections.abc import Sequence

from ticketing.kit.database import Connection, Database, Row
from ticketing.kit.turns import Asker
from ticketing.kit.vault import Vault
from ticketing.web.operations import Services

from .calendars import Appointment, calendar_file
from .keys import SigningKey, signing_key
from .payloads import Claim, sign
from .press import Press
from .sheets import PrintPdf, PrintPng, Sheet

MOST_SHEETS = 50  # in one letter
FOREVER = 9999  # a year that says that there is no end, or no date yet


def _ahead(instant: str) -> str:
    """The SQL of the minutes that clocks at the venue are ahead of UTC at an instant."""
    local = f"({instant} AT TIME ZONE event.timezone)"
    return f"(extract(epoch FROM {local} - ({instant} AT TIME ZONE 'UTC')) / 60)::int"


_LOCAL_START = "(event.starts_at AT TIME ZONE event.timezone)"
_LOCAL_END = "(event.ends_at AT TIME ZONE event.timezone)"
_LOCAL_DOORS = "(event.doors_at AT TIME ZONE event.timezone)"

_EVENT_COLUMNS = f"""
    event.id AS event_id, event.title, event.status = 'Cancelled' AS cancelled, event.disclaimer, event.timezone,
    to_char({_LOCAL_START}, 'FMDay FMDD FMMonth YYYY') AS start_day, to_char({_LOCAL_START}, 'HH24:MI') AS start_hour,
    to_char({_LOCAL_END}, 'FMDD FMMonth YYYY') AS end_day, to_char({_LOCAL_END}, 'HH24:MI') AS end_hour,
    {_LOCAL_START}::date = {_LOCAL_END}::date AS ends_that_day,
    coalesce(extract(year FROM {_LOCAL_START}) < {FOREVER}, false) AS has_start,
    coalesce(extract(year FROM {_LOCAL_END}) < {FOREVER}, false) AS has_end,
    {_ahead("event.starts_at")} AS start_ahead, {_ahead("event.ends_at")} AS end_ahead,
    {_ahead("event.doors_at")} AS doors_ahead,
    to_char({_LOCAL_DOORS}, 'FMDD FMMonth YYYY') AS doors_day, to_char({_LOCAL_DOORS}, 'HH24:MI') AS doors_hour,
    coalesce({_LOCAL_START}::date <> {_LOCAL_DOORS}::date, true) AS doors_other_day,
    coalesce(extract(year FROM {_LOCAL_DOORS}) < {FOREVER}, false) AS has_doors,
    host.name AS host, venue.name AS venue, venue.address, venue.latitude, venue.longitude, section.name AS section"""

_SOURCE = """tickets ticket
    JOIN sections section ON section.id = ticket.section_id
    JOIN events event ON event.id = ticket.event_id
    JOIN hosts host ON host.id = event.host_id
    JOIN venues venue ON venue.id = event.venue_id
    JOIN accounts owner ON owner.id = ticket.owner_id"""

_EVENT_SOURCE = """events event
    JOIN hosts host ON host.id = event.host_id
    JOIN venues venue ON venue.id = event.venue_id
    LEFT JOIN sections section ON false"""

_SHEET_COLUMNS = f"""
    ticket.serial, floor(extract(epoch FROM ticket.issued_at))::bigint AS issue,
    owner.first_name, owner.last_name, owner.username, {_EVENT_COLUMNS}"""

_OPENING = "ticket.status IN ('Issued', 'Redeemed') AND event.status <> 'Cancelled'"

# The tickets of an order that its customer still holds.
_OF_ORDER = """ticket.item_id IN (SELECT item.id FROM order_items item WHERE item.order_id = $1)
    AND ticket.owner_id = (SELECT customer_id FROM orders WHERE id = $1)"""

# The tickets that an account holds to an event.
_OF_EVENT = "ticket.owner_id = $1 AND ticket.event_id = $2"

_STAMP = """'YYYYMMDD"T"HH24MISS"Z"'"""
_FIRST, _LAST = "timestamptz '0001-01-01 00:00:00+00'", f"timestamptz '{FOREVER}-12-31 23:59:59+00'"


def _stamp(instant: str) -> str:
    """The SQL of an instant as a calendar writes it, within the years that it can."""
    return f"to_char(greatest(least({instant}, {_LAST}), {_FIRST}) AT TIME ZONE 'UTC', {_STAMP})"


_CALENDAR_COLUMNS = f"""
    {_stamp("clock()")} AS stamped, {_stamp("event.starts_at")} AS starts_stamp,
    CASE WHEN event.ends_at IS NULL THEN '' ELSE {_stamp("event.ends_at")} END AS ends_stamp,
    (SELECT salt FROM calendar_salt) AS salt, {_EVENT_COLUMNS}"""


async def ticket_pdf(services: Services, serial: str, *, asker: Asker = ()) -> bytes | None:
    """The PDF of one ticket; None when it opens no gate (in a transfer, voided, the event cancelled).

    `asker`: who wants it, for the press is shared out among those who do. Raises Overloaded, PrintingFailed.
    """
    return await _pdf(services, await _read_sheets(services, "ticket.serial = $1", serial), asker)


async def ticket_png(services: Services, serial: str, *, asker: Asker = ()) -> bytes | None:
    """The QR code of one ticket as a PNG; None as for the PDF. Raises Overloaded, PrintingFailed."""
    sheets = await _read_sheets(services, "ticket.serial = $1", serial)
    return await services.the(Press).print(PrintPng(sheets[0].payload), asker) if sheets else None


async def ticket_ics(services: Services, serial: str) -> bytes | None:
    """The calendar file of one ticket's event; None when the ticket is voided, or the event has no date."""
    return await _ics(services, "ticket.serial = $1", serial)


async def order_pdf(services: Services, order_id: int, *, asker: Asker = ()) -> bytes | None:
    """The PDF of an order: a page for each ticket that its customer still holds and that opens a gate.

    None when there is no such ticket. `services` must hold a Press. Raises Overloaded, PrintingFailed.
    """
    return await _pdf(services, await _read_sheets(services, _OF_ORDER, order_id), asker)


async def has_sheets(db: Connection, order_id: int) -> bool:
    """Whether there is anything to print of an order: a ticket that its customer still holds and that opens a gate."""
    return bool(await db.fetchval(f"SELECT EXISTS (SELECT FROM {_SOURCE} WHERE {_OF_ORDER} AND {_OPENING})", order_id))


async def event_pdf(services: Services, account_id: int, event_id: int, *, asker: Asker = ()) -> bytes | None:
    """The PDF of an account's tickets to an event that open a gate, at most MOST_SHEETS; None when there is none.

    Raises Overloaded, PrintingFailed.
    """
    sheets = await _read_sheets(services, _OF_EVENT, account_id, event_id)
    return await _pdf(services, sheets[:MOST_SHEETS], asker)


async def event_ics(services: Services, account_id: int, event_id: int) -> bytes | None:
    """The calendar file of an event for an account with tickets to it; None when it has none, or no date."""
    return await _ics(services, _OF_EVENT, account_id, event_id)


async def listed_ics(db: Connection, event_id: int) -> bytes | None:
    """The calendar file of an event for whoever may come; None when it has no date."""
    row = await db.fetchrow(f"SELECT {_CALENDAR_COLUMNS} FROM {_EVENT_SOURCE} WHERE event.id = $1", event_id)
    if row is None or not row["has_start"]:
        return None
    return calendar_file([_appointment([row])])


async def order_ics(services: Services, order_id: int) -> bytes | None:
    """The calendar file of an order's events, of tickets its customer still holds; None when none has a date."""
    return await _ics(services, _OF_ORDER, order_id)


async def _pdf(services: Services, sheets: list[Sheet], asker: Asker) -> bytes | None:
    return await services.the(Press).print(PrintPdf(sheets), asker) if sheets else None


async def _read_sheets(services: Services, condition: str, *values: object) -> list[Sheet]:
    async with services.the(Database).reading() as db:
        rows = await db.fetch(
            f"SELECT {_SHEET_COLUMNS} FROM {_SOURCE} WHERE {condition} AND {_OPENING} ORDER BY ticket.id", *values
        )
        if not rows:
            return []
        key = await signing_key(db, services.the(Vault))
    return [_sheet(row, key) for row in rows]


def _sheet(row: Row, key: SigningKey) -> Sheet:
    return Sheet(
        serial=row["serial"],
        payload=sign(Claim(row["serial"], row["event_id"], row["issue"]), key.id, key.private),
        seed=str(row["event_id"]),
        title=row["title"],
        host=row["host"],
        section=row["section"],
        holder=f"{row['first_name']} {row['last_name']}".strip() or row["username"],
        venue=row["venue"],
        address=row["address"],
        day=row["start_day"] if row["has_start"] else "",
        hours=_hours(row),
        zone=_zone(row),
        doors=_doors(row),
        disclaimer=row["disclaimer"],
    )


def _hours(row: Row) -> str:
    if not row["has_start"]:
        return ""
    if not row["has_end"]:
        return str(row["start_hour"])
    day = "" if row["ends_that_day"] else f"{row['end_day']}, "
    return f"{row['start_hour']} to {day}{row['end_hour']}"


def _zone(row: Row) -> str:
    """The venue's zone with its offset, and the one at the end where clocks are changed in between."""
    if not (row["has_start"] or row["has_doors"]):
        return ""
    begins = row["start_ahead"] if row["has_start"] else row["doors_ahead"]
    changed = row["has_start"] and row["has_end"] and row["end_ahead"] != begins
    at_end = f", at the end {_offset(row['end_ahead'])}" if changed else ""
    return f"{row['timezone']} ({_offset(begins)}{at_end})"


def _doors(row: Row) -> str:
    """When the doors open, with what is another than at the start: the day, the offset."""
    if not row["has_doors"]:
        return ""
    told = f"{row['doors_day']}, {row['doors_hour']}" if row["doors_other_day"] else str(row["doors_hour"])
    changed = row["has_start"] and row["doors_ahead"] != row["start_ahead"]
    return f"{told} ({_offset(row['doors_ahead'])})" if changed else told


def _offset(minutes: int) -> str:
    """`UTC-04:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


async def _ics(services: Services, condition: str, *values: object) -> bytes | None:
    async with services.the(Database).reading() as db:
        rows = await _read_appointments(db, condition, *values)
    by_event: dict[int, list[Row]] = {}
    for row in rows:
        by_event.setdefault(row["event_id"], []).append(row)
    if not by_event:
        return None
    return calendar_file(_appointment(group) for group in by_event.values())


async def _read_appointments(db: Connection, condition: str, *values: object) -> list[Row]:
    return list(
        await db.fetch(
            f"SELECT {_CALENDAR_COLUMNS} FROM {_SOURCE}"
            f" WHERE {condition} AND ticket.status <> 'Voided' AND event.starts_at IS NOT NULL ORDER BY ticket.id",
            *values,
        )
    )


def _appointment(rows: Sequence[Row]) -> Appointment:
    """An event, and the sections that one has tickets to. No serial: calendars are shared, and it opens the gate."""
    row = rows[0]
    sections = dict.fromkeys(one["section"] for one in rows if one["section"])
    uid = hmac.digest(row["salt"], str(row["event_id"]).encode(), "sha256").hex()[:32]
    return Appointment(
        uid=f"{uid}@ticketing",
        stamped=row["stamped"],
        starts=row["starts_stamp"],
        ends=row["ends_stamp"] if row["has_end"] else "",
        summary=row["title"],
        location=f"{row['venue']}, {row['address']}",
        latitude=row["latitude"],
        longitude=row["longitude"],
        description="\n".join(
            [
                *([f"{row['start_day']}, {_hours(row)}, {_zone(row)}"] if row["has_start"] else []),
                *([f"Section: {', '.join(sections)}"] if sections else []),
                *([f"Doors: {_doors(row)}"] if row["has_doors"] else []),
                f"Host: {row['host']}",
            ]
        ),
        cancelled=row["cancelled"],
    )
