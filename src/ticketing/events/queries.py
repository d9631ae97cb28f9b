"""Reading events and their sections, for who may see them."""

from dataclasses import dataclass

import msgspec

from ticketing.hosts.queries import ensure_administers
from ticketing.kit import clock, ids
from ticketing.kit.database import Connection, Row
from ticketing.kit.money import to_amount
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound
from ticketing.web.operations import Call
from ticketing.web.paging import Always, Filter, Listing, boolean, exact, reference
from ticketing.web.shared_reads import SharedReads

from .errors import Unlisted
from .presenting import COLUMNS, NOW, SOURCE, STORED_SECTION, USED, Presentation, build_event, build_section
from .rules import Bands
from .schemas import Event, Price, Section

# As a filter: those that are stored, and what follows from one and the time.
STATUSES = ("Draft", "Submitted", "Listed", "Unlisted", "Cancelled", "Scheduled", "Under Review", "Staged")

# It has an end, and that lies ahead.
ACTIVE = boolean("coalesce(event.ends_at > (SELECT clock()), false)")

OVER = boolean("coalesce(event.over_at <= (SELECT clock()), false)")

# Unset dates come first; popularity is what the sections have sold.
SORTS = {
    "alphabetical": Always("event.title_sort"),
    "published": "event.published_at",
    "popularity": """(SELECT coalesce(sum(section.sold), 0) FROM sections section
                       WHERE section.event_id = event.id AND section.removed_at IS NULL)""",
    "start": "event.starts_at",
}

_STATUS = Filter(
    """CASE {} WHEN 'Scheduled'
            THEN event.status = 'Listed' AND coalesce(event.starts_at > (SELECT clock()), true)
            WHEN 'Staged' THEN event.status = 'Listed' AND event.over_at <= (SELECT clock())
            WHEN 'Under Review' THEN event.status = 'Submitted'
            ELSE event.status = {} END""",
    lambda text: text if text in STATUSES else None,
    f"one of {', '.join(STATUSES)}",
    {"type": "string", "enum": list(STATUSES)},
)
_SECTION = Filter(
    """EXISTS (SELECT FROM sections section
                WHERE section.id = {} AND section.event_id = event.id AND section.removed_at IS NULL)""",
    ids.parse,
    "the id of a section",
    {"type": "string", "pattern": "^[0-9]+$"},
)


# Read by `events/finding`; here they are described.
_TITLE = Filter(
    "", str, schema={"type": "string", "description": "a part of the title, or a regular expression"}, searches=True
)
_SEARCH = Filter(
    "",
    str,
    schema={"type": "string", "description": "words, or parts of some, of title, host, venue and category"},
    searches=True,
)


def _moment(column: str, sign: str) -> Filter:
    """An instant, local to each event's zone when it carries no offset.

    What it means in a zone takes long to find out; no zone is two days away from UTC.
    """
    possibly, surely = ("+", "-") if sign == "<=" else ("-", "+")
    return Filter(
        f"({column} {sign} (SELECT instant({{}}, 'UTC') {possibly} interval '2 days')"
        f" AND ({column} {sign} (SELECT instant({{}}, 'UTC') {surely} interval '2 days')"
        f" OR {column} {sign} instant({{}}, event.timezone)))",
        lambda text: text if clock.is_moment(text) else None,
        "a date and time, such as 2034-06-07T20:00",
        {"type": "string", "description": "ISO 8601, with or without an offset"},
    )


def _unbuilt(_row: Row) -> Event:
    raise RuntimeError("events are built for a request; hand `build` to `page`")


EVENTS: Listing[Event] = Listing(
    source=SOURCE,
    columns=COLUMNS,
    id="event.id",
    key="event.id",
    wide=True,
    build=_unbuilt,
    filters={
        "region": reference("venue.region_id"),
        "host": reference("event.host_id"),
        "section": _SECTION,
        "title": _TITLE,
        "search": _SEARCH,
        "status": _STATUS,
        "active": ACTIVE,
        "over": OVER,
        "public": boolean("event.public"),
    },
    sorts=SORTS,
)

PUBLISHED_EVENTS: Listing[Event] = Listing(
    source=SOURCE,
    columns=COLUMNS,
    id="event.id",
    key="event.id",
    wide=True,
    build=_unbuilt,
    filters={
        "region": reference("venue.region_id"),
        "title": _TITLE,
        "search": _SEARCH,
        "host": reference("event.host_id"),
        "category": reference("event.category_id"),
        "subcategory": exact("event.subcategory"),
        "before": _moment("event.ends_at", "<="),
        "after": _moment("event.starts_at", ">="),
        "active": ACTIVE,
        "over": OVER,
    },
    sorts=SORTS,
)

_EVENT = f"SELECT {COLUMNS} FROM {SOURCE} WHERE event.id = $1 AND event.removed_at IS NULL"


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event as it is answered, in JSON, and what decides who may have it."""

    id: int
    host_id: int
    status: str
    body: bytes


async def event_for(call: Call, segment: str, shown: Presentation) -> bytes:
    """The event as JSON, if this caller may see it. Raises NotFound, Unlisted.

    Whoever asks at the same moment shares the read; whether he may see it is asked for each.
    """
    event_id = ids.parse(segment)

    async def read(db: Connection) -> ReadEvent:
        row = await db.fetchrow(_EVENT, event_id)
        if row is None:
            raise NotFound
        return ReadEvent(row["id"], row["host_id"], row["status"], msgspec.json.encode(build_event(row, shown)))

    event = await call.the(SharedReads).read(("event", event_id, shown.media), read)
    if event.status != "Listed":
        async with call.reading() as db:
            await _ensure_sees(db, call.caller, event.id, event.host_id)
    return event.body


async def get_event(db: Connection, event_id: int, shown: Presentation) -> Event:
    """The event with this id. Raises NotFound."""
    row = await db.fetchrow(_EVENT, event_id)
    if row is None:
        raise NotFound
    return build_event(row, shown)


async def visible_event(db: Connection, caller: Caller, segment: str) -> int:
    """The id of an event that this caller may see: whoever has the link when it is listed.

    Else those who run its host, support, administrators, its gates, and whoever holds or held a ticket.

    Raises NotFound, Unlisted.
    """
    row = await db.fetchrow(
        "SELECT id, status, host_id FROM events WHERE id = $1 AND removed_at IS NULL", ids.parse(segment)
    )
    if row is None:
        raise NotFound
    if row["status"] != "Listed":
        await _ensure_sees(db, caller, row["id"], row["host_id"])
    event_id: int = row["id"]
    return event_id


# Who runs it, and whoever holds or held a ticket: what became of his evening he may read, whatever its status.
_SEES = """
SELECT EXISTS (SELECT FROM host_administrators WHERE host_id = $2 AND account_id = $3)
    OR EXISTS (SELECT FROM tickets WHERE owner_id = $3 AND event_id = $1)
    OR EXISTS (SELECT FROM retired_serials WHERE owner_id = $3 AND event_id = $1)
    OR EXISTS (SELECT FROM orders JOIN order_items item ON item.order_id = orders.id
                WHERE orders.customer_id = $3 AND item.event_id = $1
                  AND orders.status IN ('Fulfilled', 'Refunded', 'Voided'))"""


async def _ensure_sees(db: Connection, caller: Caller, event_id: int, host_id: int) -> None:
    if caller.reads_people or caller.event == event_id:
        return
    if caller.account is None or not await db.fetchval(_SEES, event_id, host_id, caller.account):
        raise Unlisted


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event that the caller may run, with what deciding about it needs; it stays so until the transaction ends."""

    id: int
    status: str
    approved: bool
    title: str
    timezone: str
    start: str
    end: str
    doors: str

    @property
    def uri(self) -> str:
        """Its URI."""
        return f"/events/{self.id}"


async def run_event(db: Connection, caller: Caller, segment: str) -> RunEvent:
    """The event, locked, if this caller may run it: its host's administrators and the platform's.

    Raises NotFound, NotHostAdministrator.
    """
    row = await db.fetchrow(_LOCK, ids.parse(segment))
    if row is None:
        raise NotFound
    await ensure_administers(db, caller, row["host_id"])
    return _run(row)


async def lock_event(db: Connection, event_id: int) -> RunEvent:
    """The event, locked, for the platform itself. Raises NotFound."""
    row = await db.fetchrow(_LOCK, event_id)
    if row is None:
        raise NotFound
    return _run(row)


_LOCK = """
SELECT id, host_id, status, approved, title, timezone, start_text, end_text, doors_text
  FROM events WHERE id = $1 AND removed_at IS NULL FOR NO KEY UPDATE"""


def _run(row: Row) -> RunEvent:
    return RunEvent(
        row["id"],
        row["status"],
        row["approved"],
        row["title"],
        row["timezone"],
        row["start_text"],
        row["end_text"],
        row["doors_text"],
    )


# Sections and prices

_SECTION_COLUMNS = f"{STORED_SECTION} AS section, {NOW}"


def _unbuilt_section(_row: Row) -> Section:
    raise RuntimeError("sections are built with the fees of a server; hand `build` to `page`")


SECTIONS: Listing[Section] = Listing(
    source="sections section",
    columns=_SECTION_COLUMNS,
    id="section.id",
    build=_unbuilt_section,
    filters={"name": exact("section.name"), "active": boolean("section.active")},
)


async def get_section(db: Connection, event_id: int, segment: str, bands: Bands) -> Section:
    """The section of this event. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {_SECTION_COLUMNS} FROM sections section"
        " WHERE section.id = $1 AND section.event_id = $2 AND section.removed_at IS NULL",
        ids.parse(segment),
        event_id,
    )
    if row is None:
        raise NotFound
    return build_section(row, bands)


async def find_section(db: Connection, event_id: int, segment: str, *, locking: bool = False) -> int:
    """The id of the section of this event; `locking` it stays as it is until the transaction ends.

    Raises NotFound.
    """
    found: int | None = await db.fetchval(
        "SELECT id FROM sections WHERE id = $1 AND event_id = $2 AND removed_at IS NULL"
        f" {'FOR UPDATE' if locking else ''}",
        ids.parse(segment),
        event_id,
    )
    if found is None:
        raise NotFound
    return found


def build_price(row: Row) -> Price:
    """A timed or limited price."""
    return Price(
        uri=f"/events/{row['event_id']}/sections/{row['section_id']}/prices/{row['id']}",
        name=row["name"],
        price=to_amount(row["price_cents"]),
        opens=row["from_text"],
        closes=row["to_text"],
        quantity=row["quantity"],
        used=row["used"],
    )


PRICES: Listing[Price] = Listing(
    source="prices price JOIN sections section ON section.id = price.section_id",
    columns=f"""price.id, price.section_id, section.event_id, price.name, price.price_cents, price.from_text,
                price.to_text, price.quantity, ({USED})::int AS used""",
    id="price.id",
    build=build_price,
)


async def get_price(db: Connection, section_id: int, segment: str) -> Price:
    """The price of this section. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {PRICES.columns} FROM {PRICES.source}"
        " WHERE price.id = $1 AND price.section_id = $2 AND price.removed_at IS NULL",
        ids.parse(segment),
        section_id,
    )
    if row is None:
        raise NotFound
    return build_price(row)
