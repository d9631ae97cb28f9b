"""Adding and changing sections and their prices; the event they are of is locked by the caller."""

from collections.abc import Mapping
from typing import Any

from ticketing.kit import ids
from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.web.errors import InvalidValues, NotFound, Taken, about

from .actions import is_before
from .errors import CapacityBelowTaken, TooManyPrices, TooManySections
from .holds import expire_due
from .queries import RunEvent

_ADD = """
INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text, sales_start,
                      sales_end, active, capacity, name_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, instant($6, $10), instant($7, $10), $8, $9, $11)"""

_UPDATE = """
UPDATE sections SET name = $2, description = $3, base_price_cents = $4, sales_start_text = $5, sales_end_text = $6,
       sales_start = instant($5, $9), sales_end = instant($6, $9), active = coalesce($7, active), capacity = $8,
       name_key = $10
 WHERE id = $1"""


_COUNT = """
SELECT count(*) AS number,
       coalesce(sum(octet_length(name) + octet_length(description)) FILTER (WHERE id IS DISTINCT FROM $2), 0) AS others,
       coalesce(sum(octet_length(name) + octet_length(description)) FILTER (WHERE id = $2), 0) AS own
  FROM sections WHERE event_id = $1 AND removed_at IS NULL"""

MOST_SECTIONS = 200
MOST_TEXT_BYTES = 64 * 1024  # of all names and descriptions of an event's sections
MOST_PRICES = 50


def with_base_price(body: dict[str, Any]) -> dict[str, Any]:
    """The body with `basePrice`, which clients that send back what they got carry as `price.base`."""
    price = body.get("price")
    if body.get("basePrice") in (None, "") and isinstance(price, dict):
        return {**body, "basePrice": price.get("base")}
    return body


async def ensure_name_free(db: Connection, event_id: int, name: str | None, *, but: int | None = None) -> None:
    """Raise Taken when another section of the event bears the name."""
    if name is not None and await db.fetchval(
        "SELECT true FROM sections WHERE event_id = $1 AND name_key = $2 AND removed_at IS NULL"
        " AND id IS DISTINCT FROM $3",
        event_id,
        identity(name),
        but,
    ):
        raise Taken("section", {"name": name})


async def ensure_room(db: Connection, event_id: int, values: dict[str, Any], *, but: int | None = None) -> None:
    """Raise TooManySections or InvalidValues when the event's sections would be more than an event holds.

    Whoever lists events reads them all. What an event already has too much of stays, and may become less.
    """
    row = await db.fetchrow(_COUNT, event_id, but)
    assert row is not None  # noqa: S101 - for the type checker: it counts
    if but is None and row["number"] >= MOST_SECTIONS:
        raise TooManySections(MOST_SECTIONS)
    size = len((values["name"] + values["description"]).encode())
    if row["others"] + size > MOST_TEXT_BYTES and size > row["own"]:
        raise InvalidValues(
            {"description": f"with the other sections' more than {MOST_TEXT_BYTES // 1024} KiB of text"}
        )


async def sales_misfits(db: Connection, values: dict[str, Any], zone: str) -> Mapping[str, str]:
    """`salesEnd`, if sales would end before they start."""
    ends_first = await is_before(db, values.get("salesEnd", ""), values.get("salesStart", ""), zone)
    return about("salesEnd", "lies before `salesStart`") if ends_first else {}


async def add_section(db: Connection, section_id: int, event: RunEvent, values: dict[str, Any]) -> None:
    """Write a new section."""
    await db.execute(
        _ADD,
        section_id,
        event.id,
        values["name"],
        values["description"],
        values["basePrice"],
        values["salesStart"],
        values["salesEnd"],
        values["active"],
        values["capacity"],
        event.timezone,
        identity(values["name"]),
    )


async def update_section(db: Connection, section_id: int, event: RunEvent, values: dict[str, Any]) -> None:
    """Replace what is given in a locked section. Raises CapacityBelowTaken."""
    await expire_due(db, [section_id])
    taken = await db.fetchval("SELECT sold + held FROM sections WHERE id = $1", section_id)
    if values["capacity"] < taken:
        raise CapacityBelowTaken(taken)
    await db.execute(
        _UPDATE,
        section_id,
        values["name"],
        values["description"],
        values["basePrice"],
        values["salesStart"],
        values["salesEnd"],
        values.get("active"),
        values["capacity"],
        event.timezone,
        identity(values["name"]),
    )


async def price_misfits(db: Connection, values: dict[str, Any], zone: str) -> Mapping[str, str]:
    """`to`, if the price would close before it opens."""
    closes_first = await is_before(db, values.get("to", ""), values.get("from", ""), zone)
    return about("to", "lies before `from`") if closes_first else {}


async def add_price(db: Connection, price_id: int, section_id: int, event: RunEvent, values: dict[str, Any]) -> None:
    """Write a new price of a locked section. Raises TooManyPrices."""
    number = await db.fetchval("SELECT count(*) FROM prices WHERE section_id = $1 AND removed_at IS NULL", section_id)
    if number >= MOST_PRICES:
        raise TooManyPrices(MOST_PRICES)
    await db.execute(
        "INSERT INTO prices (id, section_id, name, price_cents, from_text, to_text, opens_at, closes_at, quantity)"
        " VALUES ($1, $2, $3, $4, $5, $6, instant($5, $8), instant($6, $8), $7)",
        price_id,
        section_id,
        values["name"],
        values["price"],
        values["from"],
        values["to"],
        values["quantity"],
        event.timezone,
    )


async def remove_price(db: Connection, section_id: int, segment: str) -> None:
    """Ask a price of nobody any more; what was sold at it stays sold. Raises NotFound."""
    if not await db.fetchval(
        "UPDATE prices SET removed_at = clock() WHERE id = $1 AND section_id = $2 AND removed_at IS NULL"
        " RETURNING true",
        ids.parse(segment),
        section_id,
    ):
        raise NotFound
