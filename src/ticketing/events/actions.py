"""Registering, changing, listing and unlisting events."""

from typing import Any

import msgspec

from ticketing.kit.collation import sort_key
from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.kit.searching import fold, pieces
from ticketing.kit.vault import Vault
from ticketing.sessions.gate_keys import issue_token
from ticketing.venues.telling import holders_hear_of_event
from ticketing.web.errors import Taken

from .errors import NotApproved
from .queries import RunEvent

_REGISTER = """
INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description, status, public,
                    featured, start_text, end_text, starts_at, ends_at, disclaimer, tags, published_at, title_key,
                    title_sort, search_text, search_pieces, doors_text, doors_at, tickets_per_customer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'Draft', $10,
        $11, $12, $13, instant($12, $6), instant($13, $6), $14, $15::text::jsonb, clock(), $16, $17, $18, $19, $20,
        instant($20, $6), $21)"""

_UPDATE = """
UPDATE events SET category_id = coalesce($2, category_id), subcategory = coalesce($3, subcategory),
       venue_id = coalesce($4, venue_id), timezone = $5, type = coalesce($6, type), title = coalesce($7, title),
       description = coalesce($8, description), public = coalesce($9, public), featured = coalesce($10, featured),
       start_text = coalesce($11, start_text), end_text = coalesce($12, end_text),
       starts_at = instant(coalesce($11, start_text), $5), ends_at = instant(coalesce($12, end_text), $5),
       doors_text = coalesce($19, doors_text), doors_at = instant(coalesce($19, doors_text), $5),
       disclaimer = coalesce($13, disclaimer), tags = coalesce($14::text::jsonb, tags),
       title_key = coalesce($15, title_key), title_sort = coalesce($16, title_sort),
       search_text = coalesce($17, search_text), search_pieces = coalesce($18, search_pieces),
       tickets_per_customer = CASE WHEN $20 THEN $21 ELSE tickets_per_customer END
 WHERE id = $1"""


# Whoever takes a title holds this until his transaction ends: no index can know that an event will be over.
_LOCK_TITLE = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
TITLES = 0x7156  # the class of the advisory locks that stand for titles

# By an event, or by one that may come back to it, or have it, once the desk has decided about its change.
_IS_TAKEN = """
SELECT true FROM events
 WHERE removed_at IS NULL AND status <> 'Cancelled' AND over_at > clock() AND id IS DISTINCT FROM $2
   AND (title_key = $1
        OR id = ANY (ARRAY(SELECT event_id FROM submissions WHERE status = 'Pending' AND title_key = $1)))
 LIMIT 1"""


async def ensure_title_free(db: Connection, title: str | None, *, but: int | None = None) -> None:
    """Raise Taken when another event that is neither cancelled nor over bears the title.

    It stays free until the transaction ends: two who want one title come one after the other.
    """
    if title is None:
        return
    key = identity(title)
    await db.execute(_LOCK_TITLE, TITLES, key)
    if await db.fetchval(_IS_TAKEN, key, but):
        raise Taken("event", {"title": title})


async def misfits(
    db: Connection, values: dict[str, Any], *, start: str = "", end: str = "", doors: str = ""
) -> dict[str, str]:
    """Why members do not fit the others: a subcategory of another category, an end before the start, doors too late.

    `start`, `end` and `doors` are what stands when the values do not change it.
    """
    reasons = {}
    category, subcategory = values.get("category"), values.get("subcategory")
    if category and subcategory and subcategory not in category.subcategories:
        reasons["subcategory"] = "no subcategory of that name in the category"
    venue = values.get("venue")
    zone = venue.timezone if venue else "UTC"
    if await is_before(db, values.get("end", end), values.get("start", start), zone):
        reasons["end"] = "lies before `start`"
    dates = (values.get("start", start), values.get("end", end), values.get("doors", doors))
    if await db.fetchval("SELECT instant($3, $4) > over_at(instant($1, $4), instant($2, $4))", *dates, zone):
        reasons["doors"] = "open when the event is over"
    return reasons


async def is_before(db: Connection, moment: str, other: str, zone: str) -> bool:
    """Whether a moment, as it was sent, lies before another; never when one of them is unset."""
    if not moment or not other:
        return False
    return bool(await db.fetchval("SELECT instant($1, $3) < instant($2, $3)", moment, other, zone))


async def register_event(db: Connection, vault: Vault, event_id: int, token_id: int, values: dict[str, Any]) -> None:
    """Write a draft, with the gate token that opens all its sections, later ones too."""
    await db.execute(
        _REGISTER,
        event_id,
        values["host"],
        values["category"].id,
        values["subcategory"],
        values["venue"].id,
        values["venue"].timezone,
        values["type"],
        values["title"],
        values["description"],
        values["public"],
        values["featured"],
        values["start"],
        values["end"],
        values["disclaimer"],
        _tags(values["tags"]),
        *_title_keys(values["title"]),
        values["doors"],
        values["ticketsPerCustomer"],
    )
    await issue_token(db, vault, token_id, event_id, is_global=True)


async def update_event(db: Connection, event: RunEvent, values: dict[str, Any]) -> None:
    """Replace what is given; the rest keeps its value. In another zone all local times are other instants.

    Whoever holds a ticket hears of another time or place.
    """
    venue, category, title = values.get("venue"), values.get("category"), values.get("title")
    zone = venue.timezone if venue else event.timezone
    async with holders_hear_of_event(db, event.id):
        await db.execute(
            _UPDATE,
            event.id,
            category and category.id,
            values.get("subcategory"),
            venue and venue.id,
            zone,
            values.get("type"),
            title,
            values.get("description"),
            values.get("public"),
            values.get("featured"),
            values.get("start"),
            values.get("end"),
            values.get("disclaimer"),
            _tags(values["tags"]) if "tags" in values else None,
            *(_title_keys(title) if title is not None else (None,) * 4),
            values.get("doors"),
            "ticketsPerCustomer" in values,
            values.get("ticketsPerCustomer"),
        )
    if zone != event.timezone:
        await _move_sales(db, event.id, zone)


def _title_keys(title: str) -> tuple[str, bytes, str, list[str]]:
    """What a title is found, sorted and searched by."""
    folded = fold(title)
    return identity(title), sort_key(title), folded, pieces(folded)


async def _move_sales(db: Connection, event_id: int, zone: str) -> None:
    await db.execute("SELECT FROM sections WHERE event_id = $1 ORDER BY id FOR UPDATE", event_id)
    await db.execute(
        "UPDATE sections SET sales_start = instant(sales_start_text, $2), sales_end = instant(sales_end_text, $2)"
        " WHERE event_id = $1",
        event_id,
        zone,
    )
    await db.execute(
        "UPDATE prices SET opens_at = instant(from_text, $2), closes_at = instant(to_text, $2)"
        " WHERE section_id IN (SELECT id FROM sections WHERE event_id = $1)",
        event_id,
        zone,
    )


async def list_event(db: Connection, event: RunEvent) -> None:
    """List an approved event again. Raises NotApproved."""
    await _set_listed(db, event, "Listed")


async def unlist_event(db: Connection, event: RunEvent) -> None:
    """Take an approved event out of sight and off sale. Raises NotApproved."""
    await _set_listed(db, event, "Unlisted")


async def _set_listed(db: Connection, event: RunEvent, status: str) -> None:
    if not event.approved or event.status == "Cancelled":
        raise NotApproved
    await db.execute("UPDATE events SET status = $2 WHERE id = $1", event.id, status)


def _tags(tags: Any) -> str:
    return msgspec.json.encode(list(tags)).decode()
