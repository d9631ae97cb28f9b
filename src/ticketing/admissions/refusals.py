"""Scans that opened nothing: how many of them are stored, and reading them."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from ticketing.accounts.queries import build_short_account, short_columns
from ticketing.kit import clock, ids
from ticketing.kit.database import Connection, Row
from ticketing.tickets.queries import SECTION_COLUMNS, build_short_section
from ticketing.web.errors import NotFound
from ticketing.web.paging import Filter, Listing, exact, one_of

from .queries import Gate, as_seen, clean_serial, no_builder, patron_filter, section_filter
from .rules import REASONS, room_for
from .schemas import Refusal

# Refused scans of one gate come one after the other from here on: each finds what the one before it stored.
_OPEN_TALLY = """
INSERT INTO refusal_tallies AS tally (event_id, gate, day, stored, dropped)
VALUES ($1, $2, (clock() AT TIME ZONE 'UTC')::date, 0, 0)
    ON CONFLICT (event_id, gate, day) DO UPDATE SET stored = tally.stored
RETURNING day, stored, (
    SELECT coalesce(sum(other.stored), 0)::int FROM refusal_tallies other
     WHERE other.event_id = $1 AND other.day = (clock() AT TIME ZONE 'UTC')::date) AS of_event"""


class Tally(NamedTuple):
    """The count of a gate for a day (UTC), and how many more of its refused scans may be stored."""

    day: date | None = None
    room: int = 0


async def open_tally(db: Connection, gate: Gate, most: int) -> Tally:
    """Lock today's count of the gate, which may store `most` refused scans a day."""
    (row,) = await db.fetch(_OPEN_TALLY, gate.event, gate.key)
    return Tally(row["day"], room_for(row["stored"], row["of_event"], most))


async def count_dropped(db: Connection, gate: Gate) -> int:
    """How many refused scans of the event (of this gate, where it opens some of its sections) were counted only."""
    return int(
        await db.fetchval(
            "SELECT coalesce(sum(dropped), 0)::int FROM refusal_tallies"
            " WHERE event_id = $1 AND ($2::bigint IS NULL OR gate = $2)",
            gate.event,
            None if gate.sections is None else gate.key,
        )
    )


def builder(gate: Gate) -> Callable[[Row], Refusal]:
    """What makes a refusal of a row, as this gate may see it: whose ticket it was only within its sections."""

    def build(row: Row) -> Refusal:
        known = row["section_id"] is not None and (gate.sections is None or row["section_id"] in gate.sections)
        return Refusal(
            uri=f"/events/{row['event_id']}/refusals/{row['id']}",
            redeemer=row["redeemer"],
            device=row["device"],
            ticket=row["serial"],
            reason=row["reason"],
            patron=build_short_account(row, "patron_") if known else None,
            section=build_short_section(row) if known else None,
            refused=clock.stamp(row["scanned_at"]),
        )

    return as_seen(gate, build, "patron")


REFUSALS: Listing[Refusal] = Listing(
    source="""refused_scans refusal
        LEFT JOIN sections section ON section.id = refusal.section_id
        LEFT JOIN accounts patron ON patron.id = refusal.patron_id""",
    columns=(
        "refusal.id, refusal.event_id, refusal.redeemer, refusal.device, refusal.serial, refusal.reason,"
        f" refusal.scanned_at, {SECTION_COLUMNS}, {short_columns('patron', 'patron_')}"
    ),
    id="refusal.id",
    key="refusal.id",
    build=no_builder,
    filters={
        "redeemer": exact("refusal.redeemer"),
        "device": exact("refusal.device"),
        "ticket": Filter("refusal.serial = ANY({}::text[])", lambda text: [text, clean_serial(text)]),
        "patron": patron_filter("refusal.patron_id"),
        "section": section_filter("refusal.section_id"),
        "reason": one_of("refusal.reason", {reason: reason for reason in REASONS}),
    },
)


def within(gate: Gate) -> tuple[str, list[object]]:
    """The condition for the refusals that this gate may see, and its values.

    With a key of some sections: of tickets for them, and whatever was scanned with the key itself.
    """
    seen = "$2::bigint[] IS NULL OR refusal.section_id = ANY($2) OR refusal.token_id = $3::bigint"
    return (
        f"refusal.event_id = $1 AND ({seen})",
        [gate.event, None if gate.sections is None else sorted(gate.sections), gate.token],
    )


async def get_refusal(db: Connection, gate: Gate, segment: str) -> Refusal:
    """The refusal, within what this gate may see. Raises NotFound."""
    where, values = within(gate)
    row = await db.fetchrow(
        f"SELECT {REFUSALS.columns} FROM {REFUSALS.source} WHERE {where} AND refusal.id = $4",
        *values,
        ids.parse(segment),
    )
    if row is None:
        raise NotFound
    return builder(gate)(row)
