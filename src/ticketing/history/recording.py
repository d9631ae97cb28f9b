"""Who did what to which thing; written by the action itself, in its transaction."""

from typing import Any

import msgspec

from ticketing.kit.database import Connection
from ticketing.kit.logs import REQUEST_ID
from ticketing.web.callers import Caller


async def record(db: Connection, new_id: int, caller: Caller | None, action: str, thing: str, **detail: Any) -> None:
    """Remember an act: `await record(db, call.new_id(), caller, "event.cancelled", "/events/1", reason="rain")`."""
    await db.execute(
        "INSERT INTO history (id, at, account_id, request, action, thing, detail)"
        " VALUES ($1, clock(), $2, $3, $4, $5, $6::text::jsonb)",
        new_id,
        caller.account if caller else None,
        REQUEST_ID.get(),
        action,
        thing,
        msgspec.json.encode(detail).decode(),
    )


FORGET = """
DELETE FROM history WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM history WHERE at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED))"""
