"""Whether an event has taken place: what a cancellation must know, and an admission makes so.

They exclude each other, by an advisory lock of the event, which admissions share: it writes nothing, where a lock of
the event's row would have all gates of an event write that one row with each ticket. An event was over, if it ever was:
the database remembers (`events.was_over`), whatever its dates became since.
"""

from ticketing.kit.database import Connection

CLASS = 0x7158  # of advisory locks

# To be selected of an event's row; what the event is must be read again, in a later statement.
SHARE = f"pg_advisory_xact_lock_shared({CLASS}, (event.id % 2147483647)::int)"

_LOCK = f"SELECT pg_advisory_xact_lock({CLASS}, ($1::bigint % 2147483647)::int)"

_HAS_TAKEN_PLACE = """
SELECT was_over OR over_at <= clock() OR EXISTS (SELECT FROM admissions WHERE event_id = event.id)
  FROM events event WHERE event.id = $1"""


async def has_taken_place(db: Connection, event_id: int) -> bool:
    """Whether the event ever was over, or anybody was admitted; nobody is until the transaction ends."""
    await db.execute(_LOCK, event_id)
    return bool(await db.fetchval(_HAS_TAKEN_PLACE, event_id))
